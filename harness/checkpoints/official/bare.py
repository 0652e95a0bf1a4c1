"""State dicts without a specification: their networks are recognised by keys and shapes.

SwinIR's, SeemoRe's and IGConv's projects publish their networks so, and so do EDSR's and PyTorch
versions of RDN. The colour values that a network works on follow from its colour shift (EDSR), or
from its project (SwinIR, SeemoRe, IGConv, RDN). Otherwise they are assumed to be the LIIF
project's, [-1, 1], which `Bare.note` says.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from baselines.names import SAME, Names
from baselines.systems.seemore import SIZES
from harness.checkpoints.official.builds import (
    UNSEEN,
    Build,
    Options,
    State,
    differing,
    make_build,
    our_defaults,
)
from harness.checkpoints.official.constructed import shift_range
from harness.checkpoints.official.specifications import known_scale
from harness.common.errors import HarnessError, UsageError


@dataclass(frozen=True)
class Bare:
    """State dict that was recognised as a network of a project.

    Attributes:
        values: colour values that the file or its project decides; "" where they are assumed.
        note: what is assumed; "" for nothing.
        averaged: whether its project measures the running average of the weights, where a file has
            both.
    """

    project: str
    build: Build
    values: str
    note: str = ""
    averaged: bool = False

    def with_values(self, values: str) -> Bare:
        """Tell what colour values the network works on; UsageError where that contradicts it."""
        if self.values and values != self.values:
            raise UsageError(f"This network of the {self.project} works on {self.values} values.")
        if self.values:
            return self
        method, options = self.build.method, dict(self.build.options.get("encoder") or {})
        if values != "signed":
            options["values"] = values
            if method.encoder == "edsr":
                options["shifted"] = True  # only the LIIF project switches the shift off
        build = make_build(method.name, self.build.names, encoder=options)
        return replace(self, build=build, note=f"said to work on {values} values")


def recognise(state: State) -> Bare | None:
    """Recognise the network of a bare state dict; None for an unknown kind.

    Raises:
        HarnessError: the kind is known but not supported, or the shapes make no sense.
    """
    return next((read(state) for sign, read in _KINDS.items() if sign in state), None)


def _build(encoder: str, scale: int, options: Options, names: Names = SAME) -> Build:
    changed = differing(options, our_defaults(encoder))
    return make_build(f"{encoder}-x{known_scale(scale)}", names, encoder=changed)


def _scale(state: State, prefix: str, features: int) -> int:
    """Find the scale from sub-pixel convolutions: channels times nine is x3, else x2 each."""
    steps = [v for k, v in state.items() if re.fullmatch(rf"{re.escape(prefix)}\.\d+\.weight", k)]
    shuffles = [v for v in steps if v.shape[0] % 4 == 0 or v.shape[0] % 9 == 0]
    if not shuffles:
        raise HarnessError(f"The checkpoint has no upsampler of sub-pixel convolutions ({prefix}).")
    return 3 if shuffles[0].shape[0] == 9 * features else int(2 ** len(shuffles))


# Sizes of encoders, as names and shapes show them


def count(state: State, pattern: str) -> int:
    """Count the different numbers that the first group of a pattern has among the keys."""
    return len({match[1] for key in state if (match := re.match(pattern, key))})


def rdn_sizes(
    state: State,
    first: str = "SFENet1.weight",
    block: str = r"RDBs\.(\d+)\.convs\.(\d+)\.conv\.0\.weight",
) -> dict[str, Any]:
    """Find the options of an RDN.

    The pattern of its dense layers' weights has the numbers of block and layer.
    """
    found = [match for key in state if (match := re.fullmatch(block, key))]
    return {
        "features": state[first].shape[0],
        "blocks": len({match[1] for match in found}),
        "layers": len({match[2] for match in found}),
        "growth": state[found[0].string].shape[0],
    }


def transformer_sizes(state: State, pixels: int = 1) -> dict[str, Any]:
    """Find the options that SwinIR's and SRFormer's transformers share.

    The bias table distinguishes patches of so many `pixels` along a side; SRFormer's have 2.
    """
    block = re.compile(r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\.norm1")
    blocks = {(match[1], match[2]) for key in state if (match := block.match(key))}
    depths = Counter(group for group, _ in blocks)
    first = "layers.0.residual_group.blocks.0"
    channels = state["conv_first.weight"].shape[0]
    biases, heads = state[f"{first}.attn.relative_position_bias_table"].shape
    return {
        "window": pixels * ((math.isqrt(biases) + 1) // 2),
        "channels": channels,
        "depths": [depths[str(g)] for g in range(count(state, r"layers\.(\d+)\.residual_group"))],
        "heads": heads,
        "ratio": state[f"{first}.mlp.fc1.weight"].shape[0] // channels,
    }


# Kinds of networks


def _edsr(state: State) -> Bare:
    if "body.0.body.0.body.0.weight" in state:
        raise HarnessError("The checkpoint is an RCAN; it is read in the LIIF project's layout.")
    features = state["head.0.weight"].shape[0]
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
    sizes = {"blocks": count(state, r"body\.(\d+)\.body\.0\.weight"), "features": features}
    if shift == 255:
        own = {**sizes, "values": "bytes", "shifted": True}
        return Bare("EDSR project", _build("edsr", scale, own), "bytes")
    note = "taken for the LIIF project's by its colour shift of range 1: [-1, 1], no shift"
    return Bare("LIIF project", _build("edsr", scale, sizes), "", note)


def _rdn(state: State) -> Bare:
    sizes = rdn_sizes(state)
    numbers = [int(match[1]) for key in state if (match := re.match(r"UPNet\.(\d+)\.", key))]
    colours = f"UPNet.{max(numbers, default=0)}."
    upsampler = {key: value for key, value in state.items() if not key.startswith(colours)}
    scale = _scale(upsampler, "UPNet", sizes["growth"])
    note = "taken for the LIIF project's by its names: [-1, 1]; the file does not say"
    return Bare("LIIF project", _build("rdn", scale, sizes), "", note)


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
    sizes = rdn_sizes(state, "sfe1.weight", r"rdbs\.(\d+)\.layers\.(\d+)\.conv\.weight")
    if sizes["features"] != sizes["growth"]:
        raise HarnessError(
            "The checkpoint is an RDN whose blocks do not pass on as many features as they get "
            f"({sizes['features']} and {sizes['growth']})."
        )
    scale = _scale(state, "upscale", sizes["features"])
    build = _build("rdn", scale, {**sizes, "values": "unit"}, pytorch_rdn_names(scale))
    return Bare("RDN-pytorch project", build, "unit")


_NOT_CLASSICAL = {
    "conv_up1.weight": "for real-world SR",
    "layers.0.conv.0.weight": "with the convolutions of the large real-world network",
    "absolute_pos_embed": "with absolute positions",
}


def _swinir(state: State) -> Bare:
    reasons = [why for key, why in _NOT_CLASSICAL.items() if key in state]
    if "upsample.0.weight" not in state:
        reasons.append("without an upsampler (for denoising or JPEG artefacts, or an encoder)")
    elif "conv_before_upsample.0.weight" not in state:
        reasons.append("for lightweight SR")
    if state["conv_first.weight"].dim() != 4 or state["conv_first.weight"].shape[1] != 3:
        reasons.append("for other images than RGB")
    if reasons:
        raise HarnessError(f"The checkpoint is a SwinIR {reasons[0]}; classical SR is supported.")
    features = state["conv_before_upsample.0.weight"].shape[0]
    scale = _scale(state, "upsample", features)
    build = _build("swinir", scale, {"features": features, **transformer_sizes(state)})
    return Bare("SwinIR project", build, "unit")


_SEEMORE = "body.0.local_block.block.moe_layer."


def _seemore(state: State) -> Bare:
    """Recognise a SeemoRe; what weights do not show is that of its size, or of T."""
    channels, colours = state["conv_1.weight"].shape[:2]
    if colours != 3:
        raise HarnessError("The checkpoint is a SeemoRe for other images than RGB.")
    experts = range(state[f"{_SEEMORE}gate.body.2.weight"].shape[0])
    seen = {
        "groups": count(state, r"body\.(\d+)\."),
        "channels": channels,
        "ranks": [state[f"{_SEEMORE}experts.{i}.conv_1.weight"].shape[0] for i in experts],
        "kernel": state["body.0.global_block.block.attn.conv.0.weight"].shape[-1],
    }
    published = {size: our_defaults(size) for size in SIZES}
    alike = (
        size
        for size, its in published.items()
        if (its["groups"], its["channels"]) == (seen["groups"], channels)
    )
    size = next(alike, SIZES[0])
    scale = math.isqrt(state["upsampler.0.weight"].shape[0] // 3)
    build = _build(size, scale, seen)
    unseen = ", ".join(f"{name} {published[size][name]}" for name in UNSEEN)
    note = f"assumed, since the file does not say it: {unseen}" if build.options else ""
    return Bare("SeemoRe project", build, "unit", note)


# A key that only this kind of network has, and how it is read.
_KINDS: dict[str, Callable[[State], Bare]] = {
    "layers.0.residual_group.blocks.0.attn.relative_position_bias_table": _swinir,
    "SFENet1.weight": _rdn,
    "sfe1.weight": _pytorch_rdn,
    "head.0.weight": _edsr,
    f"{_SEEMORE}gate.body.2.weight": _seemore,
}
