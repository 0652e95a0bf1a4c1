"""Image files before and after enlarging: grey images, transparency, types and their limits."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import ExifTags, Image
from PIL.ImageFile import ImageFile
from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.files import is_stream
from harness.common.progress import say
from harness.data.images import open_image, opened
from harness.upscale.writers import NOTHING, STREAMED, Layout, Metadata, Rows, objection

# Types that hold any picture of 8-bit colour: no palettes, no icons of fixed sizes.
_KINDS = ("PNG", "TIFF", "JPEG", "WEBP", "JPEG2000", "AVIF", "BMP", "TGA", "PPM", "PCX")
_WITH_ALPHA = {"PNG", "WEBP", "TIFF", "TGA", "JPEG2000"}
# What EXIF may say of an image that is larger and turned upright: camera, date, author, place,
# print size. Other tags of the main folder describe how the old file stored it.
_KEPT_TAGS = {270, 271, 272, 282, 283, 296, 305, 306, 315, 316, 18246, 18249, 33432, 34665, 34853}
_KEPT_TAGS |= {40091, 40092, 40093, 40094, 40095}
# Sizes and positions in the old pixels, in the folder of the camera's tags; and a folder below it.
_OF_OLD_PIXELS = {0x9214, 0xA002, 0xA003, 0xA214, 0xA005}
_LARGEST_JPEG_EXIF = 65533
_MOST_DPI = 65535
# Pillow's names of 16-bit pixels in files: channels, order of bytes (none: higher one last).
_DEEP = re.compile(r"(RGB|RGBA|RGBX|LA|I);16([BLN]?)")
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
_CONTIGUOUS, _WHITE_IS_ZERO = 1, 0  # TIFF tags 284, 262


@dataclass(frozen=True)
class Source:
    """Parts of an image.

    Attributes:
        rgb: colours, uint8 (3, h, w); uint16 for files with 16 bits per channel.
        alpha: (1, h, w) of the same type; None without transparency.
        grey: whether it was a grey image.
        metadata: colour profile, EXIF and print size of the file, which are kept.
    """

    rgb: Tensor
    alpha: Tensor | None
    grey: bool
    metadata: Metadata = NOTHING

    @property
    def bits(self) -> int:
        """Bits of a channel: 8 or 16."""
        return torch.iinfo(self.rgb.dtype).bits


def open_source(path: Path) -> Source:
    """Read an image with its EXIF orientation applied, as an image viewer does."""
    values = _sixteen_bits(path)
    if values is None:
        image = open_image(path)
        grey, inks = image.mode in ("1", "L", "LA"), image.mode == "CMYK"
        transparent = "A" in image.getbands() or "transparency" in image.info
        values = np.asarray(image.convert("RGBA" if transparent else "RGB"))
    else:
        grey, inks, transparent = values.shape[2] < 3, False, values.shape[2] % 2 == 0
    metadata, orientation = _metadata(path)
    if grey or inks:
        # The result is RGB (or grey): a profile of four inks or of grey would not fit it.
        metadata = Metadata(None, metadata.exif, metadata.dpi)
    upright = _upright(values, orientation).transpose(2, 0, 1)
    planes = torch.from_numpy(np.array(upright, order="C"))
    colours = planes[:-1] if transparent else planes
    alpha = planes[-1:] if transparent else None
    return Source(colours.expand(3, -1, -1), alpha, grey, metadata)


def _sixteen_bits(path: Path) -> Rows | None:
    """Read a file with 16 bits per channel as uint16 (h, w, channels), 1 to 4 channels; else None.

    Pillow keeps one byte of each two of 16-bit colour; it gives the other one when it is told that
    the file has them in the other order.
    """
    with opened(path) as image:
        tags: Mapping[int, Any] = getattr(image, "tag_v2", {})
        if image.format not in STREAMED or tags.get(284, _CONTIGUOUS) != _CONTIGUOUS:
            return None
        arguments: list[Any] = [tile.args for tile in image.tile]
        stored = {args if isinstance(args, str) else str(args[0]) for args in arguments}
        found = _DEEP.fullmatch(stored.pop()) if len(stored) == 1 else None
        if found is None:
            return None
        if found[1] == "LA":  # the bytes of a pixel are as many as those of 8-bit RGBA
            _read_as(image, "RGBA")
            return np.asarray(image).view(">u2").astype(np.uint16)
        values = np.asarray(image).astype(np.uint16)
        if tags.get(262) == _WHITE_IS_ZERO:
            values = 65535 - values
        key = image.info.get("transparency")
    if found[1] == "I":
        values = values[..., None]
    else:
        with opened(path) as image:
            _read_as(image, found[1] + ";16" + _OTHER_ORDER[found[2]])
            values = (values << 8) | np.asarray(image)
    if key is None:
        return values
    seen = (values != np.asarray(key)).any(axis=2, keepdims=True)
    return np.concatenate([values, seen.astype(np.uint16) * 65535], axis=2)


def _read_as(image: ImageFile, raw_mode: str) -> None:
    """Make Pillow read the pixels of an image, which are not read yet, as another type."""

    def told(args: Any) -> Any:
        return raw_mode if isinstance(args, str) else (raw_mode, *args[1:])

    image.tile = [tile._replace(args=told(tile.args)) for tile in image.tile]


def _metadata(path: Path) -> tuple[Metadata, int]:
    """Read what a file says beside its pixels, and the EXIF orientation of its pixels."""
    with opened(path) as image:
        info = image.info
        try:
            exif, orientation = _exif(image)
        except Exception:  # damaged EXIF raises anything: struct.error, SyntaxError, ...
            say(f"{path}: its EXIF data (camera, date, orientation) is damaged and left out.")
            exif, orientation = None, 1
    return Metadata(info.get("icc_profile"), exif, _dpi(info.get("dpi"))), orientation


def _exif(image: Image.Image) -> tuple[bytes | None, int]:
    """Return EXIF without what is no longer true, and the orientation to apply."""
    read = image.getexif()
    kept = Image.Exif()
    for tag in sorted(_KEPT_TAGS.intersection(read)):
        folder = read.get_ifd(tag) if tag in ExifTags.IFD.__members__.values() else None
        if folder is None:
            kept[tag] = read[tag]
        else:
            kept[tag] = {key: value for key, value in folder.items() if key not in _OF_OLD_PIXELS}
    # Pillow turns TIFF files upright when it reads them.
    orientation = 1 if image.format == "TIFF" else int(read.get(ExifTags.Base.Orientation, 1))
    return kept.tobytes() if len(kept) else None, orientation


def _dpi(found: Any) -> tuple[float, float] | None:
    """Return the pixels per inch, where a file says them and every type can hold them."""
    try:
        x, y = (float(value) for value in found)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return (x, y) if 1 <= min(x, y) <= max(x, y) <= _MOST_DPI else None


def _upright(values: Rows, orientation: int) -> Rows:
    """Turn (h, w, channels) values as the EXIF orientation says."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    rows = -1 if orientation in (3, 4, 7, 8) else 1
    columns = -1 if orientation in (2, 3, 6, 7) else 1
    return values[::rows, ::columns]


