"""Bicubic interpolation as MATLAB's `imresize` does it: the method every table starts with,
and the degradation that the field's LR images were made with.

Kernel a = -0.5 (Keys, 1981), widened by the scale when shrinking (antialiasing), borders
mirrored with the edge pixel repeated, one axis after the other (the one that shrinks most
first; rows first when equal), rounded half up and clipped to 8 bits after each of the two.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def _keys_cubic(x: Tensor) -> Tensor:
    a = x.abs()
    near = (1.5 * a - 2.5) * a * a + 1
    far = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return torch.where(a <= 1, near, torch.where(a <= 2, far, torch.zeros_like(a)))


def _contributions(n_in: int, n_out: int, scale: float) -> tuple[Tensor, Tensor]:
    """Input indices (n_out, P) and weights (n_out, P) of each output pixel, float64."""
    stretch = min(scale, 1.0)
    support = 4 / stretch
    center = (torch.arange(n_out, dtype=torch.float64) + 0.5) / scale - 0.5
    left = torch.floor(center - support / 2)
    index = left.unsqueeze(1) + torch.arange(math.ceil(support) + 2)
    weight = _keys_cubic(stretch * (center.unsqueeze(1) - index))
    weight = weight / weight.sum(dim=1, keepdim=True)
    folded = index.long() % (2 * n_in)
    return torch.where(folded < n_in, folded, 2 * n_in - 1 - folded), weight


def _resize_rows(image: Tensor, n_out: int, scale: float) -> Tensor:
    """Resize axis 0 of a uint8 tensor, back to uint8."""
    index, weight = _contributions(image.shape[0], n_out, scale)
    used = weight.abs().amax(dim=0) > 0
    source = image.reshape(image.shape[0], -1).double()
    out = torch.zeros(n_out, source.shape[1], dtype=torch.float64)
    for column in torch.nonzero(used).flatten().tolist():
        out += source.index_select(0, index[:, column]).mul_(weight[:, column].unsqueeze(1))
    out = out.add_(0.5).floor_().clamp_(0, 255).to(torch.uint8)
    return out.reshape(n_out, *image.shape[1:])


def imresize(
    image: Tensor, size: tuple[int, int], scale: tuple[float, float] | None = None
) -> Tensor:
    """MATLAB-compatible bicubic resize of 8-bit values.

    Args:
        image: uint8 (..., H, W).
        size: output (height, width).
        scale: (vertical, horizontal) factors; default output over input size.

    Returns:
        uint8 (..., *size), on the CPU.
    """
    if image.dtype != torch.uint8:
        raise TypeError(f"imresize works on uint8 as MATLAB does, not on {image.dtype}")
    factors = scale or (size[0] / image.shape[-2], size[1] / image.shape[-1])
    out = image.cpu()
    axes = [-2, -1] if factors[0] <= factors[1] else [-1, -2]
    for axis in axes:
        rows = _resize_rows(out.movedim(axis, 0), size[axis], factors[axis])
        out = rows.movedim(0, axis)
    return out.contiguous()


class Bicubic(nn.Module):
    """Bicubic enlargement as a method: `model(lr, scale) -> sr` on [0, 1].

    Works on 8-bit values and answers 8-bit values, as `imresize` of an LR file does.
    """

    def forward(self, lr: Tensor, scale: float) -> Tensor:
        """(B, 3, h, w) to (B, 3, round(h*scale), round(w*scale))."""
        size = (round(lr.shape[-2] * scale), round(lr.shape[-1] * scale))
        quantised = (lr * 255).round().clamp(0, 255).to(torch.uint8)
        return imresize(quantised, size).to(lr) / 255
