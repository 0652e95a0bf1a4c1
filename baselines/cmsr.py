"""Controllable multi-scale rendering (CMSR) of LMF (He, Jin, CVPR 2024): pixels that are hardly
modulated are rendered at a lower scale and enlarged bilinearly.

A *table* says for a target scale up to which modulation intensity which scale will do. An image is
rendered from the lowest of these scales to the highest; in between, what is there is enlarged to
the next one, where the pixels of the next intensities take their places. Intensities and
modulations are those of the target scale, made once.
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
# Of a pixel that is enlarged: three colours of it, and of what it is made of.
_ROW_BYTES = 48


@dataclass(frozen=True)
class Level:
    """A scale to render at, for intensities from the bound of the level before up to its own.

    Attributes:
        scale: of the rendered image.
        below: bound of the intensities, itself not among them; infinite for none.
    """

    scale: float
    below: float


Tables = Mapping[float, Sequence[Level]]
"""Levels below the target scale, scales and bounds ascending, by target scale."""


def serves(scale: float) -> bool:
    """Tell whether a scale is above those of training; else CMSR is the plain rendering."""
    return scale > TRAINED_SCALE


def stretch_of(scale: float) -> float:
    """Factor of the cell of an image rendered at a scale: above x4 it stays that of x4."""
    return max(scale / TRAINED_SCALE, 1.0)


def level_size(lr_size: Size, scale: float) -> Size:
    """(H, W) of the image that is rendered at a lower scale; rounded down, as officially."""
    return int(lr_size[0] * scale), int(lr_size[1] * scale)


def table_for(tables: Tables, scale: float) -> float:
    """Target scale of the table that serves a scale: the next one, else the largest."""
    return min((target for target in tables if target >= scale), default=max(tables))


def levels_at(tables: Tables, scale: float) -> tuple[Level, ...]:
    """The levels that an image of a scale is rendered at, lowest first; the last has no bound.

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
    """One rendering, at the scale of one level.

    Attributes:
        size: (H, W) of the whole image at its scale.
        used: rows and columns of it, from the top left, that the next step reads.
        stretch: factor of the cell.
        asked: (h, w) bool, the LR pixels of its intensities.
    """

    size: Size
    used: Size
    stretch: float
    asked: Tensor

    @property
    def some(self) -> Tensor | None:
        """`asked`, where not all are: what the engine is given."""
        return None if self.asked.all() else self.asked


def plan(
    intensity: Tensor, levels: Sequence[Level], scale: float, size: Size, used: Size
) -> tuple[Step, ...]:
    """The steps of an image; levels that no LR pixel belongs to have none.

    Args:
        intensity: (h, w), see `LMDecoder.intensity`.
        levels: of `levels_at` for the scale.
        scale: target scale.
        size: (H, W) of the SR image.
        used: rows and columns of it, from the top left, that are wanted.
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
        int(_Between(*axis).high[-1]) + 1 for axis in zip(small, large, used, strict=True)
    )
    return rows, columns


def code_table(
    model: ImplicitSR, features: Features, cell: Tensor, dtype: torch.dtype
) -> CodeTable:
    """All rows of `ImplicitSR.tabulate`, made in bands; what is made on the way is larger.

    Args:
        model: with an LMF decoder.
        features: of one image.
        cell: (2,) of the SR image's pixels.
        dtype: of the matrix products.
    """
    rows, width = features.size
    bands = spans(features.latent, rows, 4 * width * model.decoder.working_dim, halo=1)
    with torch.autocast(cell.device.type, dtype, enabled=dtype != torch.float32):
        parts = [model.tabulate(features, cell[None], *band).codes for band in bands]
    return CodeTable(torch.cat(parts, dim=1), 0)


def intensity_of(model: ImplicitSR, table: CodeTable, size: Size) -> Tensor:
    """(h, w) float64 modulation intensity of the codes of a whole LR image."""
    return cast(LMDecoder, model.decoder).intensity(table.codes[0].float()).view(size).double()


@dataclass(frozen=True)
class Rendered:
    """An SR image in the making.

    Attributes:
        steps: what is rendered for it.
        strips: its rows from top to bottom, (rows, columns, 3) in [-1, 1], not clamped.
    """

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
    """The SR image by CMSR.

    Args:
        model: in evaluation mode, with an LMF decoder.
        features: of one image.
        tables: made for this network.
        scale: target scale, above x4.
        size: (H, W) of the SR image.
        used: rows and columns of it, from the top left, that are wanted; all if None.
        dtype: of the matrix products.
        memory: bytes that a band of LR rows may take; None: what suits the device.
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
    """An LMF network whose SR images above x4 are rendered by CMSR.

    Args:
        model: with an LMF decoder, in evaluation mode.
        tables: made for this network.
    """

    any_size = True

    def __init__(self, model: ImplicitSR, tables: Tables) -> None:
        super().__init__()
        self.model = model
        self.tables = tables
        self.window = model.window

    @property
    def encoder_parameters(self) -> int | None:
        """Trainable parameters of the network's encoder."""
        return self.model.encoder_parameters

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """A region of the SR image; see `SRModel.stream`."""
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
        """MACs of one image; with its steps, also what is rendered and executed by them."""
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
    """Pixels that are rendered, at whatever scale.

    Args:
        model: knows which LR pixel is the nearest.
        lr_size: (h, w) of the LR image as the network saw it.
        steps: that it was rendered in.
    """
    total = 0
    for step in steps:
        nearest = pair_counts(model.decoder, Grid(lr_size, step.size), step.used, ensemble=False)
        total += int(nearest[step.asked.cpu()].sum())
    return total


