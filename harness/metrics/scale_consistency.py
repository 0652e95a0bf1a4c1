"""Scale consistency: the SR image of a large scale, shrunk to x2, against the SR image of x2."""

from __future__ import annotations

from torch import Tensor

from baselines.resize import imresize
from harness.data.degrade import quantise, unit
from harness.metrics.base import Given, Metric
from harness.metrics.psnr import psnr

BASE = 2
"""Scale that others are compared at."""


def scale_consistency(sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> Tensor:
    """Compute the PSNR in dB of SR, shrunk to x2, against SR at x2 of the same LR image.

    SR is shrunk by MATLAB's bicubic resize on 8-bit values; channels and border are those of the
    protocol at x2.

    Raises:
        ValueError: the scale is not above 2, or the network cannot do x2.
    """
    del hr
    if scale <= BASE:
        raise ValueError(f"a scale above x{BASE} is compared with x{BASE}")
    assert given.enlarge is not None
    base = given.enlarge(given.lr, scale=BASE)
    shrunk = unit(imresize(quantise(sr), (base.shape[-2], base.shape[-1])))
    return psnr(shrunk, base.clamp(0, 1), protocol, BASE)


METRIC = Metric(
    "scale_consistency", "Scale consistency", scale_consistency, unit="dB", needs="network"
)
