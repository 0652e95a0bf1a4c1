"""Method names and the networks that they build.

`<encoder>-<decoder>` is a baseline, `<encoder>-x<scale>` the encoder with its own upsampler,
`<encoder>-<upsampler>` one network for several integer scales (`edsr-igconv`);
`<encoder>-<head>-<decoder>[-<variant>]` replaces the head (`edsr-moeisr-liif-s`). A suffix changes
one setting for an ablation (`rdn-liif-3layer`). `<system>-x<scale>` (`seemore-t-x2`) has no
features for decoders. Encoders, systems, decoders and upsamplers are found in the folders of this
package; heads come from packages that declare the entry point group `baselines.plugins` (`moeisr`).
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import entry_points
from itertools import chain
from types import MappingProxyType
from typing import Any

import baselines.decoders
import baselines.encoders
import baselines.systems
import baselines.upsamplers
from baselines.base import Encoder, EncoderSpec, SRModel
from baselines.composition import Decoder, Head, MLPHead
from baselines.discovery import offered
from baselines.encoders.colours import Colours
from baselines.shapes import shapes_only
from baselines.systems.bicubic import Bicubic
from baselines.systems.fixed import FixedScaleLookup, FixedScaleSR
from baselines.systems.implicit import ImplicitSR
from baselines.systems.multiscale import MultiScaleSR, Upsampler

SYSTEMS: dict[str, Callable[..., Encoder]] = {}
ENCODERS: dict[str, Callable[..., Encoder]] = {}
"""Encoders and systems; systems have no features that a decoder could read."""
LABELS: dict[str, str] = {}
"""Names of encoders and systems in the papers' tables."""
IMPLICIT_ENCODERS: list[str] = []
"""Encoders that decoders may use."""
DECODERS: dict[str, type[Decoder]] = {}
"""Decoders: the usual ones first, those that change another last."""
USUAL = ("liif", "lte")
"""Decoders that most papers compare with, and that are suggested for a misspelt method first."""
UPSAMPLERS: dict[str, type[Upsampler]] = {}
FIXED_SCALES = (2, 3, 4)


def read_folders() -> None:
    """List the parts in the folders of this package, and the methods that they make, anew."""
    for table in (SYSTEMS, ENCODERS, LABELS, IMPLICIT_ENCODERS, DECODERS, UPSAMPLERS):
        table.clear()
    found: list[EncoderSpec] = [*chain(*offered(baselines.encoders, "ENCODERS"))]
    systems: list[EncoderSpec] = [*chain(*offered(baselines.systems, "SYSTEMS"))]
    IMPLICIT_ENCODERS.extend(each.name for each in found if each.implicit)
    SYSTEMS.update((each.name, each.make) for each in systems)
    for each in (*found, *systems):
        ENCODERS[each.name], LABELS[each.name] = each.make, each.label
    decoders = {k: v for own in offered(baselines.decoders, "DECODERS") for k, v in own.items()}
    DECODERS.update(
        sorted(decoders.items(), key=lambda each: (bool(each[1].baseline), each[0] not in USUAL))
    )
    for own in offered(baselines.upsamplers, "UPSAMPLERS"):
        UPSAMPLERS.update(own)
    _names.cache_clear()
    parse.cache_clear()


@dataclass(frozen=True)
class Changes:
    """Changes by a suffix: options of decoder and head, and balance weights by expert from 1."""

    decoder: Mapping[str, Any] = field(default_factory=dict)
    head: Mapping[str, Any] = field(default_factory=dict)
    balance: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ablation:
    """Suffix of method names that changes one setting.

    Attributes:
        form: the suffix as users read it, such as `tauT`.
        about: explanation in one line.
        pattern: regular expression of the suffix.
        changes: makes the changes from a match; raises ValueError for values that make no sense.
        trained: whether it changes training; other methods have the weights of the one without the
            suffix.
    """

    form: str
    about: str
    pattern: str
    changes: Callable[[re.Match[str]], Changes]
    trained: bool = True


DEPTH = Ablation(
    form="Nlayer",
    about="an MLP of N linear layers, 2 to 9 (MoEISR's Table 4)",
    pattern=r"([2-9])layer",
    changes=lambda match: Changes(decoder={"depth": int(match[1])}),
)


