"""Specifications `{"name", "args"}` of the LIIF, LTE and LMF projects, and our methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from baselines.registry import FIXED_SCALES, parse, unknown
from harness.checkpoints.official import lmf
from harness.checkpoints.official.adapter import (
    Options,
    Part,
    decoder_options,
    differing,
    take,
)
from harness.checkpoints.official.encoders import SWINIR, part_of, spec_of
from harness.checkpoints.official.plans import Plan, Spec, feature_encoder
from harness.checkpoints.official.seemore import UNSEEN
from harness.common.errors import HarnessError


def beyond_weights(options: Mapping[str, Any]) -> dict[str, Any]:
    """Select the settings that change a network's results and are not visible in its weights.

    Args:
        options: options for `baselines.build`.

    Returns:
        Those settings that are not the paper's.
    """
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


def build_in_words(method: str, options: Mapping[str, Any]) -> str:
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


@dataclass
class _Made:
    """Options of `baselines.build` while they are collected."""

    decoder: Options = field(default_factory=dict)
    head: Options = field(default_factory=dict)
    ensemble: bool = True

    def mlp(self, spec: Mapping[str, Any], width: int) -> None:
        """Read an official MLP over a decoder of this width."""
        args = take("MLP", spec["args"], {"in_dim": 0, "out_dim": 3, "hidden_list": ()})
        if spec["name"] != "mlp" or args["out_dim"] != 3:
            raise HarnessError(
                f"The checkpoint's MLP is of a kind this version does not know: {dict(spec)}"
            )
        hidden = [int(n) for n in args["hidden_list"]]
        self.decoder["depth"] = len(hidden) + 1
        if set(hidden) - {width}:
            self.head["hidden"] = hidden

    def plan(self, name: str, part: Part, decoder_defaults: Options) -> Plan:
        """Make the plan from an official name, an encoder, and these options."""
        method = f"{part.adapter.ours}-{name}"
        decoder = differing(self.decoder, decoder_defaults)
        alone = not (self.head or part.options) and self.ensemble
        if alone and list(decoder) == ["depth"] and 2 <= decoder["depth"] <= 9:
            method, decoder = f"{method}-{decoder['depth']}layer", {}
        options: dict[str, Any] = {"encoder": part.options, "decoder": decoder, "head": self.head}
        options = {key: value for key, value in options.items() if value}
        if not self.ensemble:
            options["ensemble"] = False
        return Plan(method, options, part.adapter)


def _liif(args: Mapping[str, Any]) -> Plan:
    known = {
        "encoder_spec": None,
        "imnet_spec": None,
        "local_ensemble": True,
        "feat_unfold": True,
        "cell_decode": True,
    }
    a = take("LIIF", args, known)
    if a["imnet_spec"] is None:
        return _lookup(a["encoder_spec"])
    part = feature_encoder(a["encoder_spec"])
    made = _Made({"unfold": bool(a["feat_unfold"]), "cell": bool(a["cell_decode"])})
    made.ensemble = bool(a["local_ensemble"])
    hidden = list(a["imnet_spec"]["args"]["hidden_list"])
    width = hidden[0] if len(set(hidden)) == 1 else 256
    made.decoder["width"] = width
    made.mlp(a["imnet_spec"], width)
    return made.plan("liif", part, {"width": 256, "depth": 5, "unfold": True, "cell": True})


def _lookup(encoder_spec: Mapping[str, Any]) -> Plan:
    """Plan LIIF's wrapper of a fixed-scale network, without an MLP."""
    plan = _alone(str(encoder_spec["name"]), encoder_spec.get("args") or {})
    return Plan(plan.method, {**plan.options, "lookup": True}, plan.encoder)


def _lte(args: Mapping[str, Any]) -> Plan:
    a = take("LTE", args, {"encoder_spec": None, "imnet_spec": None, "hidden_dim": 256})
    part = feature_encoder(a["encoder_spec"])
    made = _Made({"width": a["hidden_dim"]})
    made.mlp(a["imnet_spec"], a["hidden_dim"])
    return made.plan("lte", part, {"width": 256, "depth": 4})


