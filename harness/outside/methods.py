"""Methods from outside as methods like all others: what they are called, and how they are made."""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.base import Request, Spent, SRModel, Streamed, cut
from baselines.macs import MacCount
from baselines.registry import Method, register
from baselines.windows import Size
from harness.common.errors import MethodError, UsageError
from harness.common.files import plain_name

Kind = Literal["images", "onnx", "command", "python"]
KINDS: dict[Kind, str] = {
    "images": "SR images of another program",
    "onnx": "an ONNX file",
    "command": "a program",
    "python": "a Python model",
}
"""Kinds of methods from outside, in words. The name of a method ends with its kind: `bsrn@onnx`."""
_LABELS = dict(zip(KINDS, ("SR images", "ONNX", "program", "Python"), strict=True))
Values = Literal["unit", "signed", "bytes"]
"""Range of floating point values: [0, 1], [-1, 1] or [0, 255]."""
TOP = {"unit": 1.0, "signed": 1.0, "bytes": 255.0}
_LONGEST = 100
_SWAPPED = 4  # times that SR is nearer to LR with its channels exchanged, to be called swapped
# As `_SWAPPED`, for ranges: grey, which untrained networks give, is nearer to LR than black.
_OF_ANOTHER_RANGE = 50
_UNLIKE = 0.01  # mean squared error against LR (20 dB) below which an image is one of its range


class Outside(SRModel):
    """Method of somebody else, whose SR images come as wholes; MethodError where it fails on one.

    Neither its MACs nor the number of its parameters are known, unless a subclass says so.

    Attributes:
        called: what the SR image is called in messages.
        output: range of a network's values, and what to do where they seem to have another; None
            for files, whose values are checked as they are read.
    """

    any_size = True
    counted = False
    called = "the SR image"
    output: tuple[Values, str] | None = None

    @abstractmethod
    def whole(self, lr: Tensor, request: Request) -> tuple[Tensor, Spent | None]:
        """Make the whole SR image of (1, 3, h, w): (3, H, W) on the CPU, and what it took."""

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make the SR image, check it and return a region of it; see `SRModel.stream`."""
        image, spent = self.whole(lr, request)
        check_size(image, lr, request.size, self.called)
        check_finite(image)
        _check_colours(image, lr, self.called)
        if self.output:
            _check_range(image, lr, *self.output)
        region = cut(image[None], request.box)
        return Streamed(iter([region]), (lr.shape[-2], lr.shape[-1]), spent=spent)

    @property
    def parameter_count(self) -> int | None:
        """Say that the number of parameters is unknown."""
        return None

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Any = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """Refuse to count what nothing is known of."""
        del lr_size, hr_size, choice, shares
        raise ValueError("the MACs of a program of somebody else are not known")


def to_unit(values: Tensor, kind: Values) -> Tensor:
    """Map values of a range to [0, 1]."""
    return (values + 1) / 2 if kind == "signed" else values / TOP[kind]


def is_grey(pixels: Tensor) -> bool:
    """Tell whether the channels of (3, H, W) are equal."""
    return bool((pixels == pixels[:1]).all())


def check_finite(values: Tensor) -> None:
    """Refuse values of which some are NaN or infinite, and say how many."""
    count = int((~torch.isfinite(values)).sum())
    if count:
        raise MethodError(f"{count} of its values are NaN or infinite")


def check_size(image: Tensor, lr: Tensor, size: Size, name: str) -> None:
    """Refuse an SR image (3, H, W) of another size, and say both sizes."""
    h, w = image.shape[-2:]
    if (h, w) == tuple(size):
        return
    same = " (the LR image's size)" if (h, w) == tuple(lr.shape[-2:]) else ""
    turned = " (turned by a quarter)" if (w, h) == tuple(size) and h != w else ""
    raise MethodError(f"{name} has {w}x{h} pixels{same}{turned}, not {size[1]}x{size[0]}")


def _check_colours(image: Tensor, lr: Tensor, name: str) -> None:
    """Refuse an SR image (3, H, W) with its channels in another order, or grey of colours."""
    known = lr.float().cpu()[0]
    if is_grey(image) and not is_grey(known):
        raise MethodError(f"{name} is grey, and the LR image has colours")
    shrunk = _shrunk(image, known)
    orders = itertools.permutations(range(3))
    errors = {o: (shrunk - known[list(o)]).pow(2).mean().item() for o in orders}
    best = min(errors, key=errors.__getitem__)
    if errors[best] * _SWAPPED < errors[0, 1, 2]:
        order = "".join("RGB"[channel] for channel in best)
        raise MethodError(f"{name} seems to have its channels in the order {order}")


def _check_range(image: Tensor, lr: Tensor, kind: Values, remedy: str) -> None:
    """Refuse an SR image (3, H, W) of a network, read as a range, that fits LR by another only."""
    raw = image * 2 - 1 if kind == "signed" else image * TOP[kind]
    known = lr.float().cpu()[0]

    def error(other: Values) -> float:
        return (_shrunk(to_unit(raw, other), known) - known).pow(2).mean().item()

    low, high = raw.min().item(), raw.max().item()
    likely: list[Values] = ["unit", "signed"] if high <= TOP["unit"] + 1 else ["bytes"]
    best = min(likely, key=error)
    if error(kind) > max(_UNLIKE, error(best) * _OF_ANOTHER_RANGE):
        raise MethodError(
            f"its values lie in [{low:.4g}, {high:.4g}], which seem to be of the range {best}, not "
            f"{kind}; {remedy}"
        )


def _shrunk(image: Tensor, known: Tensor) -> Tensor:
    """Shrink an SR image (3, H, W) to the size of its LR image (3, h, w)."""
    return F.interpolate(image[None], known.shape[-2:], mode="area")[0]


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
