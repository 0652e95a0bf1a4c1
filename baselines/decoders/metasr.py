"""Meta-SR (Hu et al., CVPR 2019) as the LIIF project has it.

For each query an MLP predicts the 3x3 convolution that turns the features around it into RGB.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.composition import Decoder, Split, SplitMacs, grid_coords, mixed
from baselines.geometry import (
    CLAMP,
    SHIFT_EPS,
    AxisLookup,
    nearest_index,
    pixel_centers,
    unfolded,
)
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

    def along(self, coord: Tensor, cell: Tensor, n: int, ensemble: bool) -> AxisLookup:
        """The row (or column) that holds the top left corner of each query pixel.

        `rel` is the offset from the corner of that row, in LR pixels: 0 to 1. A corner on the
        border between two rows belongs to the second.
        """
        del ensemble
        corner = coord - cell / 2
        index = nearest_index((corner + SHIFT_EPS).clamp(-CLAMP, CLAMP), n)
        corners = pixel_centers(n, device=coord.device) - (2 / n) / 2
        return AxisLookup(index[None], ((corner - corners[index]) * (n / 2))[None])

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        del code
        # A cell of one LR pixel is 2 in `rel_cell`, 1 here.
        return torch.cat([rel_coord, rel_cell[:, :1] / 2], dim=-1)

    def finish(self, code: Tensor, out: Tensor) -> Tensor:
        kernel = out.reshape(-1, self.code_dim, 3)
        return torch.bmm(code.unsqueeze(1), kernel).squeeze(1)

    def estimator_macs(self) -> tuple[int, int]:
        return 0, self.out_dim

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """Without a hidden layer there is nothing that a code could be multiplied by beforehand."""
        known = MetaSRSplit if len(mlps) == 1 and mlps[0].depth > 1 else Split
        return known(self, mlps, dtype)


class MetaSRSplit(Split):
    """A kernel is linear in the last hidden layer, and so is the colour that it makes of a code.

    So the code is multiplied by the last layer's weights once (three vectors as wide as the
    hidden layer, one for each colour, and a constant), and a query needs three scalar products
    with its hidden layer instead of a whole kernel.
    """

    @property
    def width(self) -> int:
        """Width of the last hidden layer."""
        return self.mlps[0].linears[-1].in_features

    @property
    def prepared_dim(self) -> int:
        return 3 * (self.width + 1)

    def macs(self) -> SplitMacs:
        code_dim, first = self.decoder.code_dim, self.mlps[0].linears[0]
        between = self.mlps[0].macs - 3 * first.out_features - self.width * 3 * code_dim
        per_query = 2 * first.out_features + between + 3 * self.width
        return SplitMacs(code_dim * self.prepared_dim, 0, 0, per_query)

    def prepare(self, code: Tensor) -> Tensor:
        last = self.mlps[0].linears[-1]
        weights = torch.cat([last.weight, last.bias.unsqueeze(1)], dim=1)
        return code @ weights.view(self.decoder.code_dim, -1)

    def decode(
        self, prepared: Tensor, rel_coord: Tensor, rel_cell: Tensor, gates: Tensor | None = None
    ) -> Tensor:
        first = self.mlps[0].linears[0]
        hidden = first(self.decoder.feed(prepared, rel_coord, rel_cell))
        return mixed([self._colours(prepared, hidden.unsqueeze(1)).squeeze(1)], gates)

    def on_grid(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor) -> Tensor:
        first = self.mlps[0].linears[0]
        constant = first.bias + first.weight[:, 2] * (rel_cell[0] / 2)
        hidden = F.linear(grid_coords(rel_y, rel_x), first.weight[:, :2], constant)
        with self.reduced():
            return self._colours(prepared, hidden).view(*rel_y.shape, -1, 3)

    def _colours(self, prepared: Tensor, hidden: Tensor) -> Tensor:
        """Colours (N, Q, 3) of N codes' queries, from the first layer's answer (N, Q, W)."""
        for layer in self.mlps[0].linears[1:-1]:
            hidden = layer(hidden.relu_())
        answer = prepared.view(len(prepared), 3, -1)
        on_hidden, constant = torch.split(answer, [self.width, 1], dim=2)
        return torch.bmm(hidden.relu_(), on_hidden.mT) + constant.mT


DECODERS = {"metasr": MetaSRDecoder}