def _metasr(args: Mapping[str, Any]) -> Plan:
    a = take("Meta-SR", args, {"encoder_spec": None})
    return _Made().plan("metasr", feature_encoder(a["encoder_spec"]), {})


def _alone(name: str, args: Mapping[str, Any]) -> Plan:
    """Plan a network with its own upsampler."""
    part = part_of({"name": name, "args": args})
    if part.scale is None:
        raise HarnessError("The checkpoint holds an encoder alone, which makes no image.")
    if part.scale not in FIXED_SCALES:
        raise HarnessError(f"The checkpoint enlarges by {part.scale}; known are 2, 3 and 4.")
    method = f"{part.adapter.ours}-x{part.scale}"
    options = {"encoder": part.options} if part.options else {}
    return Plan(method, options, part.adapter, "")


_NETWORKS: dict[str, Callable[[Mapping[str, Any]], Plan]] = {
    "liif": _liif,
    "lte": _lte,
    "metasr": _metasr,
    "lmliif": lmf.lmliif,
    "lmlte": lmf.lmlte,
    **{name: partial(_alone, name) for name in ("edsr-baseline", "edsr", "rdn", "rcan")},
}


def plan_of(name: str, args: Mapping[str, Any]) -> Plan:
    """Plan our network for an official specification.

    Raises:
        HarnessError: an architecture, argument or value is unknown.
    """
    if name not in _NETWORKS:
        raise HarnessError(unknown("official architecture", name, _NETWORKS))
    return _NETWORKS[name](args)


def project_of(name: str, plan: Plan) -> str:
    """Find the project of a specification: LTE's code has SwinIR as encoder, LIIF's does not."""
    if name in lmf.NAMES:
        return "LMF project"
    return "LTE project" if name == "lte" or plan.encoder is SWINIR else "LIIF project"


def spec_for(method: str, options: Mapping[str, Any]) -> Spec:
    """Make the official specification of one of our networks; the inverse of `plan_of`.

    Args:
        method: method that it was built as.
        options: options that it was built with.

    Raises:
        HarnessError: no official project has such a network.
    """
    parts = parse(method)
    if parts.head:
        raise HarnessError(
            f"{method} has no official layout: no code of MoEISR was published.",
            "Share the checkpoint as it is; `harness eval --checkpoint` reads it.",
        )
    encoder = spec_of(parts.encoder, options.get("encoder") or {}, parts.scale)
    if options.get("lookup"):
        return {"name": "liif", "args": {"encoder_spec": encoder}}
    if not parts.decoder:
        return encoder
    made = decoder_options(parts, options.get("decoder") or {})
    arguments = lmf.arguments if parts.decoder in lmf.NAMES else _arguments
    own = arguments(parts.decoder, made, options)
    return {"name": parts.decoder, "args": {"encoder_spec": encoder, **own}}


def _arguments(decoder: str, made: Options, options: Mapping[str, Any]) -> dict[str, Any]:
    """Make the official arguments of LIIF, LTE or Meta-SR from complete options of the decoder."""
    hidden = list((options.get("head") or {}).get("hidden", [made["width"]] * (made["depth"] - 1)))
    imnet = {"name": "mlp", "args": {"out_dim": 3, "hidden_list": hidden}}
    ensemble = options.get("ensemble", True)
    if decoder == "liif":
        switches = {
            "local_ensemble": ensemble,
            "feat_unfold": made["unfold"],
            "cell_decode": made["cell"],
        }
        return {"imnet_spec": imnet, **{k: v for k, v in switches.items() if not v}}
    if decoder == "lte":
        if not ensemble:
            raise HarnessError("The official LTE always has the local ensemble; this one has not.")
        return {"imnet_spec": imnet, "hidden_dim": made["width"]}
    if decoder != "metasr":
        raise HarnessError(f"No official project is known for {decoder}.")
    if hidden != [256]:
        raise HarnessError(f"The official Meta-SR has one hidden layer of 256, not {hidden}.")
    return {}
