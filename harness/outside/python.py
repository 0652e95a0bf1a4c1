"""Models of other Python packages and of notebooks: `model(lr, scale) -> sr` on [0, 1]."""

from __future__ import annotations

import hashlib
import inspect
import uuid
from collections.abc import Callable, Sequence
from inspect import isfunction
from types import CodeType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from baselines.base import Range, Request, Spent
from baselines.macs import MacCount
from baselines.windows import Size
from harness.common.errors import MethodError
from harness.outside.methods import Outside

Model = Callable[..., Tensor]


class PythonModel(Outside):
    """Model of somebody else; raises `MethodError` where it fails on an image.

    Args:
        model: maps (1, 3, h, w) in [0, 1] and the scale to (1, 3, round(h * scale),
            round(w * scale)) in [0, 1]. A model of one scale may take the LR image only.
        scales: the only scales that it can do; None for any.
        origin: where it is from.
    """

    any_size = False
    input_range: Range = "unit"
    output = ("unit", "models return values in [0, 1]")

    def __init__(
        self, model: Model, scales: Sequence[int] | None = None, origin: str = "a Python model"
    ) -> None:
        super().__init__()
        self.origin = origin
        # In a tuple, as nothing here trains it, or loads weights into it.
        self._held = (model.eval() if isinstance(model, nn.Module) else model,)
        self.scales = tuple(sorted(scales)) if scales else None
        self.counted = self.parameter_count is not None
        self._takes_scale = _takes_two(model)
        self._identity = ""
        self._macs: dict[tuple[int, ...], int] = {}

    @property
    def parameter_count(self) -> int | None:
        """Count the parameters of a module; None for functions."""
        (model,) = self._held
        if not isinstance(model, nn.Module):
            return None
        return sum(p.numel() for p in model.parameters())

    @property
    def identity(self) -> str:
        """Hash of a module's weights and code; for a function, a text that is always new."""
        self._identity = self._identity or _identity(self._held[0])
        return self._identity

    def whole(self, lr: Tensor, request: Request) -> tuple[Tensor, Spent | None]:
        """Run the model; see `Outside.whole`."""
        return self._enlarged(lr, request.scale), None

    def _enlarged(self, lr: Tensor, scale: float) -> Tensor:
        (model,) = self._held
        try:
            made = model(lr, scale) if self._takes_scale else model(lr)
        except Exception as error:  # the model is somebody else's
            raise MethodError(f"the model raised {type(error).__name__}: {error}") from error
        if not isinstance(made, Tensor) or made.dim() != 4 or made.shape[:2] != (1, 3):
            shape = tuple(made.shape) if isinstance(made, Tensor) else type(made).__name__
            raise MethodError(f"the model returned {shape}, not (1, 3, H, W)")
        return made[0].detach().float().cpu()

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Any = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """Count the MACs of a module by running it on an empty image; see `SRModel.count`."""
        del choice, shares
        key = (*lr_size, *hr_size)
        if key not in self._macs:
            with FlopCounterMode(display=False) as counter, torch.inference_mode():
                self._enlarged(torch.zeros(1, 3, *lr_size), hr_size[0] / lr_size[0])
            self._macs[key] = counter.get_total_flops() // 2
        return MacCount(encoder=self._macs[key])


def _takes_two(model: Model) -> bool:
    """Tell whether a model takes a scale beside the LR image."""
    called = model.forward if isinstance(model, nn.Module) else model
    try:
        inspect.signature(called).bind(None, None)
    except TypeError:
        return False
    return True


def _written(part: nn.Module) -> str:
    """Return what is no weight and yet changes what a module does: its code and plain values."""
    classes = [each for each in type(part).__mro__ if not each.__module__.startswith("torch.")]
    said = [_code(f.__code__) for each in classes for f in vars(each).values() if isfunction(f)]
    plain = {n: v for n, v in vars(part).items() if isinstance(v, bool | int | float | str | tuple)}
    return repr([*said, sorted(plain.items())])


def _code(code: CodeType) -> str:
    """Return what a function does, wherever it stands: its bytes, names and constants."""
    constants = [
        _code(c)
        if isinstance(c, CodeType)
        # The order of a set of words changes with the process.
        else repr(sorted(map(repr, c)) if isinstance(c, frozenset) else c)
        for c in code.co_consts
    ]
    return repr([code.co_code, code.co_names, constants])


def _identity(model: Model) -> str:
    if not isinstance(model, nn.Module):
        return f"python-{uuid.uuid4().hex[:24]}"
    digest = hashlib.sha256(repr(model).encode())
    for part in model.modules():
        digest.update(_written(part).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return f"python-{digest.hexdigest()[:24]}"