@dataclass(frozen=True)
class HeadFamily:
    """Kind of head that replaces a decoder's MLP, with its own word in method names.

    A head that routes is trained by MoEISR's losses (`moeisr.losses`), under the profile's weights.

    Attributes:
        name: the word, as in `edsr-<name>-liif-s`.
        variants: words that may follow the decoder's name, each with an explanation in one line.
        build: makes a head from (decoder, latent_channels, variant, *, ...); its keyword
            arguments are the options of its networks.
        ablations: suffixes of its methods.
        label: label of its methods in tables, with {decoder} and {variant}.
    """

    name: str
    variants: Mapping[str, str]
    build: Callable[..., Head]
    ablations: tuple[Ablation, ...] = ()
    label: str = "{decoder}-{variant}"


class UnknownMethodError(ValueError):
    """Error for an unknown method name; the message suggests the nearest names."""


def _no_network(method: Method) -> SRModel:
    raise NotImplementedError(f"{method.name} says nothing of how its network is made")


@dataclass(frozen=True)
class Method:
    """Method: its name, its abilities and how its network is made.

    Attributes:
        name: name that commands take.
        label: name in the papers' tables: `MoEISR(LIIF)-s` over an encoder.
        over: the encoder's name in the papers' tables; "none" where they name none.
        make: makes the network from the method and those keywords of `build` that are set and
            concern it.
        encoder: name of the encoder or system, under which a profile lists its network options;
            empty for methods without a network.
        decoder: name of the decoder; empty for networks that make whole images.
        head: name of the head family; empty for the decoder's own MLP.
        variant: variant of the head family.
        scale: scale of a fixed-scale network.
        upsampler: name of the upsampler for several integer scales.
        suffix: suffix of an ablation, which `changes` belongs to.
        trained_as: name of the method whose weights it has; "" for its own.
        scales: integer scales of a network that makes images at several scales, `model(lr, scale)`;
            empty for all other networks.
        dense: whether the original project trains a fixed-scale network on whole HR crops. Networks
            of several scales are always trained so; the LIIF project draws random pixels of the
            crops.
        outside: what a method from outside is, in words ("an ONNX file"); empty for networks that
            are built here.
    """

    name: str
    label: str = ""
    over: str = "none"
    make: Callable[..., SRModel] = field(default=_no_network, repr=False, compare=False)
    encoder: str = ""
    decoder: str = ""
    head: str = ""
    variant: str = ""
    scale: int | None = None
    upsampler: str = ""
    suffix: str = ""
    changes: Changes = Changes()
    trained_as: str = ""
    scales: tuple[float, ...] = ()
    dense: bool = False
    outside: str = ""

    @property
    def weights(self) -> str:
        """Name of the method that is trained for it.

        Example:
            >>> parse("edsr-moeisr-liif-b-budget0.5").weights, parse("edsr-liif").weights
            ('edsr-moeisr-liif-b', 'edsr-liif')
        """
        return self.trained_as or self.name

    @property
    def is_trained(self) -> bool:
        """Tell whether it has a network of ours, whose weights training finds."""
        return bool(self.encoder)

    @property
    def makes_images(self) -> bool:
        """Tell whether the network makes whole images at integer scales; others answer queries."""
        return self.scale is not None or bool(self.scales)

    @property
    def only_scales(self) -> tuple[float, ...] | None:
        """The only scales that the method can do, in ascending order; None for any scale.

        Example:
            >>> parse("edsr-x3").only_scales, parse("edsr-liif").only_scales
            ((3,), None)
        """
        if self.scale is not None:
            return (self.scale,)
        return self.scales or None

    def can_do(self, scale: float) -> bool:
        """Tell whether the method can enlarge by a factor."""
        return self.only_scales is None or scale in self.only_scales

    @property
    def baseline(self) -> str:
        """Name of the method that this one changes and is compared with; "" for none.

        Example:
            >>> parse("edsr-moeisr-lte-s").baseline, parse("rdn-lmliif").baseline
            ('edsr-lte', 'rdn-liif')
        """
        if self.head or self.suffix:
            return f"{self.encoder}-{self.decoder}"
        made_by = DECODERS.get(self.decoder) or UPSAMPLERS.get(self.upsampler)
        return f"{self.encoder}-{made_by.baseline}" if made_by and made_by.baseline else ""

    @property
    def families(self) -> tuple[str, ...]:
        """Names of the groups that a method belongs to, the largest group first.

        They are made of the first words of its name, and of the baseline whose head is replaced.

        Example:
            >>> parse("edsr-moeisr-lte-s").families
            ('edsr', 'edsr-lte', 'edsr-moeisr', 'edsr-moeisr-lte', 'edsr-moeisr-lte-s')
        """
        words = self.name.split("-")
        names = ["-".join(words[:n]) for n in range(1, len(words) + 1)]
        if self.head:
            names.insert(names.index(self.encoder) + 1, f"{self.encoder}-{self.decoder}")
        return tuple(names)


