"""Meta-SR (Hu et al., CVPR 2019) as the LIIF project has it: an MLP predicts, for each query, the
3x3 convolution that turns the features around it into RGB."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from baselines.composition import Decoder
from baselines.fast.factors import FactorMacs, Factors, PlainFactors, Tail, Workspace
from baselines.geometry import AxisLookup, LatentQuery, corner_lookup, corner_queries, unfolded
from baselines.mlp import MLP


class MetaSRDecoder(Decoder):
    """Feeds the head with [offset of the corners, height of the cell]; its answer is a kernel.

    Only the vertical side of the cell enters, as in the LIIF project's code.

    Args:
        channels: of the encoder's features.
        width: hidden width of the MLP.
        depth: linear layers of the MLP.
    """

    label = "MetaSR"

    # Its MLP of two layers has no shallower form, and what it answers is no colour.
    routable: ClassVar[bool] = False
    ensembles: ClassVar[bool] = False

    def __init__(self, channels: int, width: int = 256, depth: int = 2) -> None:
        super().__init__()
        self.width = width
        self.depth = depth
        self.code_dim = 9 * channels
        self.fed_dim = 3
        self.out_dim = 3 * self.code_dim

    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        """The 3x3 neighbourhood of each code, channel by channel; zeros outside."""
        del rel_cell
        return unfolded(rows)

    def locate(
        self, coord: Tensor, cell: Tensor, size: tuple[int, int], ensemble: bool
    ) -> list[LatentQuery]:
        del ensemble
        return corner_queries(coord, cell, size)

    def along(self, coord: Tensor, cell: Tensor, n: int, ensemble: bool) -> AxisLookup:
        del ensemble
        index, rel = corner_lookup(coord, cell, n)
        return AxisLookup(index[None], rel[None])

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        del code
        # A cell of one LR pixel is 2 in `rel_cell`, 1 here.
        return torch.cat([rel_coord, rel_cell[:, :1] / 2], dim=-1)

    def finish(self, code: Tensor, out: Tensor) -> Tensor:
        kernel = out.reshape(-1, self.code_dim, 3)
        return torch.bmm(code.unsqueeze(1), kernel).squeeze(1)

    def estimator_macs(self) -> tuple[int, int]:
        return 0, self.out_dim

    def factors(self, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype) -> Factors:
        # Without a hidden layer there is nothing that a code could be multiplied by beforehand.
        known = MetaSRFactors if mlp.depth > 1 else PlainFactors
        return known(self, mlp, rel_cell, dtype)


class MetaSRFactors(Factors):
    """A kernel is linear in the last hidden layer, and so is the colour that it makes of a code.

    So the code is multiplied by the last layer's weights once (three vectors as wide as the
    hidden layer, one for each colour), and a query needs three scalar products with its hidden
    layer instead of a whole kernel.
    """

    def __init__(
        self, decoder: MetaSRDecoder, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype
    ) -> None:
        first, *between, last = mlp.linears
        self.first = (first.weight, first.bias + first.weight[:, 2] * (rel_cell[0] / 2))
        self.tail = Tail(between, dtype)
        self.dtype = dtype
        self.width, code_dim = last.in_features, decoder.code_dim
        kernel = last.weight.reshape(code_dim, 3, self.width)
        weights = torch.cat([kernel, last.bias.reshape(code_dim, 3, 1)], dim=2)
        self.on_code = weights.flatten(1)
        self.prepared_dim = 3 * (self.width + 1)
        per_query = 2 * first.out_features + self.tail.macs + 3 * self.width
        self.macs = FactorMacs(code_dim * self.prepared_dim, 0, 0, per_query)

    def prepare(self, code: Tensor) -> Tensor:
        return code.to(self.on_code.dtype) @ self.on_code

    def evaluate(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace) -> Tensor:
        n, rows, columns = prepared.shape[0], rel_y.shape[1], rel_x.shape[1]
        weight, bias = self.first
        hidden = work.take("hidden", (n, rows, columns, weight.shape[0]), self.dtype)
        by_row = torch.addcmul(bias, rel_y[..., None], weight[:, 0])
        by_column = rel_x[..., None] * weight[:, 1]
        torch.add(by_row[:, :, None], by_column[:, None], out=hidden)
        last = self.tail(hidden.view(n * rows * columns, -1).relu_(), work)
        if self.tail.layers:
            last.relu_()
        answer = prepared.view(n, 3, self.width + 1)
        on_hidden, constant = answer[..., :-1].to(self.dtype), answer[..., -1]
        rgb = torch.bmm(last.view(n, rows * columns, -1), on_hidden.transpose(1, 2))
        return rgb.view(n, rows, columns, 3) + constant[:, None, None]
