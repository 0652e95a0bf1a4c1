"""Gradient magnitude similarity deviation (Xue et al., IEEE Trans. Image Processing 2014).

As the authors' code: both images are averaged over 2x2 pixels and halved, gradients are Prewitt's
over 3, T is 170 for values up to 255, and what is outside of an image is 0. The deviation is that
of a sample (n - 1). The code takes one luma; here it is that of the protocol, and under protocols
of RGB the mean over the three channels.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.metrics.base import Metric
from harness.metrics.protocols import inside

_T = 170.0
_LEAST = 6  # three pixels each way are left for a gradient


def _gradient(plane: Tensor) -> Tensor:
    """Compute the gradient magnitude of (N, 1, h, w)."""
    across = torch.tensor([1.0, 0.0, -1.0]).to(plane).expand(3, 3) / 3
    kernels = torch.stack((across, across.T))[:, None]
    return F.conv2d(plane, kernels, padding=1).square().sum(dim=1).sqrt()


def gmsd(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Compute the deviation of gradient similarities, one number per image, in float64; 0 if equal.

    Args, Raises: as `psnr`; also ValueError where an image is smaller than 6 pixels a side.

    Example:
        >>> hr = torch.rand(3, 20, 20)
        >>> gmsd(hr, hr, "full", 2).item()
        0.0
    """
    images = inside(sr, hr, protocol, scale)
    h, w = images[0].shape[-2:]
    if min(h, w) < _LEAST:
        raise ValueError(f"it needs {_LEAST} pixels per side inside the border")
    planes = (255 * image.reshape(-1, 1, h, w) for image in images)
    one, two = (_gradient(F.avg_pool2d(F.pad(p, (0, w % 2, 0, h % 2)), 2)) for p in planes)
    similarity = (2 * one * two + _T) / (one.square() + two.square() + _T)
    return similarity.flatten(1).std(dim=1).reshape(images[0].shape[:-2]).mean(dim=-1)


def _oracle(sr: np.ndarray, hr: np.ndarray) -> float:
    from scipy.signal import convolve2d

    def magnitude(channel: np.ndarray) -> np.ndarray:
        small = convolve2d(255 * channel, np.full((2, 2), 0.25))[1:, 1:][::2, ::2]
        kernel = np.array([[1, 0, -1]] * 3) / 3
        across, down = (convolve2d(small, k, mode="same") for k in (kernel, kernel.T))
        return np.asarray(np.hypot(across, down))

    values = []
    for x, y in zip(np.moveaxis(sr, -1, 0), np.moveaxis(hr, -1, 0), strict=True):
        a, b = magnitude(x), magnitude(y)
        values.append(np.std((2 * a * b + 170) / (a**2 + b**2 + 170), ddof=1))
    return float(np.mean(values))


METRIC = Metric("gmsd", "GMSD", gmsd, _oracle, digits=4, larger_is_better=False)
