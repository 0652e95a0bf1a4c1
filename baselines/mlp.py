"""Multilayer perceptron (MLP) at the end of implicit decoders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """Linear layers of one width with ReLU between them.

    Args:
        in_dim: width of the input.
        width: width of the hidden layers.
        depth: number of linear layers, including the output layer (at least 1).
        out_dim: width of the output; three for RGB.
        hidden: widths of the hidden layers instead of `width` and `depth`, where they differ.

    Example:
        >>> MLP(580, 256, 5).macs
        345856
    """

    def __init__(
        self,
        in_dim: int,
        width: int,
        depth: int,
        out_dim: int = 3,
        hidden: Sequence[int] | None = None,
    ) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"an MLP needs at least one layer, not {depth}")
        sizes = [in_dim, *([width] * (depth - 1) if hidden is None else hidden), out_dim]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(itertools.pairwise(sizes)):
            layers += [nn.ReLU()] * (i > 0) + [nn.Linear(a, b)]
        self.layers = nn.Sequential(*layers)
        self.macs = sum(a * b for a, b in itertools.pairwise(sizes))
        self.depth = len(sizes) - 1
        # A list is no module, so nothing is registered twice; the engine asks for each chunk.
        self.linears = [layer for layer in self.layers if isinstance(layer, nn.Linear)]

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, in_dim) to (N, out_dim)."""
        out: Tensor = self.layers(x)
        return out

    def rest(self, hidden: Tensor, overwrite: bool = True) -> Tensor:
        """From the first layer's answer, which may be overwritten, to the last's."""
        _, *layers = self.linears
        if not layers:
            return hidden
        hidden = F.relu(hidden, inplace=overwrite)
        for layer in layers[:-1]:
            hidden = linear_relu(layer, hidden)
        out: Tensor = layers[-1](hidden)
        return out


def _fused_available() -> bool:
    built = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(built) and hasattr(torch.ops.mkldnn, "_linear_pointwise")


# oneDNN's linear layer with the ReLU in it. PyTorch's compiler calls it, and it has no public name;
# without it the engine decodes LIIF 0.84 times as fast (docs/performance.md).
FUSED = _fused_available()
# A kernel is built for every number of rows, which takes 0.3 to 1 ms: short chunks do without.
_FUSED_FROM = 2048


def linear_relu(layer: nn.Linear, x: Tensor) -> Tensor:
    """ReLU of a linear layer, (..., in) to (..., out); by one kernel where there is one."""
    rows = x.numel() // layer.in_features
    plain = torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type)
    suits = x.device.type == "cpu" and x.dtype == layer.weight.dtype == torch.float32
    if plain or not FUSED or not suits or rows < _FUSED_FROM:
        return F.relu(layer(x), inplace=True)
    flat = x.reshape(rows, layer.in_features)
    out: Tensor = torch.ops.mkldnn._linear_pointwise(flat, layer.weight, layer.bias, "relu", [], "")
    return out.view(*x.shape[:-1], -1)
