"""Frequency loss that SeemoRe and IGConv+ add to L1."""

from __future__ import annotations

import torch
from torch import Tensor


def frequency_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Compute the mean absolute difference of two images' spectra, over real and imaginary parts.

    SeemoRe (arXiv 2402.03412; `FFTLoss` in `basicsr/losses/losses.py`) and IGConv+ (arXiv
    2408.09674; `igconv/losses/fft_loss.py`) use the same loss: the half spectrum of a real image
    (`rfft2`) over height and width, not normalised, each of its numbers counted as two. It grows
    with the image: white noise of deviation d has coefficients of deviation d * sqrt(H * W / 2).

    Args:
        sr: (..., H, W), float32 or float64.
        hr: same shape as `sr`.

    Returns:
        Scalar loss (), without a weight (0.1 in SeemoRe's recipes, 0.05 in most of IGConv+'s).

    Example:
        >>> frequency_loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
        tensor(0.5000)
    """
    # The transform is linear: one of the difference instead of one for each image.
    spectrum = torch.fft.rfft2(sr - hr)
    return torch.view_as_real(spectrum).abs().mean()
