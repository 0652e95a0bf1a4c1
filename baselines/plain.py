"""Decoding query by query, in chunks: the reference that the engine is checked against.

Runs `ImplicitSR.decode` on the pixels of an image, as the official codes do: for each query, the
four codes around it are gathered, joined with coordinates and cell, and sent through the MLP. Only
tests and benchmarks need it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from baselines.base import Box
from baselines.composition import CodeTable, Features
from baselines.geometry import make_cell, pixel_centers
from baselines.systems.implicit import ImplicitSR

# Bytes of codes and head inputs that one chunk of queries holds. On a CPU they should stay in
# the cache: full-size LIIF decodes 1.4 times as many pixels per second in chunks of 2 thousand
# queries as in chunks of 8 thousand. A GPU wants large chunks.
CHUNK_BYTES = {"cpu": 10_000_000, "cuda": 1_000_000_000}
# Bytes of the codes of the LR rows that are decoded from at a time.
TABLE_BYTES = {"cpu": 64_000_000, "cuda": 1_000_000_000}


def queries_per_chunk(model: ImplicitSR) -> int:
    """Choose how many queries to decode at once on the model's device."""
    decoder = model.decoder
    per_query = 4 * (decoder.code_dim + decoder.fed_dim + decoder.out_dim)
    device = next(model.parameters()).device
    return max(256, CHUNK_BYTES[device.type] // per_query)


def chunks(box: Box, chunk: int) -> Iterator[Box]:
    """Split a region into parts of at most `chunk` pixels, of whole rows where a row fits."""
    width = min(box.width, chunk)
    height = max(1, chunk // width)
    for top in range(box.top, box.top + box.height, height):
        rows = min(height, box.top + box.height - top)
        for left in range(box.left, box.left + box.width, width):
            yield Box(top, left, rows, min(width, box.left + box.width - left))


def grid_coord(size: tuple[int, int], box: Box, device: torch.device) -> Tensor:
    """Compute the (1, Q, 2) centres of a region's pixels in an image of this size, row by row."""
    y = pixel_centers(size[0], device=device)[box.top : box.top + box.height]
    x = pixel_centers(size[1], device=device)[box.left : box.left + box.width]
    return torch.stack(torch.meshgrid(y, x, indexing="ij"), dim=-1).reshape(1, -1, 2)


class _Tables:
    """Code tables of bounded size for the chunks of a grid, from top to bottom."""

    def __init__(self, model: ImplicitSR, features: Features, height: int, cell: Tensor) -> None:
        self.model = model
        self.features = features
        self.cell = cell
        self.end = features.size[0]
        coord = pixel_centers(height, device=cell.device)
        looked_up = model.decoder.along(coord, cell[0], self.end, model.ensemble).index
        self.lowest, self.highest = looked_up[0], looked_up[-1]
        row_bytes = 4 * features.size[1] * model.decoder.code_dim
        self.rows = max(1, TABLE_BYTES[features.lr.device.type] // row_bytes)
        self.table: CodeTable | None = None
        self.until = 0

    def get(self, part: Box) -> CodeTable:
        """Return a table with every row that the queries of a part look up."""
        first = int(self.lowest[part.top])
        needed = int(self.highest[part.top + part.height - 1]) + 1
        if self.table is None or first < self.table.first or needed > self.until:
            self.until = min(self.end, max(needed, first + self.rows))
            self.table = self.model.tabulate(self.features, self.cell[None], first, self.until)
        return self.table


@torch.inference_mode()
def decode_plain(
    model: ImplicitSR,
    features: Features,
    size: tuple[int, int],
    box: Box | None = None,
    stretch: float = 1.0,
    chunk: int | None = None,
) -> Tensor:
    """Decode a region of the SR image query by query.

    Args:
        model: network that made the features.
        features: features of one image.
        size: (H, W) of the whole SR image.
        box: region to decode; None for the whole image.
        stretch: factor of the cell; see `ImplicitSR.cell_stretch`.
        chunk: number of queries decoded at once; None: a value that suits the device.

    Returns:
        (3, height, width) float32, nominally in [-1, 1] but not clamped.
    """
    device = features.lr.device
    box = box or Box(0, 0, *size)
    out = torch.empty(3, box.height, box.width, device=device)
    cell = make_cell(size, device) * stretch
    tables = _Tables(model, features, size[0], cell)
    for part in chunks(box, chunk or queries_per_chunk(model)):
        coord = grid_coord(size, part, device)
        rgb = model.decode(features, coord, cell.expand_as(coord), tables.get(part))[0]
        top, left = part.top - box.top, part.left - box.left
        region = out[:, top : top + part.height, left : left + part.width]
        region.copy_(rgb.T.reshape(3, part.height, part.width))
    return out
