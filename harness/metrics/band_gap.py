"""Band gap: an SR image should not depend on the height of the bands that it is made in."""

from __future__ import annotations

from torch import Tensor

from harness.metrics.base import Given, Metric
from harness.metrics.gap import GAP, gap

MEMORY = 1 << 20
"""Bytes that a band may take; a band is at least one LR row."""


def band_gap(sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> Tensor:
    """Compute how far SR is from SR made in bands of 1 MiB; not 0, as float32 rounds otherwise.

    Returns:
        The root mean square difference in 8-bit levels.
    """
    del hr, protocol, scale
    assert given.enlarge is not None
    banded = given.enlarge(given.lr, size=(sr.shape[-2], sr.shape[-1]), memory=MEMORY)
    return gap(sr, banded)


METRIC = Metric("band_gap", "Band gap", band_gap, digits=5, **GAP)
