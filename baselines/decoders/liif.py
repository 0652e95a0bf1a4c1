"""LIIF (Chen, Liu, Wang: Learning continuous image representation with local implicit image
function, CVPR 2021; sec. 3): unfolded code, relative coordinate and cell into one MLP."""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.composition import Decoder
from baselines.fast.factors import FactorMacs, Factors, Tail, Workspace
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

    def factors(self, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype) -> Factors:
        return LIIFFactors(self, mlp, rel_cell, dtype)


class LIIFFactors(Factors):
    """The first layer is linear: code, row and column each add their part to it.

    The part of the code is a 3x3 convolution over the features where they are unfolded.
    """

    def __init__(
        self, decoder: LIIFDecoder, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype
    ) -> None:
        first, *others = mlp.linears
        on_code, on_y, on_x, on_cell = torch.split(
            first.weight, [decoder.code_dim, 1, 1, first.in_features - decoder.code_dim - 2], dim=1
        )
        self.constant = first.bias + (on_cell @ rel_cell if decoder.cell else 0)
        self.on_code = on_code.t()
        self.on_y = on_y[:, 0].contiguous()
        self.on_x = on_x[:, 0].contiguous()
        self.tail = Tail(others, dtype)
        self.dtype = dtype
        width = self.prepared_dim = first.out_features
        self.macs = FactorMacs(decoder.code_dim * width, width, width, self.tail.macs)

    def prepare(self, code: Tensor) -> Tensor:
        return torch.addmm(self.constant, code.to(self.constant.dtype), self.on_code)

    def evaluate(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace) -> Tensor:
        n, rows, columns = prepared.shape[0], rel_y.shape[1], rel_x.shape[1]
        by_row = torch.mul(rel_y[..., None], self.on_y)
        by_column = torch.addcmul(prepared[:, None], rel_x[..., None], self.on_x)
        hidden = work.take("hidden", (n, rows, columns, self.prepared_dim), self.dtype)
        torch.add(by_row[:, :, None], by_column[:, None], out=hidden)
        if self.tail.layers:
            hidden.relu_()
        out = self.tail(hidden.view(-1, self.prepared_dim), work)
        return out.view(n, rows, columns, -1)
