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


def corner_queries(coord: Tensor, cell: Tensor, size: tuple[int, int]) -> list[LatentQuery]:
    """Find the latent code that holds the top left corner of each query pixel (Meta-SR).

    Here `rel_coord` is the offset from the top left corner of the code, in LR pixels: 0 to 1.

    Args:
        coord: (B, Q, 2) queries.
        cell: (B, Q, 2) height and width of the query pixels.
        size: (h, w) of the latent grid.
    """
    (row, rel_y), (column, rel_x) = (
        corner_lookup(coord[..., axis], cell[..., axis], n) for axis, n in enumerate(size)
    )
    return [LatentQuery(row * size[1] + column, torch.stack([rel_y, rel_x], dim=-1), None)]


def corner_lookup(coord: Tensor, cell: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Find the row (or column) that holds the corner of each query pixel, and the offset inside it.

    A corner on the border between two rows belongs to the second.

    Args:
        coord: queries along one axis, any shape.
        cell: side of the query pixels along that axis, any shape that broadcasts.
        n: number of rows (or columns) of the latent grid.
    """
    corner = coord - cell / 2
    index = nearest_index((corner + SHIFT_EPS).clamp(-CLAMP, CLAMP), n)
    corners = pixel_centers(n, device=coord.device) - (2 / n) / 2
    return index, (corner - corners[index]) * (n / 2)


def shifts(ensemble: bool) -> list[tuple[int, int]]:
    """List the directions (y, x) in which a query looks for its latent codes."""
    return [(-1, -1), (-1, 1), (1, -1), (1, 1)] if ensemble else [(0, 0)]


def _axis_lookup(coord: Tensor, n: int, shift: int) -> tuple[Tensor, Tensor]:
    """Find the nearest code after the shift, and the distance to its centre, along one axis."""
    moved = coord + (shift / n + SHIFT_EPS) if shift else coord
    index = nearest_index(moved.clamp(-CLAMP, CLAMP), n)
    centers = pixel_centers(n, device=coord.device)
    return index, (coord - centers[index]) * n


@dataclass(frozen=True)
class AxisLookup:
    """Latent codes that queries find along one axis, in each of D directions.

    Attributes:
        index: (D, n) int64, row or column of the latent grid; the lowest direction first.
        rel: (D, n) coordinate relative to that row or column, as in `LatentQuery`.
    """

    index: Tensor
    rel: Tensor


def axis_lookup(coord: Tensor, n: int, ensemble: bool) -> AxisLookup:
    """Locate (m,) coordinates on n rows or columns: one axis of `latent_queries`."""
    directions = sorted({y for y, _ in shifts(ensemble)})
    found = [_axis_lookup(coord, n, direction) for direction in directions]
    index, rel = (torch.stack(parts) for parts in zip(*found, strict=True))
    return AxisLookup(index, rel)


def latent_queries(coord: Tensor, size: tuple[int, int], ensemble: bool) -> list[LatentQuery]:
    """Find the latent codes around each query: one, or four with the local ensemble.

    A code's weight is the area between the query and the diagonally opposite code (LIIF, sec. 3,
    eq. 4), so that weights sum to one and grow towards the nearest code.

    Args:
        coord: (B, Q, 2) queries.
        size: (h, w) of the latent grid.
        ensemble: whether to find four codes instead of the nearest one.
    """
    h, w = size
    found = []
    for shift_y, shift_x in shifts(ensemble):
        row, rel_y = _axis_lookup(coord[..., 0], h, shift_y)
        column, rel_x = _axis_lookup(coord[..., 1], w, shift_x)
        found.append((row * w + column, torch.stack([rel_y, rel_x], dim=-1)))
    if not ensemble:
        return [LatentQuery(index, rel, None) for index, rel in found]
    areas = [rel.prod(dim=-1).abs() + AREA_EPS for _, rel in found]
    total = torch.stack(areas).sum(dim=0)
    opposite = reversed(areas)
    return [
        LatentQuery(index, rel, area / total)
        for (index, rel), area in zip(found, opposite, strict=True)
    ]


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
