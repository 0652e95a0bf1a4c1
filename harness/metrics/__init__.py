"""Metrics, one file each, and their protocols.

SR images are clamped to [0, 1] and not rounded to 8 bits (LIIF, utils.py and test.py).
"""

from __future__ import annotations

from harness.metrics import psnr as _psnr
from harness.metrics import ssim as _ssim
from harness.metrics.base import METRICS, Metric, register, unregister
from harness.metrics.protocols import PROTOCOLS, shaved_border, too_small

for _file in (_psnr, _ssim):
    register(_file.METRIC)

psnr, ssim = _psnr.psnr, _ssim.ssim

__all__ = [
    "METRICS",
    "PROTOCOLS",
    "Metric",
    "psnr",
    "register",
    "shaved_border",
    "ssim",
    "too_small",
    "unregister",
]
