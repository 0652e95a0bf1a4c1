"""Writing image files from strips of rows: an image of any size is never held as a whole.

PNG and TIFF are written as the rows come. Other types are put together in memory first, and are
refused where that would take too much.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from harness.writers.layout import Layout, Rows, as_image, checked
from harness.writers.png import LARGEST_SIDE, write_png
from harness.writers.tiff import write_tiff
from harness.writers.whole import objection as whole_objection
from harness.writers.whole import write_whole

__all__ = ["STREAMED", "Layout", "Rows", "as_image", "objection", "write_rows"]

_WRITERS = {"PNG": write_png, "TIFF": write_tiff}
STREAMED = tuple(_WRITERS)


def objection(kind: str, size: tuple[int, int]) -> str:
    """Why an image of (height, width) cannot be written as this type; empty for no reason."""
    if kind not in _WRITERS:
        return whole_objection(kind, size)
    if max(size) > LARGEST_SIDE:
        return f"a side of a {kind} file has at most {LARGEST_SIDE:,} pixels"
    return ""


def write_rows(path: Path, kind: str, layout: Layout, strips: Iterable[Rows]) -> None:
    """Write an image file.

    Args:
        path: to write to; what is there is lost, so give one of `harness.files.replacing`.
        kind: Pillow's name of the type.
        layout: of the image.
        strips: uint8 (rows, width, channels) from top to bottom, of any number of rows each.

    Raises:
        ValueError, KeyError: when the type cannot hold the image, or the strips do not make it up.
    """
    strips = checked(strips, layout)
    if kind not in _WRITERS:
        write_whole(path, kind, layout, strips)
        return
    with path.open("wb") as file:
        _WRITERS[kind](file, layout, strips)
