"""Pillow's antialiased bicubic as two matrix products, for crops of different sides at once.

Pillow works on integers: weights are rounded to 22 binary places, and each of its two passes rounds
to 8 bits. Products and sums of such numbers are exact in float64, so these patches are Pillow's
own, bit for bit, on every device.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Pillow's src/libImaging/Resample.c: PRECISION_BITS, the support and the a of its bicubic.
_PLACES = 22
_SUPPORT = 2.0
_A = -0.5

_Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


def _cubic(x: _Array) -> _Array:
    x = np.abs(x)
    near = ((_A + 2) * x - (_A + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * _A
    return np.where(x < 1, near, np.where(x < _SUPPORT, far, 0.0))


def _weights(side: int, size: int) -> _Array:
    """Compute the (size, side) weights of the input pixels in each output pixel, times 2^22."""
    scale = side / size
    spread = max(scale, 1.0)
    centre = (np.arange(size)[:, None] + 0.5) * scale
    first = np.floor(centre - _SUPPORT * spread + 0.5).clip(0)
    end = np.floor(centre + _SUPPORT * spread + 0.5).clip(max=side)
    pixel = np.arange(side)[None]
    inside = (pixel >= first) & (pixel < end)
    weight = np.where(inside, _cubic((pixel - centre + 0.5) * (1 / spread)), 0.0)
    # Summed from left to right, as there.
    weight /= np.cumsum(weight, axis=1)[:, -1:]
    rounded: _Array = np.trunc(weight * 2**_PLACES + np.copysign(0.5, weight))
    return rounded


def resize_weights(sides: Sequence[int], size: int) -> Tensor:
    """Compute the weights for resizing lines of different lengths (`sides`) to one length.

    Returns:
        (len(sides), size, longest side) float32, integers, 2^22 for one; zero beyond a line.
    """
    table = torch.zeros(len(sides), size, max(sides))
    for row, side in zip(table, sides, strict=True):
        row[:, :side] = torch.from_numpy(_weights(side, size))
    return table


def resize_crops(crops: Tensor, weights: Tensor) -> Tensor:
    """Resize square crops as Pillow does, columns first.

    Args:
        crops: (B, C, S, S) uint8; what lies beyond a crop's own side is ignored.
        weights: (B, size, S) from `resize_weights`, one side for each crop.

    Returns:
        (B, C, size, size) float64, integers from 0 to 255.
    """
    exact = weights.double()
    batch, channels, height, width = crops.shape
    lines = crops.reshape(batch, channels * height, width).double()
    rows = _to_byte(torch.bmm(lines, exact.mT)).reshape(batch, channels, height, -1)
    return _to_byte(torch.matmul(exact.unsqueeze(1), rows))


def _to_byte(total: Tensor) -> Tensor:
    """Round sums of products with weights half up, and clamp them to 8 bits."""
    return total.mul_(math.ldexp(1, -_PLACES)).add_(0.5).floor_().clamp_(0, 255)
