"""Adapters of official encoders, and the translation of official arguments into ours."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from baselines.registry import DECODERS, ENCODERS, Method
from harness.checkpoints.official.constructed import StateDict, Unneeded
from harness.common.errors import HarnessError

Options = dict[str, Any]


class Constructed:
    """Entries of state dicts that an encoder's constructor computes; by default there are none."""

    def read(self, state: Mapping[str, Tensor], options: Options) -> dict[str, float]:
        """Return what must be remembered to write the entries again.

        Args:
            state: state dict by the encoder's own official names.
            options: our options, where they differ from the paper's.

        Raises:
            HarnessError: the official network would give other results with these entries.
        """
        del state, options
        return {}

    def write(self, state: StateDict, options: Options, memory: Mapping[str, float]) -> StateDict:
        """Add the entries, in official order, to a state dict without them."""
        del options, memory
        return state

    def unneeded(self, state: Mapping[str, Tensor]) -> list[Unneeded]:
        """List the entries of a state dict, and why our network does not need them."""
        del state
        return []


@dataclass(frozen=True)
class NetworkAdapter:
    """Description of an official network with weights that ours has.

    Attributes:
        ours: our name of the encoder or system.
        constructed: entries of its state dict that are no weights.
    """

    ours: str
    constructed: Constructed


@dataclass(frozen=True)
class EncoderAdapter(NetworkAdapter):
    """Translation between an official encoder that has specifications and ours.

    Attributes:
        official: its name in specifications.
        defaults: its official arguments.
        options: makes our options from complete official arguments.
        arguments: makes official arguments from our complete options.
    """

    official: str
    defaults: Mapping[str, Any]
    options: Callable[[Mapping[str, Any]], Options]
    arguments: Callable[[Options], dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """Encoder that a specification asks for.

    Attributes:
        options: our options, where they differ from the paper's.
        scale: scale of its own upsampler; None without.
    """

    adapter: EncoderAdapter
    options: Options
    scale: int | None


def take(what: str, args: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Merge official arguments with their official defaults.

    Raises:
        HarnessError: an argument is unknown.
    """
    for key in args:
        if key not in defaults:
            raise HarnessError(
                f"The checkpoint's {what} has an argument this version does not know: {key}."
            )
    return {**defaults, **args}


def differing(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Select the values that differ from the defaults."""
    return {k: v for k, v in values.items() if k not in defaults or _plain(defaults[k]) != v}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def defaults_of(factory: Callable[..., object]) -> Options:
    """Return the default options of the function that builds a part of a network."""
    parameters = inspect.signature(factory).parameters.items()
    return {name: _plain(p.default) for name, p in parameters if p.default is not p.empty}


def decoder_options(method: Method, given: Mapping[str, Any]) -> Options:
    """Return the complete options of a method's decoder; those that are given replace the usual."""
    made = DECODERS[method.decoder]
    usual = {**defaults_of(made), **made.for_encoder.get(method.encoder, {})}
    return {**usual, **given, **method.changes.decoder}


def our_defaults(encoder: str) -> Options:
    """Return our options of an encoder at the paper's sizes."""
    found = defaults_of(ENCODERS[encoder])
    return {name: value for name, value in found.items() if name != "scale"}
