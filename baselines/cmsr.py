"""Controllable multi-scale rendering (CMSR) of LMF (He, Jin, CVPR 2024).

CMSR renders weakly modulated pixels at a lower scale and enlarges them bilinearly. For each target
scale, a *table* says up to which modulation intensity a lower scale is good enough. An image is
rendered from the lowest of these scales to the highest. Between two scales, the image so far is
enlarged to the next scale, and the pixels of the next range of intensities are rendered there.
Intensities and modulations are computed once, at the target scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

from baselines.base import Box, Request, SRModel, Streamed
from baselines.composition import CodeTable, Features
from baselines.decoders.lmf import LMDecoder
from baselines.fast.banding import spans
from baselines.fast.counting import executed_queries, pair_counts, per_pixel_macs
from baselines.fast.engine import MEMORY, GridDecoder, GridJob
from baselines.geometry import make_cell
from baselines.macs import MacCount
from baselines.systems.implicit import ImplicitSR
from baselines.windows import Grid, Size

# LMF is trained up to x4; up to there everything is rendered at the target scale.
TRAINED_SCALE = 4.0
# Values of an enlarged pixel: its three colours, and those that it is made from.
_ROW_BYTES = 48


@dataclass(frozen=True)
class Level:
    """Scale to render at, for intensities from the bound of the level before up to its own bound.

    Attributes:
        scale: scale of the rendered image.
        below: exclusive upper bound of the intensities; infinite for no bound.
    """

    scale: float
    below: float


Tables = Mapping[float, Sequence[Level]]
"""Levels below each target scale, by target scale; scales and bounds ascend."""


def serves(scale: float) -> bool:
    """Tell whether a scale is above the training scales; at others, CMSR is plain rendering."""
    return scale > TRAINED_SCALE


def stretch_of(scale: float) -> float:
    """Compute the cell's factor for an image rendered at a scale: above x4 it stays as at x4."""
    return max(scale / TRAINED_SCALE, 1.0)


def level_size(lr_size: Size, scale: float) -> Size:
    """Compute (H, W) of the image rendered at a lower scale, rounded down as officially."""
    return int(lr_size[0] * scale), int(lr_size[1] * scale)


def table_for(tables: Tables, scale: float) -> float:
    """Find the target scale of the table for a scale: the next higher one, else the largest."""
    return min((target for target in tables if target >= scale), default=max(tables))


def levels_at(tables: Tables, scale: float) -> tuple[Level, ...]:
    """List the levels that an image of a scale is rendered at, lowest first; the last has no bound.

    Example:
        >>> levels_at({6: [Level(2, 0.3)]}, 5)
        (Level(scale=2, below=0.3), Level(scale=5, below=inf))
    """
    found: list[Level] = []
    for level in tables[table_for(tables, scale)]:
        if level.scale >= scale or (found and found[-1].below == math.inf):
            break
        found.append(level)
    if not found or found[-1].below < math.inf:
        found.append(Level(scale, math.inf))
    return tuple(found)


@dataclass(frozen=True)
class Step:
    """Rendering of one image at the scale of one level.

    Attributes:
        size: (H, W) of the whole image at this scale.
        used: numbers of rows and columns, from the top left, that the next step reads.
        stretch: factor of the cell.
        asked: (h, w) bool, True for the LR pixels whose intensity belongs to this level.
    """

    size: Size
    used: Size
    stretch: float
    asked: Tensor

    @property
    def some(self) -> Tensor | None:
        """Mask `asked`, or None where all LR pixels are asked; the form that the engine takes."""
        return None if self.asked.all() else self.asked


def plan(
    intensity: Tensor, levels: Sequence[Level], scale: float, size: Size, used: Size
) -> tuple[Step, ...]:
    """List the steps in which an SR image (H, W) is rendered by its intensities, (h, w).

    Levels (of `levels_at`) without any LR pixel have no step. `used` are the numbers of rows and
    columns to make, from the top left.
    """
    steps: list[Step] = []
    above, lr_size = size, (intensity.shape[0], intensity.shape[1])
    for n in reversed(range(len(levels))):
        level, low = levels[n], levels[n - 1].below if n else -math.inf
        asked = (intensity >= low) & (intensity < level.below)
        if not asked.any():
            continue
        whole = size if level.scale == scale else level_size(lr_size, level.scale)
        used = _read(whole, above, used)
        steps.append(Step(whole, used, stretch_of(level.scale), asked))
        above = whole
    return tuple(reversed(steps))


