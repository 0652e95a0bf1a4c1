"""Encoders of the IGConv project, as in its state dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from harness.checkpoints.official import constructed
from harness.checkpoints.official.adapter import Constructed, Options
from harness.checkpoints.official.encoders import ColourShift, Tables
from harness.checkpoints.official.sizes import (
    State,
    count,
    positions_of,
    rdn_sizes,
    transformer_sizes,
)
from harness.common.errors import HarnessError


class _CalledShift(ColourShift):
    """Colour shift of RCAN, which the project does call."""

    why = "colour shift by constants; made anew"

    def read(self, state: Mapping[str, Tensor], options: Options) -> dict[str, float]:
        found = super().read(state, options)
        if found.get("rgb_range") != 1:
            raise HarnessError("The checkpoint's colour shift is not that of images in [0, 1].")
        return found


@dataclass(frozen=True)
class Family:
    """Networks of the project over one encoder.

    Attributes:
        ours: our name of the encoder.
        names: official names of the networks, without and with IGSample; "" for none.
        sign: entry of a state dict that identifies the encoder.
        upsampler: official name of IGConv in the network.
        sizes: finds the options of the encoder from a state dict.
        constructed: entries that the constructor computes.
        defaults: official arguments that no shape shows, of a network without and with IGSample.
    """

    ours: str
    names: tuple[str, str]
    sign: str
    upsampler: str
    sizes: Callable[[State], Options]
    constructed: Constructed
    defaults: tuple[Mapping[str, Any], Mapping[str, Any]]


def _edsr_sizes(state: State) -> Options:
    blocks = count(state, r"body\.(\d+)\.conv1\.weight")
    return {"blocks": blocks, "features": state["conv_first.weight"].shape[0]}


def _rdn_sizes(state: State) -> Options:
    return rdn_sizes(state, r"RDBs\.(\d+)\.convs\.(\d+)\.conv\.0\.weight", "SFENet1.weight")


def _rcan_sizes(state: State) -> Options:
    features = state["head.0.weight"].shape[0]
    return {
        "groups": count(state, r"body\.(\d+)\.body\.0\.body\.0\.weight"),
        "blocks": count(state, r"body\.0\.body\.(\d+)\.body\.0\.weight"),
        "features": features,
        "reduction": features // state["body.0.body.0.body.3.conv_du.0.weight"].shape[0],
    }


def _swinir_sizes(state: State) -> Options:
    return {**transformer_sizes(state), "window": positions_of(state)}


def _srformer_sizes(state: State) -> Options:
    return {**transformer_sizes(state), "window": 2 * positions_of(state)}


# Official arguments that no shape shows, with their defaults.
AVERAGING = {"geo_ensemble": True, "img_range": 1, "max_s": 4}
PLAIN = {**AVERAGING, "geo_ensemble": False}
_FIRST_BLOCK = "layers.0.residual_group.blocks.0.attn"
FAMILIES = (
    Family(
        ours="edsr",
        names=("EDSRIG", "EDSRIGPlus"),
        sign="body.0.conv1.weight",
        upsampler="upsample",
        sizes=_edsr_sizes,
        constructed=Constructed(),
        defaults=(
            {**PLAIN, "img_range": 255, "res_scale": 1},
            {**AVERAGING, "img_range": 255, "res_scale": 1},
        ),
    ),
    Family(
        ours="rdn",
        names=("RDNIG", "RDNIGPlus"),
        sign="SFENet1.weight",
        upsampler="UPNet",
        sizes=_rdn_sizes,
        constructed=Constructed(),
        defaults=(PLAIN, PLAIN),
    ),
    Family(
        ours="rcan",
        names=("", "RCANIGPlus"),
        sign="body.0.body.0.body.3.conv_du.0.weight",
        upsampler="tail",
        sizes=_rcan_sizes,
        constructed=_CalledShift(),
        defaults=(AVERAGING, AVERAGING),
    ),
    Family(
        ours="swinir",
        names=("SwinIRMS", "SwinIRMS"),
        sign=f"{_FIRST_BLOCK}.qkv.weight",
        upsampler="upsample",
        sizes=_swinir_sizes,
        constructed=Tables("swinir", constructed.SWINIR),
        defaults=(AVERAGING, AVERAGING),
    ),
    Family(
        ours="srformer",
        names=("SRFormer", "SRFormer"),
        sign=f"{_FIRST_BLOCK}.kv.weight",
        upsampler="upsample",
        sizes=_srformer_sizes,
        constructed=Tables("srformer", constructed.SRFORMER),
        defaults=(AVERAGING, AVERAGING),
    ),
)
