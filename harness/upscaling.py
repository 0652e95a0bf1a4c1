"""From an LR image to an SR image of any size, in chunks of bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.bicubic import Bicubic
from baselines.composition import (
    CodeTable,
    Features,
    FixedScaleLookup,
    FixedScaleSR,
    ImplicitSR,
    Routing,
)
from baselines.implicit import make_cell, pixel_centers
from harness.data.degrade import quantise
from harness.errors import UsageError
from harness.windows import extend, grid

# Bytes of codes and head inputs that one chunk of queries holds. On a CPU they should stay in
# the cache: full-size LIIF decodes 1.4 times as many pixels per second in chunks of 2 thousand
# queries as in chunks of 8 thousand. A GPU wants large chunks.
CHUNK_BYTES = {"cpu": 10_000_000, "cuda": 1_000_000_000}
# Bytes of the codes of the LR rows that are decoded from at a time.
TABLE_BYTES = {"cpu": 64_000_000, "cuda": 1_000_000_000}
PRECISIONS = ("fp32", "bf16", "fp16")


@dataclass(frozen=True)
class Box:
    """A region of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Upscaled:
    """An SR image and how it was made.

    Attributes:
        image: (1, 3, H, W) on the CPU.
        routing: expert choice that made it, if any; of the LR image as the network saw it.
        lr_size: (h, w) of that, extended to whole windows.
    """

    image: Tensor
    routing: Routing | None
    lr_size: tuple[int, int]

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
    return torch.autocast(device.type, torch.bfloat16 if precision == "bf16" else torch.float16)


