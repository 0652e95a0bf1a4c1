"""Official files of SeemoRe: state dicts under `params` or `params_ema`, as BasicSR writes them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from baselines.systems.seemore import SIZES
from harness.checkpoints.official.adapter import (
    Constructed,
    NetworkAdapter,
    differing,
    our_defaults,
)
from harness.common.errors import HarnessError

PROJECT = "SeemoRe project"
# A key that no other network has.
SIGN = "body.0.local_block.block.moe_layer.gate.body.2.weight"
# Settings that leave no trace in the weights.
UNSEEN = ("recursion", "shuffle")

ADAPTERS = {size: NetworkAdapter(size, Constructed()) for size in SIZES}


@dataclass(frozen=True)
class ShownSettings:
    """Settings of a network that a state dict shows.

    Attributes:
        size: size word in method names; T's where no size has as many groups and channels.
        options: our options, complete.
        scale: scale of its upsampler.
        assumed: whether it has not exactly that size, and takes from it the settings that the state
            dict does not show.
    """

    size: str
    options: dict[str, Any]
    scale: int
    assumed: bool


def found(state: Mapping[str, Tensor]) -> ShownSettings:
    """Find the sizes of a SeemoRe.

    Args:
        state: state dict by official names.

    Raises:
        HarnessError: its images are not RGB.
    """
    channels, colours = state["conv_1.weight"].shape[:2]
    if colours != 3:
        raise HarnessError("The checkpoint is a SeemoRe for other images than RGB.")
    mixture = "body.0.local_block.block.moe_layer."
    groups = {match[1] for key in state if (match := re.match(r"body\.(\d+)\.", key))}
    seen = {
        "groups": len(groups),
        "channels": channels,
        "ranks": [
            state[f"{mixture}experts.{i}.conv_1.weight"].shape[0]
            for i in range(state[SIGN].shape[0])
        ],
        "kernel": state["body.0.global_block.block.attn.conv.0.weight"].shape[-1],
    }
    size = _nearest(len(groups), channels)
    published = our_defaults(size)
    options = {**seen, **{name: published[name] for name in UNSEEN}}
    scale = math.isqrt(state["upsampler.0.weight"].shape[0] // 3)
    return ShownSettings(size, options, scale, assumed=bool(differing(options, published)))


def _nearest(groups: int, channels: int) -> str:
    for size in SIZES:
        published = our_defaults(size)
        if (published["groups"], published["channels"]) == (groups, channels):
            return size
    return next(iter(SIZES))
