"""Networks of which nothing but shapes is wanted: their sizes, their multiply-adds."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Unfilled(TorchFunctionMode):
    """Leaves weights as they were allocated: drawing them is half of the time of a network.

    Args:
        limit: operations on tensors; None for any number.
    """

    def __init__(self, limit: int | None = None) -> None:
        super().__init__()
        self.left = limit

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise ValueError("the network has more parts than it may have")
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else given["tensor"]
        return func(*args, **given)


@contextmanager
def _uncollected() -> Iterator[None]:
    """A network is thousands of objects that stay; a third of the time went into visiting them."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def shapes_only(limit: int | None = None) -> Iterator[None]:
    """Whatever is built inside has shapes and no values, and costs no memory.

    Args:
        limit: operations on tensors that building may take, seven or eight for each weight.

    Raises:
        ValueError: when it takes more.

    Example:
        >>> from baselines import build
        >>> with shapes_only():
        ...     model = build("edsr-liif")
        >>> sum(p.numel() for p in model.parameters())
        1567299
    """
    with _uncollected(), torch.device("meta"), _Unfilled(limit):
        yield
