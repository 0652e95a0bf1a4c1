"""Protocols of the field for PSNR: which channels and which pixels are compared.

- `benchmark` (Set5, Set14, B100, Urban100): limited-range BT.601 luma, `scale` pixels shaved from
  each border.
- `div2k`: RGB, `scale + 6` shaved.
- `full`: RGB, nothing shaved.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from harness.common.errors import UsageError

PROTOCOLS = ("benchmark", "div2k", "full")
_LUMA = (65.738 / 256, 129.057 / 256, 25.064 / 256)


def shaved_border(protocol: str, scale: float) -> int:
    """Compute the pixels that a protocol leaves out on each side; scales are rounded up.

    Raises:
        UsageError: the protocol is unknown.
    """
    whole = math.ceil(scale - 1e-9)
    borders = {"benchmark": whole, "div2k": whole + 6, "full": 0}
    if protocol not in borders:
        raise UsageError(f"Unknown protocol '{protocol}'. Available: {', '.join(PROTOCOLS)}")
    return borders[protocol]


def too_small(size: tuple[int, int], protocol: str, scale: float) -> bool:
    """Tell whether nothing of an HR image of (height, width) is left to score."""
    return min(size) <= 2 * shaved_border(protocol, scale)


def channels(image: Tensor, protocol: str) -> Tensor:
    """Return RGB as it is, or luma without its offset (which cancels in a difference)."""
    if protocol != "benchmark":
        return image
    weights = torch.tensor(_LUMA, device=image.device, dtype=image.dtype)
    return (image * weights[:, None, None]).sum(dim=-3, keepdim=True)


def shave(image: Tensor, border: int) -> Tensor:
    """Cut so many pixels from each side of an image."""
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def checked_border(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> int:
    """Compute the border of two images that can be compared.

    Raises:
        ValueError: the shapes differ, or an image is smaller than the borders.
        UsageError: the protocol is unknown.
    """
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
