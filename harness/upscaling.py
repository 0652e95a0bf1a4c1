"""From an LR image to an SR image of any size, in strips of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.banding import band_memory
from baselines.bicubic import Bicubic, Resize, as_stored
from baselines.cmsr import Step, Tables, render, serves
from baselines.composition import (
    Features,
    FixedScaleLookup,
    FixedScaleSR,
    ImageRouted,
    ImplicitSR,
    Routing,
)
from baselines.engine import GridDecoder, GridJob
from baselines.multiscale import MultiScaleSR
from harness.boxes import Box
from harness.errors import UsageError
from harness.scales import refusal
from harness.windows import extend, grid

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
PRECISIONS = tuple(_DTYPES)
_BICUBIC_MEMORY = 16 << 20


@dataclass(frozen=True)
class Upscaled:
    """An SR image and how it was made.

    Attributes:
        image: (1, 3, H, W) on the CPU.
        routing: expert choice that made it, if any; of the LR image as the network saw it.
        lr_size: (h, w) of that, extended to whole windows.
        layer_experts: (layers,) expert of each layer that made it, of an `ImageRouted` network.
        steps: of CMSR; None where every query is rendered at the target scale.
    """

    image: Tensor
    routing: Routing | None
    lr_size: tuple[int, int]
    layer_experts: Tensor | None = None
    steps: tuple[Step, ...] | None = None

    @property
    def experts(self) -> Tensor | None:
        """(h, w) expert of each LR pixel, from 0; None without experts."""
        return None if self.routing is None else _chosen(self.routing, self.lr_size)


def _chosen(routing: Routing, size: tuple[int, int]) -> Tensor:
    return routing.probabilities[0].argmax(dim=-1).reshape(size)


def cell_stretch(model: nn.Module, scale: float) -> float:
    """Factor of the cell: LTE keeps the cell of x4 above it (LTE, test.py)."""
    clips = isinstance(model, ImplicitSR) and model.decoder.clips_cell
    return max(scale / 4, 1.0) if clips else 1.0


def autocast(device: torch.device, precision: str) -> AbstractContextManager[object]:
    """Mixed precision for a block of code; nothing at fp32.

    Raises:
        UsageError: for an unknown precision.
    """
    if precision not in PRECISIONS:
        raise UsageError(f"Unknown precision '{precision}'. Available: {', '.join(PRECISIONS)}")
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, _DTYPES[precision])


@torch.inference_mode()
def strips(
    model: ImplicitSR,
    features: Features,
    size: tuple[int, int],
    box: Box,
    stretch: float = 1.0,
    precision: str = "fp32",
    memory: int | None = None,
) -> Iterator[Tensor]:
    """A region of the SR image in strips of rows, top to bottom.

    Args:
        model: whose features these are.
        features: of one image.
        size: (H, W) of the whole SR image.
        box: the region.
        stretch: factor of the cell; see `cell_stretch`.
        precision: of the decoder's matrix products.
        memory: bytes of a band of LR rows; None: what suits the device.

    Yields:
        (3, rows, width) float32 on the model's device, in [0, 1] nominally, not clamped.
    """
    job = GridJob(
        size=size,
        rows=(box.top, box.top + box.height),
        columns=(box.left, box.left + box.width),
        stretch=stretch,
        dtype=_DTYPES[precision],
        memory=memory,
    )
    for strip in GridDecoder(model, features, job).strips():
        yield strip.permute(2, 0, 1) * 0.5 + 0.5


@torch.inference_mode()
def cmsr_strips(made: Iterator[Tensor], box: Box) -> Iterator[Tensor]:
    """A region of what CMSR renders from the top left; yields as `strips`."""
    end = 0
    for strip in made:
        end += strip.shape[0]
        kept = strip[max(0, box.top - end + strip.shape[0]) :, box.left :]
        if end > box.top:
            yield kept.permute(2, 0, 1) * 0.5 + 0.5


@dataclass(frozen=True)
class Streamed:
    """An SR image in the making; attributes as `Upscaled`.

    Attributes:
        strips: (3, rows, width) float32 in [0, 1] nominally, from top to bottom, on the device.
    """

    strips: Iterator[Tensor]
    routing: Routing | None
    lr_size: tuple[int, int]
    layer_experts: Tensor | None = None
    steps: tuple[Step, ...] | None = None


@torch.inference_mode()
def stream(
    model: nn.Module,
    lr: Tensor,
    scale: float,
    size: tuple[int, int] | None = None,
    *,
    box: Box | None = None,
    precision: str = "fp32",
    memory: int | None = None,
    cmsr: Tables | None = None,
    stored: torch.dtype = torch.uint8,
) -> Streamed:
    """SR image, or a region of it, by any of the harness's models, in strips of rows.

    Args:
        model: in evaluation mode, on the device that does the work.
        lr: (1, 3, h, w) in [0, 1].
        scale: factor; decides the cell's clip, and whether networks of few scales can do it.
        size: (H, W) of the result; default round(h * scale), round(w * scale).
        box: the region; the whole image if None.
        precision: fp32, or bf16 or fp16 (encoder by autocast, decoder in its matrix products).
        memory: bytes that a band of LR rows may take, in the encoder and the decoder; None: what
            suits the device. No band is less than a row.
        cmsr: tables of an LMF network, by which scales above x4 are rendered (`baselines.cmsr`).
        stored: type of the LR image's values in its file, uint8 or uint16; bicubic rounds to it.

    Raises:
        UsageError: when a network of one or several scales is asked for another.
        ValueError: for a region that leaves the image, or a size other than (h, w) times the scale
            where the model makes no other.
    """
    h, w = lr.shape[-2:]
    target = size or _rounded(lr, scale)
    if target != _rounded(lr, scale) and not isinstance(model, ImplicitSR):
        raise ValueError(f"{type(model).__name__} makes {_rounded(lr, scale)}, not {target}")
    region = box or Box(0, 0, *target)
    if region.top + region.height > target[0] or region.left + region.width > target[1]:
        raise ValueError(f"{region} leaves the image of {target}")
    seen = grid(model, (h, w), target)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    lr = extend(lr.to(device), seen.lr)
    if isinstance(model, Bicubic):
        return Streamed(_bicubic_strips(lr, scale, region, memory, stored), None, seen.lr)
    with autocast(device, precision), band_memory(memory):
        if isinstance(model, ImplicitSR):
            features = model.encode(lr * 2 - 1)
            if cmsr is not None and serves(scale):
                used = (region.top + region.height, region.left + region.width)
                dtype = _DTYPES[precision]
                made = render(model, features, cmsr, scale, seen.hr, used, dtype, memory)
                return Streamed(cmsr_strips(made.strips, region), None, seen.lr, steps=made.steps)
            stretch = cell_stretch(model, scale)
            parts = strips(model, features, seen.hr, region, stretch, precision, memory)
            return Streamed(parts, features.routing, seen.lr)
        whole, layer_experts = _whole_image(model, lr, scale)
    image = whole[0, :, region.top :, region.left :][:, : region.height, : region.width]
    return Streamed(iter([image]), None, seen.lr, layer_experts)


def upscale(
    model: nn.Module,
    lr: Tensor,
    scale: float,
    size: tuple[int, int] | None = None,
    *,
    box: Box | None = None,
    precision: str = "fp32",
    memory: int | None = None,
    cmsr: Tables | None = None,
) -> Upscaled:
    """SR image, or a region of it, as a whole. Args, Raises: as `stream`."""
    made = stream(model, lr, scale, size, box=box, precision=precision, memory=memory, cmsr=cmsr)
    height = box.height if box else (size or _rounded(lr, scale))[0]
    image = torch.empty(1, 3, 0, 0)
    top = 0
    for strip in made.strips:
        # One buffer and a strip, instead of all strips and then their sum.
        if not top:
            image = torch.empty(1, 3, height, strip.shape[2])
        image[0, :, top : top + strip.shape[1]] = strip
        top += strip.shape[1]
    return Upscaled(image[:, :, :top], made.routing, made.lr_size, made.layer_experts, made.steps)


def has_experts(model: nn.Module) -> bool:
    """Whether what a network costs depends on which experts it chooses."""
    return isinstance(model, ImplicitSR) and len(model.head.expert_macs()) > 1


@torch.inference_mode()
def expert_map(model: nn.Module, lr: Tensor, precision: str = "fp32") -> Tensor | None:
    """(h, w) expert of each LR pixel as the network sees it, without decoding anything.

    Args:
        model: in evaluation mode.
        lr: (1, 3, h, w) in [0, 1].
        precision: as in `upscale`.

    Returns:
        numbers from 0, shallowest first; None (and no work) for networks without experts.
    """
    if not isinstance(model, ImplicitSR) or not has_experts(model):
        return None
    size = (lr.shape[-2], lr.shape[-1])
    seen = grid(model, size, size).lr
    device = next(model.parameters()).device
    with autocast(device, precision):
        routing = model.encode(extend(lr.to(device), seen) * 2 - 1).routing
    return None if routing is None else _chosen(routing, seen)


def _whole_image(model: nn.Module, lr: Tensor, scale: float) -> tuple[Tensor, Tensor | None]:
    """By networks that make all pixels at once, float32 on the CPU; and their layers' experts."""
    if not isinstance(model, FixedScaleSR | FixedScaleLookup | MultiScaleSR):
        raise TypeError(f"{type(model).__name__} is not a network of this harness")
    reason = refusal(model, scale)
    if reason:
        raise UsageError(f"This network {reason}.")
    if isinstance(model, MultiScaleSR):
        return torch.as_tensor(model(lr, int(scale))).float().cpu(), None
    unit, experts = model.input_range == "unit", None
    given = lr if unit else lr * 2 - 1
    if isinstance(model.network, ImageRouted):
        sr, chosen = model.network.enlarge(given)
        experts = chosen[0].cpu()
    else:
        sr = torch.as_tensor(model.network(given))
    sr = sr.float().cpu()
    return (sr if unit else sr * 0.5 + 0.5), experts


def _rounded(lr: Tensor, scale: float) -> tuple[int, int]:
    """(H, W) that (..., h, w) has at a scale."""
    return round(lr.shape[-2] * scale), round(lr.shape[-1] * scale)


def _bicubic_strips(
    lr: Tensor, scale: float, box: Box, memory: int | None, stored: torch.dtype
) -> Iterator[Tensor]:
    """A region of what `Bicubic` makes, in strips."""
    made = Resize(as_stored(lr[0], stored), _rounded(lr, scale))
    # Values of 8 or 16 bits, and of 32 twice over while they are divided.
    step = max(1, (memory or _BICUBIC_MEMORY) // (27 * made.size[1]))
    end = min(box.top + box.height, made.size[0])
    for top in range(box.top, end, step):
        rows = made.rows(top, min(top + step, end))
        yield rows[..., box.left : box.left + box.width].to(lr) / torch.iinfo(stored).max
