"""LIIF: one MLP answers every query from the latent code near it.

Chen, Liu, Wang: Learning continuous image representation with local implicit image function, CVPR
2021. An image is a grid of latent codes z, the encoder's features, and one function f for all of
them (sec. 3, eq. 1): the colour at x is s = f(z, x - v), where v is the place of the code nearest
to x. Three things make it work (sec. 3.1):

- *feature unfolding*: a code is the 3x3 neighbourhood of a feature (`codes`);
- *cell decoding*: f is told the size of the pixel that is asked for (`feed`);
- *local ensemble*: the four codes around x all predict, and each prediction counts by the area
  between x and the opposite code (`baselines.geometry.latent_queries`, `Composition.decode`).

f is an MLP (`Decoder.own_mlp`), trained on random pixels at random scales by their L1 error.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.composition import Decoder, Split
from baselines.fast.split import Additive
from baselines.geometry import unfolded
from baselines.mlp import MLP


class LIIFDecoder(Decoder):
    """Feeds the head with [code, relative coordinate, relative cell].

    Args:
        channels: of the encoder's features.
        width: hidden width of LIIF's MLP.
        depth: linear layers of LIIF's MLP (Table 4 of the MoEISR paper varies it).
        unfold: concatenate the 3x3 neighbourhood of each code (feature unfolding).
        cell: feed the cell (cell decoding).
    """

    label = "LIIF"

    def __init__(
        self,
        channels: int,
        width: int = 256,
        depth: int = 5,
        unfold: bool = True,
        cell: bool = True,
    ) -> None:
        super().__init__()
        self.width = width
        self.depth = depth
        self.unfold = unfold
        self.cell = cell
        self.code_dim = channels * (9 if unfold else 1)
        self.fed_dim = self.code_dim + 2 + (2 if cell else 0)

    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        """Channel by channel, the nine positions of a channel adjacent; zeros outside."""
        del rel_cell
        if self.unfold:
            return unfolded(rows)
        return rows[:, :, 1:-1].flatten(2).transpose(1, 2).contiguous()

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        """z, x - v and the cell, the latter two in units in which an LR pixel spans 2."""
        return torch.cat([code, rel_coord, *([rel_cell] if self.cell else [])], dim=-1)

    # That is the method. What follows makes it fast: the MLP's first layer is linear, so it is a
    # sum of parts of the code, the row, the column and the cell, each made once for all that share
    # it.

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        return Additive(self, mlps, dtype, along=offset, side=3 if self.unfold else 1)


def offset(rel: Tensor, side: Tensor) -> Tensor:
    """Feed an offset along one axis as it is."""
    del side
    return rel.unsqueeze(-1)
