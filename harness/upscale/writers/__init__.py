"""Image file writers that take strips of rows: an image of any size is never held as a whole.

PNG and TIFF are written row by row. Other types are put together in memory first, and are refused
where that would take too much.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from harness.upscale.writers.layout import NOTHING, Layout, Metadata, Rows, checked
from harness.upscale.writers.png import LARGEST_SIDE, write_png
from harness.upscale.writers.tiff import write_tiff

__all__ = ["LOSSY", "NOTHING", "QUALITY", "STREAMED", "Layout", "Metadata", "Rows", "objection"]
__all__ += ["write_rows"]

_WRITERS = {"PNG": write_png, "TIFF": write_tiff}
STREAMED = tuple(_WRITERS)
LOSSY = ("JPEG", "WEBP", "AVIF")
QUALITY = 95
# Pillow holds four bytes for a pixel of colour: 512 MiB.
MOST_PIXELS = 1 << 27
LONGEST_SIDE = {
    **dict.fromkeys(STREAMED, LARGEST_SIDE),
    **{"JPEG": 65500, "WEBP": 16383, "TGA": 65535, "PCX": 65535, "AVIF": 65536},
}
"""Longest side of the formats that a large scale meets (libjpeg, WebP container, ...)."""


def objection(kind: str, size: tuple[int, int]) -> str:
    """Say why an image of (height, width) is not written as this type; empty for no reason."""
    longest = LONGEST_SIDE.get(kind)
    if longest is not None and max(size) > longest:
        return f"a side of a {kind} file has at most {longest:,} pixels"
    if kind not in STREAMED and math.prod(size) > MOST_PIXELS:
        return (
            f"{kind} files are put together in memory, which is done up to {MOST_PIXELS:,} pixels"
        )
    return ""


def write_rows(path: Path, layout: Layout, strips: Iterable[Rows], quality: int = QUALITY) -> None:
    """Write an image file, whose earlier content is lost: give a file of `replacing`.

    Args:
        path: the file.
        layout: layout of the image.
        strips: (rows, width, channels) from top to bottom, of any number of rows each; uint8, or
            uint16 where the layout has 16 bits.
        quality: quality of `LOSSY` types, from 1 to 100.

    Raises:
        ValueError, KeyError: the type cannot hold the image, or the strips are not the whole image.
    """
    strips, kind = checked(strips, layout), layout.kind
    if kind in STREAMED:
        with path.open("wb") as file:
            _WRITERS[kind](file, layout, strips)
        return
    height, width = layout.size
    image = Image.new(layout.mode, (width, height))
    top = 0
    for rows in strips:
        part = Image.fromarray(rows[..., 0] if rows.shape[2] == 1 else rows)
        image.paste(part, (0, top))
        top += len(rows)
    options = {key: value for key, value in vars(layout.metadata).items() if value}
    if kind in LOSSY:
        options["quality"] = quality
    image.save(path, format=kind, **options)
