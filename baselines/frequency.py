"""A loss on the frequencies of an image."""

from __future__ import annotations

import torch
from torch import Tensor


def frequency_loss(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the spectra's real and imaginary parts.

    IGConv+ is trained with it beside L1, weighted 0.05 (Lee et al., arXiv 2408.09674, and the
    option files of its code). The transform is not normalised, so the loss grows with the image.

    Args:
        prediction: (..., H, W), any real values.
        target: the same shape.

    Returns:
        a scalar, float32

    Example:
        >>> frequency_loss(torch.ones(1, 2, 2), torch.zeros(1, 2, 2)).item()
        0.5
    """
    difference = torch.fft.rfft2(prediction.float() - target.float())
    return torch.view_as_real(difference).abs().mean()
