"""Peak signal-to-noise ratio."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harness.metrics.base import Metric
from harness.metrics.protocols import checked_border, difference, shave


def psnr(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Compute the peak signal-to-noise ratio in dB, one number per image (infinite if equal).

    Args:
        sr: prediction, float (..., 3, H, W), clamped to [0, 1] here.
        hr: ground truth in [0, 1], of the same shape.
        protocol: benchmark, div2k, full, or another of `PROTOCOLS`.
        scale: scale factor, which decides the border.

    Raises:
        ValueError: the shapes differ, or an image is smaller than the borders.
        UsageError: the protocol is unknown.

    Example:
        >>> hr = torch.zeros(3, 20, 20)
        >>> round(psnr(hr + 0.1, hr, "full", 2).item(), 3)
        20.0
    """
    border = checked_border(sr, hr, protocol, scale)
    error = shave(difference(sr, hr, protocol), border)
    mse: Tensor = error.pow(2).mean(dim=(-3, -2, -1))
    return -10 * torch.log10(mse)


def _oracle(sr: np.ndarray, hr: np.ndarray) -> float:
    from skimage.metrics import peak_signal_noise_ratio

    return float(peak_signal_noise_ratio(hr, sr, data_range=1))  # type: ignore[no-untyped-call]


METRIC = Metric("psnr", "PSNR", psnr, _oracle, unit="dB", digits=2)
