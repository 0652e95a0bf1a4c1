"""Flip gap: a mirrored LR image should have the mirrored SR image."""

from __future__ import annotations

from torch import Tensor

from harness.metrics.base import Given, Metric
from harness.metrics.gap import GAP, gap


def flip_gap(sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> Tensor:
    """Compute how far SR is from SR of the LR image mirrored left to right, mirrored back.

    All pixels and RGB count, whatever the protocol.

    Returns:
        The root mean square difference in 8-bit levels.
    """
    del hr, protocol, scale
    assert given.enlarge is not None
    mirrored = given.enlarge(given.lr.flip(-1), size=(sr.shape[-2], sr.shape[-1]))
    return gap(sr, mirrored.flip(-1))


METRIC = Metric("flip_gap", "Flip gap", flip_gap, digits=3, **GAP)
