"""Which latent codes the pixels of a regular grid look up, one axis at a time.

Rows and columns are looked up independently, so the (query, code) pairs of an image are the
product of the pairs of its two axes. A *run* is what one code serves along an axis: consecutive
pixels, 2 scale of them inside the image.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.implicit import AxisLookup


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
        """How many (pixel, code) pairs there are."""
        return self.rel.numel()


def make_axis(lookup: AxisLookup, n_codes: int, chooser: Tensor | None = None) -> Axis:
    """The pairs of n pixels.

    Args:
        lookup: (D, n) codes of each pixel.
        n_codes: rows (or columns) of the latent grid.
        chooser: (n,) row (or column) whose expert serves each pixel; None: that of each code.

    Example:
        >>> from baselines.implicit import axis_lookup, pixel_centers
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