def _read(small: Size, large: Size, used: Size) -> Size:
    """Rows and columns of the smaller image that the enlarged one's used part is made of."""
    rows, columns = (
        int(_between(*axis)[1][-1]) + 1 for axis in zip(small, large, used, strict=True)
    )
    return rows, columns


def code_table(
    model: ImplicitSR, features: Features, cell: Tensor, dtype: torch.dtype
) -> CodeTable:
    """Compute all rows of `ImplicitSR.tabulate` in bands, because intermediate results are larger.

    The features are of one image, and `cell` (2,) is of the SR image's pixels.
    """
    rows, width = features.size
    bands = spans(features.latent, rows, 4 * width * model.decoder.working_dim, halo=1)
    with torch.autocast(cell.device.type, dtype, enabled=dtype != torch.float32):
        parts = [model.tabulate(features, cell[None], *band).codes for band in bands]
    return CodeTable(torch.cat(parts, dim=1), 0)


def intensity_of(model: ImplicitSR, table: CodeTable, size: Size) -> Tensor:
    """Compute the (h, w) float64 modulation intensities of the codes of a whole LR image."""
    return cast(LMDecoder, model.decoder).intensity(table.codes[0].float()).view(size).double()


@dataclass(frozen=True)
class Rendered:
    """SR image in strips (rows, columns, 3) in [-1, 1], not clamped, and the steps to it."""

    steps: tuple[Step, ...]
    strips: Iterator[Tensor]


