"""Decoders and their experts as few large operations, for random queries.

A head is J perceptrons of one width (one in the baselines) whose answers are summed by gates.
Each of their layers is one batched product over the experts that are deep enough. What the
first layer can know before there are queries is a *table* over the LR pixels:

- LIIF's first layer is linear in [unfolded code, coordinate, cell]. Its part on the unfolded
  code is a 3x3 convolution of the features; it is done once per LR pixel, for all experts.
- LTE's is not linear in the code; the table holds amplitudes and frequencies.

Functions take the weights as a list, so that a caller may hand over detached copies of them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.composition import Composition
from baselines.decoders.liif import LIIFDecoder
from baselines.decoders.lte import LTEDecoder
from baselines.mlp import MLP

Gather = Callable[[Tensor, Tensor], Tensor]
"""Rows (..., C) of a table (n, C) at indices (...), int64; a fresh tensor, not a view."""


class Stack(ABC):
    """A decoder and its head.

    Attributes:
        tensors: all weights, as every method takes them.
        experts: J.
        width: hidden width W of every expert.
    """

    def __init__(self, mlps: Sequence[MLP]) -> None:
        layers = [mlp.linears for mlp in mlps]
        self.experts = len(mlps)
        self.width = mlps[0].linears[0].out_features
        self.tensors: list[Tensor] = []
        # Experts whose last layer comes after the first hidden layer, the second, ...
        self.endings = [
            sum(len(own) == level for own in layers)
            for level in range(2, 1 + max(map(len, layers)))
        ]
        for level, ending in enumerate(self.endings, start=1):
            deep = [own for own in layers if len(own) > level]
            for part in (deep[:ending], deep[ending:]):
                if part:
                    self.tensors += _stacked([own[level] for own in part])

    @abstractmethod
    def table(self, tensors: Sequence[Tensor], latent: Tensor) -> Tensor:
        """Compute what the queries of each LR pixel share.

        Args:
            tensors: weights.
            latent: (B, C, h, w) features.

        Returns:
            (n * B * h * w, M): n rows for each LR pixel, `index` finds them.
        """

    @abstractmethod
    def first(
        self, tensors: Sequence[Tensor], table: Tensor, index: Tensor, rel: Tensor, gather: Gather
    ) -> Tensor:
        """The experts' first layer, before its ReLU.

        Args:
            tensors: weights.
            table: of `table`.
            index: (N,) LR pixels, counted through the batch.
            rel: (N, 4) relative coordinates and cells.
            gather: reads the table.

        Returns:
            (J, N, W)
        """

    def rest(self, tensors: Sequence[Tensor], x: Tensor) -> Tensor:
        """From `first` (J, N, W), which is overwritten, to the experts' answers (J, N, out)."""
        left = iter(tensors)
        answers = []
        for ending in self.endings:
            x = x.relu_()
            if ending:
                # One split, whose gradient is one concatenation; slices would add zeros.
                done, x = torch.split(x, [ending, len(x) - ending])
                answers.append(_last(left, done))
            if len(x):
                x = _layer(left, x)
        return torch.cat(answers) if len(answers) > 1 else answers[0]

    def spared_macs(self, pixels: int, pairs: int) -> int:
        """Multiply-adds that the table saves.

        Args:
            pixels: LR pixels.
            pairs: latent codes of all queries, which the plain way takes through every layer.
        """
        del pixels, pairs
        return 0


def _stacked(layers: Sequence[nn.Linear]) -> list[Tensor]:
    """Weights (n, out, in) and biases (n, 1, out) of n layers."""
    weight = torch.stack([layer.weight for layer in layers])
    return [weight, torch.stack([layer.bias for layer in layers]).unsqueeze(1)]


def _layer(tensors: Iterator[Tensor], x: Tensor) -> Tensor:
    weight, bias = next(tensors), next(tensors)
    return torch.baddbmm(bias, x, weight.mT)


def _last(tensors: Iterator[Tensor], x: Tensor) -> Tensor:
    """The last layer of experts that end together, of which there is one as a rule."""
    if len(x) > 1:
        return _layer(tensors, x)
    weight, bias = next(tensors), next(tensors)
    # Its gradient by the weight is taken the way round that is quick for so few outputs.
    return F.linear(x.squeeze(0), weight.squeeze(0), bias.flatten()).unsqueeze(0)


