"""Random choices in a batch of training samples, as a function of (seed, step).

The small numbers (scale, position, flips) come from NumPy. The queries are the first Q places of a
permutation of a crop's pixels, in closed form: a Feistel network on pairs (y, x), whose round
functions are random tables. It is a bijection for any side, needs neither sorting nor a loop over
samples, and integers are the same on every device.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

# Luby and Rackoff (1988) need four for pairs to look independent; two more cost little.
ROUNDS = 6

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Draws:
    """Random choices of B samples, each a crop of one image.

    Attributes:
        side: (B,) side of the square HR crop.
        top: (B,) first row of the crop.
        left: (B,) first column.
        flips: (B, 3) zeros and ones: mirrored left-right, mirrored up-down, transposed.
        tables: (B, ROUNDS, largest side) round functions of `permuted`, each below its side; no
            rounds where there are no queries.
    """

    side: Ints
    top: Ints
    left: Ints
    flips: Ints
    tables: Ints

    def of(self, own: slice) -> Draws:
        """Select the choices of some samples."""
        return Draws(*(values[own] for values in vars(self).values()))


def _below(rng: np.random.Generator, limit: Ints) -> Ints:
    """Draw uniform integers from 0 to limit - 1, for each limit (below 2^31)."""
    draws = rng.integers(0, 2**32, limit.shape, dtype=np.uint32).astype(np.int64)
    return (draws * limit) >> 32


def draw(rng: np.random.Generator, sizes: Ints, patch: int, scales: tuple[float, float]) -> Draws:
    """Draw the choices for samples of images of these sizes.

    Args:
        rng: random numbers of the step.
        sizes: (B, 2) height and width of each image, at least round(patch * largest scale).
        patch: side of the LR patch.
        scales: smallest and largest scale; each sample's is uniform between them.
    """
    side = np.rint(patch * rng.uniform(*scales, len(sizes))).astype(np.int64)
    return _placed(rng, sizes, side, ROUNDS, round(patch * scales[1]))


def draw_dense(
    rng: np.random.Generator, sizes: Ints, patch: int, scales: Sequence[int]
) -> tuple[int, Draws]:
    """Draw one scale for all samples, each equally likely, and the crop of each.

    The images (B, 2) are at least patch * largest scale high and wide.
    """
    scale = scales[int(rng.integers(len(scales)))]
    return scale, _placed(rng, sizes, np.full(len(sizes), patch * scale, dtype=np.int64))


def _placed(
    rng: np.random.Generator, sizes: Ints, side: Ints, rounds: int = 0, longest: int = 0
) -> Draws:
    """Draw crops of these sides (B,), every position and every flip equally likely; then tables."""
    corner = _below(rng, sizes - side[:, None] + 1)
    flips = rng.integers(0, 2, (len(sizes), 3))
    limits = np.broadcast_to(side[:, None, None], (len(sizes), rounds, longest))
    return Draws(side, corner[:, 0], corner[:, 1], flips, _below(rng, limits))


def permuted(queries: int, side: Tensor, tables: Tensor) -> tuple[Tensor, Tensor]:
    """Choose different pixels of square crops: the first places of a permutation of each.

    Args:
        queries: number of pixels, Q; at most the pixels of the smallest crop.
        side: (B, 1) int64.
        tables: (B, rounds, largest side) int64, values from 0 to side - 1.

    Returns:
        Rows and columns, (B, Q) int64 each.

    Example:
        >>> y, x = permuted(4, torch.tensor([[2]]), torch.tensor([[[0, 1], [1, 1]]]))
        >>> sorted(zip(y[0].tolist(), x[0].tolist()))
        [(0, 0), (0, 1), (1, 0), (1, 1)]
    """
    place = torch.arange(queries, device=side.device).unsqueeze(0)
    y = place.div(side, rounding_mode="floor")
    x = place - y * side
    for table in tables.unbind(1):
        moved = y + table.gather(1, x)
        y, x = x, torch.where(moved < side, moved, moved - side)
    return y, x
