"""Super-resolution of an LR image to any size, in strips of bounded memory."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from baselines.base import Box, Request, Spent, SRModel, Streamed
from baselines.fast.banding import band_memory
from harness.common.errors import UsageError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = tuple(_DTYPES)


@dataclass(frozen=True)
class Pass:
    """One run of a network: sizes of the LR and the SR image, and the choice of experts."""

    lr: tuple[int, int]
    hr: tuple[int, int]
    choice: Any = None


@dataclass(frozen=True)
class Made:
    """SR image (1, 3, H, W) on the CPU, not clamped, and the passes that made it.

    Attributes:
        spent: what it took, where the network says so itself.
    """

    image: Tensor
    passes: tuple[Pass, ...]
    spent: Spent | None = None

    @property
    def choice(self) -> Any:
        """Choice of experts for the whole LR image as it is; None where there is none."""
        return self.passes[0].choice


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Enable mixed precision for a block of code; does nothing at fp32."""
    if precision not in PRECISIONS:
        raise UsageError(f"Unknown precision '{precision}'. Available: {', '.join(PRECISIONS)}")
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, _DTYPES[precision])


def device_of(model: SRModel) -> torch.device:
    """Return the device of a network's weights; the CPU where it has none."""
    return next((p.device for p in model.parameters()), torch.device("cpu"))


@torch.inference_mode()
def stream(
    model: SRModel,
    lr: Tensor,
    scale: float,
    size: tuple[int, int] | None = None,
    *,
    box: Box | None = None,
    precision: str = "fp32",
    memory: int | None = None,
    stored: torch.dtype = torch.uint8,
) -> Streamed:
    """Make an SR image, or a region of it, in strips of rows.

    Args:
        model: network in evaluation mode, on the device that does the work.
        lr: (1, 3, h, w) in [0, 1].
        scale: scale factor; decides the cell's clip, and whether networks of few scales can do it.
        size: (H, W) of the result; default round(h * scale), round(w * scale).
        box: the region; the whole image if None.
        precision: fp32, or bf16 or fp16 (encoder by autocast, decoder in its matrix products).
        memory: bytes that a band of LR rows may take, in the encoder and the decoder; None: a value
            that suits the device. A band is at least one row.
        stored: type of the LR image's values in its file, uint8 or uint16; bicubic rounds to it.

    Raises:
        UsageError: a network of one or several scales is asked for another.
        ValueError: the region leaves the image, or the size is not (h, w) times the scale where the
            model makes no other.
    """
    h, w = lr.shape[-2:]
    rounded = (round(h * scale), round(w * scale))
    target = size or rounded
    reason = model.refusal(scale)
    if reason:
        raise UsageError(f"This network {reason}.")
    if target != rounded and not model.any_size:
        raise ValueError(f"this network makes {rounded}, not {target}")
    region = box or Box(0, 0, *target)
    if region.top + region.height > target[0] or region.left + region.width > target[1]:
        raise ValueError(f"{region} leaves the image of {target}")
    device = device_of(model)
    seen = model.seen((h, w), target)
    with autocast(device, precision), band_memory(memory):
        request = Request(scale, seen.hr, region, _DTYPES[precision], memory, stored)
        return model.stream(model.extend(lr.to(device)), request)


def upscale(
    model: SRModel,
    lr: Tensor,
    scale: float,
    size: tuple[int, int] | None = None,
    *,
    box: Box | None = None,
    precision: str = "fp32",
    memory: int | None = None,
) -> Made:
    """Make an SR image, or a region of it, as a whole. Args, Raises: as `stream`."""
    made = stream(model, lr, scale, size, box=box, precision=precision, memory=memory)
    h, w = lr.shape[-2:]
    size = size or (round(h * scale), round(w * scale))
    height = box.height if box else size[0]
    image = torch.empty(1, 3, 0, 0)
    top = 0
    for strip in made.strips:
        # One buffer and a strip, instead of all strips and then their sum.
        if not top:
            image = torch.empty(1, 3, height, strip.shape[2])
        image[0, :, top : top + strip.shape[1]] = strip
        top += strip.shape[1]
    return Made(image[:, :, :top], (Pass((h, w), size, made.choice),), made.spent)


@torch.inference_mode()
def expert_map(model: SRModel, lr: Tensor, precision: str = "fp32") -> Tensor | None:
    """Choose the (h, w) expert of each LR pixel, from 0, as the network sees it; decodes nothing.

    None (and no work) for networks without experts. `lr` is (1, 3, h, w) in [0, 1].
    """
    device = device_of(model)
    with autocast(device, precision):
        return model.experts(lr.to(device))
