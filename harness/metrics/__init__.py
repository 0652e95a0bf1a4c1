"""Metrics, one file each, and their protocols; a file here is found by itself.

A file calls its metric `METRIC`, a tuple if there are several. SR images are clamped to [0, 1].
Whether they are rounded to 8 bits, and all else that papers do not share, is in the protocols.
"""

from __future__ import annotations

import sys

from baselines.discovery import offered
from harness.metrics import psnr as _psnr
from harness.metrics import ssim as _ssim
from harness.metrics.base import METRICS, NOT_HERE, Given, Metric, register, unregister
from harness.metrics.protocols import (
    FAMILIES,
    PROTOCOLS,
    Protocol,
    find,
    resolve,
    shaved_border,
    too_small,
)

register(_psnr.METRIC)  # the two of every table come first
register(_ssim.METRIC)
for _own in offered(sys.modules[__name__], "METRIC"):
    for _metric in _own if isinstance(_own, tuple) else (_own,):
        register(_metric)

psnr, ssim = _psnr.psnr, _ssim.ssim

__all__ = [
    "FAMILIES",
    "METRICS",
    "NOT_HERE",
    "PROTOCOLS",
    "Given",
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