@cache
def heads() -> dict[str, HeadFamily]:
    """List the head families of the installed plugins, by name."""
    found: dict[str, HeadFamily] = {}
    for entry in entry_points(group="baselines.plugins"):
        family: HeadFamily = entry.load().HEAD_FAMILY
        found[family.name] = family
    return found


def _with_upsamplers(encoder: str) -> Iterable[Method]:
    for upsampler, made_by in UPSAMPLERS.items():
        if encoder in made_by.backbones:
            yield Method(
                f"{encoder}-{upsampler}",
                made_by.label,
                made_by.backbones[encoder].label or LABELS[encoder],
                _multi_scale,
                encoder,
                upsampler=upsampler,
                scales=made_by.scales_with(encoder),
            )


def _methods_over(encoder: str) -> Iterable[Method]:
    own = LABELS[encoder]
    for scale in FIXED_SCALES:
        yield Method(
            f"{encoder}-x{scale}",
            own,
            "none" if encoder in SYSTEMS else own,
            _fixed_scale,
            encoder,
            scale=scale,
            dense=encoder in SYSTEMS,
        )
    for decoder, made_by in DECODERS.items() if encoder not in SYSTEMS else ():
        plain = Method(f"{encoder}-{decoder}", made_by.label, own, _implicit, encoder, decoder)
        yield plain
        for head in heads().values() if made_by.routable else ():
            for variant in head.variants:
                yield replace(
                    plain,
                    name=f"{encoder}-{head.name}-{decoder}-{variant}",
                    label=head.label.format(decoder=made_by.label, variant=variant),
                    head=head.name,
                    variant=variant,
                )


@cache
def _names() -> dict[str, Method]:
    found = [Method("bicubic", "bicubic", make=_bicubic)]
    whole = (*IMPLICIT_ENCODERS, *SYSTEMS)
    found += [method for encoder in whole for method in _methods_over(encoder)]
    found += [method for encoder in ENCODERS for method in _with_upsamplers(encoder)]
    return {method.name: method for method in found}


def _bicubic(method: Method) -> SRModel:
    del method
    return Bicubic()


def register(method: Method) -> Method:
    """Add a method with any kind of network; it is then measured like all others.

    Args:
        method: method whose `make` returns an `SRModel`; `encoder` is the name under which a
            profile lists its options (the method's name, if left empty). One from outside is not
            made here, and may take the place of another from outside.

    Raises:
        ValueError: the name is taken, or the network does not say what it costs.

    Example:
        >>> from baselines.systems.bicubic import Bicubic
        >>> made = register(Method("bicubic-again", make=lambda method, **options: Bicubic()))
        >>> build("bicubic-again").count((4, 4), (8, 8)).total
        0
        >>> unregister("bicubic-again")
    """
    earlier = _names().get(method.name)
    if earlier is not None and not (earlier.outside and method.outside):
        raise ValueError(f"there is a method called '{method.name}' already")
    if not method.outside:
        with shapes_only():
            model = method.make(method)
        if next(model.parameters(), None) is not None:
            method = replace(method, encoder=method.encoder or method.name)
            _check_costs(method.name, model)
    parse.cache_clear()
    _names()[method.name] = replace(method, label=method.label or method.name)
    return _names()[method.name]


def encoder_names() -> list[str]:
    """List every encoder and system, including those of registered methods."""
    return list(dict.fromkeys([*ENCODERS, *(m.encoder for m in every_method() if m.encoder)]))


def unregister(name: str) -> None:
    """Remove a method that was registered."""
    del _names()[name]
    parse.cache_clear()


def _check_costs(name: str, model: SRModel) -> None:
    """Refuse a network with weights that counts no MACs, in enlarging or in training."""
    lr, scale = 32, (model.scales or (2,))[0]
    even = [1 / model.expert_count] * model.expert_count if model.needs_choice else None
    found = model.count((lr, lr), (lr * scale, lr * scale), shares=even).total
    trained = model.training_macs(lr, lr * lr, model.scales or (), 1)
    if not (found > 0 and trained > 0):
        raise ValueError(
            f"{name} has weights and counts {found} MACs for an image, {trained} for a training "
            "sample. Define `count` and `training_macs`."
        )


def methods() -> list[str]:
    """List all method names without suffix; baselines come before variants of their decoder."""
    return list(_names())


def every_method() -> list[Method]:
    """List the methods of `methods`."""
    return list(_names().values())


