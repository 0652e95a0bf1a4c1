"""Image files before and after enlarging: grey images, transparency, types and their limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageOps

from harness.data.images import open_image
from harness.errors import HarnessError
from harness.writers import objection

# Types that hold any picture of 8-bit colour: no palettes, no icons of fixed sizes.
_KINDS = ("PNG", "TIFF", "JPEG", "WEBP", "JPEG2000", "AVIF", "BMP", "TGA", "PPM", "PCX")
_WITH_ALPHA = {"PNG", "WEBP", "TIFF", "TGA", "JPEG2000"}


@dataclass(frozen=True)
class Source:
    """An image taken apart.

    Attributes:
        rgb: the colours, mode RGB.
        alpha: mode L; None without transparency.
        grey: whether it was a grey image.
        icc_profile: colour profile of the file, kept.
    """

    rgb: Image.Image
    alpha: Image.Image | None
    grey: bool
    icc_profile: bytes | None


def open_source(path: Path) -> Source:
    """Read an image as a camera's viewer would show it (EXIF orientation applied).

    Raises:
        HarnessError: missing or unreadable.
    """
    image = open_image(path)
    icc = image.info.get("icc_profile")
    image = ImageOps.exif_transpose(image)
    transparent = "A" in image.getbands() or "transparency" in image.info
    alpha = image.convert("RGBA").getchannel("A") if transparent else None
    grey = image.mode in ("1", "L", "LA")
    # The result is RGB (or grey): a profile of four inks or of grey would not fit it.
    fits = not grey and image.mode != "CMYK"
    return Source(image.convert("RGB"), alpha, grey, icc if fits else None)


def enlarged_size(source: Source, scale: float) -> tuple[int, int]:
    """(H, W) of the enlarged image."""
    return round(source.rgb.height * scale), round(source.rgb.width * scale)


def check_target(path: Path, source: Source, scale: float) -> str:
    """Pillow's format for a file name, before any work is done.

    Raises:
        HarnessError: unknown suffix, missing folder, a type without transparency, or one that
            cannot hold an image of that size (or not without holding it in memory).
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind not in _KINDS or kind not in Image.SAVE:
        raise HarnessError(
            f"{path.name} has no suffix of an image type that can be written "
            f"({', '.join(known for known in _KINDS if known in Image.SAVE)}).",
            "Use .png.",
        )
    if not path.parent.is_dir():
        raise HarnessError(f"There is no folder {path.parent}.", "Make it first.")
    if path.is_dir():
        raise HarnessError(f"{path} is a folder.", "Name a file in it.")
    if source.alpha is not None and kind not in _WITH_ALPHA:
        raise HarnessError(
            f"The image has transparency, which {kind} files cannot hold.", "Use .png."
        )
    size = enlarged_size(source, scale)
    reason = objection(kind, size)
    if reason:
        raise HarnessError(
            f"The image would be {size[1]:,} x {size[0]:,} pixels, and {reason}.",
            "Use .png or .tif, which are written as the rows are made.",
        )
    return kind
