"""PSNR and SSIM under the protocols of the field.

- `benchmark` (Set5, Set14, B100, Urban100): limited-range BT.601 luma of the difference,
  `scale` pixels shaved from each border.
- `div2k`: RGB, `scale + 6` shaved.
- `full`: RGB, nothing shaved.

Predictions are clamped to [0, 1] and not rounded to 8 bits (LIIF, utils.py and test.py).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.common.errors import UsageError
from harness.metrics.ssim import mean_ssim

PROTOCOLS = ("benchmark", "div2k", "full")
_LUMA = (65.738 / 256, 129.057 / 256, 25.064 / 256)


def shaved_border(protocol: str, scale: float) -> int:
    """Pixels that a protocol leaves out on each side; a broken scale counts as the next integer.

    Raises:
        UsageError: for an unknown protocol.
    """
    whole = math.ceil(scale - 1e-9)
    borders = {"benchmark": whole, "div2k": whole + 6, "full": 0}
    if protocol not in borders:
        raise UsageError(f"Unknown protocol '{protocol}'. Available: {', '.join(PROTOCOLS)}")
    return borders[protocol]


def too_small(size: tuple[int, int], protocol: str, scale: float) -> bool:
    """Whether nothing of an HR image of (height, width) is left to score."""
    return min(size) <= 2 * shaved_border(protocol, scale)


def _channels(image: Tensor, protocol: str) -> Tensor:
    """RGB as it is, or luma without its offset (it cancels in a difference)."""
    if protocol != "benchmark":
        return image
    weights = torch.tensor(_LUMA, device=image.device, dtype=image.dtype)
    return (image * weights[:, None, None]).sum(dim=-3, keepdim=True)


def _shave(image: Tensor, border: int) -> Tensor:
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def _check(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> int:
    if sr.shape != hr.shape or sr.dim() < 3 or sr.shape[-3] != 3:
        raise ValueError(
            f"expected two tensors (..., 3, H, W), got {tuple(sr.shape)} and {tuple(hr.shape)}"
        )
    border = shaved_border(protocol, scale)
    if too_small((hr.shape[-2], hr.shape[-1]), protocol, scale):
        raise ValueError(
            f"an image of {hr.shape[-2]}x{hr.shape[-1]} is smaller than two borders of {border}"
        )
    return border


def psnr(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Peak signal-to-noise ratio in dB, one number per image (infinite for equal images).

    Args:
        sr: prediction, float (..., 3, H, W), clamped to [0, 1] here.
        hr: ground truth in [0, 1], the same shape.
        protocol: benchmark, div2k or full.
        scale: decides the border.

    Raises:
        ValueError: for shapes that differ, or an image smaller than the borders.
        UsageError: for an unknown protocol.

    Example:
        >>> hr = torch.zeros(3, 20, 20)
        >>> round(psnr(hr + 0.1, hr, "full", 2).item(), 3)
        20.0
    """
    border = _check(sr, hr, protocol, scale)
    error = _shave(_channels(sr.clamp(0, 1) - hr, protocol), border)
    mse: Tensor = error.pow(2).mean(dim=(-3, -2, -1))
    return -10 * torch.log10(mse)


def ssim(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Structural similarity (Wang et al., 2004), one number per image, in float64.

    Gaussian window of 11 pixels, sigma 1.5, population covariance, data range 1, on the
    channels and borders of the protocol; mean over channels. Luma is in [16, 235] / 255.

    Args, Raises: as `psnr`; also ValueError where less than a window is left.

    Example:
        >>> hr = torch.rand(3, 20, 20)
        >>> round(ssim(hr, hr, "full", 2).item(), 6)
        1.0
    """
    border = _check(sr, hr, protocol, scale)
    offset = 16 / 255 if protocol == "benchmark" else 0.0

    def compared(rows: Tensor) -> Tensor:
        return _channels(rows.clamp(0, 1), protocol) + offset

    inside = [_shave(image, border) for image in (sr, hr)]
    images = sr.shape[:-3].numel()
    pairs = zip(*(x.reshape(images, *x.shape[-3:]) for x in inside), strict=True)
    values = [mean_ssim(x, y, compared) for x, y in pairs]
    return torch.stack(values).reshape(sr.shape[:-3])
