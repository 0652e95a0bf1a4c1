"""The split of decoders whose offsets are fed to the first layer beside the code: LIIF, IPE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.composition import Decoder, Split, SplitMacs, mixed
from baselines.mlp import MLP


class Additive(Split):
    """The first layer is a sum: a part of the code, of the row, of the column and of the cell.

    For decoders that feed [code, `encode_axis` of y and of x], and the cell where there is more.
    Further arguments are those of `Split`.

    Args:
        encode_axis: what is fed of offsets (...) along one axis and their pixels' sides: (..., E).
        neighbourhood: side of the square of features that a code is; None where it is none.
        code_dim: width of what is fed of the code; None for all of it.
    """

    def __init__(
        self,
        decoder: Decoder,
        mlps: Sequence[MLP],
        dtype: torch.dtype,
        encode_axis: Callable[[Tensor, Tensor], Tensor],
        neighbourhood: int | None = None,
        code_dim: int | None = None,
    ) -> None:
        super().__init__(decoder, mlps, dtype)
        self.encode_axis = encode_axis
        self.neighbourhood = neighbourhood
        self.code_dim = decoder.code_dim if code_dim is None else code_dim
        self.encoded = encode_axis(torch.zeros(()), torch.zeros(())).shape[-1]
        self.layers = [mlp.linears[0] for mlp in mlps]
        self.widths = [layer.out_features for layer in self.layers]
        self.cell_dim = self.layers[0].in_features - self.code_dim - 2 * self.encoded

    @property
    def prepared_dim(self) -> int:
        return sum(self.widths)

    def macs(self) -> SplitMacs:
        width = self.widths[0]
        rest = self.mlps[0].macs - self.layers[0].in_features * width
        return SplitMacs(self.code_dim * width, self.encoded * width, self.encoded * width, rest)

    def on_offsets(self) -> Tensor:
        """Weights (2 E, and 2 for the cell, by all widths) behind those of the code."""
        return torch.cat([layer.weight[:, self.code_dim :] for layer in self.layers]).t()

    @cached_property
    def by_axis(self) -> tuple[Tensor, ...]:
        """Parts of `on_offsets` for y, x and the cell; kept, as each chunk of a grid needs them."""
        return torch.split(self.on_offsets(), [self.encoded, self.encoded, self.cell_dim])

    def on_code(self) -> tuple[Tensor, Tensor]:
        """Weights (all widths, code_dim) and biases."""
        weight = torch.cat([layer.weight[:, : self.code_dim] for layer in self.layers])
        return weight, torch.cat([layer.bias for layer in self.layers])

    def prepare(self, code: Tensor) -> Tensor:
        """The first layers without the offsets, one beside the other."""
        return F.linear(code, *self.on_code())

    def prepare_all(self, latent: Tensor, rel_cell: Tensor) -> Tensor:
        """A product with unfolded features is a convolution, which needs no unfolding."""
        if self.neighbourhood is None:
            return super().prepare_all(latent, rel_cell)
        weight, bias = self.on_code()
        kernel = weight.view(len(weight), -1, self.neighbourhood, self.neighbourhood)
        maps = F.conv2d(latent, kernel, bias, padding=self.neighbourhood // 2)
        return maps.flatten(2).transpose(1, 2).flatten(0, 1)

    def first(self, prepared: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        """Answers (N, all widths) of the first layers."""
        y, x = (self.encode_axis(rel_coord[:, axis], rel_cell[:, axis]) for axis in (0, 1))
        offsets = torch.cat([y, x, rel_cell[:, : self.cell_dim]], dim=1)
        # Written over, which autocast would not convert by itself.
        return prepared.addmm_(offsets.to(prepared), self.on_offsets().to(prepared))

    def decode(
        self, prepared: Tensor, rel_coord: Tensor, rel_cell: Tensor, gates: Tensor | None = None
    ) -> Tensor:
        hidden = self.first(prepared, rel_coord, rel_cell)
        if len(self.mlps) == 1:
            return mixed([self.mlps[0].rest(hidden)], gates)
        parts = zip(self.mlps, torch.split(hidden, self.widths, dim=1), strict=True)
        return mixed([mlp.rest(own, overwrite=False) for mlp, own in parts], gates)

    def first_on_grid(
        self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Parts of rows (N, R, 1, W), and of columns (N, 1, C, W) with code and cell."""
        on_y, on_x, on_cell = self.by_axis
        constant = (rel_cell[: self.cell_dim, None] * on_cell).sum(dim=0)
        by_row = self.encode_axis(rel_y, rel_cell[0]) @ on_y
        by_column = self.encode_axis(rel_x, rel_cell[1]) @ on_x + (prepared + constant)[:, None]
        return by_row[:, :, None], by_column[:, None]

    def on_grid(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor) -> Tensor:
        by_row, by_column = self.first_on_grid(prepared, rel_y, rel_x, rel_cell)
        with self.reduced():
            return self.mlps[0].rest(by_row + by_column)
