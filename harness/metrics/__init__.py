"""Metrics, one file each, and their protocols.

SR images are clamped to [0, 1]. Whether they are rounded to 8 bits, and all else that papers do not
share, is in the protocols.
"""

from __future__ import annotations

from harness.metrics import psnr as _psnr
from harness.metrics import ssim as _ssim
from harness.metrics.base import METRICS, Metric, register, unregister
from harness.metrics.protocols import (
    FAMILIES,
    PROTOCOLS,
    Protocol,
    find,
    resolve,
    shaved_border,
    too_small,
)

for _file in (_psnr, _ssim):
    register(_file.METRIC)

psnr, ssim = _psnr.psnr, _ssim.ssim

__all__ = [
    "FAMILIES",
    "METRICS",
    "PROTOCOLS",
    "Metric",
    "Protocol",
    "find",
    "psnr",
    "register",
    "resolve",
    "shaved_border",
    "ssim",
    "too_small",
    "unregister",
]