def ablations(method: Method) -> tuple[Ablation, ...]:
    """List the suffixes that a method may have."""
    if method.head:
        return heads()[method.head].ablations
    return (DEPTH,) if method.decoder and DECODERS[method.decoder].routable else ()


@cache
def parse(method: str) -> Method:
    """Find the method of a name.

    Raises:
        UnknownMethodError: the name is unknown; the message has the nearest names and how to list
            all.

    Example:
        >>> parse("rdn-liif-3layer").changes.decoder
        {'depth': 3}
    """
    known = _names()
    if method in known:
        return known[method]
    base, _, suffix = method.rpartition("-")
    if base not in known:
        raise UnknownMethodError(unknown("method", method, known, listed="harness methods"))
    own, forms = known[base], ablations(known[base])
    for ablation in forms:
        match = re.fullmatch(ablation.pattern, suffix)
        if match:
            try:
                changes = ablation.changes(match)
            except ValueError as error:
                raise UnknownMethodError(f"{method}: {error}") from error
            return replace(
                own,
                name=method,
                label=f"{own.label}-{suffix}",
                suffix=suffix,
                changes=changes,
                trained_as="" if ablation.trained else base,
            )
    if not forms:
        raise UnknownMethodError(f"Unknown method '{method}': '{base}' takes no suffix.")
    listed = "; ".join(f"-{ablation.form}, {ablation.about}" for ablation in forms)
    raise UnknownMethodError(f"Unknown suffix '-{suffix}' of method '{base}'. Available: {listed}")


def unknown(what: str, name: str, available: Iterable[str], listed: str = "") -> str:
    """Write a sentence about an unknown name: the nearest ones, and where to find all.

    A list of more than 20 names is not printed, if a command lists them.

    Example:
        >>> unknown("encoder", "esdr", ["edsr", "rdn"])
        "Unknown encoder 'esdr'. Did you mean 'edsr'? Available: edsr, rdn"
    """
    options = list(available)
    short = not listed or len(options) <= 20
    close = [f"'{option}'" for option in _nearest(name, options, 1 if short else 3)]
    either = " or ".join(filter(None, [", ".join(close[:-1]), *close[-1:]]))
    hint = f" Did you mean {either}?" if close else ""
    everything = f"Available: {', '.join(options)}" if short else f"`{listed}` lists all."
    return f"Unknown {what} '{name}'.{hint} {everything}"


def _nearest(name: str, options: Sequence[str], count: int) -> list[str]:
    """Find names that contain this one, the plainest first; else names with a similar spelling."""
    inside = [option for option in options if f"-{name.lower()}-" in f"-{option}-"]
    inside.sort(key=lambda option: option.count("-"))
    return inside[:count] or difflib.get_close_matches(name, options, n=count, cutoff=0.5)


def _check_options(
    part: str, given: Mapping[str, object], made_by: Callable[..., object], *decided: str
) -> None:
    """Refuse options that the maker of a part does not take, or that are decided otherwise."""
    known = [name for name in inspect.signature(made_by).parameters if name not in decided]
    for key in given:
        if key not in known:
            raise TypeError(unknown(f"{part} option", key, known))


