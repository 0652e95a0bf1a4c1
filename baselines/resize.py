"""Bicubic interpolation as in MATLAB's `imresize`: the degradation that the field's LR images have.

The kernel has a = -0.5 (Keys, 1981) and is widened by the scale when shrinking
(antialiasing). Borders are mirrored with the edge pixel repeated. The axes are resized one after
the other (the one that shrinks most first; rows first when equal), and each result is rounded half
up and clipped to 8 bits (16, where the image has them).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def _keys_cubic(x: Tensor) -> Tensor:
    a = x.abs()
    near = (1.5 * a - 2.5) * a * a + 1
    far = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return torch.where(a <= 1, near, torch.where(a <= 2, far, torch.zeros_like(a)))


def _contributions(n_in: int, n_out: int, scale: float) -> tuple[Tensor, Tensor]:
    """Compute input indices (n_out, P) and weights (n_out, P) of each output pixel, float64."""
    stretch = min(scale, 1.0)
    support = 4 / stretch
    center = (torch.arange(n_out, dtype=torch.float64) + 0.5) / scale - 0.5
    left = torch.floor(center - support / 2)
    index = left.unsqueeze(1) + torch.arange(math.ceil(support) + 2)
    weight = _keys_cubic(stretch * (center.unsqueeze(1) - index))
    weight = weight / weight.sum(dim=1, keepdim=True)
    folded = index.long() % (2 * n_in)
    return torch.where(folded < n_in, folded, 2 * n_in - 1 - folded), weight


def _weighted(image: Tensor, contributions: tuple[Tensor, Tensor], span: slice) -> Tensor:
    """Resize axis 0 of integer values, rounded to integers; returns the rows of `span`."""
    index, weight = (part[span] for part in contributions)
    used = weight.abs().amax(dim=0) > 0
    first, end = int(index.min()), int(index.max()) + 1
    source = image[first:end].flatten(1).double()
    out = torch.zeros(index.shape[0], source.shape[1], dtype=torch.float64)
    for column in torch.nonzero(used).flatten().tolist():
        rows = source.index_select(0, index[:, column] - first)
        out += rows.mul_(weight[:, column].unsqueeze(1))
    out = out.add_(0.5).floor_().clamp_(0, torch.iinfo(image.dtype).max).to(image.dtype)
    return out.reshape(-1, *image.shape[1:])


# Bytes of the rows, in double precision and three times over, that are resized at once.
_AT_ONCE = 24 << 20


class Resize:
    """Form of `imresize` that makes any range of rows by itself; same arguments."""

    def __init__(
        self, image: Tensor, size: tuple[int, int], scale: tuple[float, float] | None = None
    ) -> None:
        if image.dtype not in (torch.uint8, torch.uint16):
            raise TypeError(f"imresize works on uint8 as MATLAB does, or uint16, not {image.dtype}")
        (h, w), image = image.shape[-2:], image.cpu()
        factors = scale or (size[0] / h, size[1] / w)
        self.size = size
        self.vertical = _contributions(h, size[0], factors[0])
        self.horizontal = _contributions(w, size[1], factors[1])
        self.rows_first = factors[0] <= factors[1]
        per_row = 24 * max(w, size[1]) * image.shape[:-2].numel()
        self.step = max(1, _AT_ONCE // max(1, per_row))
        if not self.rows_first:
            image = self._in_steps(lambda span: self._columns(image[..., span, :]), h)
        self.image = image

    def rows(self, first: int, end: int) -> Tensor:
        """Return rows `first` to `end` of the result, (..., end - first, width)."""
        return self._in_steps(self._rows, end - first, first)

    def _rows(self, span: slice) -> Tensor:
        part = _weighted(self.image.movedim(-2, 0), self.vertical, span).movedim(0, -2)
        return self._columns(part) if self.rows_first else part

    def _columns(self, part: Tensor) -> Tensor:
        return _weighted(part.movedim(-1, 0), self.horizontal, slice(None)).movedim(0, -1)

    def _in_steps(self, make: Callable[[slice], Tensor], rows: int, first: int = 0) -> Tensor:
        """Make the rows of a tensor some at a time."""
        out = torch.empty(0)
        for start in range(0, rows, self.step):
            end = min(start + self.step, rows)
            part = make(slice(first + start, first + end))
            if not start:
                out = part.new_empty(*part.shape[:-2], rows, part.shape[-1])
            out[..., start:end, :] = part
        return out


def imresize(
    image: Tensor, size: tuple[int, int], scale: tuple[float, float] | None = None
) -> Tensor:
    """Resize uint8 or uint16 values (..., H, W) to (..., *size), as MATLAB's bicubic `imresize`.

    `scale` has the vertical and horizontal factors; default: output size over input size.
    """
    return Resize(image, size, scale).rows(0, size[0])
