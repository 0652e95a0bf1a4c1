"""Local layers in bands of rows: the same features in less memory.

What a stack of convolutions answers for some rows depends on those rows and a few around them (its
*halo*). Where no gradient is asked for and the activations of a whole image would pass the budget,
such layers are run on bands of rows with their halo; rows of the halo are dropped. Zero padding at
the cut reaches the halo only, so the answer is that of the whole image but for rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

# Bytes of the activations of a band, for layers whose wide halo is much work to repeat, and for
# layers with a row of it or none.
MEMORY = {"cpu": 384 << 20, "cuda": 4 << 30}
MEMORY_NARROW = {"cpu": 96 << 20, "cuda": 2 << 30}
# A band has at least so many times the rows of its halo on each side, whatever the budget.
_LEAST = 4

_budget: ContextVar[int | None] = ContextVar("bytes of a band", default=None)


@contextmanager
def band_memory(memory: int | None) -> Iterator[None]:
    """Bytes of a band for a block of code; None: what suits the device."""
    token = _budget.set(memory)
    try:
        yield
    finally:
        _budget.reset(token)


def spans(
    x: Tensor, rows: int, row_bytes: int, halo: int = 0, multiple: int = 1
) -> list[tuple[int, int]]:
    """[first, end) of the bands that rows are worked on in; a single one where all fit.

    Args:
        x: decides the device. With gradients there are no bands, nor on the meta device, where
            multiply-adds are counted.
        rows: all there are.
        row_bytes: what a row takes in the layers.
        halo: rows that a band needs on each side.
        multiple: of what each band but the last has its rows.
    """
    memory = (MEMORY if halo > 1 else MEMORY_NARROW).get(x.device.type)
    if memory is None or torch.is_grad_enabled():
        return [(0, rows)]
    fit = (_budget.get() or memory) // row_bytes
    if fit >= rows:
        return [(0, rows)]
    step = max(fit - 2 * halo, _LEAST * halo, 1)
    step = max(step // multiple, 1) * multiple
    return [(first, min(first + step, rows)) for first in range(0, rows, step)]


def in_bands(layers: Callable[[Tensor], Tensor], x: Tensor, halo: int, row_bytes: int) -> Tensor:
    """`layers(x)` of (B, C, h, w), in bands of rows where the whole would not fit.

    Args:
        layers: keep height and width, with zero padding, or enlarge both by an integer.
        x: input.
        halo: rows above and below that a row of the answer depends on.
        row_bytes: what a row of one image takes inside.
    """
    rows = x.shape[2]
    bands = spans(x, rows, x.shape[0] * row_bytes, halo)
    if len(bands) == 1:
        return layers(x)
    out: Tensor | None = None
    for first, end in bands:
        low, high = max(first - halo, 0), min(end + halo, rows)
        part = layers(x[:, :, low:high])
        scale = part.shape[2] // (high - low)
        out = _like(part, rows * scale) if out is None else out
        kept = slice((first - low) * scale, (end - low) * scale)
        out[:, :, first * scale : end * scale] = part[:, :, kept]
    assert out is not None
    return out


def _like(part: Tensor, rows: int) -> Tensor:
    """An uninitialised tensor of so many rows, in the memory format of `part`."""
    b, c, _, w = part.shape
    last = c > 1 and part.stride(1) == 1
    form = torch.channels_last if last else torch.contiguous_format
    return torch.empty(b, c, rows, w, dtype=part.dtype, device=part.device, memory_format=form)
