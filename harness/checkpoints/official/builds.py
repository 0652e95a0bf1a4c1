"""Builds of official networks as ours: methods, and options where they are not the paper's."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from baselines.names import SAME, Names
from baselines.registry import DECODERS, ENCODERS, Method, parse
from harness.common.errors import HarnessError

State = Mapping[str, Tensor]
Options = Mapping[str, Any]
Spec = dict[str, Any]
"""Official `{"name", "args"}` of a network or a part."""

# Settings that decide what colours a network works on, not how large it is.
_COLOURS = {"values", "shifted"}
# Settings of SeemoRe that leave no trace in the weights.
UNSEEN = ("recursion", "shuffle")


@dataclass(frozen=True)
class Build:
    """Method and options of `baselines.build` for a network, where they differ from the paper's.

    `names` are its names in files of another project, and the official ones of our state dict.
    """

    method: Method
    options: dict[str, Any]
    names: Names = SAME

    @property
    def name(self) -> str:
        """Name of the method, where the network has the paper's sizes; "" elsewhere."""
        return method_name(self.method.name, self.options)

    @property
    def place(self) -> str:
        """Beginning of the names of the encoder's weights; "" where it is the whole network."""
        return "encoder." if self.method.decoder or self.options.get("lookup") else ""


def make_build(method: str, names: Names = SAME, **options: Any) -> Build:
    """Make the build of a network from those options that are not empty."""
    given = {key: value for key, value in options.items() if value not in (None, {})}
    return Build(parse(method), given, names)


def method_name(method: str, options: Options) -> str:
    """Find the method that `baselines.build` makes of these; "" where a size is not the paper's."""
    given = {key: value for key, value in options.items() if value not in ({}, None)}
    encoder = given.pop("encoder", {})
    return "" if given or encoder.keys() - _COLOURS else method


def beyond_weights(options: Options) -> dict[str, Any]:
    """Select the options for `baselines.build` that change results and do not show in weights."""
    defaults = {
        "values": "signed",
        "shifted": False,
        "residual_scale": 1,
        "ensemble": True,
        "lookup": False,
        # Those of the method, which options do not repeat.
        **dict.fromkeys(("average", "scales", *UNSEEN)),
    }
    given = {**(options.get("encoder") or {}), **(options.get("upsampler") or {}), **options}
    return differing({k: v for k, v in given.items() if k in defaults}, defaults)


def build_in_words(method: str, options: Options) -> str:
    """Describe what `baselines.build` makes of these options, for messages.

    Example:
        >>> build_in_words("edsr-liif", {"encoder": {"blocks": 2}, "ensemble": False})
        'edsr-liif with encoder blocks 2, ensemble False'
    """
    parts = []
    for key, value in options.items():
        if isinstance(value, Mapping):
            parts += [f"{key} {name} {setting}" for name, setting in value.items()]
        else:
            parts.append(f"{key} {value}")
    return f"{method} with {', '.join(parts)}" if parts else method


def take(what: str, args: Options, defaults: Options) -> dict[str, Any]:
    """Merge official arguments with their official defaults; HarnessError for an unknown one."""
    for key in args:
        if key not in defaults:
            raise HarnessError(
                f"The checkpoint's {what} has an argument this version does not know: {key}."
            )
    return {**defaults, **args}


def differing(values: Options, defaults: Options) -> dict[str, Any]:
    """Select the values that differ from the defaults."""
    return {k: v for k, v in values.items() if k not in defaults or _plain(defaults[k]) != v}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def defaults_of(factory: Callable[..., object]) -> dict[str, Any]:
    """Return the default options of the function that builds a part of a network."""
    parameters = inspect.signature(factory).parameters.items()
    return {name: _plain(p.default) for name, p in parameters if p.default is not p.empty}


def our_defaults(encoder: str) -> dict[str, Any]:
    """Return our options of an encoder at the paper's sizes."""
    found = defaults_of(ENCODERS[encoder])
    return {name: value for name, value in found.items() if name != "scale"}


def decoder_options(method: Method, given: Options | None = None) -> dict[str, Any]:
    """Return the complete options of a method's decoder; those that are given replace the usual."""
    made = DECODERS[method.decoder]
    usual = {**defaults_of(made), **made.for_encoder.get(method.encoder, {})}
    return {**usual, **(given or {}), **method.changes.decoder}
