"""Multi-scale structural similarity (Wang, Simoncelli and Bovik, Asilomar 2003).

The contrast and structure factor at five scales, each half the one before, and the luminance factor
at the last, to the powers of the paper; SSIM's window, constants and whole windows at every scale.
Negative factors, which have no such power, count as 0.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.metrics.base import Metric
from harness.metrics.protocols import inside
from harness.metrics.ssim import WINDOW, factors

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first (Sec. 3.2 of the paper)."""


def halved(image: Tensor) -> Tensor:
    """Average 2x2 pixels of (1, H, W); an odd side is continued by its last pixel."""
    h, w = image.shape[-2:]
    whole = F.pad(image[None], (0, w % 2, 0, h % 2), mode="replicate")
    return F.avg_pool2d(whole, 2)[0]


def _of_channel(x: Tensor, y: Tensor) -> Tensor:
    """Compute the index of one channel, float64 (1, H, W) in [0, 1]."""
    found = torch.ones((), dtype=torch.float64, device=x.device)
    for weight in WEIGHTS:
        luminance, structure = factors(x, y)
        last = weight == WEIGHTS[-1]
        mean = (luminance * structure if last else structure).mean()
        found = found * mean.clamp(min=0) ** weight
        x, y = halved(x), halved(y)
    return found


def ms_ssim(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Compute the multi-scale structural similarity, one number per image, in float64.

    Mean over the channels of the protocol, inside its border.

    Args, Raises: as `psnr`; also ValueError where the coarsest scale is smaller than a window.

    Example:
        >>> hr = torch.rand(3, 170, 180)
        >>> round(ms_ssim(hr, hr, "full", 2).item(), 6)
        1.0
    """
    x, y = inside(sr, hr, protocol, scale)
    least = (WINDOW - 1) * 2 ** (len(WEIGHTS) - 1) + 1
    if min(x.shape[-2:]) < least:
        raise ValueError(f"it needs {least} pixels per side inside the border")
    planes = (image.reshape(-1, 1, *image.shape[-2:]) for image in (x, y))
    found = torch.stack([_of_channel(a, b) for a, b in zip(*planes, strict=True)])
    return found.reshape(x.shape[:-2]).mean(dim=-1)


def _oracle(sr: np.ndarray, hr: np.ndarray) -> float:
    from scipy.ndimage import uniform_filter
    from scipy.signal import convolve2d

    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / np.outer(taps, taps).sum()

    def mean(image: np.ndarray) -> np.ndarray:
        return np.asarray(convolve2d(image, window, mode="valid"))

    values = []
    for pair in zip(np.moveaxis(sr, -1, 0), np.moveaxis(hr, -1, 0), strict=True):
        x, y = pair
        value = 1.0
        for place, weight in enumerate(WEIGHTS):
            covariance = mean(x * y) - mean(x) * mean(y)
            variances = mean(x * x) - mean(x) ** 2 + mean(y * y) - mean(y) ** 2
            index = (2 * covariance + 0.03**2) / (variances + 0.03**2)
            if place == len(WEIGHTS) - 1:
                squares = mean(x) ** 2 + mean(y) ** 2
                index *= (2 * mean(x) * mean(y) + 0.01**2) / (squares + 0.01**2)
            value *= max(index.mean(), 0) ** weight
            x, y = (uniform_filter(z, 2, mode="reflect", origin=-1)[::2, ::2] for z in (x, y))
        values.append(value)
    return float(np.mean(values))


METRIC = Metric("ms_ssim", "MS-SSIM", ms_ssim, _oracle, digits=4)
