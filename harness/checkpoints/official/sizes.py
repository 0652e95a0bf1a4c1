"""Sizes of encoders, as the names and shapes of their official weights show them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

from torch import Tensor

from harness.checkpoints.official.adapter import Options

State = Mapping[str, Tensor]


def count(state: State, pattern: str) -> int:
    """Count the different numbers that the first group of a pattern has among the keys."""
    return len({match[1] for key in state if (match := re.match(pattern, key))})


def rdn_sizes(state: State, block: str, first: str) -> Options:
    """Find the options of an RDN.

    Args:
        state: its weights.
        block: pattern of its dense layers' weights, with the numbers of block and layer.
        first: name of the first convolution's weight.
    """
    layer = re.compile(block)
    found = [match for key in state if (match := layer.fullmatch(key))]
    return {
        "features": state[first].shape[0],
        "blocks": len({match[1] for match in found}),
        "layers": len({match[2] for match in found}),
        "growth": state[found[0].string].shape[0],
    }


def transformer_sizes(state: State) -> Options:
    """Find the options that SwinIR's and SRFormer's transformers share, without the window."""
    block = re.compile(r"layers\.(\d+)\.residual_group\.blocks\.(\d+)\.norm1")
    blocks = {(match[1], match[2]) for key in state if (match := block.match(key))}
    depths = Counter(group for group, _ in blocks)
    first = "layers.0.residual_group.blocks.0"
    channels = state["conv_first.weight"].shape[0]
    return {
        "channels": channels,
        "depths": [depths[str(g)] for g in range(count(state, r"layers\.(\d+)\.residual_group"))],
        "heads": state[f"{first}.attn.relative_position_bias_table"].shape[1],
        "ratio": state[f"{first}.mlp.fc1.weight"].shape[0] // channels,
    }


def positions_of(state: State) -> int:
    """Find the positions along a side that the bias table distinguishes: pixels or patches."""
    table = state["layers.0.residual_group.blocks.0.attn.relative_position_bias_table"]
    return (math.isqrt(table.shape[0]) + 1) // 2
