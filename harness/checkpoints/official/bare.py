"""State dicts without a specification: their networks are recognised by keys and shapes.

SwinIR's, SeemoRe's and IGConv's projects publish their networks so, and so do EDSR's and PyTorch
versions of RDN. The colour values that a network works on follow from its colour shift (EDSR), or
from its project (SwinIR, SeemoRe, IGConv, RDN). Otherwise they are assumed to be the LIIF
project's, [-1, 1], which `Bare.note` says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from baselines.names import SAME, Names
from baselines.registry import FIXED_SCALES
from harness.checkpoints.official import encoders, igconv, seemore
from harness.checkpoints.official.adapter import NetworkAdapter, differing, our_defaults
from harness.checkpoints.official.constructed import shift_range
from harness.checkpoints.official.plans import Plan, Spec
from harness.checkpoints.official.sizes import (
    State,
    count,
    positions_of,
    rdn_sizes,
    transformer_sizes,
)
from harness.common.errors import HarnessError, UsageError


@dataclass(frozen=True)
class Bare:
    """State dict that was recognised.

    Attributes:
        project: project that the network belongs to.
        plan: how the network is built.
        values: colour values that the file or its project decides; "" where they are assumed.
        note: what is assumed; "" for nothing.
        averaged: whether its project measures the running average of the weights, where a file has
            both.
    """

    project: str
    plan: Plan
    values: str
    note: str = ""
    averaged: bool = False


def recognise(state: State, values: str | None = None, network: Spec | None = None) -> Bare | None:
    """Recognise the network of a bare state dict; None for an unknown kind.

    Args:
        state: state dict by official names.
        values: colour values of the network, where the file does not say: signed, unit, bytes.
        network: official name and arguments, where the file does not say (IGConv).

    Raises:
        HarnessError: the kind is known but not supported, or the shapes make no sense.
        UsageError: values or arguments contradict the file.
    """
    if any(sign in state for sign in igconv.SIGNS):
        plan, note = igconv.plan_of_state(state, network)
        found = Bare(igconv.PROJECT, plan, "unit", note, averaged=True)
        return found if values is None else _with_values(found, values)
    if network is not None:
        raise UsageError("Only networks of the IGConv project need their arguments.")
    for sign, read in _KINDS.items():
        if sign in state:
            found = read(state)
            return found if values is None else _with_values(found, values)
    return None


def _with_values(found: Bare, values: str) -> Bare:
    if found.values and values != found.values:
        raise UsageError(f"This network of the {found.project} works on {found.values} values.")
    if found.values:
        return found
    options = dict(found.plan.options.get("encoder") or {})
    if values != "signed":
        options["values"] = values
        if found.plan.encoder is encoders.EDSR:
            options["shifted"] = True  # only the LIIF project switches the shift off
    given = {"encoder": options} if options else {}
    note = f"said to work on {values} values"
    return replace(found, plan=replace(found.plan, options=given), note=note)


def _plan(
    adapter: NetworkAdapter, scale: int, options: Mapping[str, Any], names: Names = SAME
) -> Plan:
    if scale not in FIXED_SCALES:
        raise HarnessError(f"The checkpoint enlarges by {scale}; known are 2, 3 and 4.")
    changed = differing(options, our_defaults(adapter.ours))
    build = {"encoder": changed} if changed else {}
    return Plan(f"{adapter.ours}-x{scale}", build, adapter, "", names)


def _scale(state: State, prefix: str, features: int) -> int:
    """Find the scale from sub-pixel convolutions: channels times nine is x3, else x2 each."""
    steps = [v for k, v in state.items() if re.fullmatch(rf"{re.escape(prefix)}\.\d+\.weight", k)]
    shuffles = [v for v in steps if v.shape[0] % 4 == 0 or v.shape[0] % 9 == 0]
    if not shuffles:
        raise HarnessError(f"The checkpoint has no upsampler of sub-pixel convolutions ({prefix}).")
    return 3 if shuffles[0].shape[0] == 9 * features else int(2 ** len(shuffles))


# EDSR-baseline


def _edsr(state: State) -> Bare:
    if "body.0.body.0.body.0.weight" in state:
        raise HarnessError("The checkpoint is an RCAN; it is read in the LIIF project's layout.")
    features = state["head.0.weight"].shape[0]
    blocks = count(state, r"body\.(\d+)\.body\.0\.weight")
    if "tail.0.0.weight" not in state:
        raise HarnessError(
            "The checkpoint holds an EDSR without its upsampler, or another network."
        )
    if features >= 256:
        raise HarnessError(
            f"This is EDSR with {features} features, which scales its residuals by a factor that "
            "is not in the file; only EDSR-baseline is supported."
        )
    shift = shift_range(state)
    if shift not in (1, 255):
        raise HarnessError(
            "The file does not say what colour values this EDSR works on: it has no colour shift "
            "(sub_mean, add_mean) of range 1 or 255.",
            'Keep it in the layout of the LIIF project, {"model": {"name", "args", "sd"}}.',
        )
    scale = _scale(state, "tail.0", features)
    sizes = {"blocks": blocks, "features": features}
    if shift == 255:
        own = {**sizes, "values": "bytes", "shifted": True}
        return Bare("EDSR project", _plan(encoders.EDSR, scale, own), "bytes")
    note = "taken for the LIIF project's by its colour shift of range 1: [-1, 1], no shift"
    return Bare("LIIF project", _plan(encoders.EDSR, scale, sizes), "", note)


# RDN


def _rdn(state: State) -> Bare:
    sizes = rdn_sizes(state, r"RDBs\.(\d+)\.convs\.(\d+)\.conv\.0\.weight", "SFENet1.weight")
    scale = _scale(_but_last(state, "UPNet"), "UPNet", sizes["growth"])
    note = "taken for the LIIF project's by its names: [-1, 1]; the file does not say"
    return Bare("LIIF project", _plan(encoders.RDN, scale, sizes), "", note)


def _but_last(state: State, prefix: str) -> State:
    """Drop the convolution that makes colours, the last below a prefix."""
    numbers = [int(m[1]) for key in state if (m := re.match(rf"{prefix}\.(\d+)\.", key))]
    last = f"{prefix}.{max(numbers, default=0)}."
    return {key: value for key, value in state.items() if not key.startswith(last)}


def pytorch_rdn_names(scale: int) -> Names:
    """Pair the names of RDN-pytorch (yjn870), whose last convolution is separate, with LIIF's."""
    return Names(
        (
            ("sfe1", "SFENet1"),
            ("sfe2", "SFENet2"),
            ("rdbs.{}.layers.{}.conv", "RDBs.{}.convs.{}.conv.0"),
            ("rdbs.{}.lff", "RDBs.{}.LFF"),
            ("gff", "GFF"),
            ("output", f"UPNet.{4 if scale == 4 else 2}"),
            ("upscale", "UPNet"),
        )
    )


