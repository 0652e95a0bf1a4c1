"""Methods from outside as methods like all others: what they are called, and how they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from baselines.base import SRModel
from baselines.registry import Method, register
from harness.common.errors import UsageError
from harness.common.files import plain_name

Kind = Literal["images", "onnx", "command", "python"]
KINDS: dict[Kind, str] = {
    "images": "SR images of another program",
    "onnx": "an ONNX file",
    "command": "a program",
    "python": "a Python model",
}
"""Kinds of methods from outside, in words. The name of a method ends with its kind: `bsrn@onnx`."""
_LABELS: dict[Kind, str] = {
    "images": "SR images",
    "onnx": "ONNX",
    "command": "program",
    "python": "Python",
}
_LONGEST = 100


class Opened:
    """Maker of a model that is open already; another process opens it again.

    Args:
        again: opens the model; can be pickled, where other processes need it.
    """

    def __init__(self, again: Callable[[], SRModel]) -> None:
        self.again = again
        self.model = again().eval()

    def __call__(self, method: Method, **options: Any) -> SRModel:
        """Return the model; see `Method.make`."""
        del method, options
        return self.model

    def __reduce__(self) -> tuple[type[Opened], tuple[Callable[[], SRModel]]]:
        return Opened, (self.again,)


def outside_name(name: str, kind: Kind) -> str:
    """Make the name of a method from outside; UsageError where it cannot be the name of a file.

    Example:
        >>> outside_name("bsrn", "images")
        'bsrn@images'
    """
    try:
        return plain_name(f"{name}@{kind}", _LONGEST)
    except ValueError as error:
        raise UsageError(
            f"Measurements of {KINDS[kind]} would be called by its name: {error}.",
            "Give it another name: NAME in `harness eval NAME`, `--with NAME=...` or `name:`.",
        ) from error


def outside_label(name: str, kind: Kind, about: str = "") -> str:
    """Make the name in tables, which says what it is: `bsrn (ONNX)`."""
    return f"{name} ({about or _LABELS[kind]})"


def add_method(
    name: str,
    kind: Kind,
    make: Callable[..., SRModel],
    *,
    label: str = "",
    about: str = "",
    scales: Sequence[float] | None = None,
) -> Method:
    """Make a model from outside a method like all others, in place of an earlier one of its name.

    Args:
        name: name, without its kind.
        kind: what it is.
        make: makes the model (`Opened`).
        label: name in tables; by default its name, and what it is.
        about: what it is, in a word or two, where that is more than its kind.
        scales: the only scales that it can do; None for any.
    """
    return register(
        Method(
            outside_name(name, kind),
            label=label or outside_label(name, kind, about),
            make=make,
            scales=tuple(int(s) if float(s).is_integer() else s for s in scales or ()),
            outside=KINDS[kind],
        )
    )


def check_precision(precision: str) -> None:
    """Refuse a precision that another program does not know of."""
    if precision != "fp32":
        raise UsageError(
            f"Methods from outside have a precision of their own, not {precision}. Use --precision "
            "fp32."
        )
