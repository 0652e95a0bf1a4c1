"""Reading and writing of image files as 8-bit tensors."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile
from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.files import replacing

_EIGHT_BIT_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"}
_BITS_PER_SAMPLE = 258  # TIFF


@contextmanager
def opened(path: Path) -> Iterator[ImageFile]:
    """Open an image file with Pillow, without reading its pixels yet.

    Raises:
        HarnessError: the file is missing, truncated or no image; also raised from the block.
    """
    if path.is_dir():
        raise HarnessError(f"{path} is a folder, not an image.", "Name a file in it.")
    if not path.is_file():
        raise HarnessError(f"There is no image {path}.", "Check the path.")
    try:
        # Given a name, Pillow maps plain TIFF files into memory, and garbles those to be turned.
        with path.open("rb") as file, Image.open(file) as image:
            yield image
    except (HarnessError, MemoryError):
        raise
    except Image.DecompressionBombError as error:
        raise HarnessError(f"{path} is too large to open: {error}", "Cut it into parts.") from error
    except Exception as error:  # damaged files raise anything: struct.error, KeyError, ...
        unknown = isinstance(error, UnidentifiedImageError)
        reason = "its type is not known" if unknown else error or type(error).__name__
        raise HarnessError(
            f"{path} cannot be read as an image: {reason}",
            "It may be truncated or of another type; fetch or save it again.",
        ) from error


def open_image(path: Path) -> Image.Image:
    """Read a whole Pillow image.

    Raises:
        HarnessError: the file is missing, truncated, no image, or not 8-bit.
    """
    with opened(path) as image:
        # Pillow silently reads 16-bit colour as 8 bits, and reads its planes wrongly one by one.
        deep = any(re.search(r";16[BLN]", str(part)) for part in getattr(image, "tile", ()))
        deep |= max(getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))) > 8
        image.load()
        if deep or image.mode not in _EIGHT_BIT_MODES:
            raise HarnessError(
                f"{path} has pixel mode {image.mode}{' of 16 bits' * deep}; only 8-bit images are "
                "measured (upscale takes PNG and contiguous TIFF files of 16 bits, too).",
                "Convert it to 8 bits per channel.",
            )
        return image.copy()


def image_size(path: Path) -> tuple[int, int]:
    """Read (height, width) from an image file's header; HarnessError where it is no image."""
    with opened(path) as image:
        return image.height, image.width


def to_tensor(image: Image.Image) -> Tensor:
    """Convert an 8-bit Pillow image to uint8 (C, H, W), C = 1, 2, 3 or 4."""
    array = np.array(image)
    array = array[..., None] if array.ndim == 2 else array
    return torch.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def to_image(tensor: Tensor) -> Image.Image:
    """Convert a uint8 (C, H, W) tensor, C = 1, 2, 3 or 4, to a Pillow image."""
    array = tensor.cpu().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[..., 0] if array.shape[2] == 1 else array)


def read_rgb(path: Path) -> Tensor:
    """Read an image file as uint8 (3, H, W).

    Grey images get three equal channels, as in the LIIF code, which opens every image as RGB.
    """
    return to_tensor(open_image(path).convert("RGB"))


def save_png(tensor: Tensor, path: Path) -> None:
    """Write a uint8 (C, H, W) tensor as PNG, all or nothing."""
    with replacing(path) as temporary:
        to_image(tensor).save(temporary, format="PNG")


def save_webp(tensor: Tensor, path: Path) -> None:
    """Write a uint8 (3, H, W) tensor as lossless WebP, a fifth smaller than PNG; all or nothing."""
    with replacing(path) as temporary:  # slower methods save another 5 %
        to_image(tensor).save(temporary, "WEBP", lossless=True, exact=True, method=1, quality=20)


def pixel_hash(image: Tensor) -> str:
    """Compute the SHA-256 of size and values of a uint8 image: the same for every file format."""
    digest = hashlib.sha256(repr(tuple(image.shape)).encode())
    digest.update(image.contiguous().numpy().tobytes())
    return digest.hexdigest()
