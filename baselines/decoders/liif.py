"""LIIF: one function answers every query from the latent codes near it.

Chen, Liu, Wang: Learning continuous image representation with local implicit image function, CVPR
2021. An encoder makes a grid of latent codes z of an image, its features. One function f_theta, an
MLP that all images share, makes a colour of a code and a coordinate: s = f_theta(z, x). The image
is continuous: its colour at any x_q comes from the nearest code z*, whose centre is at v*, as
f_theta(z*, x_q - v*). An SR image of any size is this, asked at the centres of its pixels. Three
parts of the paper's section on the function make it work:

- *feature unfolding*: a code is the 3x3 neighbourhood of a feature (`codes`);
- *local ensemble*: where the nearest code changes, colours would jump. So the four codes around x_q
  all predict, and each prediction counts by the area S_t of the rectangle between x_q and the code
  that lies diagonally opposite;
- *cell decoding*: f_theta is also told the cell c = [height, width] of the pixel that is asked for,
  because a large pixel averages what a small one resolves.

Together, for one query:

    for t in 00, 01, 10, 11:                           # above or below, left or right of x_q
        z_t, v_t = the code nearest to x_q after half an LR pixel in direction t
        s_t = f_theta(unfold(z_t), x_q - v_t, c)       # `codes`, `feed`, the MLP
        S_t = area between x_q and the opposite code's centre
    colour at x_q = sum of s_t * S_t / S over t        # S = sum of S_t

`baselines.geometry` finds z_t, v_t and S_t (`axis_lookup`, `crossed`). `Composition.decode` is this
loop, which `model(lr, coord, cell)` runs. Evaluation and training compute the same faster, from
what `split` says of f_theta's first layer, and never call `feed`: whoever changes `feed` changes
`split`, too, or returns the plain `Split(self, mlps, dtype)` there. `tests/test_engine.py` compares
them. Coordinates are (y, x), an image spans [-1, 1]; f_theta gets x_q - v_t and c in units in which
an LR pixel spans 2, so that they mean the same in images of all sizes.

Training: LR patches of 48x48 pixels at a random scale from 1 to 4, of each HR crop
48x48 random pixels as queries (`harness.training.patches`), and the L1 error of their colours.
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
    """Feeds f_theta, an MLP (`Decoder.own_mlp`), with [code, relative coordinate, relative cell].

    Args:
        channels: of the encoder's features.
        width: hidden width of f_theta: 256.
        depth: linear layers of f_theta: 5 (Table 4 of the MoEISR paper varies it).
        unfold: feature unfolding; without it, a code is one feature.
        cell: cell decoding.
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
        """Unfold features, the nine positions of a channel adjacent; zeros outside."""
        del rel_cell
        if self.unfold:
            return unfolded(rows)
        return rows[:, :, 1:-1].flatten(2).transpose(1, 2).contiguous()

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        """Join z, x_q - v and the cell c."""
        return torch.cat([code, rel_coord, *([rel_cell] if self.cell else [])], dim=-1)

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """Say that the first layer is a sum of parts of the code, the row, the column and the cell.

        Each part is then made once for all that share it.
        """
        return Additive(
            self, mlps, dtype, encode_axis=offset, neighbourhood=3 if self.unfold else 1
        )


def offset(rel: Tensor, side: Tensor) -> Tensor:
    """Feed an offset along one axis as it is."""
    del side
    return rel.unsqueeze(-1)


DECODERS = {"liif": LIIFDecoder}
