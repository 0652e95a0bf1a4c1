"""LR-PSNR: an SR image that is shrunk back should be the LR image that it was made of."""

from __future__ import annotations

import torch
from torch import Tensor

from harness.metrics.base import Given, Metric
from harness.metrics.protocols import difference


def lr_psnr(sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> Tensor:
    """Compute the PSNR in dB of SR, shrunk as HR was, against the LR image; infinite if equal.

    SR is rounded to 8 bits and shrunk as the LR image was made of HR (MATLAB's bicubic, or
    Pillow's), so that HR itself has infinity. The channels are the protocol's; nothing is left out
    at the border.
    """
    del hr, scale
    error = difference(given.shrink(sr), given.lr, protocol)
    return -10 * torch.log10(error.double().pow(2).mean())


METRIC = Metric("lr_psnr", "LR-PSNR", lr_psnr, unit="dB", needs="lr")