@torch.inference_mode()
def _within(made: Iterator[Tensor], box: Box) -> Iterator[Tensor]:
    """A region of what is rendered from the top left; yields as `Streamed`."""
    end = 0
    for strip in made:
        end += strip.shape[0]
        kept = strip[max(0, box.top - end + strip.shape[0]) :, box.left :]
        if end > box.top:
            yield kept.permute(2, 0, 1) * 0.5 + 0.5


def _merged(decoder: GridDecoder, below: _Enlarged) -> Iterator[Tensor]:
    """Strips of a level: what it answers, and else the level below."""
    top = 0
    for strip in decoder.strips():
        end = top + strip.shape[0]
        answered = decoder.answered(slice(top, end)).unsqueeze(-1)
        yield torch.where(answered, strip, below.rows(top, end))
        top = end


class _Between:
    """Positions of an enlarged axis's pixels between those of the smaller one; borders repeated.

    Args:
        small: pixels of the axis.
        large: pixels of the enlarged axis.
        used: of those, the first ones that count.
        device: of the attributes.

    Attributes:
        low, high: (used,) pixels on both sides.
        weight: (used,) share of the higher one.
    """

    def __init__(
        self, small: int, large: int, used: int, device: torch.device | None = None
    ) -> None:
        centres = torch.arange(used, dtype=torch.float64, device=device) + 0.5
        at = (centres * (small / large) - 0.5).clamp(0, small - 1)
        self.low = at.long()
        self.high = at.ceil().long()
        self.weight = (at - self.low).float()


class _Enlarged:
    """An image that comes in strips, enlarged bilinearly; no more of it is held than is read.

    Args:
        strips: (rows, columns, 3) from top to bottom.
        small: (h, w) of the whole image that they belong to.
        large: (H, W) of the enlarged image.
        used: rows and columns of it that are read.
        device: of the strips.
    """

    def __init__(
        self, strips: Iterator[Tensor], small: Size, large: Size, used: Size, device: torch.device
    ) -> None:
        self._strips = strips
        self._y, self._x = (
            _Between(*side, device) for side in zip(small, large, used, strict=True)
        )
        self._held: list[Tensor] = []
        self._first = 0

    def rows(self, first: int, end: int) -> Tensor:
        """(end - first, columns, 3); every call goes on where the last one ended."""
        y, x, span = self._y, self._x, slice(first, end)
        held = self._hold(int(y.low[first]), int(y.high[end - 1]) + 1)
        low, high = (held[at[span] - self._first] for at in (y.low, y.high))
        tall = torch.lerp(low, high, y.weight[span, None, None])
        return torch.lerp(tall[:, x.low], tall[:, x.high], x.weight[:, None])

    def _hold(self, first: int, end: int) -> Tensor:
        """The rows from the first one needed now, which no later call goes back from."""
        until = self._first + sum(strip.shape[0] for strip in self._held)
        while until < end:
            self._held.append(next(self._strips))
            until += self._held[-1].shape[0]
        held = torch.cat(self._held)[first - self._first :]
        self._held, self._first = [held], first
        return held

    def strips(self, high: int) -> Iterator[Tensor]:
        """All of it, so many rows at a time."""
        rows = self._y.low.numel()
        for first in range(0, rows, high):
            yield self.rows(first, min(first + high, rows))