def enlarged_size(source: Source, scale: float) -> tuple[int, int]:
    """Compute (H, W) of the enlarged image."""
    return round(source.rgb.shape[-2] * scale), round(source.rgb.shape[-1] * scale)


def is_writable(path: Path) -> bool:
    """Tell whether images can be written in the type of a file name."""
    kind = Image.registered_extensions().get(path.suffix.lower())
    return kind in _KINDS and kind in Image.SAVE


def layout_for(
    path: Path, source: Source, scale: float, size: tuple[int, int] | None = None
) -> Layout:
    """Choose the layout of the result, before any work is done.

    It is grey, transparent and of 16 bits as the source, where the type of the file can be.

    Raises:
        HarnessError: the suffix is unknown, the folder is missing, the type has no transparency, or
            it cannot hold an image of that size (or not without holding it in memory).
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or not is_writable(path):
        raise HarnessError(
            f"{path.name} has no suffix of an image type that can be written "
            f"({', '.join(known for known in _KINDS if known in Image.SAVE)}).",
            "Use .png.",
        )
    if not path.parent.is_dir():
        raise HarnessError(f"There is no folder {path.parent}.", "Make it first.")
    if path.is_dir():
        raise HarnessError(f"{path} is a folder.", "Name a file in it.")
    if is_stream(path) and kind != "PNG":
        raise HarnessError(f"{path} is a pipe or a device, which takes PNG alone.", "Use .png.")
    if source.alpha is not None and kind not in _WITH_ALPHA:
        raise HarnessError(
            f"The image has transparency, which {kind} files cannot hold.", "Use .png."
        )
    if kind == "JPEG" and len(source.metadata.exif or b"") > _LARGEST_JPEG_EXIF:
        raise HarnessError("The EXIF data is larger than JPEG files can hold.", "Use .png.")
    size = size or enlarged_size(source, scale)
    reason = objection(kind, size)
    if reason:
        raise HarnessError(
            f"The image would be {size[1]:,} x {size[0]:,} pixels, and {reason}.",
            "Use .png or .tif, which are written as the rows are made.",
        )
    mode = ("L" if source.grey else "RGB") + ("A" if source.alpha is not None else "")
    return Layout(size, mode, source.bits if kind in STREAMED else 8, source.metadata, kind)
