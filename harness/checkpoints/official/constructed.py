"""Entries of official state dicts that the constructors compute, and that we do not need.

They are checked when a file is read, because the official network uses them as they are, and made
again when a file is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.encoders.colours import DIV2K_MEAN
from baselines.encoders.srformer import patch_mask, patch_positions
from baselines.encoders.swinir import relative_positions, shift_mask
from baselines.windows import whole_windows
from harness.common.errors import HarnessError

StateDict = dict[str, Tensor]

SHIFT = re.compile(r"(sub|add)_mean\.(weight|bias)")
MASK = re.compile(r"layers\.\d+\.residual_group\.blocks\.\d+\.attn_mask")
INDEX = re.compile(
    r"layers\.\d+\.residual_group\.blocks\.\d+\.attn\.(aligned_)?relative_position_index"
)
_SHIFTED_BLOCK = re.compile(r"(layers\.\d+\.residual_group\.blocks\.\d*[13579])\.norm1\.weight")


@dataclass(frozen=True)
class Unneeded:
    """Keys of a file that our network does not need.

    Attributes:
        keys: keys as in the file.
        why: reason in words.
    """

    keys: tuple[str, ...]
    why: str


def colour_shift(rgb_range: float) -> StateDict:
    """Make the entries of EDSR's two colour shifts: 1x1 convolutions that add or take the mean."""
    mean = torch.tensor(DIV2K_MEAN)
    found: StateDict = {}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        found[f"{name}.weight"] = torch.eye(3).reshape(3, 3, 1, 1)
        found[f"{name}.bias"] = sign * rgb_range * mean
    return found


def shift_range(state: Mapping[str, Tensor]) -> float | None:
    """Find the colour range of EDSR's shift layers; None where they are absent or not EDSR's."""
    if "sub_mean.bias" not in state or state["sub_mean.bias"].shape != (3,):
        return None
    rgb_range = round(-float(state["sub_mean.bias"][0]) / DIV2K_MEAN[0], 3)
    for key, expected in colour_shift(rgb_range).items():
        given = state.get(key)
        if given is None or given.shape != expected.shape or not torch.allclose(given, expected):
            return None
    return rgb_range


@dataclass(frozen=True)
class WindowTables:
    """Tables that the constructor of a transformer with windows computes.

    Attributes:
        network: name of the network.
        index: ending of the index table's key, where the bias table's has
            `relative_position_bias_table`.
        positions: makes the index table of windows of a side.
        mask: makes the mask of shifted windows from (h, w), window, shift, device.
        patch: side of the LR patches of the official training, for which masks are stored.
    """

    network: str
    index: str
    positions: Callable[[int], Tensor]
    mask: Callable[[tuple[int, int], int, int, torch.device], Tensor]
    patch: int

    def construction(self, window: int) -> int:
        """Return the side of the images that the official trainings' masks are for."""
        return whole_windows((self.patch, self.patch), window)[0]


SWINIR = WindowTables("SwinIR", "relative_position_index", relative_positions, shift_mask, 48)
SRFORMER = WindowTables(
    "SRFormer", "aligned_relative_position_index", patch_positions, patch_mask, 64
)


def tables(
    kind: WindowTables, state: Mapping[str, Tensor], window: int, construction: int
) -> StateDict:
    """Add masks and index tables to a state dict with official names, in their places.

    Args:
        kind: tables of the network.
        state: state dict without them.
        window: side of the windows.
        construction: side of the image that the masks are stored for.
    """
    found: StateDict = {}
    mask = kind.mask((construction,) * 2, window, window // 2, torch.device("cpu"))
    for key, value in state.items():
        shifted = _SHIFTED_BLOCK.fullmatch(key)
        if shifted:
            found[f"{shifted[1]}.attn_mask"] = mask.clone()
        found[key] = value
        if key.endswith(".relative_position_bias_table"):
            index = key.replace("relative_position_bias_table", kind.index)
            found[index] = kind.positions(window).clone()
    return found


def construction_size(kind: WindowTables, state: Mapping[str, Tensor], window: int) -> int:
    """Find the side of the image that a transformer's stored masks belong to.

    Raises:
        HarnessError: masks or index tables are not those that the constructor makes: the official
            network would use them.
    """
    masks = {key: value for key, value in state.items() if MASK.fullmatch(key)}
    first = next(iter(masks.values()), None)
    across = math.isqrt(first.shape[0]) if first is not None and first.dim() else 0
    side = kind.construction(window) if first is None else window * across
    made = kind.mask((side,) * 2, window, window // 2, torch.device("cpu")) if masks else None
    index = kind.positions(window)
    wrong = [key for key, value in masks.items() if made is None or not torch.equal(value, made)]
    wrong += [k for k, v in state.items() if INDEX.fullmatch(k) and not torch.equal(v, index)]
    if wrong:
        raise HarnessError(
            f"The checkpoint has tables that no {kind.network} with windows of {window} makes: "
            + ", ".join(wrong[:5])
            + (", ..." if len(wrong) > 5 else "")
        )
    return side
