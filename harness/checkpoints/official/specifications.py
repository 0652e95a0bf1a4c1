"""Specifications `{"name", "args"}` of the LIIF, LTE and LMF projects, and our methods.

One table for encoders and one for decoders pair official arguments with our options; `build_of`
reads specifications by them, and `spec_for` writes specifications.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from baselines.registry import DECODERS, FIXED_SCALES, unknown
from harness.checkpoints.official.builds import (
    Build,
    Options,
    Spec,
    decoder_options,
    differing,
    make_build,
    our_defaults,
    take,
)
from harness.common.errors import HarnessError

# Encoders


@dataclass(frozen=True)
class OfficialEncoder:
    """Encoder of the official projects, which we call `ours`.

    Attributes:
        defaults: its official arguments.
        pairs: official arguments, and our options that they are.
    """

    ours: str
    defaults: Options
    pairs: Mapping[str, str] = field(default_factory=dict)

    def options(self, args: Options) -> dict[str, Any]:
        """Make our options from complete official arguments."""
        return {ours: args[theirs] for theirs, ours in self.pairs.items()}

    def arguments(self, options: Options) -> dict[str, Any]:
        """Make official arguments from our complete options."""
        return {theirs: options[ours] for theirs, ours in self.pairs.items()}


class _RDN(OfficialEncoder):
    """RDN, whose sizes have letters."""

    sizes = ("blocks", "layers", "growth")
    configurations = {"A": (20, 6, 32), "B": (16, 8, 64)}  # noqa: RUF012

    def options(self, args: Options) -> dict[str, Any]:
        if args["RDNkSize"] != 3 or args["RDNconfig"] not in self.configurations:
            raise HarnessError("Only RDN of configurations A and B with 3x3 kernels is supported.")
        sizes = zip(self.sizes, self.configurations[args["RDNconfig"]], strict=True)
        return {**super().options(args), **dict(sizes)}

    def arguments(self, options: Options) -> dict[str, Any]:
        sizes = tuple(options[name] for name in self.sizes)
        for letter, configuration in self.configurations.items():
            if sizes == configuration:
                return {**super().arguments(options), "RDNconfig": letter}
        raise HarnessError(
            f"The official RDN has no configuration of {sizes[0]} blocks with {sizes[1]} layers "
            f"that grow by {sizes[2]}; it has A (20, 6, 32) and B (16, 8, 64)."
        )


class _SwinIR(OfficialEncoder):
    """SwinIR of the LTE project, where everything but the upsampler is fixed."""

    def options(self, args: Options) -> dict[str, Any]:
        if not args["no_upsampling"]:
            raise HarnessError("SwinIR in the LTE project is supported as an encoder only.")
        return {}

    def arguments(self, options: Options) -> dict[str, Any]:
        changed = differing(options, our_defaults(self.ours))
        changed.pop("drop_path", None)  # of training, and in no official file
        if changed:
            raise HarnessError(
                f"The SwinIR encoder of the LTE project has fixed sizes; here {changed} differ."
            )
        return {}


_UPSAMPLER = {"scale": 2, "no_upsampling": False}
_EDSR = {"n_resblocks": 16, "n_feats": 64, "res_scale": 1, "rgb_range": 1, **_UPSAMPLER}
_EDSR_PAIRS = {"n_resblocks": "blocks", "n_feats": "features", "res_scale": "residual_scale"}
_RCAN = {"n_resgroups": 10, "n_resblocks": 20, "n_feats": 64, "reduction": 16}
_RCAN_PAIRS = {"n_resgroups": "groups", "n_resblocks": "blocks", "n_feats": "features"}
ENCODERS = {
    "edsr-baseline": OfficialEncoder("edsr", _EDSR, _EDSR_PAIRS),
    # The official configurations of LIIF and LTE name the large EDSR so.
    "edsr": OfficialEncoder(
        "edsr", {**_EDSR, "n_resblocks": 32, "n_feats": 256, "res_scale": 0.1}, _EDSR_PAIRS
    ),
    "rdn": _RDN(
        "rdn", {"G0": 64, "RDNkSize": 3, "RDNconfig": "B", **_UPSAMPLER}, {"G0": "features"}
    ),
    "rcan": OfficialEncoder(
        "rcan", {**_RCAN, "rgb_range": 1, **_UPSAMPLER}, {**_RCAN_PAIRS, "reduction": "reduction"}
    ),
    "swinir": _SwinIR("swinir", _UPSAMPLER),
}


def _read_encoder(spec: Options) -> tuple[str, dict[str, Any], int | None]:
    """Find our encoder, its options, and the scale of its own upsampler; None without."""
    name = str(spec["name"])
    if name not in ENCODERS:
        raise HarnessError(unknown("official encoder", name, ENCODERS))
    found = ENCODERS[name]
    args = take(name, spec.get("args") or {}, found.defaults)
    options = differing(found.options(args), our_defaults(found.ours))
    return found.ours, options, None if args["no_upsampling"] else int(args["scale"])


def _encoder_spec(encoder: str, options: Options, scale: int | None) -> Spec:
    """Make the official specification of our encoder; HarnessError where there is none like it."""
    for name, official in ENCODERS.items():
        if official.ours == encoder:
            args = official.arguments({**our_defaults(encoder), **options})
            tail = {"no_upsampling": True} if scale is None else {"scale": scale}
            return {"name": name, "args": {**differing(args, official.defaults), **tail}}
    raise HarnessError(f"No official project is known for {encoder}.")


# Decoders


def _read_mlp(args: Options) -> dict[str, Any]:
    """Read the MLP of LIIF or LTE: options of decoder and head."""
    spec = args["imnet_spec"]
    mlp = take("MLP", spec["args"], {"in_dim": 0, "out_dim": 3, "hidden_list": ()})
    if spec["name"] != "mlp" or mlp["out_dim"] != 3:
        raise HarnessError(
            f"The checkpoint's MLP is of a kind this version does not know: {dict(spec)}"
        )
    hidden = [int(n) for n in mlp["hidden_list"]]
    width = args.get("hidden_dim", hidden[0] if len(set(hidden)) == 1 else 256)
    head = {"hidden": hidden} if set(hidden) - {width} else {}
    return {"decoder": {"width": width, "depth": len(hidden) + 1}, "head": head}


def _hidden(decoder: Options, head: Options) -> list[int]:
    return list(head.get("hidden", [decoder["width"]] * (decoder["depth"] - 1)))


def _write_mlp(decoder: Options, head: Options) -> dict[str, Any]:
    args = {"out_dim": 3, "hidden_list": _hidden(decoder, head)}
    return {"imnet_spec": {"name": "mlp", "args": args}}


def _write_metasr(decoder: Options, head: Options) -> dict[str, Any]:
    hidden = _hidden(decoder, head)
    if hidden != [256]:
        raise HarnessError(f"The official Meta-SR has one hidden layer of 256, not {hidden}.")
    return {}


_MODULATED = {"mod_scale": True, "mod_shift": True}
_RENDER = {
    **{"in_dim": 0, "out_dim": 3, "hidden_dim": 16, "hidden_depth": 0},
    **{**_MODULATED, "mod_up_merge": False, "use_conv": False},
}


def _read_lmf(args: Options) -> dict[str, Any]:
    """Read render MLP and latent MLP of LM-LIIF or LM-LTE."""
    render = take("render MLP", args["imnet_spec"]["args"], _RENDER)
    latent = take("latent MLP", args["hypernet_spec"]["args"], {"out_dim": 0, "hidden_list": ()})
    modulated = render["mod_scale"] and render["mod_shift"]
    if not modulated or render["use_conv"] or render["out_dim"] != 3:
        raise HarnessError(
            "The checkpoint's render MLP is of a kind this version does not know (known: linear "
            f"layers with scale and shift, three outputs): {dict(args['imnet_spec'])}"
        )
    if len(latent["hidden_list"]) != 1:
        raise HarnessError(
            f"The checkpoint's latent MLP has {len(latent['hidden_list'])} hidden layers; known is "
            "one."
        )
    if args["cmsr_spec"] is not None:
        raise HarnessError(
            "The checkpoint brings tables of multi-scale rendering (cmsr_spec), which are not part "
            "of a network here.",
            "Make them with `harness cmsr`, or leave the key out.",
        )
    if "hidden_dim" in args and not args["mod_input"]:
        raise HarnessError(
            "The checkpoint's LM-LTE renders with the encoder's own amplitudes (mod_input is not "
            "set), which this version does not know."
        )
    width, depth = render["hidden_dim"], render["hidden_depth"] + 1
    return {"decoder": {"width": width, "depth": depth, "latent_width": latent["hidden_list"][0]}}


def _write_lmf(decoder: Options, head: Options) -> dict[str, Any]:
    del head
    width, depth = decoder["width"], decoder["depth"]
    # LM-LTE's render MLP takes amplitudes and frequencies, LM-LIIF's a compressed code or none.
    code = width * decoder["compressed"] if "compressed" in decoder else 2 * width
    render = {"out_dim": 3, "hidden_dim": width, "hidden_depth": depth - 1, **_MODULATED}
    latent = {"out_dim": 2 * width * (depth - 1) + code, "hidden_list": [decoder["latent_width"]]}
    return {
        "imnet_spec": {"name": "lmmlp", "args": render},
        "hypernet_spec": {"name": "mlp", "args": latent},
        "mod_input": True,
    }


@dataclass(frozen=True)
class OfficialDecoder:
    """Network of the official projects for any scale, named as our decoder.

    Attributes:
        defaults: its official arguments, without the encoder.
        pairs: official arguments, and options of our decoder (or `ensemble`) that they are.
        read: makes the options of the MLPs from complete official arguments.
        write: makes the official arguments of the MLPs from complete options of decoder and head.
    """

    project: str
    defaults: Options
    pairs: Mapping[str, str]
    read: Callable[[Options], dict[str, Any]]
    write: Callable[[Options, Options], dict[str, Any]]


_LIIF = {"local_ensemble": "ensemble", "feat_unfold": "unfold", "cell_decode": "cell"}
_SWITCHES = {"local_ensemble": True, "cell_decode": True}
_LMF = {
    **_SWITCHES,
    "imnet_spec": None,
    "hypernet_spec": None,
    "mod_input": False,
    "cmsr_spec": None,
}
_LMLTE = {"local_ensemble": "ensemble", "hidden_dim": "fourier_width", "cell_decode": "cell"}
NETWORKS = {
    "liif": OfficialDecoder(
        "LIIF project",
        {"imnet_spec": None, **_SWITCHES, "feat_unfold": True},
        _LIIF,
        _read_mlp,
        _write_mlp,
    ),
    "lte": OfficialDecoder(
        "LTE project",
        {"imnet_spec": None, "hidden_dim": 256},
        {"hidden_dim": "width"},
        _read_mlp,
        _write_mlp,
    ),
    "metasr": OfficialDecoder("LIIF project", {}, {}, lambda _: {"decoder": {}}, _write_metasr),
    "lmliif": OfficialDecoder(
        "LMF project",
        {**_LMF, "feat_unfold": True},
        {**_LIIF, "mod_input": "compressed"},
        _read_lmf,
        _write_lmf,
    ),
    "lmlte": OfficialDecoder(
        "LMF project", {**_LMF, "hidden_dim": 128}, _LMLTE, _read_lmf, _write_lmf
    ),
}


def build_of(name: str, args: Options) -> Build:
    """Make the build of our network for an official specification.

    Raises:
        HarnessError: an architecture, argument or value is unknown.
    """
    if name in ENCODERS:
        return _build_alone({"name": name, "args": args})
    if name not in NETWORKS:
        raise HarnessError(unknown("official architecture", name, [*NETWORKS, *ENCODERS]))
    network = NETWORKS[name]
    a = take(DECODERS[name].label, args, {"encoder_spec": None, **network.defaults})
    if name == "liif" and a["imnet_spec"] is None:
        return _build_alone(a["encoder_spec"], lookup=True)
    made = network.read(a)
    for theirs, ours in network.pairs.items():
        switch = isinstance(network.defaults[theirs], bool)
        made["decoder"][ours] = bool(a[theirs]) if switch else a[theirs]
    encoder, own, scale = _read_encoder(a["encoder_spec"])
    if scale is not None:
        raise HarnessError(
            "The checkpoint's encoder has an upsampler of its own under an implicit decoder, "
            "which this version does not know (no_upsampling is not set)."
        )
    ensemble = None if made["decoder"].pop("ensemble", True) else False
    plain = make_build(f"{encoder}-{name}")
    decoder = differing(made["decoder"], decoder_options(plain.method))
    head = made.get("head", {})
    alone = not (own or head) and ensemble is None and list(decoder) == ["depth"]
    if alone and DECODERS[name].routable and 2 <= decoder["depth"] <= 9:
        return make_build(f"{plain.method.name}-{decoder['depth']}layer")
    return make_build(plain.method.name, encoder=own, decoder=decoder, head=head, ensemble=ensemble)


def _build_alone(spec: Options, **options: Any) -> Build:
    """Make the build of a network with its own upsampler."""
    encoder, own, scale = _read_encoder(spec)
    if scale is None:
        raise HarnessError("The checkpoint holds an encoder alone, which makes no image.")
    return make_build(f"{encoder}-x{known_scale(scale)}", encoder=own, **options)


def known_scale(scale: int) -> int:
    """Return a scale that networks with their own upsampler have here; HarnessError for others."""
    if scale not in FIXED_SCALES:
        raise HarnessError(f"The checkpoint enlarges by {scale}; known are 2, 3 and 4.")
    return scale


def project_of(name: str, build: Build) -> str:
    """Find the project of a specification: LTE's code has SwinIR as encoder, LIIF's does not."""
    own = NETWORKS[name].project if name in NETWORKS else "LIIF project"
    return "LTE project" if own == "LIIF project" and build.method.encoder == "swinir" else own


def spec_for(build: Build) -> Spec:
    """Make the official specification of one of our networks; the inverse of `build_of`.

    Raises:
        HarnessError: no official project has such a network.
    """
    method, options = build.method, build.options
    if method.head:
        raise HarnessError(
            f"{method.name} has no official layout: no code of MoEISR was published.",
            "Share the checkpoint as it is; `harness eval --checkpoint` reads it.",
        )
    encoder = _encoder_spec(method.encoder, options.get("encoder") or {}, method.scale)
    if options.get("lookup"):
        return {"name": "liif", "args": {"encoder_spec": encoder}}
    if not method.decoder:
        return encoder
    if method.decoder not in NETWORKS:
        raise HarnessError(f"No official project is known for {method.decoder}.")
    network, made = NETWORKS[method.decoder], decoder_options(method, options.get("decoder"))
    made["ensemble"] = options.get("ensemble", True)
    if method.decoder == "lte" and not made["ensemble"]:
        raise HarnessError("The official LTE always has the local ensemble; this one has not.")
    own = network.write(made, options.get("head") or {})
    own |= {theirs: made[ours] for theirs, ours in network.pairs.items()}
    return {"name": method.decoder, "args": {"encoder_spec": encoder, **own}}