def _pytorch_rdn(state: State) -> Bare:
    sizes = rdn_sizes(state, r"rdbs\.(\d+)\.layers\.(\d+)\.conv\.weight", "sfe1.weight")
    if sizes["features"] != sizes["growth"]:
        raise HarnessError(
            "The checkpoint is an RDN whose blocks do not pass on as many features as they get "
            f"({sizes['features']} and {sizes['growth']})."
        )
    scale = _scale(state, "upscale", sizes["features"])
    plan = _plan(encoders.RDN, scale, {**sizes, "values": "unit"}, pytorch_rdn_names(scale))
    return Bare("RDN-pytorch project", plan, "unit")


# SwinIR

_NOT_CLASSICAL = {
    "conv_up1.weight": "for real-world SR",
    "layers.0.conv.0.weight": "with the convolutions of the large real-world network",
    "absolute_pos_embed": "with absolute positions",
}


def _swinir(state: State) -> Bare:
    _check_classical(state)
    features = state["conv_before_upsample.0.weight"].shape[0]
    sizes = {"features": features, "window": positions_of(state), **transformer_sizes(state)}
    scale = _scale(state, "upsample", features)
    return Bare("SwinIR project", _plan(encoders.SWINIR, scale, sizes), "unit")


def _check_classical(state: State) -> None:
    """Refuse the SwinIR networks that are not for classical SR.

    Raises:
        HarnessError: the network is another one; the message says which.
    """
    reasons = [why for key, why in _NOT_CLASSICAL.items() if key in state]
    if "upsample.0.weight" not in state:
        reasons.append("without an upsampler (for denoising or JPEG artefacts, or an encoder)")
    elif "conv_before_upsample.0.weight" not in state:
        reasons.append("for lightweight SR")
    if state["conv_first.weight"].dim() != 4 or state["conv_first.weight"].shape[1] != 3:
        reasons.append("for other images than RGB")
    if reasons:
        raise HarnessError(f"The checkpoint is a SwinIR {reasons[0]}; classical SR is supported.")


# SeemoRe


def _seemore(state: State) -> Bare:
    found = seemore.found(state)
    plan = _plan(seemore.ADAPTERS[found.size], found.scale, found.options)
    unseen = ", ".join(f"{name} {found.options[name]}" for name in seemore.UNSEEN)
    note = f"assumed, since the file does not say it: {unseen}" if found.assumed else ""
    return Bare(seemore.PROJECT, plan, "unit", note)


# A key that only this kind of network has, and how it is read.
_KINDS: dict[str, Callable[[State], Bare]] = {
    "layers.0.residual_group.blocks.0.attn.relative_position_bias_table": _swinir,
    "SFENet1.weight": _rdn,
    "sfe1.weight": _pytorch_rdn,
    "head.0.weight": _edsr,
    seemore.SIGN: _seemore,
}
