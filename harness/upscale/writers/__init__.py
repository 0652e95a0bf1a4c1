"""Image file writers that take strips of rows: an image of any size is never held as a whole.

PNG and TIFF are written row by row. Other types are put together in memory first, and are refused
where that would take too much.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.upscale.writers.layout import NOTHING, Layout, Metadata, Rows, checked
from harness.upscale.writers.png import LARGEST_SIDE, write_png
from harness.upscale.writers.tiff import write_tiff
from harness.upscale.writers.whole import LOSSY, write_whole
from harness.upscale.writers.whole import objection as whole_objection

__all__ = ["LOSSY", "NOTHING", "QUALITY", "STREAMED", "Layout", "Metadata", "Rows", "objection"]
__all__ += ["write_rows"]

_WRITERS = {"PNG": write_png, "TIFF": write_tiff}
STREAMED = tuple(_WRITERS)
QUALITY = 95


def objection(kind: str, size: tuple[int, int]) -> str:
    """Say why an image of (height, width) cannot be written as this type; empty for no reason."""
    if kind not in _WRITERS:
        return whole_objection(kind, size)
    if max(size) > LARGEST_SIDE:
        return f"a side of a {kind} file has at most {LARGEST_SIDE:,} pixels"
    return ""


def write_rows(
    path: Path, kind: str, layout: Layout, strips: Iterable[Rows], quality: int = QUALITY
) -> None:
    """Write an image file, whose earlier content is lost: give a file of `replacing`.

    Args:
        path: the file.
        kind: Pillow's name of the type.
        layout: layout of the image.
        strips: (rows, width, channels) from top to bottom, of any number of rows each; uint8, or
            uint16 where the layout has 16 bits, which only `STREAMED` types can hold.
        quality: quality of `LOSSY` types, from 1 to 100.

    Raises:
        ValueError, KeyError: the type cannot hold the image, or the strips are not the whole image.
    """
    strips = checked(strips, layout)
    if kind not in _WRITERS:
        write_whole(path, kind, layout, strips, quality)
        return
    with path.open("wb") as file:
        _WRITERS[kind](file, layout, strips)
