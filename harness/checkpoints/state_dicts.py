"""Loading of weights that must fit exactly."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines import build
from baselines.base import SRModel
from baselines.shapes import shapes_only
from harness.common.errors import HarnessError

# What reading a file raises whose entries are not of the kinds that its layout has.
DAMAGE = (
    *(KeyError, TypeError, ValueError, AttributeError, IndexError),
    *(RuntimeError, ArithmeticError, AssertionError),
)
_SHOWN = 20
# Larger than any published network has them; what costs more than its weights show has less.
_LARGEST = 4096
_LARGEST_OF = {"window": 32, "recursion": 6, "scales": 32}


def weights_hash(state: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 over names, shapes and values of a state dict."""
    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        as_bytes = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(as_bytes.numpy().tobytes())
    return digest.hexdigest()


def built_to_fit(
    method: str,
    options: Mapping[str, Any],
    state: Mapping[str, Tensor],
    what: str,
    name: Callable[[str], str] = str,
) -> SRModel:
    """Build the network of a method with weights that must fit exactly.

    Sizes in the options may come from anywhere. They are compared with the weights on a network
    without values, so that no network is made that is larger than its weights.

    Args: `method` and `options` of `baselines.build`; others as `load_strictly`.

    Raises:
        HarnessError: see `load_strictly`.
        DAMAGE: no network has these options.
    """
    shapes = shapes_of(method, options, state)
    _check(_misfits(shapes, state, name), what)
    made = sum(buffer.nbytes for buffer in shapes.buffers())
    given = sum(value.nbytes for value in state.values())
    if made > 4 * given + (64 << 20):
        raise ValueError(f"its tables take {made:,} bytes, its weights {given:,}")
    network = build(method, **options)
    load_strictly(network, state, what, name)
    return network


def shapes_of(method: str, options: Mapping[str, Any], state: Mapping[str, Tensor]) -> SRModel:
    """Build a method's network without values, no larger than a file's weights allow.

    Raises:
        ValueError: the options or the number of weights are impossible.
        DAMAGE: no network has these options.
    """
    if len(state) > _LARGEST:
        raise ValueError(f"it has {len(state):,} weights")
    check_sizes(options)
    with shapes_only(limit=10 * len(state) + 1000):
        return build(method, **options)


def check_sizes(value: Any, of: str = "options") -> None:
    """Refuse sizes that no network has, in a part of the options of `baselines.build`."""
    if isinstance(value, Mapping):
        for key, part in value.items():
            check_sizes(part, str(key))
    elif isinstance(value, list | tuple):
        if len(value) > _LARGEST:
            raise ValueError(f"{of} has {len(value):,} entries")
        for part in value:
            check_sizes(part, of)
    elif isinstance(value, int) and abs(value) > _LARGEST_OF.get(of, _LARGEST):
        raise ValueError(f"{of} is {value}; at most {_LARGEST_OF.get(of, _LARGEST)} is known")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{of} is {value}")
    elif not isinstance(value, int | float | str | None):
        raise ValueError(f"{of} is a {type(value).__name__}")


def load_strictly(
    network: nn.Module, state: Mapping[str, Tensor], what: str, name: Callable[[str], str] = str
) -> None:
    """Load a state dict by our names that must fit exactly.

    `what` describes the file in the message; `name` makes the file's own name of a key.

    Raises:
        HarnessError: keys are missing or unexpected, or shapes or types are wrong (all are listed);
            or values are not finite in the network's own type.
    """
    _check(_misfits(network, state, name), what)
    wanted = network.state_dict()
    infinite = [
        f"{name(key)} holds values that are not finite"
        for key, value in state.items()
        if not bool(value.detach().to(wanted[key].dtype).isfinite().all())
    ]
    _check(infinite, what)
    network.load_state_dict(dict(state))


def _misfits(
    network: nn.Module, state: Mapping[str, Tensor], name: Callable[[str], str]
) -> list[str]:
    """List where names, shapes and types differ from the network's; values are not compared."""
    wanted = network.state_dict()
    problems = [f"unexpected {name(key)}" for key in state if key not in wanted]
    problems += [f"missing {name(key)}" for key in wanted if key not in state]
    for key, value in state.items():
        own = wanted.get(key, value)
        if value.shape != own.shape:
            shapes = f"{tuple(value.shape)}, the network {tuple(own.shape)}"
            problems.append(f"{name(key)} has shape {shapes}")
        if own.is_floating_point() and not value.is_floating_point():
            problems.append(f"{name(key)} holds {value.dtype}, not floating point")
    return problems


def _check(problems: Sequence[str], what: str) -> None:
    if problems:
        shown = "\n  ".join(problems[:_SHOWN]) + ("\n  ..." if len(problems) > _SHOWN else "")
        raise HarnessError(f"The {what} does not fit ({len(problems)} problems):\n  {shown}")
