"""Encoders of the official projects: EDSR-baseline, RDN, RCAN and SwinIR."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from baselines.registry import unknown
from harness.checkpoints.official import constructed
from harness.checkpoints.official.adapter import (
    Constructed,
    EncoderAdapter,
    Options,
    Part,
    differing,
    our_defaults,
    take,
)
from harness.checkpoints.official.constructed import StateDict, Unneeded
from harness.common.errors import HarnessError


def part_of(spec: Mapping[str, Any]) -> Part:
    """Find our encoder for an official specification.

    Raises:
        HarnessError: an encoder, argument or value is unknown.
    """
    name = str(spec["name"])
    if name not in ADAPTERS:
        raise HarnessError(unknown("official encoder", name, ADAPTERS))
    adapter = ADAPTERS[name]
    args = take(name, spec.get("args") or {}, adapter.defaults)
    options = differing(adapter.options(args), our_defaults(adapter.ours))
    scale = None if args["no_upsampling"] else int(args["scale"])
    return Part(adapter, options, scale)


def spec_of(encoder: str, options: Mapping[str, Any], scale: int | None) -> dict[str, Any]:
    """Make the official specification of our encoder.

    Raises:
        HarnessError: the official project has no encoder of these sizes.
    """
    adapter = next(a for a in ADAPTERS.values() if a.ours == encoder)
    complete = adapter.arguments({**our_defaults(encoder), **options})
    tail = {"no_upsampling": True} if scale is None else {"scale": scale}
    return {"name": adapter.official, "args": {**differing(complete, adapter.defaults), **tail}}


# EDSR-baseline


def _edsr_options(args: Mapping[str, Any]) -> Options:
    return {ours: args[theirs] for theirs, ours in _EDSR_SIZES.items()}


def _edsr_arguments(options: Options) -> dict[str, Any]:
    return {theirs: options[ours] for theirs, ours in _EDSR_SIZES.items()}


class ColourShift(Constructed):
    """Two 1x1 convolutions before and after the network, which the LIIF family never calls."""

    why = "colour shift by constants; the LIIF family does not use it"

    def read(self, state: Mapping[str, Tensor], options: Options) -> dict[str, float]:
        """Check the colour shift; see `Constructed.read`."""
        del options
        found = constructed.shift_range(state)
        return {} if found is None else {"rgb_range": found}

    def write(self, state: StateDict, options: Options, memory: Mapping[str, float]) -> StateDict:
        """Add the colour shift; see `Constructed.write`."""
        del options
        return {**constructed.colour_shift(memory.get("rgb_range", 1)), **state}

    def unneeded(self, state: Mapping[str, Tensor]) -> list[Unneeded]:
        """List the colour shift's keys; see `Constructed.unneeded`."""
        keys = tuple(key for key in state if constructed.SHIFT.fullmatch(key))
        return [Unneeded(keys, self.why)] if keys else []


# RDN


RDN_CONFIGURATIONS = {"A": (20, 6, 32), "B": (16, 8, 64)}


def _rdn_options(args: Mapping[str, Any]) -> Options:
    if args["RDNkSize"] != 3 or args["RDNconfig"] not in RDN_CONFIGURATIONS:
        raise HarnessError("Only RDN of configurations A and B with 3x3 kernels is supported.")
    blocks, layers, growth = RDN_CONFIGURATIONS[args["RDNconfig"]]
    return {"features": args["G0"], "blocks": blocks, "layers": layers, "growth": growth}


def _rdn_arguments(options: Options) -> dict[str, Any]:
    sizes = (options["blocks"], options["layers"], options["growth"])
    for name, configuration in RDN_CONFIGURATIONS.items():
        if sizes == configuration:
            return {"G0": options["features"], "RDNconfig": name}
    raise HarnessError(
        f"The official RDN has no configuration of {sizes[0]} blocks with {sizes[1]} layers that "
        f"grow by {sizes[2]}; it has A (20, 6, 32) and B (16, 8, 64)."
    )


# RCAN


def _rcan_options(args: Mapping[str, Any]) -> Options:
    return {ours: args[theirs] for theirs, ours in _RCAN_SIZES.items()}


def _rcan_arguments(options: Options) -> dict[str, Any]:
    return {theirs: options[ours] for theirs, ours in _RCAN_SIZES.items()}


# SwinIR


