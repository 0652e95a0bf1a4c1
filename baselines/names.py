"""Names of weights: `state_dict` has those of the official code, modules have readable ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import nn

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Names:
    """Pairs of (official, our) beginnings of names; `{}` stands for a number.

    The first pair that fits translates a name, in either direction. What follows the beginning
    (`.weight`, `.0.bias`) stays, and so does a name that no pair fits. An empty beginning fits
    every name.

    Example:
        >>> names = Names((("RDBs.{}.convs.{}.conv.0", "blocks.{}.layers.{}.0"), ("", "rest")))
        >>> names.ours("RDBs.3.convs.1.conv.0.weight"), names.ours("weight")
        ('blocks.3.layers.1.0.weight', 'rest.weight')
        >>> names.official("blocks.3.layers.1.0.weight"), names.official("rest.weight")
        ('RDBs.3.convs.1.conv.0.weight', 'weight')
    """

    pairs: Pairs = ()

    def ours(self, official: str) -> str:
        """Translate an official name to ours."""
        return _translated(official, self.pairs)

    def official(self, ours: str) -> str:
        """Translate one of our names to the official one."""
        return _translated(ours, [pair[::-1] for pair in self.pairs])


SAME = Names()
"""Names of a project that ours has too."""


def _translated(name: str, pairs: Any) -> str:
    for old, new in pairs:
        if match := _pattern(old).fullmatch(name):
            *numbers, rest = match.groups()
            return ".".join(filter(None, [new.format(*numbers), rest]))
    return name


@cache
def _pattern(beginning: str) -> re.Pattern[str]:
    numbered = re.escape(beginning).replace(r"\{\}", r"(\d+)")
    return re.compile(rf"{numbered}(?:\.(.+))?" if beginning else "(.+)")


class Named(nn.Module):
    """Module whose state dict has official names: `names` pairs them with those of its parameters.

    Parts of it may translate further.
    """

    names: Names = SAME

    def __init__(self) -> None:
        super().__init__()
        self.register_state_dict_post_hook(_as_written)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_as_read)  # type: ignore[no-untyped-call]


def _as_written(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Rename the entries of a module in a state dict to the official ones."""
    assert isinstance(module, Named)
    _rename(state, prefix, module.names.official)


def _as_read(module: nn.Module, state: dict[str, Any], prefix: str, *_: object) -> None:
    """Rename official entries of a state dict back to those of a module."""
    assert isinstance(module, Named)
    _rename(state, prefix, module.names.ours)


def _rename(state: dict[str, Any], prefix: str, translate: Callable[[str], str]) -> None:
    """Rename what lies below a prefix; its order stays."""
    for key in [key for key in state if key.startswith(prefix)]:
        value = state.pop(key)
        state[prefix + translate(key.removeprefix(prefix))] = value


def officially_named(network: nn.Module, state: dict[str, Any]) -> dict[str, Any]:
    """Give a state dict of the first format, by names of parameters, its official names."""
    renamed = dict(state)
    for place, part in reversed(list(network.named_modules())):
        if isinstance(part, Named):
            _as_written(part, renamed, f"{place}." if place else "")
    return renamed
