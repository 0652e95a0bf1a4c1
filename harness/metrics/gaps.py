"""Gaps: root mean square differences of two SR images that should be the same, in 8-bit levels.

RGB counts, whatever the protocol, of images clamped to [0, 1]; 0 is no gap. Each is
(SR (3, H, W), scale, `Given`) to a number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from harness.metrics.base import Given, Metric
from harness.metrics.protocols import shave

MEMORY = 1 << 20
"""Bytes that a band may take; a band is at least one LR row."""
MARGIN = 16
"""LR pixels left out at every border, most of what the missing pixels reach."""
FARTHEST = 10
"""Largest shift in LR pixels that is tried for one that is a whole number of SR pixels."""
TILE = (48, 8)
"""Side of the tiles and their overlap in LR pixels, in which SR is averaged."""


def _again(given: Given, lr: Tensor, sr: Tensor, **how: Any) -> Tensor:
    """Make SR of another LR image, or in another way, in the size of an SR image."""
    assert given.enlarge is not None
    return given.enlarge(lr, size=(sr.shape[-2], sr.shape[-1]), **how)


def _gap(one: Tensor, two: Tensor) -> Tensor:
    difference = one.double().clamp(0, 1) - two.double().clamp(0, 1)
    return 255 * difference.square().mean().sqrt()


def band_gap(sr: Tensor, scale: float, given: Given) -> Tensor:
    """Compare SR with SR made in bands of 1 MiB; not 0, as float32 rounds otherwise."""
    del scale
    return _gap(sr, _again(given, given.lr, sr, memory=MEMORY))


def flip_gap(sr: Tensor, scale: float, given: Given) -> Tensor:
    """Compare SR with SR of the LR image mirrored left to right, mirrored back."""
    del scale
    return _gap(sr, _again(given, given.lr.flip(-1), sr).flip(-1))


def shift_gap(sr: Tensor, scale: float, given: Given) -> Tensor:
    """Compare SR with SR of the LR image without its first row and column.

    At a broken scale it is the smallest number of rows and columns that is whole in SR pixels too.
    A border of `MARGIN` LR pixels is left out.

    Raises:
        ValueError: no shift of up to `FARTHEST` LR pixels is whole in SR pixels, or the image is
            too small.
    """
    n = next((n for n in range(1, FARTHEST + 1) if abs(n * scale - round(n * scale)) < 1e-6), 0)
    if not n:
        raise ValueError(f"no shift of up to {FARTHEST} LR pixels is whole in SR pixels")
    if min(given.lr.shape[-2:]) <= 2 * MARGIN + n:
        raise ValueError(f"it needs {2 * MARGIN + n + 1} LR pixels per side")
    moved = sr[:, round(n * scale) :, round(n * scale) :]
    again = _again(given, given.lr[:, n:, n:], moved)
    border = round(MARGIN * scale)
    return _gap(shave(moved, border), shave(again, border))


def tile_gap(sr: Tensor, scale: float, given: Given) -> Tensor:
    """Compare SR with SR made in tiles (`TILE`).

    Raises:
        ValueError: the scale is not whole, or one tile is the whole image.
    """
    if not float(scale).is_integer():
        raise ValueError("tiles need a whole scale")
    if max(given.lr.shape[-2:]) <= TILE[0]:
        raise ValueError(f"the LR image is no larger than a tile of {TILE[0]} pixels")
    return _gap(sr, _again(given, given.lr, sr, tile=TILE))


def _metric(name: str, gap: Callable[[Tensor, float, Given], Tensor], digits: int = 3) -> Metric:
    def value(sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> Tensor:
        del hr, protocol
        return gap(sr, scale, given)

    label, smaller = name.replace("_", " ").capitalize(), False
    return Metric(name, label, value, None, "levels", digits, smaller, needs="network")


METRIC = (
    _metric("band_gap", band_gap, digits=5),
    _metric("flip_gap", flip_gap),
    _metric("shift_gap", shift_gap),
    _metric("tile_gap", tile_gap),
)