def _swinir_options(args: Mapping[str, Any]) -> Options:
    """Make our SwinIR options; in the LTE project everything but the upsampler is fixed."""
    if not args["no_upsampling"]:
        raise HarnessError("SwinIR in the LTE project is supported as an encoder only.")
    return {}


def _swinir_arguments(options: Options) -> dict[str, Any]:
    changed = differing(options, our_defaults("swinir"))
    changed.pop("drop_path", None)  # of training, and in no official file
    if changed:
        raise HarnessError(
            f"The SwinIR encoder of the LTE project has fixed sizes; here {changed} differ."
        )
    return {}


class Tables(Constructed):
    """Masks and index tables of window attention.

    Args:
        ours: our name of the encoder.
        kind: how they are made.
    """

    def __init__(self, ours: str, kind: constructed.WindowTables) -> None:
        self.ours = ours
        self.kind = kind

    def read(self, state: Mapping[str, Tensor], options: Options) -> dict[str, float]:
        """Check the tables; see `Constructed.read`."""
        window = self._window(options)
        return {"construction": constructed.construction_size(self.kind, state, window)}

    def write(self, state: StateDict, options: Options, memory: Mapping[str, float]) -> StateDict:
        """Add the tables; see `Constructed.write`."""
        window = self._window(options)
        size = int(memory.get("construction", self.kind.construction(window)))
        return constructed.tables(self.kind, state, window, size)

    def _window(self, options: Options) -> int:
        return int({**our_defaults(self.ours), **options}["window"])

    def unneeded(self, state: Mapping[str, Tensor]) -> list[Unneeded]:
        """List the tables' keys; see `Constructed.unneeded`."""
        reasons = {
            constructed.MASK: "attention masks of one image size; made for each image here",
            constructed.INDEX: "index tables that follow from the window",
        }
        found = [
            Unneeded(tuple(key for key in state if pattern.fullmatch(key)), why)
            for pattern, why in reasons.items()
        ]
        return [entry for entry in found if entry.keys]


_EDSR_SIZES = {
    "n_resblocks": "blocks",
    "n_feats": "features",
    "res_scale": "residual_scale",
}
_EDSR_DEFAULTS = {
    "n_resblocks": 16,
    "n_feats": 64,
    "res_scale": 1,
    "scale": 2,
    "no_upsampling": False,
    "rgb_range": 1,
}
_RDN_DEFAULTS = {"G0": 64, "RDNkSize": 3, "RDNconfig": "B", "scale": 2, "no_upsampling": False}
_RCAN_SIZES = {
    "n_resgroups": "groups",
    "n_resblocks": "blocks",
    "n_feats": "features",
    "reduction": "reduction",
}
_RCAN_DEFAULTS = {
    "n_resgroups": 10,
    "n_resblocks": 20,
    "n_feats": 64,
    "reduction": 16,
    "scale": 2,
    "no_upsampling": False,
    "rgb_range": 1,
}
EDSR = EncoderAdapter(
    official="edsr-baseline",
    ours="edsr",
    defaults=_EDSR_DEFAULTS,
    options=_edsr_options,
    arguments=_edsr_arguments,
    constructed=ColourShift(),
)
# The official configurations of LIIF and LTE name it `edsr`.
EDSR_LARGE = replace(
    EDSR,
    official="edsr",
    defaults={**_EDSR_DEFAULTS, "n_resblocks": 32, "n_feats": 256, "res_scale": 0.1},
)
RCAN = EncoderAdapter(
    official="rcan",
    ours="rcan",
    defaults=_RCAN_DEFAULTS,
    options=_rcan_options,
    arguments=_rcan_arguments,
    constructed=ColourShift(),
)
RDN = EncoderAdapter(
    official="rdn",
    ours="rdn",
    defaults=_RDN_DEFAULTS,
    options=_rdn_options,
    arguments=_rdn_arguments,
    constructed=Constructed(),
)
SWINIR = EncoderAdapter(
    official="swinir",
    ours="swinir",
    defaults={"scale": 2, "no_upsampling": False},
    options=_swinir_options,
    arguments=_swinir_arguments,
    constructed=Tables("swinir", constructed.SWINIR),
)
ADAPTERS = {adapter.official: adapter for adapter in (EDSR, EDSR_LARGE, RDN, RCAN, SWINIR)}
