"""MACs of decoding one image on a regular grid, exact for any scale without running the decoder.

A decoder's work is the number of (query, latent code) pairs that each expert serves. On a
regular grid that number is, for one LR pixel, (HR rows that look it up) x (HR columns that do),
summed over the four directions of the local ensemble; so counting takes O(H + W + h w).

What the engine executes is less: what the queries of a latent code share is computed once
(`baselines.composition.Split`), and a code that a border pixel finds twice is asked once. It is
counted beside the paper's figure and never in its place.

SwinIR sees an extended LR image (`baselines.windows`): encoder and mapper count all of it, the
decoder only the queries of the SR image that is kept, which are those that are computed here.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.composition import Composition, Decoder, SplitMacs
from baselines.fast.axes import Axis, axis_pairs, run_experts
from baselines.geometry import make_cell, pixel_centers
from baselines.windows import Grid


def pair_counts(
    decoder: Decoder, seen: Grid, used: tuple[int, int], ensemble: bool, by_pixel: bool = False
) -> Tensor:
    """(h, w) int64: (query, latent code) pairs whose expert is the one of each LR pixel.

    Args:
        decoder: knows which codes a query looks up.
        seen: latent grid and the SR image that belongs to it.
        used: (H, W) of the queries, from the top left.
        ensemble: four codes for each query.
        by_pixel: the nearest code decides for all codes of a query.
    """
    if by_pixel and ensemble:
        return 4 * pair_counts(decoder, seen, used, ensemble=False)
    cell = make_cell(seen.hr)
    rows, columns = (
        decoder.along(pixel_centers(n_hr)[:end], side, n_lr, ensemble).index
        for n_lr, n_hr, side, end in zip(seen.lr, seen.hr, cell, used, strict=True)
    )
    h, w = seen.lr
    return torch.outer(
        rows.flatten().bincount(minlength=h), columns.flatten().bincount(minlength=w)
    )


def expert_pairs(
    model: Composition,
    seen: Grid,
    hr_size: tuple[int, int],
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> list[float]:
    """Pairs that each expert serves.

    Either the (h, w) `choice` of each LR pixel of `seen` is counted, or `shares` of the experts.
    """
    experts = len(model.head.expert_macs())
    if choice is None:
        total = hr_size[0] * hr_size[1] * (4 if model.ensemble else 1)
        parts = [1.0] if experts == 1 else list(shares or [])
        if len(parts) != experts:
            raise ValueError(f"{experts} experts need an expert map or {experts} shares")
        return [total * part for part in parts]
    by_pixel = model.head.routing_unit == "pixel"
    counts = pair_counts(model.decoder, seen, hr_size, model.ensemble, by_pixel)
    served = torch.zeros(experts, dtype=torch.int64)
    served.index_add_(0, choice.flatten().long().cpu(), counts.flatten())
    return [int(n) for n in served]


def executed_macs(
    model: Composition,
    seen: Grid,
    hr_size: tuple[int, int],
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> int:
    """MACs of decoding one image by `baselines.fast.engine`, with mapper and estimators."""
    once = seen.lr[0] * seen.lr[1] * per_pixel_macs(model)
    return once + executed_queries(model, seen, hr_size, choice, shares)


def per_pixel_macs(model: Composition) -> int:
    """Multiply-adds outside the encoder that each LR pixel costs once."""
    decoder = model.decoder
    return decoder.estimator_macs()[0] + model.head.routing_macs() + decoder.latent_macs()


def executed_queries(
    model: Composition,
    seen: Grid,
    hr_size: tuple[int, int],
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
    asked: Tensor | None = None,
) -> int:
    """Count the executed MACs that are for queries, and not for each LR pixel.

    `asked` is as in `baselines.fast.engine.GridJob`, with a choice.
    """
    costs = [model.decoder.split([mlp]).macs() for mlp in model.head.mlps]
    some = asked is not None
    rows, columns = (_axis(model, seen, hr_size, axis, some) for axis in (0, 1))
    if choice is None:
        runs = torch.ones(rows.code.numel(), columns.code.numel(), dtype=torch.float64)
        served = [share * runs for share in shares or [1.0] * len(costs)]
    else:
        chosen = run_experts(model, choice.reshape(seen.lr).cpu(), rows, columns, asked)
        served = [(chosen == expert).double() for expert in range(len(costs))]
    y, x = rows.count.double(), columns.count.double()
    return round(sum(_macs(part, y, x, cost) for part, cost in zip(served, costs, strict=True)))


def _macs(served: Tensor, rows: Tensor, columns: Tensor, cost: SplitMacs) -> float:
    """Sum up the MACs of an expert on the runs that it serves (or a share of each).

    Args:
        served: (G_rows, G_columns).
        rows: (G_rows,) queries along a run.
        columns: (G_columns,).
        cost: MACs of the expert's work.
    """
    return (
        float(served.sum()) * cost.code
        + float((rows @ served).sum()) * cost.row
        + float((served @ columns).sum()) * cost.column
        + float(rows @ served @ columns) * cost.query
    )


def _axis(
    model: Composition, seen: Grid, hr_size: tuple[int, int], axis: int, some: bool = False
) -> Axis:
    """Pairs of the rows (or columns) that are kept."""
    n, cell = seen.lr[axis], make_cell(seen.hr)[axis]
    coord = pixel_centers(seen.hr[axis])[: hr_size[axis]]
    return axis_pairs(model, coord, cell, n, some)