def _changed(
    method: Method, given: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Merge options with those that the method's suffix stands for."""
    for key in given:
        if key in changes:
            raise TypeError(f"{method.name} says itself what {key} is: {changes[key]}")
    return {**given, **changes}


def build(
    method: str,
    *,
    encoder: Mapping[str, Any] | None = None,
    decoder: Mapping[str, Any] | None = None,
    head: Mapping[str, Any] | None = None,
    upsampler: Mapping[str, Any] | None = None,
    ensemble: bool = True,
    lookup: bool = False,
    encoders: Mapping[str, Callable[..., Encoder]] = ENCODERS,
) -> SRModel:
    """Build the untrained network of a method, at the paper's sizes unless overridden.

    Args:
        method: a name of `methods()`, with or without a suffix.
        encoder: options of the encoder (EDSR: blocks, features) or system.
        decoder: options of the decoder (width, depth; LIIF: unfold, cell).
        head: options of the head family (MoEISR: those of `moeisr.model.build_head`), or of a plain
            MLP: `hidden`, the widths of its layers where they differ from one another.
        upsampler: options of the upsampler for several scales (IGConv: width, layers, scales).
        ensemble: whether to use the local ensemble of four latent codes.
        lookup: whether to wrap a fixed-scale network as in the LIIF project, `FixedScaleLookup`.
        encoders: makers of encoders by name. Networks that are never run may share an encoder.

    Raises:
        UnknownMethodError: the name is unknown, or its suffix is about an expert that does not
            exist.
        TypeError: an option is unknown (the message names the nearest), is decided by the name, or
            does not concern the method.

    Example:
        >>> model = build("edsr-liif", encoder={"blocks": 1, "features": 8})
        >>> sum(p.numel() for p in model.parameters()) > 0
        True
    """
    found = parse(method)
    if lookup and found.scale is None:
        raise TypeError(f"{method} has no fixed scale, so it is no look-up in its output")
    parts = {"encoder": encoder, "decoder": decoder, "head": head, "upsampler": upsampler}
    given: dict[str, Any] = {part: options for part, options in parts.items() if options}
    settings = {"ensemble": (ensemble, True), "lookup": (lookup, False)}
    given |= {name: value for name, (value, usual) in settings.items() if value != usual}
    if encoders is not ENCODERS:
        given["encoders"] = encoders
    parameters = inspect.signature(found.make).parameters
    if all(parameter.kind != parameter.VAR_KEYWORD for parameter in parameters.values()):
        for part in parts.keys() & given.keys() - parameters.keys():
            _check_options(part, given[part], lambda: None)
        given = {name: value for name, value in given.items() if name in parameters}
    return found.make(found, **given)


_NOTHING: Mapping[str, Any] = MappingProxyType({})
_Encoders = Mapping[str, Callable[..., Encoder]]


def _make_encoder(
    method: Method, options: Mapping[str, Any], encoders: _Encoders, **scale: int
) -> Encoder:
    _check_options("encoder", options, encoders[method.encoder], "scale")
    return encoders[method.encoder](**options, **scale)


def _multi_scale(
    method: Method,
    encoder: Mapping[str, Any] = _NOTHING,
    upsampler: Mapping[str, Any] = _NOTHING,
    encoders: _Encoders = ENCODERS,
) -> SRModel:
    make: Callable[..., Upsampler] = UPSAMPLERS[method.upsampler]
    _check_options("upsampler", upsampler, make, "channels")
    backbone = UPSAMPLERS[method.upsampler].backbones[method.encoder]
    network = _make_encoder(method, {**backbone.encoder, **encoder}, encoders)
    made = make(network.out_channels, **{**backbone.upsampler, **upsampler})
    colours = Colours("unit", shifted=backbone.shifted)
    return MultiScaleSR(network, made, colours, backbone.names(network))


def _fixed_scale(
    method: Method,
    encoder: Mapping[str, Any] = _NOTHING,
    lookup: bool = False,
    encoders: _Encoders = ENCODERS,
) -> SRModel:
    assert method.scale is not None
    network = _make_encoder(method, encoder, encoders, scale=method.scale)
    if not lookup:
        return FixedScaleSR(network, method.scale, network.upsampled_range)
    if network.upsampled_range != FixedScaleLookup.input_range:
        raise ValueError("the LIIF project's wrapper works on [-1, 1]")
    return FixedScaleLookup(network, method.scale)


def _implicit(
    method: Method,
    encoder: Mapping[str, Any] = _NOTHING,
    decoder: Mapping[str, Any] = _NOTHING,
    head: Mapping[str, Any] = _NOTHING,
    ensemble: bool = True,
    encoders: _Encoders = ENCODERS,
) -> SRModel:
    network = _make_encoder(method, encoder, encoders)
    make = DECODERS[method.decoder]
    usual = make.for_encoder.get(method.encoder, {})
    options = {**usual, **_changed(method, decoder, method.changes.decoder)}
    _check_options("decoder", options, make, "channels")
    # Every decoder takes the channels first; only the abstract class does not say so.
    made_decoder: Decoder = make(network.out_channels, **options)
    made_head = _make_head(method, made_decoder, network.out_channels, head)
    return ImplicitSR(network, made_decoder, made_head, ensemble=ensemble)


def _make_head(
    method: Method, made_decoder: Decoder, channels: int, given: Mapping[str, Any]
) -> Head:
    if not method.head:
        _check_options("head", given, made_decoder.own_mlp)
        return MLPHead(made_decoder.own_mlp(**given))
    family, options = heads()[method.head], _changed(method, given, method.changes.head)
    _check_options("head", options, family.build, "decoder", "latent_channels", "variant")
    made = family.build(made_decoder, channels, method.variant, **options)
    if max(method.changes.balance, default=0) > len(made.mlps):
        raise UnknownMethodError(f"{method.name}: it has {len(made.mlps)} experts only")
    return made


read_folders()
