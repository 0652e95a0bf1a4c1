"""A decoder and one MLP of its head, split by what each factor depends on.

On a regular grid the queries of a latent code are rows times columns: the code is one, rows differ
in the vertical offset, columns in the horizontal one. What depends on the code alone is computed
once per LR pixel instead of 4 scale^2 times; what depends on code and row, or on code and column,
once for each of these; and only the rest for every query. Nothing is approximated.

LIIF's first layer is a sum of such parts, LTE's Fourier features are products of them (angle-sum
identities), Meta-SR's answer is linear in the code. Each has its factors beside its decoder.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.mlp import MLP

if TYPE_CHECKING:
    from baselines.composition import Decoder


class Workspace:
    """Buffers that chunks of queries share: fresh memory costs more than the work on it.

    Attributes:
        full: queries of a full chunk, the number that most chunks have.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.full = 0
        self._flat: dict[tuple[str, torch.dtype], Tensor] = {}

    def take(self, name: str, shape: Sequence[int], dtype: torch.dtype) -> Tensor:
        """An uninitialised tensor; valid until the name is taken again."""
        size = 1
        for side in shape:
            size *= side
        flat = self._flat.get((name, dtype))
        if flat is None or flat.numel() < size:
            # Made in inference mode it could not be written to outside, by a later caller.
            with torch.inference_mode(False):
                flat = torch.empty(size, dtype=dtype, device=self.device)
            self._flat[name, dtype] = flat
        return flat[:size].view(shape)


@dataclass(frozen=True)
class FactorMacs:
    """Multiply-adds that `Factors` execute.

    Attributes:
        code: per latent code.
        row: per latent code and row of its queries.
        column: per latent code and column of its queries.
        query: per latent code and query.
    """

    code: int
    row: int
    column: int
    query: int


class Factors(ABC):
    """One expert (or the only MLP) on a regular grid."""

    prepared_dim: int
    """Width of what `prepare` makes."""
    macs: FactorMacs

    @abstractmethod
    def prepare(self, code: Tensor) -> Tensor:
        """Compute what depends on the code alone: (N, code_dim) to (N, prepared_dim)."""

    @abstractmethod
    def evaluate(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace) -> Tensor:
        """RGB (N, R, C, 3) of R times C queries of each of N codes.

        Args:
            prepared: (N, prepared_dim).
            rel_y: (N, R) vertical relative coordinates.
            rel_x: (N, C) horizontal ones.
            work: for intermediate results; the answer may lie in it.
        """


class PlainFactors(Factors):
    """Nothing is split: any decoder's `feed`, MLP and `finish` on every query."""

    def __init__(self, decoder: Decoder, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype) -> None:
        self.decoder = decoder
        self.mlp = mlp
        self.rel_cell = rel_cell
        self.dtype = dtype
        self.prepared_dim = decoder.code_dim
        self.macs = FactorMacs(0, 0, 0, mlp.macs + decoder.estimator_macs()[1])

    def prepare(self, code: Tensor) -> Tensor:
        return code

    def evaluate(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace) -> Tensor:
        del work
        n, rows, columns = prepared.shape[0], rel_y.shape[1], rel_x.shape[1]
        code = prepared[:, None].expand(-1, rows * columns, -1).flatten(0, 1)
        rel_coord = torch.stack(
            [rel_y[:, :, None].expand(-1, -1, columns), rel_x[:, None].expand(-1, rows, -1)], dim=-1
        ).reshape(-1, 2)
        with torch.autocast(code.device.type, self.dtype, enabled=self.dtype != torch.float32):
            fed = self.decoder.feed(code, rel_coord, self.rel_cell.expand_as(rel_coord))
            rgb = self.decoder.finish(code, self.mlp(fed))
        return rgb.reshape(n, rows, columns, 3)


def _fused_available() -> bool:
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(built) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


# oneDNN's linear layer with the ReLU in it: a quarter faster than product, bias and ReLU one after
# the other (Zen 4, width 256). Torch's compiler calls it; there is no public name for it.
FUSED = _fused_available()


def linear_relu(x: Tensor, weight: Tensor, bias: Tensor, fused: bool) -> Tensor:
    """ReLU of a linear layer, (M, in) to (M, out), without gradient.

    Args:
        x: float.
        weight: (out, in).
        bias: (out,).
        fused: by one kernel where there is one (float32 on a CPU). It is built anew for every M,
            so that it pays only where M comes back.
    """
    if fused and FUSED and x.device.type == "cpu" and x.dtype == torch.float32:
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "relu", [], "")
        return out
    return F.linear(x, weight, bias).relu_()


class Tail:
    """Layers of an MLP with ReLU between them.

    Args:
        layers: linear layers.
        dtype: of the matrix products.
    """

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        self.layers = [(layer.weight.to(dtype), layer.bias.to(dtype)) for layer in layers]
        self.macs = sum(layer.in_features * layer.out_features for layer in layers)

    def __call__(self, hidden: Tensor, work: Workspace) -> Tensor:
        """(M, in) to (M, out)."""
        if not self.layers:
            return hidden
        *between, (weight, bias) = self.layers
        for inner in between:
            hidden = linear_relu(hidden, *inner, fused=hidden.shape[0] == work.full)
        return F.linear(hidden, weight, bias)
