"""Query geometry of implicit super-resolution: where a query lies among the latent codes.

Coordinates are (y, x) in [-1, 1], and pixel i of n has its centre at -1 + (2 i + 1) / n. The
constants and the order of the float32 operations are those of the LIIF code (Chen et al., CVPR
2021), because a query on the border between two codes is decided by rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

# The queries of the local ensemble are moved a hair so that a query exactly between two
# latent codes finds each of them once; the clamp keeps queries at the border inside.
SHIFT_EPS = 1e-6
CLAMP = 1 - 1e-6
AREA_EPS = 1e-9


def pixel_centers(
    n: int, low: float = -1.0, high: float = 1.0, device: torch.device | None = None
) -> Tensor:
    """Compute the centres of n pixels that tile [low, high]: float32, shape (n,)."""
    half = (high - low) / (2 * n)
    return low + half + (2 * half) * torch.arange(n, device=device).float()


def make_coord(
    size: Sequence[int],
    ranges: Sequence[tuple[float, float]] | None = None,
    device: torch.device | None = None,
) -> Tensor:
    """Compute the pixel centres of an image of this size, row by row: (product of size, len(size)).

    Example:
        >>> make_coord((2, 1)).tolist()
        [[-0.5, 0.0], [0.5, 0.0]]
    """
    spans = ranges or [(-1.0, 1.0)] * len(size)
    axes = [pixel_centers(n, lo, hi, device) for n, (lo, hi) in zip(size, spans, strict=True)]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1).reshape(-1, len(size))


def make_cell(size: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Compute height and width of one pixel of an image of this size, in [-1, 1] units: (2,)."""
    return torch.tensor([2 / size[0], 2 / size[1]], device=device)


def nearest_index(coord: Tensor, n: int) -> Tensor:
    """Find the pixel among n that nearest-neighbour `grid_sample` reads at `coord`.

    Ties go to the even index, as in `grid_sample` (align_corners=False). Any shape; int64.
    """
    return torch.round(((coord + 1) * n - 1) / 2).long().clamp_(0, n - 1)


@dataclass(frozen=True)
class LatentQuery:
    """Latent code of each query.

    Attributes:
        index: (B, Q) position of the code on the flattened LR grid.
        rel_coord: (B, Q, 2) query minus code centre, in units in which an LR pixel spans 2.
        weight: (B, Q) share of this code in the prediction, in [0, 1]; None without ensemble.
    """

    index: Tensor
    rel_coord: Tensor
    weight: Tensor | None


@dataclass(frozen=True)
class AxisLookup:
    """Latent codes that queries find along one axis, in each of D directions.

    Attributes:
        index: (D, ...) int64, row or column of the latent grid; the lowest direction first.
        rel: (D, ...) coordinate relative to that row or column, as in `LatentQuery`.
    """

    index: Tensor
    rel: Tensor


def axis_lookup(coord: Tensor, n: int, ensemble: bool) -> AxisLookup:
    """Find the nearest of n rows (or columns) to coordinates of any shape.

    With the local ensemble, in two directions: the nearest after half an LR pixel towards smaller
    coordinates (up, or left), then towards larger ones.
    """
    centers = pixel_centers(n, device=coord.device)
    found = []
    for shift in (-1, 1) if ensemble else (0,):
        moved = coord + (shift / n + SHIFT_EPS) if shift else coord
        index = nearest_index(moved.clamp(-CLAMP, CLAMP), n)
        found.append((index, (coord - centers[index]) * n))
    index, rel = (torch.stack(parts) for parts in zip(*found, strict=True))
    return AxisLookup(index, rel)


def crossed(rows: AxisLookup, columns: AxisLookup, width: int) -> list[LatentQuery]:
    """Combine the rows and columns that queries (B, Q) find into codes on a grid of this width.

    A code's weight is the area between the query and the diagonally opposite code (LIIF's
    local ensemble), so that weights sum to one and grow towards the nearest code.
    """
    found = [
        (row * width + column, torch.stack([rel_y, rel_x], dim=-1))
        for row, rel_y in zip(rows.index, rows.rel, strict=True)
        for column, rel_x in zip(columns.index, columns.rel, strict=True)
    ]
    if len(found) == 1:
        return [LatentQuery(index, rel, None) for index, rel in found]
    areas = [rel.prod(dim=-1).abs() + AREA_EPS for _, rel in found]
    total = torch.stack(areas).sum(dim=0)
    return [
        LatentQuery(index, rel, area / total)
        for (index, rel), area in zip(found, reversed(areas), strict=True)
    ]


def latent_queries(coord: Tensor, size: tuple[int, int], ensemble: bool) -> list[LatentQuery]:
    """Find the codes around queries (B, Q, 2) on a grid of (h, w): the nearest, or four."""
    rows, columns = (axis_lookup(coord[..., axis], n, ensemble) for axis, n in enumerate(size))
    return crossed(rows, columns, size[1])


def unfolded(rows: Tensor) -> Tensor:
    """Unfold r rows of features into 3x3 neighbourhoods, zero padded, channel by channel.

    `F.unfold` and turning its result takes twice as long.

    Args:
        rows: (B, C, r + 2, w), including the row above and the row below.

    Returns:
        Unfolded features (B, r*w, 9*C).
    """
    batch, channels, height, width = rows.shape
    # Columns are padded here; rows come with their neighbours.
    padded = F.pad(rows, (1, 1)).permute(0, 2, 3, 1).contiguous()
    shifted = [padded[:, y : y + height - 2, x : x + width] for y in range(3) for x in range(3)]
    return torch.stack(shifted, dim=-1).view(batch, (height - 2) * width, 9 * channels)


def table_rows(table: Tensor, index: Tensor) -> Tensor:
    """Read rows (B, Q) of a table (B, h*w, M) as (B*Q, M)."""
    batch, length, width = table.shape
    offset = torch.arange(batch, device=index.device).unsqueeze(1) * length
    return table.reshape(batch * length, width).index_select(0, (index + offset).flatten())
