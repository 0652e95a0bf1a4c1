"""Methods, metrics and datasets of other packages, by entry points."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from harness.common.progress import say

if TYPE_CHECKING:
    from torch import Tensor

    from harness.outside.python import PythonModel


def _method(name: str, found: Any) -> None:
    """Register a `Method`, or what makes a model (a class or a function without arguments)."""
    from baselines.registry import Method, methods, register
    from harness.common.files import plain_name
    from harness.outside.methods import KINDS, Opened

    if isinstance(found, Method):
        register(found)
        return
    if not callable(found):
        raise TypeError("it is neither a Method nor callable")
    if name in methods():
        raise ValueError(f"there is a method called '{name}' already")
    plain_name(name)  # files of rows have it
    scales = getattr(found, "scales", None)
    register(
        Method(
            name,
            label=getattr(found, "label", f"{name} (Python)"),
            make=Opened(partial(_model, found, scales)),
            scales=tuple(scales or ()),
            outside=KINDS["python"],
        )
    )


def _model(maker: Callable[[], Any], scales: Sequence[int] | None) -> PythonModel:
    from harness.outside.python import PythonModel

    return PythonModel(maker(), scales, f"{maker.__module__}.{maker.__qualname__}")


def _part(room: str, kind: str, name: str, found: Any) -> None:
    """Register a metric or a dataset with the room that has its class and its registry."""
    module = import_module(room)
    if not isinstance(found, getattr(module, kind)):
        raise TypeError(f"it is no {room}.{kind}")
    if found.name != name:
        raise ValueError(f"its {kind} is called {found.name}")
    module.register(replace(found, value=_Guarded(found.value)) if kind == "Metric" else found)


@dataclass(frozen=True)
class _Guarded:
    """Value of a metric of another package: what it raises is why it has no value."""

    value: Callable[..., Any]

    def __call__(self, *given: Any) -> Tensor:
        import torch

        try:
            return torch.as_tensor(self.value(*given), dtype=torch.float64).reshape(())
        except ValueError:
            raise
        except Exception as error:
            raise ValueError(f"it raised {type(error).__name__}: {error}") from error


GROUPS: dict[str, Callable[[str, Any], None]] = {
    "harness.methods": _method,
    "harness.metrics": partial(_part, "harness.metrics", "Metric"),
    "harness.datasets": partial(_part, "harness.data.sets", "DatasetSpec"),
}
"""Groups of entry points, and what registers what they name."""


@cache
def load() -> None:
    """Register what installed packages declare, once; what cannot be used is named and left out."""
    for group, register in GROUPS.items():
        for entry in entry_points(group=group):
            try:
                register(entry.name, entry.load())
            except (Exception, SystemExit) as error:  # another package's code raises anything
                package = entry.dist.name if entry.dist else "an unknown package"
                say(
                    f"The entry point {entry.name} ({entry.group}) of {package} cannot be used and "
                    f"is left out: {type(error).__name__}: {error}. Update or uninstall that "
                    "package."
                )
