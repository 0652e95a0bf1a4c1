"""Networks with shapes but without values, to read their sizes and count their MACs."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _Unfilled(TorchFunctionMode):
    """Mode that leaves weights uninitialised: drawing them takes half of the time of building.

    `limit` is the largest number of tensor operations; None for no limit.
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
    """Pause garbage collection: visiting a network's many objects took a third of the time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def shapes_only(limit: int | None = None) -> Iterator[None]:
    """Build networks that have shapes but no values and take no memory.

    Args:
        limit: tensor operations that building may take, seven or eight for each weight.

    Raises:
        ValueError: building takes more operations.

    Example:
        >>> from baselines import build
        >>> with shapes_only():
        ...     model = build("edsr-liif")
        >>> sum(p.numel() for p in model.parameters())
        1567299
    """
    with _uncollected(), torch.device("meta"), _Unfilled(limit):
        yield
