"""What is known of an image file before its first row is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

Rows = npt.NDArray[np.uint8]
"""(n, width, channels), some rows of an image."""

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


@dataclass(frozen=True)
class Layout:
    """Size and kind of an image.

    Attributes:
        size: (height, width).
        mode: L, LA, RGB or RGBA, as Pillow calls them.
        icc_profile: colour profile that the file keeps.
    """

    size: tuple[int, int]
    mode: str
    icc_profile: bytes | None = None

    @property
    def channels(self) -> int:
        """Values of a pixel."""
        return CHANNELS[self.mode]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.size[1] * self.channels


def as_image(rows: Rows) -> Image.Image:
    """Some rows as a Pillow image of the same values."""
    return Image.fromarray(rows[..., 0] if rows.shape[2] == 1 else rows)


def pieces(strips: Iterable[Rows], rows: int) -> Iterator[Rows]:
    """The rows of an image in pieces of exactly so many; the last may have fewer.

    Args:
        strips: the rows, of any number each.
        rows: of a piece.

    Example:
        >>> strips = [np.zeros((n, 4, 3), np.uint8) for n in (1, 6, 2)]
        >>> [len(piece) for piece in pieces(strips, 4)]
        [4, 4, 1]
    """
    held: list[Rows] = []
    count = 0
    for strip in strips:
        rest = strip
        while count + len(rest) >= rows:
            cut = rows - count
            # A copy: a view would hold its whole strip for as long as the piece is held.
            yield np.concatenate([*held, rest[:cut]])
            held, count, rest = [], 0, rest[cut:]
        if len(rest):
            held.append(rest.copy())
            count += len(rest)
    if held:
        yield np.concatenate(held)


def checked(strips: Iterable[Rows], layout: Layout) -> Iterator[Rows]:
    """The same strips.

    Raises:
        ValueError: when they do not make up the image.
    """
    done = 0
    for strip in strips:
        if strip.dtype != np.uint8 or strip.shape[1:] != (layout.size[1], layout.channels):
            raise ValueError(f"{strip.dtype} rows of {strip.shape[1:]} do not fit {layout}")
        done += len(strip)
        if done > layout.size[0]:
            break
        yield strip
    if done != layout.size[0]:
        raise ValueError(f"{done} or more rows came for an image of {layout.size[0]}")
