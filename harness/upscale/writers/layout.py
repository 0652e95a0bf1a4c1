"""Facts about an image file that are known before its first row is made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.unsignedinteger[Any]]
"""Some rows of an image, uint8 or uint16 (n, width, channels)."""

CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


@dataclass(frozen=True)
class Metadata:
    """Content of an image file beside its pixels, kept in the enlarged file.

    Attributes:
        exif: camera, date, author, place, as in JPEG files (with `Exif` before it); its orientation
            is that of the pixels.
        dpi: pixels per inch, horizontal and vertical.
    """

    icc_profile: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None


NOTHING = Metadata()


@dataclass(frozen=True)
class Layout:
    """Size and kind of an image.

    Attributes:
        size: (height, width).
        mode: L, LA, RGB or RGBA, as Pillow calls them.
        bits: bits of a channel, 8 or 16, which only `STREAMED` types can hold.
        kind: type of the file, as Pillow calls it.
    """

    size: tuple[int, int]
    mode: str
    bits: int = 8
    metadata: Metadata = NOTHING
    kind: str = "PNG"

    @property
    def channels(self) -> int:
        """Number of values of a pixel."""
        return CHANNELS[self.mode]

    @property
    def row_bytes(self) -> int:
        """Number of bytes of a row."""
        return self.size[1] * self.channels * self.bits // 8


def pieces(strips: Iterable[Rows], rows: int) -> Iterator[Rows]:
    """Cut the rows of an image into pieces of exactly so many; the last may have fewer.

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
    """Yield the same strips; ValueError where they are not the whole image."""
    done = 0
    dtype = np.uint8 if layout.bits == 8 else np.uint16
    for strip in strips:
        if strip.dtype != dtype or strip.shape[1:] != (layout.size[1], layout.channels):
            raise ValueError(f"{strip.dtype} rows of {strip.shape[1:]} do not fit {layout}")
        done += len(strip)
        if done > layout.size[0]:
            break
        yield strip
    if done != layout.size[0]:
        raise ValueError(f"{done} or more rows came for an image of {layout.size[0]}")
