"""Decoding a regular grid: the fast way from features to pixels, in strips of rows.

The same function as `Composition.decode` on the centres of an image's pixels. That is the
reference, query by query; here queries are grouped by latent code and by expert, so that each
expert is a dense product per chunk, what a code's queries share is computed once
(`baselines.composition.Split`), and no expert is asked for another's queries. (A few queries at the
border are answered twice, where that fills a chunk; see `_by_shape`.)

Latent codes are worked on in bands of LR rows, whose number follows from a memory budget; each
band completes some rows of the image.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from baselines.composition import CodeTable, Composition, Features, Split
from baselines.fast.axes import Axis, axis_pairs, nearest_codes, run_experts
from baselines.fast.pool import pool_for
from baselines.geometry import AREA_EPS, make_cell, pixel_centers

# (Query, code) pairs of one chunk. On a CPU the buffers of a chunk should stay in the cache, on a
# GPU a chunk should fill the machine.
PAIRS = {"cpu": 4096, "cuda": 1 << 18}
# Bytes of all that a band of LR rows needs: codes, answers, finished rows.
MEMORY = {"cpu": 64 << 20, "cuda": 2 << 30}

Span = tuple[int, int]


@dataclass(frozen=True)
class GridJob:
    """The region to decode, and within which limits.

    Attributes:
        size: (H, W) of the whole SR image.
        rows: [first, end) of the wanted rows.
        columns: [first, end) of the wanted columns.
        stretch: factor of the cell.
        dtype: of the matrix products.
        memory: bytes that a band may take; None: what suits the device.
        pairs: (query, code) pairs of a chunk; None: what suits the device.
        asked: (h, w) bool, the LR pixels whose queries are answered, those nearest to them; the
            others are zero and ask no expert. None: all.
    """

    size: tuple[int, int]
    rows: Span
    columns: Span
    stretch: float = 1.0
    dtype: torch.dtype = torch.float32
    memory: int | None = None
    pairs: int | None = None
    asked: Tensor | None = None


def decode_grid(model: Composition, features: Features, job: GridJob) -> Tensor:
    """(B, 3, rows, columns) in [-1, 1], not clamped, of a batch's features, without gradients.

    Example:
        >>> from baselines import build
        >>> model = build("edsr-liif", encoder={"blocks": 1, "features": 8}).eval()
        >>> with torch.no_grad():
        ...     features = model.encode(torch.zeros(2, 3, 4, 5))
        ...     decode_grid(model, features, GridJob((10, 13), (0, 10), (0, 13))).shape
        torch.Size([2, 3, 10, 13])
    """
    images = [
        torch.cat(list(GridDecoder(model, features.of_image(i), job).strips()))
        for i in range(features.latent.shape[0])
    ]
    return torch.stack(images).permute(0, 3, 1, 2)


def _check(model: Composition, job: GridJob) -> None:
    if any(part.training for part in model.modules()):
        raise ValueError("the engine decodes networks in evaluation mode: call .eval() first")
    kinds = {parameter.dtype for parameter in model.parameters()}
    if kinds != {torch.float32}:
        raise ValueError(
            f"the engine decodes float32 networks, not {kinds}; `dtype` is a product's"
        )
    for side, (first, end) in zip(job.size, (job.rows, job.columns), strict=True):
        if not 0 <= first < end <= side:
            raise ValueError(f"[{first}, {end}) is no part of a side of {side} pixels")
    if (job.memory is not None and job.memory < 1) or (job.pairs is not None and job.pairs < 1):
        raise ValueError(f"memory {job.memory} and pairs {job.pairs} must be positive")


class GridDecoder:
    """Decodes (a region of) the SR image of one LR image, by a network in evaluation mode.

    Its features are those of one image. `table` has the codes of all its rows, where they are at
    hand; else they are made band by band.

    Raises:
        ValueError: for a network in training mode, whose experts are mixed, or one that is not
            float32; for an empty region, one that leaves the image, or no memory.
    """

    @torch.no_grad()
    def __init__(
        self,
        model: Composition,
        features: Features,
        job: GridJob,
        table: CodeTable | None = None,
    ) -> None:
        _check(model, job)
        self.model = model
        self.features = features
        self.job = job
        self.table = table
        self.device = features.latent.device
        self.cell = make_cell(job.size, self.device) * job.stretch
        self.rel_cell = self.cell * self.cell.new_tensor(features.size)
        self.splits = [model.decoder.split([mlp], job.dtype) for mlp in model.head.mlps]
        self.coords = [
            pixel_centers(n, device=self.device)[first:end]
            for n, (first, end) in zip(job.size, (job.rows, job.columns), strict=True)
        ]
        axes = list(zip(self.coords, self.cell, features.size, strict=True))
        some = job.asked is not None
        self.rows, self.columns = (axis_pairs(model, *axis, some) for axis in axes)
        self.nearest = [nearest_codes(model, *axis) for axis in axes] if some else []
        self.choice = self._choice()
        self.pool = pool_for(self.device)
        self.chunk = job.pairs or PAIRS[self.device.type]

    def _choice(self) -> Tensor:
        """(h, w) expert of each latent code."""
        routing = self.features.routing
        if routing is None:
            return torch.zeros(self.features.size, dtype=torch.int64, device=self.device)
        return routing.gates[0].argmax(dim=-1).view(self.features.size)

    @torch.no_grad()
    def strips(self) -> Iterator[Tensor]:
        """Rows of the region from top to bottom, (rows, width, 3) in [-1, 1], not clamped."""
        last = self.rows.where[-1].contiguous()
        carried: Tensor | None = None
        done = first_pair = 0
        for start, end in self._bands():
            answers = self._band(start, end)
            answers = answers if carried is None else torch.cat([carried, answers])
            ready = int(torch.searchsorted(last, first_pair + answers.shape[0]))
            if ready > done:
                yield self._blend(answers, first_pair, slice(done, ready))
            done = ready
            if done < last.numel():
                kept = min(int(self.rows.where[0, done]), first_pair + answers.shape[0])
                # A view would hold all of this band while the next one is made.
                carried, first_pair = answers[kept - first_pair :].clone(), kept
            del answers

    def _bands(self) -> Iterator[Span]:
        """[first, end) runs of rows, as many as the memory allows."""
        budget = self.job.memory or MEMORY[self.device.type]
        made = 0 if self.table else self.features.size[1] * self.model.decoder.working_dim
        codes = made + self.columns.code.numel() * max(s.prepared_dim for s in self.splits)
        most = int(self.rows.count.max())
        # Answers of the pairs, twice while they are joined; rows, their parts and weights.
        pairs = most * (6 * self.columns.pairs + 16 * self.columns.where.shape[1])
        runs = self.rows.code.numel()
        step = max(1, budget // (4 * (codes + pairs)))
        for start in range(0, runs, step):
            yield start, min(start + step, runs)

    def _band(self, start: int, end: int) -> Tensor:
        """Answers (pairs of these runs of rows, pairs of columns, 3)."""
        rows, columns, width = self.rows, self.columns, self.features.size[1]
        table = self._codes(int(rows.code[start]), int(rows.code[end - 1]) + 1)
        first_pair = int(rows.start[start])
        pairs = int(rows.start[end - 1] + rows.count[end - 1]) - first_pair
        # Where all are asked, all is written.
        blank = torch.empty if self.job.asked is None else torch.zeros
        answers = blank(pairs, columns.pairs, 3, device=self.device)
        runs = rows.runs(start, end)
        chosen = run_experts(self.model, self.choice, runs, columns, self.job.asked)
        chunks: list[_Chunk] = []
        for expert, split in enumerate(self.splits):
            y, x = torch.nonzero(chosen == expert, as_tuple=True)
            y = y + start
            for group in _by_shape(rows.count[y], columns.count[x], self.chunk):
                its_y, its_x = y[group.members], x[group.members]
                code = (rows.code[its_y] - rows.code[start]) * width + columns.code[its_x]
                asked = _Chunk(
                    split=split,
                    prepared=split.prepare(table.index_select(0, code).float()),
                    rows=_pairs(rows, its_y, group.rows),
                    columns=_pairs(columns, its_x, group.columns),
                )
                chunks += asked.parts(self.chunk)
        self.pool.run(partial(self._answer, answers=answers, first_pair=first_pair), chunks)
        return answers

    def _codes(self, first: int, end: int) -> Tensor:
        if self.table is not None:
            width = self.features.size[1]
            return self.table.codes[0, first * width : end * width]
        dtype = self.job.dtype
        with torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32):
            return self.model.tabulate(self.features, self.cell[None], first, end).codes[0]

    def _answer(self, chunk: _Chunk, answers: Tensor, first_pair: int) -> None:
        """The answers of one chunk; chunks write to different places."""
        rel_y, rel_x = self.rows.rel[chunk.rows], self.columns.rel[chunk.columns]
        rgb = chunk.split.on_grid(chunk.prepared, rel_y, rel_x, self.rel_cell)
        at = ((chunk.rows - first_pair)[:, :, None], chunk.columns[:, None])
        answers.index_put_(at, rgb.to(answers.dtype))

    def _blend(self, answers: Tensor, first_pair: int, span: slice) -> Tensor:
        """Rows of the region from the answers of the codes around each pixel."""
        y_at, x_at = self.rows.where[:, span], self.columns.where
        rel_y, rel_x = self.rows.rel[y_at], self.columns.rel[x_at]
        by_row = [answers.index_select(0, at - first_pair) for at in y_at]
        if len(y_at) == 1:
            rgb = by_row[0].index_select(1, x_at[0])
        else:
            areas = (rel_y[:, None, :, None] * rel_x[None, :, None, :]).abs() + AREA_EPS
            # The area of a code is that between the query and the opposite code.
            weights = (areas.flip(0, 1) / areas.sum(dim=(0, 1))).unsqueeze(-1)
            rgb = torch.zeros(*areas.shape[2:], 3, device=self.device)
            for i, row in enumerate(by_row):
                for j, at in enumerate(x_at):
                    rgb.addcmul_(row.index_select(1, at), weights[i, j])
        rgb = self._skip(rgb, span)
        return rgb if self.job.asked is None else rgb * self.answered(span).unsqueeze(-1)

    def answered(self, span: slice) -> Tensor:
        """(rows, columns) bool: the pixels of these rows that are asked, where not all are."""
        assert self.job.asked is not None
        y, x = self.nearest
        return self.job.asked[y[span]][:, x]

    def _skip(self, rgb: Tensor, span: slice) -> Tensor:
        y, x = self.coords[0][span], self.coords[1]
        coord = torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).view(1, -1, 2)
        skip = self.model.decoder.skip(self.features.lr, coord)
        return rgb if skip is None else rgb + skip.view_as(rgb)


@dataclass(frozen=True)
class _Chunk:
    """Codes (N, P), and rows (N, R) and columns (N, C) of pairs of each, asked of one expert."""

    split: Split
    prepared: Tensor
    rows: Tensor
    columns: Tensor

    def parts(self, most: int) -> Iterator[_Chunk]:
        """Some codes, and some of the rows of each: at most so many queries."""
        rows, columns = self.rows.shape[1], self.columns.shape[1]
        at_once = min(rows, max(1, most // columns))
        codes = max(1, most // (at_once * columns))
        for n in range(0, self.prepared.shape[0], codes):
            some = slice(n, n + codes)
            for r in range(0, rows, at_once):
                of_rows = self.rows[some, r : r + at_once]
                yield _Chunk(self.split, self.prepared[some], of_rows, self.columns[some])


@dataclass(frozen=True)
class _Group:
    """Members with at most as many rows and columns of queries each."""

    rows: int
    columns: int
    members: Tensor


def _by_shape(rows: Tensor, columns: Tensor, chunk: int) -> list[_Group]:
    """(N,) numbers of rows and columns, sorted into groups.

    Codes at the border have fewer of either. Where they would not fill a chunk they join the
    largest group, if it has room for them (see `_pairs`): a short chunk costs more than that.
    """
    if not rows.numel():
        return []
    base = int(columns.max()) + 1
    key = rows * base + columns
    shapes, counts = torch.unique(key, return_counts=True)
    high, wide = shapes // base, shapes % base
    main = int(counts.argmax())
    few = (counts * high * wide < chunk) & (high <= high[main]) & (wide <= wide[main])
    into = torch.where(few, shapes[main], shapes)
    key = into[torch.searchsorted(shapes, key)]
    order = torch.argsort(key, stable=True)
    keys, counts = torch.unique_consecutive(key[order], return_counts=True)
    parts = torch.split(order, counts.tolist())
    return [_Group(key // base, key % base, p) for key, p in zip(keys.tolist(), parts, strict=True)]


def _pairs(axis: Axis, runs: Tensor, count: int) -> Tensor:
    """(N, count) pairs of N runs; a shorter run has its last pair again, with the same answer."""
    last = (axis.count[runs] - 1)[:, None]
    steps = torch.arange(count, device=last.device)
    return axis.start[runs][:, None] + torch.minimum(steps, last)
