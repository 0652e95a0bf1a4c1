"""Lookup of latent codes by the pixels of a regular grid, one axis at a time.

Rows and columns are looked up independently, so the (query, code) pairs of an image are the
product of the pairs of its two axes. A *run* is what one code serves along an axis: consecutive
pixels, 2 scale of them inside the image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from baselines.composition import Composition
from baselines.geometry import AxisLookup


@dataclass(frozen=True)
class Axis:
    """(pixel, code) pairs of one axis, sorted by code, then by pixel; each pair once.

    Attributes:
        rel: (P,) relative coordinate of each pair.
        code: (G,) row (or column) of the latent grid of each run.
        chooser: (G,) row (or column) whose expert serves the run: `code`, or the nearest.
        start: (G,) first pair of each run.
        count: (G,) pairs of each run.
        where: (D, n) pair of each pixel, in each direction; at the border both are the same.
    """

    rel: Tensor
    code: Tensor
    chooser: Tensor
    start: Tensor
    count: Tensor
    where: Tensor

    @property
    def pairs(self) -> int:
        """Number of (pixel, code) pairs."""
        return self.rel.numel()

    def runs(self, start: int, end: int) -> Axis:
        """Keep the runs [start, end) alone."""
        some = slice(start, end)
        return replace(
            self,
            code=self.code[some],
            chooser=self.chooser[some],
            start=self.start[some],
            count=self.count[some],
        )


def make_axis(lookup: AxisLookup, n_codes: int, chooser: Tensor | None = None) -> Axis:
    """The pairs of n pixels, from the (D, n) codes of each pixel.

    `chooser` (n,) has the row (or column) whose expert serves each pixel; None: that of each code.

    Example:
        >>> from baselines.geometry import axis_lookup, pixel_centers
        >>> axis = make_axis(axis_lookup(pixel_centers(4), 2, ensemble=True), 2)
        >>> axis.code.tolist(), axis.count.tolist()
        ([0, 1], [3, 3])
    """
    n = lookup.index.shape[1]
    key = lookup.index * n + torch.arange(n, device=lookup.index.device)
    pairs, where = torch.unique(key, return_inverse=True)
    rel = torch.empty(pairs.numel(), device=pairs.device)
    rel[where] = lookup.rel
    code = pairs // n
    chosen = code if chooser is None else chooser[pairs % n]
    runs, count = torch.unique_consecutive(code * n_codes + chosen, return_counts=True)
    return Axis(
        rel=rel,
        code=runs // n_codes,
        chooser=runs % n_codes,
        start=count.cumsum(0) - count,
        count=count,
        where=where,
    )


def nearest_codes(model: Composition, coord: Tensor, cell: Tensor, n: int) -> Tensor:
    """(m,) the one code that each pixel of an axis belongs to. Args: as `axis_pairs`."""
    return model.decoder.along(coord, cell, n, False).index[0]


def axis_pairs(model: Composition, coord: Tensor, cell: Tensor, n: int, some: bool = False) -> Axis:
    """The (pixel, code) pairs of one axis of n rows (or columns), whose pixels have centres (m,).

    With `some`, the queries of some LR pixels only are answered: the runs are then those of pixels
    with the same nearest code.
    """
    lookup = model.decoder.along(coord, cell, n, model.ensemble)
    if model.head.routing_unit == "latent" and not some:
        return make_axis(lookup, n)
    return make_axis(lookup, n, nearest_codes(model, coord, cell, n))


def run_experts(
    model: Composition, choice: Tensor, rows: Axis, columns: Axis, asked: Tensor | None = None
) -> Tensor:
    """(G_rows, G_columns) expert that serves each pair of runs; -1 for nobody.

    It is the (h, w) `choice` at the code, or at the nearest code, as the head's routing unit says.
    `asked` is as in `baselines.fast.engine.GridJob`.
    """
    own = model.head.routing_unit == "latent"
    y, x = (axis.code if own else axis.chooser for axis in (rows, columns))
    experts = choice[y][:, x]
    if asked is None:
        return experts
    return experts.masked_fill(~asked[rows.chooser][:, columns.chooser], -1)
