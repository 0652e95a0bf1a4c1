"""Entries of official state dicts that the constructors compute, and that we do not need.

They are checked when a file is read, because the official network uses them as they are, and made
again when a file is written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from baselines.encoders.colours import DIV2K_MEAN
from baselines.encoders.srformer import patch_mask, patch_positions
from baselines.encoders.swinir import relative_positions, shift_mask
from baselines.registry import Method
from baselines.windows import whole_windows
from harness.checkpoints.official.builds import Options, State, our_defaults
from harness.common.errors import HarnessError

_BLOCK = r"layers\.\d+\.residual_group\.blocks\.\d+"
_SHIFTED_BLOCK = re.compile(r"(layers\.\d+\.residual_group\.blocks\.\d*[13579])\.norm1\.weight")


@dataclass(frozen=True)
class Unneeded:
    """Keys of a file that our network does not need, and why."""

    keys: tuple[str, ...]
    why: str


class Constructed:
    """Entries of state dicts that an encoder's constructor computes; by default there are none.

    State dicts have the encoder's own official names, and options are ours, where they differ from
    the paper's.

    Attributes:
        reasons: patterns of their keys, and why our network does not need them.
    """

    reasons: Mapping[str, str] = MappingProxyType({})

    def read(self, state: State, options: Options) -> dict[str, float]:
        """Return what must be remembered to write the entries again.

        Raises:
            HarnessError: the official network would give other results with these entries.
        """
        del state, options
        return {}

    def write(self, state: State, options: Options, memory: Mapping[str, float]) -> State:
        """Add the entries, in official order, to a state dict without them."""
        del options, memory
        return state

    def unneeded(self, state: State, place: str) -> list[Unneeded]:
        """List the entries of a network whose encoder is at a place, and why none is needed."""
        found = []
        for pattern, why in self.reasons.items():
            keys = (key for key in state if re.fullmatch(re.escape(place) + pattern, key))
            found.append(Unneeded(tuple(keys), why))
        return [entry for entry in found if entry.keys]


class ColourShift(Constructed):
    """1x1 convolutions of EDSR and RCAN that take and add the mean colour.

    `called` says whether the official network calls them, on images in [0, 1].
    """

    def __init__(self, called: bool = False) -> None:
        self.called = called
        why = "made anew" if called else "the LIIF family does not use it"
        self.reasons = {r"(sub|add)_mean\.(weight|bias)": f"colour shift by constants; {why}"}

    def read(self, state: State, options: Options) -> dict[str, float]:
        """Find the range of the colours; see `Constructed.read`."""
        del options
        found = shift_range(state)
        if self.called and found != 1:
            raise HarnessError("The checkpoint's colour shift is not that of images in [0, 1].")
        return {} if found is None else {"rgb_range": found}

    def write(self, state: State, options: Options, memory: Mapping[str, float]) -> State:
        """Add the colour shift; see `Constructed.write`."""
        del options
        return {**_colour_shift(memory.get("rgb_range", 1)), **state}


def _colour_shift(rgb_range: float) -> dict[str, Tensor]:
    """Make the entries of the two layers for values in [0, rgb_range]."""
    mean = torch.tensor(DIV2K_MEAN)
    found: dict[str, Tensor] = {}
    for name, sign in (("sub_mean", -1), ("add_mean", 1)):
        found[f"{name}.weight"] = torch.eye(3).reshape(3, 3, 1, 1)
        found[f"{name}.bias"] = sign * rgb_range * mean
    return found


def shift_range(state: State) -> float | None:
    """Find the colour range of EDSR's shift layers; None where they are absent or not EDSR's."""
    if "sub_mean.bias" not in state or state["sub_mean.bias"].shape != (3,):
        return None
    rgb_range = round(-float(state["sub_mean.bias"][0]) / DIV2K_MEAN[0], 3)
    for key, expected in _colour_shift(rgb_range).items():
        given = state.get(key)
        if given is None or given.shape != expected.shape or not torch.allclose(given, expected):
            return None
    return rgb_range


@dataclass(frozen=True)
class WindowTables(Constructed):
    """Masks and index tables of window attention.

    Attributes:
        ours: our name of the encoder.
        network: its name in messages.
        index: ending of the index table's key, where the bias table's has
            `relative_position_bias_table`.
        positions: makes the index table of windows of a side.
        mask: makes the mask of shifted windows from (h, w), window, shift, device.
        patch: side of the LR patches of the official training, for which masks are stored.
    """

    ours: str
    network: str
    index: str
    positions: Callable[[int], Tensor]
    mask: Callable[[tuple[int, int], int, int, torch.device], Tensor]
    patch: int

    # Masks, then index tables.
    reasons = MappingProxyType(
        {
            rf"{_BLOCK}\.attn_mask": "attention masks of one image size; made for each image here",
            rf"{_BLOCK}\.attn\.(aligned_)?relative_position_index": "index tables that follow from "
            "the window",
        }
    )

    def _window(self, options: Options) -> tuple[int, int]:
        """Return the side of the windows, and that of the official patches, in whole windows."""
        window = int({**our_defaults(self.ours), **options}["window"])
        return window, whole_windows((self.patch, self.patch), window)[0]

    def _mask(self, side: int, window: int) -> Tensor:
        return self.mask((side, side), window, window // 2, torch.device("cpu"))

    def read(self, state: State, options: Options) -> dict[str, float]:
        """Check the tables, and find the side of the image that stored masks belong to."""
        window, side = self._window(options)
        masks, indices = (
            {key: value for key, value in state.items() if re.fullmatch(pattern, key)}
            for pattern in self.reasons
        )
        if masks:
            windows = next(iter(masks.values())).shape[:1]
            side = window * math.isqrt(windows[0]) if windows else 0
            mask = self._mask(side, window)
        wrong = [key for key, value in masks.items() if not torch.equal(value, mask)]
        index = self.positions(window)
        wrong += [key for key, value in indices.items() if not torch.equal(value, index)]
        if wrong:
            raise HarnessError(
                f"The checkpoint has tables that no {self.network} with windows of {window} makes: "
                + ", ".join([*wrong[:5], *["..."] * (len(wrong) > 5)])
            )
        return {"construction": side}

    def write(self, state: State, options: Options, memory: Mapping[str, float]) -> State:
        """Add the tables; see `Constructed.write`."""
        window, side = self._window(options)
        mask = self._mask(int(memory.get("construction", side)), window)
        found: dict[str, Tensor] = {}
        for key, value in state.items():
            if shifted := _SHIFTED_BLOCK.fullmatch(key):
                found[f"{shifted[1]}.attn_mask"] = mask.clone()
            found[key] = value
            if key.endswith(".relative_position_bias_table"):
                index = key.replace("relative_position_bias_table", self.index)
                found[index] = self.positions(window).clone()
        return found


SWINIR = WindowTables(
    "swinir", "SwinIR", "relative_position_index", relative_positions, shift_mask, 48
)
SRFORMER = WindowTables(
    "srformer", "SRFormer", "aligned_relative_position_index", patch_positions, patch_mask, 64
)
_OF_ENCODERS = {"edsr": ColourShift(), "rcan": ColourShift(), "swinir": SWINIR}
# IGConv's EDSR is BasicSR's, which shifts colours without layers.
_UNDER_UPSAMPLERS = {"rcan": ColourShift(called=True), "swinir": SWINIR, "srformer": SRFORMER}


def constructed_of(method: Method) -> Constructed:
    """Find the entries that the official constructor of a method's encoder computes."""
    known: Mapping[str, Constructed] = _UNDER_UPSAMPLERS if method.upsampler else _OF_ENCODERS
    return known.get(method.encoder, Constructed())
