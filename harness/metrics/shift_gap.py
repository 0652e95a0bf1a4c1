"""Shift gap: an LR image without its first row and column should have the rest of the SR image."""

from __future__ import annotations

from torch import Tensor

from harness.metrics.base import Given, Metric
from harness.metrics.gap import GAP, gap
from harness.metrics.protocols import shave

MARGIN = 16
"""LR pixels left out at every border, most of what the missing pixels reach."""
FARTHEST = 10
"""Largest shift in LR pixels that is tried for one that is a whole number of SR pixels."""


def shift_gap(sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> Tensor:
    """Compute how far SR is from SR of the LR image without its first row and column.

    At a broken scale it is the smallest number of rows and columns that is whole in SR pixels too.
    A border of `MARGIN` LR pixels is left out; RGB counts, whatever the protocol.

    Returns:
        The root mean square difference in 8-bit levels.

    Raises:
        ValueError: no shift of up to `FARTHEST` LR pixels is whole in SR pixels, or the image is
            too small.
    """
    del hr, protocol
    assert given.enlarge is not None
    n = next((n for n in range(1, FARTHEST + 1) if abs(n * scale - round(n * scale)) < 1e-6), 0)
    if not n:
        raise ValueError(f"no shift of up to {FARTHEST} LR pixels is whole in SR pixels")
    if min(given.lr.shape[-2:]) <= 2 * MARGIN + n:
        raise ValueError(f"it needs {2 * MARGIN + n + 1} LR pixels per side")
    moved = sr[:, round(n * scale) :, round(n * scale) :]
    again = given.enlarge(given.lr[:, n:, n:], size=(moved.shape[-2], moved.shape[-1]))
    border = round(MARGIN * scale)
    return gap(shave(moved, border), shave(again, border))


METRIC = Metric("shift_gap", "Shift gap", shift_gap, digits=3, **GAP)