def render(
    model: ImplicitSR,
    features: Features,
    tables: Tables,
    scale: float,
    size: Size,
    used: Size | None = None,
    dtype: torch.dtype = torch.float32,
    memory: int | None = None,
) -> Rendered:
    """Render an SR image by CMSR.

    Args:
        model: network with an LMF decoder, in evaluation mode.
        features: features of one image.
        tables: CMSR tables that were made for this network.
        scale: target scale, above x4.
        size: (H, W) of the SR image.
        used: numbers of rows and columns to make, from the top left; None for all.
        dtype: type of the matrix products.
        memory: bytes that a band of LR rows may take; None: a value that suits the device.
    """
    used = used or size
    cell = make_cell(size, features.latent.device) * stretch_of(scale)
    table = code_table(model, features, cell, dtype)
    intensity = intensity_of(model, table, features.size)
    steps = plan(intensity, levels_at(tables, scale), scale, size, used)
    image, at = iter([features.lr[0].permute(1, 2, 0)]), features.size
    for step in steps:
        rows, columns = ((0, end) for end in step.used)
        job = GridJob(step.size, rows, columns, step.stretch, dtype, memory, asked=step.some)
        decoder = GridDecoder(model, features, job, table)
        below = _Enlarged(image, at, step.size, step.used, cell.device)
        image = decoder.strips() if step.some is None else _merged(decoder, below)
        at = step.size
    if at != size:
        high = max(1, (memory or MEMORY[cell.device.type]) // (_ROW_BYTES * used[1]))
        image = _Enlarged(image, at, size, used, cell.device).strips(high)
    return Rendered(steps, image)


class Cmsr(SRModel):
    """LMF network in evaluation mode, rendered above x4 by CMSR tables that were made for it."""

    any_size = True

    def __init__(self, model: ImplicitSR, tables: Tables) -> None:
        super().__init__()
        self.model = model
        self.tables = tables
        self.window = model.window

    @property
    def encoder_parameters(self) -> int | None:
        """Count the trainable parameters of the network's encoder."""
        return self.model.encoder_parameters

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make a region of the SR image; see `SRModel.stream`."""
        if not serves(request.scale):
            return self.model.stream(lr, request)
        box, features = request.box, self.model.encode(lr * 2 - 1)
        used = (box.top + box.height, box.left + box.width)
        made = render(
            self.model,
            features,
            self.tables,
            request.scale,
            request.size,
            used,
            request.dtype,
            request.memory,
        )
        return Streamed(_within(made.strips, box), features.size, made.steps)

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Sequence[Step] | None = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """Count the MACs of one image; given its steps, also those rendered and executed."""
        del shares
        plain = self.model.count(lr_size, hr_size)
        if choice is None:
            return plain
        seen = self.seen(lr_size, hr_size).lr
        (per_pair,) = self.model.head.expert_macs()
        executed = seen[0] * seen[1] * per_pixel_macs(self.model)
        for step in choice:
            some = None if step.some is None else step.some.cpu()
            nobody = torch.zeros(seen, dtype=torch.int64)
            executed += executed_queries(
                self.model, Grid(seen, step.size), step.used, nobody, asked=some
            )
        pairs = (4 if self.model.ensemble else 1) * rendered_queries(self.model, seen, choice)
        return replace(plain, rendered=plain.latent + pairs * per_pair, executed=executed)


def rendered_queries(model: ImplicitSR, lr_size: Size, steps: Sequence[Step]) -> int:
    """Count the pixels that are rendered in all steps; `lr_size` is that which the network saw."""
    total = 0
    for step in steps:
        nearest = pair_counts(model.decoder, Grid(lr_size, step.size), step.used, ensemble=False)
        total += int(nearest[step.asked.cpu()].sum())
    return total


@torch.inference_mode()
def _within(made: Iterator[Tensor], box: Box) -> Iterator[Tensor]:
    """Cut a region out of strips that start at the top left; yields as `Streamed`."""
    end = 0
    for strip in made:
        end += strip.shape[0]
        kept = strip[max(0, box.top - end + strip.shape[0]) :, box.left :]
        if end > box.top:
            yield kept.permute(2, 0, 1) * 0.5 + 0.5


def _merged(decoder: GridDecoder, below: _Enlarged) -> Iterator[Tensor]:
    """Merge the strips of a level with the level below, which fills the other pixels."""
    top = 0
    for strip in decoder.strips():
        end = top + strip.shape[0]
        answered = decoder.answered(slice(top, end)).unsqueeze(-1)
        yield torch.where(answered, strip, below.rows(top, end))
        top = end


def _between(
    small: int, large: int, used: int, device: torch.device | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Find what the first `used` pixels of an enlarged axis lie between; borders are repeated.

    Returns:
        (used,) each: lower and higher neighbour of `small` pixels, and the share of the higher one.
    """
    centres = torch.arange(used, dtype=torch.float64, device=device) + 0.5
    at = (centres * (small / large) - 0.5).clamp(0, small - 1)
    return at.long(), at.ceil().long(), (at - at.long()).float()


class _Enlarged:
    """Image (h, w) that arrives in strips (rows, columns, 3) and is enlarged bilinearly to (H, W).

    Only the needed rows are held; `used` rows and columns of the enlarged image are read.
    """

    def __init__(
        self, strips: Iterator[Tensor], small: Size, large: Size, used: Size, device: torch.device
    ) -> None:
        self._strips = strips
        self._y, self._x = (
            _between(*side, device) for side in zip(small, large, used, strict=True)
        )
        self._held: list[Tensor] = []
        self._first = 0

    def rows(self, first: int, end: int) -> Tensor:
        """Return rows `first` to `end`, (end - first, columns, 3), continuing the last call."""
        (top, bottom, down), (left, right, across) = self._y, self._x
        held = self._hold(int(top[first]), int(bottom[end - 1]) + 1)
        span = slice(first, end)
        low, high = (held[at[span] - self._first] for at in (top, bottom))
        tall = torch.lerp(low, high, down[span, None, None])
        return torch.lerp(tall[:, left], tall[:, right], across[:, None])

    def _hold(self, first: int, end: int) -> Tensor:
        """Return the small image's rows from the first needed one; earlier ones are dropped."""
        until = self._first + sum(strip.shape[0] for strip in self._held)
        while until < end:
            self._held.append(next(self._strips))
            until += self._held[-1].shape[0]
        held = torch.cat(self._held)[first - self._first :]
        self._held, self._first = [held], first
        return held

    def strips(self, high: int) -> Iterator[Tensor]:
        """Yield the whole image, `high` rows at a time."""
        rows = self._y[0].numel()
        for first in range(0, rows, high):
            yield self.rows(first, min(first + high, rows))
