"""Method names and what they build.

`<encoder>-<decoder>` is a baseline; `<encoder>-<head>-<decoder>[-<variant>]` swaps the head
(`edsr-moeisr-liif-s`). Encoders and decoders are listed in this package; heads come from
packages that declare the entry point group `baselines.plugins` (`moeisr` here).
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from torch import nn

from baselines.bicubic import Bicubic
from baselines.composition import Decoder, Head, ImplicitSR, MLPHead
from baselines.encoders import ENCODERS
from baselines.liif import LIIFDecoder
from baselines.lte import LTEDecoder

DECODERS: dict[str, Callable[..., Decoder]] = {"liif": LIIFDecoder, "lte": LTEDecoder}


@dataclass(frozen=True)
class HeadFamily:
    """A head that replaces a decoder's MLP, under a word of its own in method names.

    Attributes:
        name: the word, as in `edsr-<name>-liif-s`.
        variants: what may follow the decoder's name, with a line of explanation each.
        build: called with (decoder, latent_channels, variant, **options).
        options: names that `build` takes as options.
    """

    name: str
    variants: Mapping[str, str]
    build: Callable[..., Head]
    options: tuple[str, ...]


class UnknownMethodError(ValueError):
    """A method name that nothing answers to; the message suggests the nearest."""


@dataclass(frozen=True)
class MethodName:
    """A method name taken apart. `encoder` is empty for methods without a network."""

    name: str
    encoder: str = ""
    decoder: str = ""
    head: str = ""
    variant: str = ""


@cache
def heads() -> dict[str, HeadFamily]:
    """Head families of the installed plugins, by name."""
    found: dict[str, HeadFamily] = {}
    for entry in entry_points(group="baselines.plugins"):
        family: HeadFamily = entry.load().HEAD_FAMILY
        found[family.name] = family
    return found


@cache
def _names() -> dict[str, MethodName]:
    names = {"bicubic": MethodName("bicubic")}
    for encoder in ENCODERS:
        for decoder in DECODERS:
            plain = MethodName(f"{encoder}-{decoder}", encoder, decoder)
            names[plain.name] = plain
            for head in heads().values():
                for variant in head.variants:
                    name = f"{encoder}-{head.name}-{decoder}-{variant}"
                    names[name] = MethodName(name, encoder, decoder, head.name, variant)
    return names


def methods() -> list[str]:
    """Every method name, baselines before the variants of their decoder."""
    return list(_names())


def parse(method: str) -> MethodName:
    """The parts of a method name.

    Raises:
        UnknownMethodError: with the nearest name and all available ones.
    """
    if method in _names():
        return _names()[method]
    raise UnknownMethodError(unknown("method", method, methods()))


def unknown(what: str, name: str, available: Iterable[str]) -> str:
    """`Unknown method 'edsr-lif'. Did you mean 'edsr-liif'? Available: ...`"""
    options = list(available)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"Unknown {what} '{name}'.{hint} Available: {', '.join(options)}"


def _options_of(factory: Callable[..., object], taken: set[str]) -> list[str]:
    return [p for p in inspect.signature(factory).parameters if p not in taken]


def _check_options(part: str, given: Mapping[str, object], allowed: Iterable[str]) -> None:
    for key in given:
        if key not in set(allowed):
            raise TypeError(unknown(f"{part} option", key, allowed))


def build(
    method: str,
    *,
    encoder: Mapping[str, Any] | None = None,
    decoder: Mapping[str, Any] | None = None,
    head: Mapping[str, Any] | None = None,
    ensemble: bool = True,
) -> nn.Module:
    """The untrained network of a method, at the paper's sizes unless overridden.

    Args:
        method: a name of `methods()`.
        encoder: options of the encoder (EDSR: blocks, features).
        decoder: options of the decoder (width, depth; LIIF: unfold, cell).
        head: options of the head family (MoEISR: those of `moeisr.model.build_head`).
        ensemble: local ensemble of four latent codes.

    Raises:
        UnknownMethodError: for an unknown name.
        TypeError: for an unknown option, naming the nearest.

    Example:
        >>> model = build("edsr-liif", encoder={"blocks": 1, "features": 8})
        >>> sum(p.numel() for p in model.parameters()) > 0
        True
    """
    parts = parse(method)
    if not parts.encoder:
        return Bicubic()
    encoder_options, decoder_options = dict(encoder or {}), dict(decoder or {})
    head_options = dict(head or {})
    make_encoder, make_decoder = ENCODERS[parts.encoder], DECODERS[parts.decoder]
    _check_options("encoder", encoder_options, _options_of(make_encoder, {"scale"}))
    _check_options("decoder", decoder_options, _options_of(make_decoder, {"channels"}))
    network = make_encoder(**encoder_options)
    assert isinstance(network, nn.Module)
    feeder = make_decoder(network.out_channels, **decoder_options)
    new_head: Head
    if parts.head:
        family = heads()[parts.head]
        _check_options("head", head_options, family.options)
        new_head = family.build(feeder, network.out_channels, parts.variant, **head_options)
    else:
        _check_options("head", head_options, ())
        new_head = MLPHead(feeder.fed_dim, feeder.width, feeder.depth)
    return ImplicitSR(network, feeder, new_head, ensemble=ensemble)
