"""PSNR protocols of the field: which channels and which pixels are compared.

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


def channels(image: Tensor, protocol: str) -> Tensor:
    """RGB as it is, or luma without its offset (which cancels in a difference)."""
    if protocol != "benchmark":
        return image
    weights = torch.tensor(_LUMA, device=image.device, dtype=image.dtype)
    return (image * weights[:, None, None]).sum(dim=-3, keepdim=True)


def shave(image: Tensor, border: int) -> Tensor:
    """An image without so many pixels on each side."""
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def checked_border(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> int:
    """The border of two images that can be compared.

    Raises:
        ValueError: for shapes that differ, or an image smaller than the borders.
        UsageError: for an unknown protocol.
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
