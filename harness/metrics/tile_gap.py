"""Tile gap: what an SR image loses where the LR image is enlarged in tiles."""

from __future__ import annotations

from torch import Tensor

from harness.metrics.base import Given, Metric
from harness.metrics.gap import GAP, gap

TILE = (48, 8)
"""Side of the tiles and their overlap in LR pixels, in which SR is averaged."""


def tile_gap(sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> Tensor:
    """Compute how far SR is from SR made in tiles (`TILE`).

    All pixels and RGB count, whatever the protocol.

    Returns:
        The root mean square difference in 8-bit levels.

    Raises:
        ValueError: the scale is not whole, or one tile is the whole image.
    """
    del hr, protocol
    assert given.enlarge is not None
    if not float(scale).is_integer():
        raise ValueError("tiles need a whole scale")
    if max(given.lr.shape[-2:]) <= TILE[0]:
        raise ValueError(f"the LR image is no larger than a tile of {TILE[0]} pixels")
    tiled = given.enlarge(given.lr, size=(sr.shape[-2], sr.shape[-1]), tile=TILE)
    return gap(sr, tiled)


METRIC = Metric("tile_gap", "Tile gap", tile_gap, digits=3, **GAP)
