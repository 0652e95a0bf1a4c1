"""What an adapter of an official encoder is, and how official arguments become ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from baselines.registry import ENCODERS
from harness.checkpoints.official.constructed import StateDict, Unneeded
from harness.checkpoints.official.keys import Keys
from harness.common.errors import HarnessError

Options = dict[str, Any]


class Constructed:
    """Entries of state dicts that an encoder's constructor computes; by default there are none."""

    def read(self, state: Mapping[str, Tensor], options: Options) -> dict[str, float]:
        """What must be remembered to write them again.

        Args:
            state: by the encoder's own official names.
            options: ours, where they differ from the paper's.

        Raises:
            HarnessError: when the official network would answer otherwise with them.
        """
        del state, options
        return {}

    def write(self, state: StateDict, encoder: nn.Module, memory: Mapping[str, float]) -> StateDict:
        """A state dict with them, in official order, from one without."""
        del encoder, memory
        return state

    def unneeded(self, state: Mapping[str, Tensor]) -> list[Unneeded]:
        """Those of a state dict, and why our network does without."""
        del state
        return []


@dataclass(frozen=True)
class NetworkAdapter:
    """How the weights of an official network and ours become each other.

    Attributes:
        ours: our name of the encoder or system.
        keys: names of its weights.
        constructed: entries of its state dict that are no weights.
    """

    ours: str
    keys: Keys
    constructed: Constructed


@dataclass(frozen=True)
class EncoderAdapter(NetworkAdapter):
    """How an official encoder that has specifications and ours become each other.

    Attributes:
        official: its name in specifications.
        defaults: its official arguments.
        options: ours from complete official arguments.
        arguments: official ones from our complete options.
    """

    official: str
    defaults: Mapping[str, Any]
    options: Callable[[Mapping[str, Any]], Options]
    arguments: Callable[[Options], dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """An encoder that a specification asks for.

    Attributes:
        options: ours, where they differ from the paper's.
        scale: of its own upsampler; None without.
    """

    adapter: EncoderAdapter
    options: Options
    scale: int | None


def take(what: str, args: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Official arguments over their official defaults.

    Raises:
        HarnessError: for an unknown one.
    """
    for key in args:
        if key not in defaults:
            raise HarnessError(
                f"The checkpoint's {what} has an argument this version does not know: {key}."
            )
    return {**defaults, **args}


def differing(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the values that are not the defaults."""
    return {k: v for k, v in values.items() if k not in defaults or _plain(defaults[k]) != v}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def defaults_of(factory: Callable[..., object]) -> Options:
    """The options of what builds a part of a network, where it has them left out."""
    parameters = inspect.signature(factory).parameters.items()
    return {name: _plain(p.default) for name, p in parameters if p.default is not p.empty}


def our_defaults(encoder: str) -> Options:
    """Our options of an encoder at the paper's sizes."""
    found = defaults_of(ENCODERS[encoder])
    return {name: value for name, value in found.items() if name != "scale"}
