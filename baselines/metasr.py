"""Meta-SR (Hu et al., CVPR 2019) as the LIIF project has it: an MLP predicts, for each query, the
3x3 convolution that turns the features around it into RGB."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.composition import Decoder
from baselines.implicit import LatentQuery, corner_index, corner_queries, pixel_centers


class MetaSRDecoder(Decoder):
    """Feeds the head with [offset of the corners, height of the cell]; its answer is a kernel.

    Only the vertical side of the cell enters, as in the LIIF project's code.

    Args:
        channels: of the encoder's features.
        width: hidden width of the MLP.
        depth: linear layers of the MLP.
    """

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

    def codes(self, rows: Tensor) -> Tensor:
        """The 3x3 neighbourhood of each code, channel by channel; zeros outside."""
        return F.unfold(rows, 3, padding=(0, 1)).transpose(1, 2).contiguous()

    def locate(
        self, coord: Tensor, cell: Tensor, size: tuple[int, int], ensemble: bool
    ) -> list[LatentQuery]:
        del ensemble
        return corner_queries(coord, cell, size)

    def axis_lookups(self, n_hr: int, n_lr: int, ensemble: bool) -> Tensor:
        del ensemble
        return corner_index(pixel_centers(n_hr) - (2 / n_hr) / 2, n_lr).unsqueeze(0)

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        del code
        # A cell of one LR pixel is 2 in `rel_cell`, 1 here.
        return torch.cat([rel_coord, rel_cell[:, :1] / 2], dim=-1)

    def finish(self, code: Tensor, out: Tensor) -> Tensor:
        kernel = out.reshape(-1, self.code_dim, 3)
        return torch.bmm(code.unsqueeze(1), kernel).squeeze(1)

    def estimator_macs(self) -> tuple[int, int]:
        return 0, self.out_dim
