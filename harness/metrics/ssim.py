"""Structural similarity (Wang et al., 2004) on any device, in bands of bounded memory.

The definition is scikit-image's with `gaussian_weights=True, sigma=1.5, data_range=1` and
population covariance: it filters with a mirrored border and leaves out of the mean every pixel
whose window crosses that border, so that only whole windows count.

What is filtered is the sum s and the difference d of the two images, and their squares. With
means u and variances v under the window, the two factors of the index are

    luminance:           1 - 2 u_d^2 / (u_s^2 + u_d^2 + 2 C1)
    contrast, structure: 1 - 2 v_d   / (v_s   + v_d   + 2 C2)

That takes four filters instead of the usual five. It is computed in float64: float32 takes half
the time, but is off by up to 2e-5 in small images that are bright or far from each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from harness.metrics.base import Metric
from harness.metrics.protocols import checked_border, compared, shave, stored_values

WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = 0.01**2, 0.03**2

# Values of one image that a band holds; what is computed of it takes about ten times as many.
# On a CPU they should stay in the cache, a GPU wants few and large kernels.
BAND = {"cpu": 1 << 15, "cuda": 1 << 22}


_WEIGHTS = [math.exp(-0.5 * (k / _SIGMA) ** 2) for k in range(WINDOW // 2 + 1)]
_TOTAL = _WEIGHTS[0] + 2 * sum(_WEIGHTS[1:])
TAPS = [weight / _TOTAL for weight in _WEIGHTS]
"""The Gaussian, from its middle outwards."""


def _filtered(image: Tensor, axis: int) -> Tensor:
    """Compute Gaussian means of whole windows along an axis, which shrinks by WINDOW - 1."""
    middle = WINDOW // 2
    length = image.shape[axis] - 2 * middle
    out = image.narrow(axis, middle, length) * TAPS[0]
    for k, weight in enumerate(TAPS[1:], start=1):
        for start in (middle - k, middle + k):
            out.add_(image.narrow(axis, start, length), alpha=weight)
    return out


def factors(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the two factors of the index at every whole window of float64 (C, h, w) in [0, 1].

    Returns:
        luminance, and contrast with structure.
    """
    s, d = x + y, x - y
    maps = _filtered(_filtered(torch.stack((s, d, s * s, d * d)), -2), -1)
    mean_s2, mean_d2 = maps[0].square_(), maps[1].square_()
    var_s, var_d = maps[2].sub_(mean_s2), maps[3].sub_(mean_d2)
    luminance = 1 - 2 * mean_d2 / mean_s2.add_(mean_d2).add_(2 * _C1)
    structure = 1 - 2 * var_d / var_s.add_(var_d).add_(2 * _C2)
    return luminance, structure


def mean_ssim(
    x: Tensor,
    y: Tensor,
    prepare: Callable[[Tensor], Tensor] = lambda rows: rows,
    band: int | None = None,
) -> Tensor:
    """Compute the mean index of two images over whole windows and channels, as float64 scalar.

    Args:
        x: (C, H, W) of any floating type.
        y: image of the same shape on the same device.
        prepare: makes the compared channels in [0, 1] of some rows of an image (..., H, W); it is
            applied band by band, so that it needs no memory for whole images.
        band: number of values of an image processed at once; None: a value that suits the device.

    Raises:
        ValueError: a side is shorter than the window.
    """
    height, width = x.shape[-2:]
    if min(height, width) < WINDOW:
        raise ValueError(f"SSIM needs {WINDOW} pixels per side inside the border")
    last = WINDOW - 1
    # Bands overlap by a window, so very low ones would be mostly overlap.
    rows = max(2 * WINDOW, (band or BAND[x.device.type]) // (x.shape[-3] * width))
    total = torch.zeros((), dtype=torch.float64, device=x.device)
    channels = 1
    for top in range(0, height - last, rows):
        seen = slice(top, min(height, top + rows + last))
        parts = [prepare(image[..., seen, :]).double() for image in (x, y)]
        channels = parts[0].shape[-3]
        luminance, structure = factors(*parts)
        total += luminance.mul_(structure).sum()
    return total / (channels * (height - last) * (width - last))


def ssim(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Compute the structural similarity (Wang et al., 2004), one number per image, in float64.

    Gaussian window of 11 pixels, sigma 1.5, population covariance, data range 1, on the channels
    and borders of the protocol; mean over channels. Luma is in [16, 235] / 255.

    Args, Raises: as `psnr`; also ValueError where an image is smaller than a window.

    Example:
        >>> hr = torch.rand(3, 20, 20)
        >>> round(ssim(hr, hr, "full", 2).item(), 6)
        1.0
    """
    border = checked_border(sr, hr, protocol, scale)

    def values(rows: Tensor) -> Tensor:
        return compared(stored_values(rows, protocol), protocol)

    inside = [shave(image, border) for image in (sr, hr)]
    images = sr.shape[:-3].numel()
    pairs = zip(*(x.reshape(images, *x.shape[-3:]) for x in inside), strict=True)
    found = [mean_ssim(x, y, values) for x, y in pairs]
    return torch.stack(found).reshape(sr.shape[:-3])


def _oracle(sr: np.ndarray, hr: np.ndarray) -> float:
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(  # type: ignore[no-untyped-call]
            sr,
            hr,
            channel_axis=-1,
            data_range=1,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


METRIC = Metric("ssim", "SSIM", ssim, _oracle, digits=4)
