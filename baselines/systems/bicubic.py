"""Bicubic interpolation as a method: the first row of every table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from baselines.base import Range, Request, SRModel, Streamed
from baselines.macs import MacCount
from baselines.resize import Resize, imresize
from baselines.windows import Size


def as_stored(lr: Tensor, dtype: torch.dtype = torch.uint8) -> Tensor:
    """Convert [0, 1] to the 8-bit or 16-bit values of a file."""
    top = torch.iinfo(dtype).max
    return (lr * top).round().clamp(0, top).to(dtype)


# Bytes of the rows of a strip, where no budget is given.
_MEMORY = 16 << 20


class Bicubic(SRModel):
    """Bicubic enlargement as a method: `model(lr, scale) -> sr` on [0, 1].

    It works on 8-bit values and returns 8-bit values, as `imresize` of an LR file does.
    """

    input_range: Range = "unit"
    any_size: bool = True

    def forward(self, lr: Tensor, scale: float) -> Tensor:
        """Map (B, 3, h, w) to (B, 3, round(h*scale), round(w*scale))."""
        size = (round(lr.shape[-2] * scale), round(lr.shape[-1] * scale))
        return imresize(as_stored(lr), size).to(lr) / 255

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make a region of the SR image; see `SRModel.stream`."""
        return Streamed(self._strips(lr, request), (lr.shape[-2], lr.shape[-1]))

    def _strips(self, lr: Tensor, request: Request) -> Iterator[Tensor]:
        box = request.box
        made = Resize(as_stored(lr[0], request.stored), request.size)
        top_value = torch.iinfo(request.stored).max
        # Values of 8 or 16 bits, and of 32 twice over while they are divided.
        step = max(1, (request.memory or _MEMORY) // (27 * request.size[1]))
        for top in range(box.top, box.top + box.height, step):
            rows = made.rows(top, min(top + step, box.top + box.height))
            yield rows[..., box.left : box.left + box.width].to(lr) / top_value

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Tensor | None = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """Count no MACs: interpolation is not counted."""
        del lr_size, hr_size, choice, shares
        return MacCount()
