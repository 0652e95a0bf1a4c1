"""LIIF (Chen, Liu, Wang: Learning continuous image representation with local implicit image
function, CVPR 2021; sec. 3): unfolded code, relative coordinate and cell into one MLP."""

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
        return torch.cat([code, rel_coord, *([rel_cell] if self.cell else [])], dim=-1)

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """The MLP's first layer is linear in code, offsets and cell."""
        return Additive(self, mlps, dtype, along=offset, side=3 if self.unfold else 1)


def offset(rel: Tensor, side: Tensor) -> Tensor:
    """What is fed of an offset along one axis: itself."""
    del side
    return rel.unsqueeze(-1)
