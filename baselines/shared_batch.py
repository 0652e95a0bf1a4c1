"""Training batches whose samples are shared out among several processes.

What a network draws at random, and what a loss takes from all samples, belongs to the whole batch,
so the outcome of training does not depend on the number of processes. Each process computes the
loss of the whole batch, with gradients by its own samples only; the sum of these is the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """Samples of a batch that this process has.

    Attributes:
        size: number of samples of the whole batch.
        own: indices of the own samples.
        add: adds a tensor to those of the other processes; without gradients.
    """

    size: int
    own: slice
    add: Callable[[Tensor], Tensor]


_part: Part | None = None
"""Part that the running block of `sharing` has; None for whole batches."""


@contextmanager
def sharing(part: Part | None) -> Iterator[None]:
    """Tell networks and losses inside a block that they have a part of a batch; None for all."""
    global _part, _total  # noqa: PLW0603  # compiled code can read them, but no ContextVar
    if part is not None and _total is _summed:
        # Compiled code is to call it as it is. This imports the compiler, which takes a second.
        _total = torch.compiler.disable(_summed)  # type: ignore[no-untyped-call]
    before, _part = _part, part
    try:
        yield
    finally:
        _part = before


def by_sample(function: Callable[[Tensor], Tensor], own: Tensor) -> Tensor:
    """Apply a function that draws random numbers, with the numbers that the whole batch has.

    Args:
        function: maps (B, ...) to (B, ...), each sample by itself but for the random numbers.
        own: (b, ...) of the own samples.
    """
    if _part is None:
        return function(own)
    whole = own.new_zeros(_part.size, *own.shape[1:])
    whole[_part.own] = own
    return function(whole)[_part.own]


def total(own: Tensor) -> Tensor:
    """Sum over the whole batch, from a sum over the own samples, which alone have gradients."""
    return own if _part is None else _total(own, _part.add)


def mean(own: Tensor) -> Tensor:
    """Mean over the whole batch, from a mean over the own samples, which alone have gradients."""
    if _part is None:
        return own
    return total(own * ((_part.own.stop - _part.own.start) / _part.size))


def batch_size(own: int) -> int:
    """Number of samples of the whole batch, of which this process has some."""
    return own if _part is None else _part.size


class _Total(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, own: Tensor, add: Callable[[Tensor], Tensor]) -> Tensor:
        del ctx
        return add(own.clone())

    @staticmethod
    def backward(ctx: Any, by_total: Tensor) -> tuple[Tensor, None]:
        del ctx
        return by_total, None


def _summed(own: Tensor, add: Callable[[Tensor], Tensor]) -> Tensor:
    return _Total.apply(own, add)  # type: ignore[no-untyped-call, no-any-return]


_total = _summed