def queries_per_chunk(model: ImplicitSR) -> int:
    """How many queries to decode at once on the model's device."""
    decoder = model.decoder
    per_query = 4 * (decoder.code_dim + decoder.fed_dim + decoder.out_dim)
    device = next(model.parameters()).device
    return max(256, CHUNK_BYTES[device.type] // per_query)


def bands(box: Box, chunk: int) -> Iterator[Box]:
    """Parts of a region of at most `chunk` pixels, whole rows where a row fits."""
    width = min(box.width, chunk)
    height = max(1, chunk // width)
    for top in range(box.top, box.top + box.height, height):
        rows = min(height, box.top + box.height - top)
        for left in range(box.left, box.left + box.width, width):
            yield Box(top, left, rows, min(width, box.left + box.width - left))


def grid_coord(size: tuple[int, int], box: Box, device: torch.device) -> Tensor:
    """(1, Q, 2) centres of a region's pixels in an image of this size, row by row."""
    y = pixel_centers(size[0], device=device)[box.top : box.top + box.height]
    x = pixel_centers(size[1], device=device)[box.left : box.left + box.width]
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).reshape(1, -1, 2)


class _Tables:
    """Code tables for bands of a grid, top to bottom, of bounded size."""

    def __init__(self, model: ImplicitSR, features: Features, height: int) -> None:
        self.model = model
        self.features = features
        self.end = features.size[0]
        looked_up = model.decoder.axis_lookups(height, self.end, model.ensemble)
        self.lowest, self.highest = looked_up[0], looked_up[-1]
        row_bytes = 4 * features.size[1] * model.decoder.code_dim
        self.rows = max(1, TABLE_BYTES[features.lr.device.type] // row_bytes)
        self.table: CodeTable | None = None
        self.until = 0

    def get(self, band: Box) -> CodeTable:
        """A table with every row that the queries of a band look up."""
        first = int(self.lowest[band.top])
        needed = int(self.highest[band.top + band.height - 1]) + 1
        if self.table is None or first < self.table.first or needed > self.until:
            self.until = min(self.end, max(needed, first + self.rows))
            self.table = self.model.tabulate(self.features, first, self.until)
        return self.table


@torch.inference_mode()
def decode_box(
    model: ImplicitSR,
    features: Features,
    size: tuple[int, int],
    box: Box,
    stretch: float = 1.0,
    chunk: int | None = None,
    out: Tensor | None = None,
    done: Callable[[int], None] | None = None,
) -> Tensor:
    """A region of the SR image.

    Args:
        model: whose features these are.
        features: of one image.
        size: (H, W) of the whole SR image.
        box: the region.
        stretch: factor of the cell; see `cell_stretch`.
        chunk: queries decoded at once; None: as many as suit the device.
        out: (3, height, width) on the CPU, float32 or uint8; made if None.
        done: called with the number of pixels after each chunk.

    Returns:
        `out`: float32 in [0, 1] nominally, not clamped; or rounded uint8.
    """
    device = features.lr.device
    if out is None:
        out = torch.empty(3, box.height, box.width)
    cell = make_cell(size, device) * stretch
    tables = _Tables(model, features, size[0])
    for band in bands(box, chunk or queries_per_chunk(model)):
        coord = grid_coord(size, band, device)
        rgb = model.decode(features, coord, cell.expand_as(coord), tables.get(band))[0]
        pixels = (rgb.float() * 0.5 + 0.5).T.reshape(3, band.height, band.width).cpu()
        if out.dtype == torch.uint8:
            pixels = quantise(pixels)
        top, left = band.top - box.top, band.left - box.left
        out[:, top : top + band.height, left : left + band.width] = pixels
        if done is not None:
            done(band.height * band.width)
    return out


@torch.inference_mode()
def upscale(
    model: nn.Module,
    lr: Tensor,
    scale: float,
    size: tuple[int, int] | None = None,
    *,
    box: Box | None = None,
    out: Tensor | None = None,
    precision: str = "fp32",
    chunk: int | None = None,
    done: Callable[[int], None] | None = None,
) -> Upscaled:
    """SR image, or a region of it, by any of the harness's models.

    Args:
        model: in evaluation mode, on the device that does the work.
        lr: (1, 3, h, w) in [0, 1].
        scale: factor; decides the cell's clip, and what fixed-scale networks can do.
        size: (H, W) of the result; default round(h * scale), round(w * scale).
        box: the region; the whole image if None.
        out: (3, height, width) of the region on the CPU, float32 or uint8; made if None.
        precision: fp32, or autocast to bf16 or fp16.
        chunk: queries decoded at once; None: as many as suit the device.
        done: called with the number of pixels after each chunk.

    Raises:
        UsageError: when a fixed-scale network is asked for another scale.
    """
    h, w = lr.shape[-2:]
    target = size or (round(h * scale), round(w * scale))
    region = box or Box(0, 0, *target)
    seen = grid(model, (h, w), target)
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    lr = extend(lr.to(device), seen.lr)
    with autocast(device, precision):
        if isinstance(model, ImplicitSR):
            features = model.encode(lr * 2 - 1)
            stretch = cell_stretch(model, scale)
            image = decode_box(model, features, seen.hr, region, stretch, chunk, out, done)
            return Upscaled(image.unsqueeze(0), features.routing, seen.lr)
        whole = _whole_image(model, lr, scale)[0]
    image = whole[:, region.top :, region.left :][:, : region.height, : region.width]
    if out is not None:
        image = out.copy_(quantise(image) if out.dtype == torch.uint8 else image)
    return Upscaled(image.unsqueeze(0), None, seen.lr)


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


def _whole_image(model: nn.Module, lr: Tensor, scale: float) -> Tensor:
    """By networks that make all pixels at once, float32 on the CPU."""
    if isinstance(model, Bicubic):
        return torch.as_tensor(model(lr, scale))
    if not isinstance(model, FixedScaleSR | FixedScaleLookup):
        raise TypeError(f"{type(model).__name__} is not a network of this harness")
    if scale != model.scale:
        raise UsageError(f"This network enlarges by {model.scale} only, not {scale:g}.")
    if model.input_range == "unit":
        return torch.as_tensor(model.network(lr)).float().cpu()
    return torch.as_tensor(model.network(lr * 2 - 1)).float().cpu() * 0.5 + 0.5