class LIIFStack(Stack):
    """LIIF: the table is the first layer without coordinates and cells, n = J and M = W."""

    def __init__(self, decoder: LIIFDecoder, mlps: Sequence[MLP]) -> None:
        super().__init__(mlps)
        weight, bias = _stacked([mlp.linears[0] for mlp in mlps])
        code, rest = torch.split(
            weight, [decoder.code_dim, decoder.fed_dim - decoder.code_dim], dim=2
        )
        side = 3 if decoder.unfold else 1
        self.code_dim = decoder.code_dim
        kernel = code.reshape(len(mlps) * self.width, -1, side, side)
        self.tensors += [kernel, bias.flatten(), rest]

    def table(self, tensors: Sequence[Tensor], latent: Tensor) -> Tensor:
        kernel, bias, _ = tensors[-3:]
        maps = F.conv2d(latent, kernel, bias, padding=kernel.shape[-1] // 2)
        by_expert = maps.reshape(latent.shape[0], self.experts, self.width, -1)
        return by_expert.permute(1, 0, 3, 2).reshape(-1, self.width)

    def first(
        self, tensors: Sequence[Tensor], table: Tensor, index: Tensor, rel: Tensor, gather: Gather
    ) -> Tensor:
        weight = tensors[-1]
        expert = torch.arange(self.experts, device=index.device).unsqueeze(1)
        rows = gather(table, index + expert * (table.shape[0] // self.experts))
        given = rel[:, : weight.shape[2]].expand(self.experts, -1, -1)
        # Written over, which autocast would not convert by itself.
        return rows.baddbmm_(given.to(rows), weight.mT.to(rows))

    def spared_macs(self, pixels: int, pairs: int) -> int:
        return self.experts * self.width * self.code_dim * (pairs - pixels)


class LTEStack(Stack):
    """LTE: the table is [amplitudes, pi times the frequencies' y, their x]; n = 1."""

    def __init__(self, decoder: LTEDecoder, mlps: Sequence[MLP]) -> None:
        super().__init__(mlps)
        maps = []
        for of in ("weight", "bias"):
            coef, freq = getattr(decoder.coef, of), math.pi * getattr(decoder.freq, of)
            maps.append(torch.cat([coef, freq[0::2], freq[1::2]]))
        first = _stacked([mlp.linears[0] for mlp in mlps])
        self.tensors += [*first, *maps, math.pi * decoder.phase.weight]

    def table(self, tensors: Sequence[Tensor], latent: Tensor) -> Tensor:
        weight, bias, _ = tensors[-3:]
        maps = F.conv2d(latent, weight, bias, padding=1)
        return maps.flatten(2).transpose(1, 2).reshape(-1, weight.shape[0])

    def first(
        self, tensors: Sequence[Tensor], table: Tensor, index: Tensor, rel: Tensor, gather: Gather
    ) -> Tensor:
        weight, bias, _, _, phase = tensors[-5:]
        code = gather(table, index)
        half = phase.shape[0]
        even, odd, f_y, f_x = torch.split(code, half, dim=1)
        y, x = rel[:, :1].to(code), rel[:, 1:2].to(code)
        angle = torch.addcmul(F.linear(rel[:, 2:], phase), f_y, y).addcmul(f_x, x)
        fed = torch.cat([even * angle.cos(), odd * angle.sin()], dim=1)
        return torch.baddbmm(bias, fed.expand(self.experts, -1, -1), weight.mT)


def stacked(model: Composition) -> Stack | None:
    """The model's decoder and head, where they are of this form.

    None where they are not, and `Composition.decode` is the way: decoders other than LIIF and
    LTE (Meta-SR predicts kernels, not colours); a mixture in evaluation, where each query goes
    to one expert; perceptrons of one layer, or of several widths.
    """
    mlps = model.head.mixed()
    if mlps is None or not _alike([mlp.linears for mlp in mlps]):
        return None
    decoder = model.decoder
    if type(decoder) is LIIFDecoder:
        return LIIFStack(decoder, mlps)
    return LTEStack(decoder, mlps) if type(decoder) is LTEDecoder else None


def _alike(layers: Sequence[Sequence[nn.Linear]]) -> bool:
    """Tell whether all hidden layers have one width, and depths rise from two."""
    depths = [len(own) for own in layers]
    widths = {layer.out_features for own in layers for layer in own[:-1]}
    return min(depths) >= 2 and depths == sorted(depths) and len(widths) == 1
