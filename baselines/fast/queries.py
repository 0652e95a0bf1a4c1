"""Random queries decoded for training: exact, and with little traffic through memory.

`Composition.decode` is the plain and readable reference; these functions compute the same from
`baselines.fast.stacked`. `decode_queries` is differentiable like any other operation. `l1_loss`
goes further: the mean absolute error is a sum over queries, so each piece of the queries can be
taken forward and back at once, and is forgotten before the next. On a CPU a piece stays in the
cache; with all queries at once, about a third of a full-size step goes into page faults of fresh
memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from baselines.composition import Composition, Features
from baselines.fast.stacked import Gather, Stack, stacked
from baselines.geometry import latent_queries

# Bytes of one hidden layer of all experts for a piece of the queries. Measured on a CPU at the
# papers' sizes; a GPU wants large pieces, as long as they fit.
PIECE_BYTES = {"cpu": 5_000_000, "cuda": 500_000_000}


@dataclass(frozen=True)
class _Queries:
    """Queries of B samples, each with S latent codes.

    Attributes:
        index: (B, S, Q) LR pixel of each code, within its sample.
        rel: (B, S, Q, 4) relative coordinate and cell.
        weight: (B, S, Q) share of each code; None for one code.
        choice: (B, S, Q) LR pixel whose gates count.
        skip: (B, Q, 3) to be added; None for nothing.
    """

    index: Tensor
    rel: Tensor
    weight: Tensor | None
    choice: Tensor
    skip: Tensor | None

    def part(self, samples: slice, queries: slice) -> _Queries:
        """Some queries of some samples; LR pixels are counted through these samples."""
        at = (samples, slice(None), queries)
        return _Queries(
            self.index[at],
            self.rel[at],
            None if self.weight is None else self.weight[at],
            self.choice[at],
            None if self.skip is None else self.skip[samples, queries],
        )


def _locate(model: Composition, features: Features, coord: Tensor, cell: Tensor) -> _Queries:
    found = model.decoder.locate(coord, cell, features.size, model.ensemble)
    rel_cell = cell * cell.new_tensor(features.size)
    index = torch.stack([query.index for query in found], dim=1)
    choice = index
    if model.head.routing_unit == "pixel":
        (nearest,) = latent_queries(coord, features.size, ensemble=False)
        choice = nearest.index.unsqueeze(1).expand_as(index)
    weights = [query.weight for query in found if query.weight is not None]
    return _Queries(
        index=index,
        rel=torch.stack([torch.cat([q.rel_coord, rel_cell], dim=-1) for q in found], dim=1),
        weight=torch.stack(weights, dim=1) if weights else None,
        choice=choice,
        skip=model.decoder.skip(features.lr, coord),
    )


def _through(index: Tensor, pixels: int) -> Tensor:
    """Pixels (B, S, Q) of each sample, counted through the batch, flat."""
    first = torch.arange(index.shape[0], device=index.device) * pixels
    return (index + first.reshape(-1, 1, 1)).flatten()


def _predict(
    stack: Stack,
    tensors: Sequence[Tensor],
    table: Tensor,
    gates: Tensor | None,
    queries: _Queries,
    pixels: int,
    gather: Gather,
) -> Tensor:
    """RGB (B, Q, 3) of queries.

    Args:
        stack: decoder and head.
        tensors: its weights.
        table: of `stack.table`, for these samples.
        gates: (B * pixels, J); None without experts.
        queries: of these samples.
        pixels: LR pixels of a sample.
        gather: reads table and gates.
    """
    index = _through(queries.index, pixels)
    x = stack.first(tensors, table, index, queries.rel.flatten(0, 2), gather)
    answers = stack.rest(tensors, x)
    share = None if queries.weight is None else queries.weight.reshape(1, -1)
    if gates is not None:
        chosen = gather(gates, _through(queries.choice, pixels)).T
        share = chosen if share is None else chosen * share
    parts = answers if share is None else answers * share.unsqueeze(-1)
    rgb = parts.reshape(stack.experts, *queries.index.shape, -1).sum(dim=(0, 2))
    return rgb if queries.skip is None else rgb + queries.skip


def decode_queries(model: Composition, features: Features, coord: Tensor, cell: Tensor) -> Tensor:
    """Decode random queries: RGB (B, Q, 3) of (B, Q, 2), equal to `Composition.decode` to rounding.

    Models that are not of the form of `baselines.fast.stacked` are decoded by `Composition.decode`.
    """
    stack = stacked(model)
    if stack is None:
        return model.decode(features, coord, cell)
    table = stack.table(stack.tensors, features.latent)
    gates = None if features.routing is None else features.routing.gates.flatten(0, 1)
    queries = _locate(model, features, coord, cell)
    pixels = features.size[0] * features.size[1]
    return _predict(stack, stack.tensors, table, gates, queries, pixels, _rows)


def l1_loss(
    model: Composition, features: Features, coord: Tensor, cell: Tensor, target: Tensor
) -> Tensor:
    """Mean absolute error of `decode_queries`, piece by piece.

    Gradients by the weights and the encoder's features are computed together with the value, so
    call it where they are wanted; they can be taken once.

    Args:
        model: whose features these are.
        features: of `encode`.
        coord: (B, Q, 2) queries.
        cell: (B, Q, 2) their cells.
        target: (B, Q, 3) RGB.

    Returns:
        float32 scalar.

    Raises:
        ValueError: where a gradient by image, coordinates, cells or target is wanted.
    """
    stack = stacked(model)
    if stack is None or not torch.is_grad_enabled():
        return (decode_queries(model, features, coord, cell).float() - target).abs().mean()
    if any(given.requires_grad for given in (features.lr, coord, cell, target)):
        raise ValueError("l1_loss has gradients by weights and features only; use decode_queries")
    pieces = _Pieces(stack, _locate(model, features, coord, cell), target)
    gates = None if features.routing is None else features.routing.gates
    loss: Tensor = _Piecewise.apply(  # type: ignore[no-untyped-call]
        pieces, features.latent, gates, *stack.tensors
    )
    return loss


@dataclass(frozen=True)
class _Pieces:
    """The work of `l1_loss`."""

    stack: Stack
    queries: _Queries
    target: Tensor

    def sizes(self) -> tuple[int, int]:
        """Samples, and queries of each, that are taken at once."""
        batch, codes, queries = self.queries.index.shape
        rows = PIECE_BYTES[self.target.device.type] // (4 * self.stack.experts * self.stack.width)
        at_once = max(1, rows // codes)
        return min(batch, max(1, at_once // queries)), min(queries, at_once)

    def run(
        self, latent: Tensor, gates: Tensor | None, weights: Sequence[Tensor]
    ) -> tuple[Tensor, list[Tensor | None]]:
        """The loss, and its gradients by latent, gates and weights."""
        by_latent = torch.empty_like(latent)
        by_gates = None if gates is None else torch.zeros_like(gates)
        inner = [weight.detach().requires_grad_() for weight in weights]
        by_weights = [torch.zeros_like(weight) for weight in weights]
        total = torch.zeros((), device=latent.device)
        samples, _ = self.sizes()
        for chosen in _slices(latent.shape[0], samples):
            some = None if gates is None or by_gates is None else (gates[chosen], by_gates[chosen])
            total += self._samples(chosen, latent, some, inner, by_weights, by_latent[chosen])
        return total, [by_latent, by_gates, *by_weights]

    def _samples(
        self,
        chosen: slice,
        latent: Tensor,
        gates: tuple[Tensor, Tensor] | None,
        weights: list[Tensor],
        by_weights: list[Tensor],
        by_latent: Tensor,
    ) -> Tensor:
        """The loss of some samples; gradients are added to the others, and set in the last."""
        with torch.enable_grad():
            own = latent[chosen].detach().requires_grad_()
            table = self.stack.table(weights, own)
        read = _Reader(table, gates)
        total = torch.zeros((), device=latent.device)
        pixels = latent.shape[-2] * latent.shape[-1]
        for some in _slices(self.target.shape[1], self.sizes()[1]):
            part = self.queries.part(chosen, some)
            with torch.enable_grad():
                rgb = _predict(
                    self.stack, weights, read.table, read.gates, part, pixels, read.gather
                )
                error = (rgb.float() - self.target[chosen, some]).abs().sum()
                loss = error / self.target.numel()
            _add(by_weights, _gradients(loss, [*weights, *read.leaves])[: len(weights)])
            total += loss.detach()
        found = _gradients(table, [own, *weights], read.by_table)
        by_latent.copy_(found[0])  # type: ignore[arg-type]
        _add(by_weights, found[1:])
        return total


def _slices(length: int, size: int) -> Iterator[slice]:
    for first in range(0, length, size):
        yield slice(first, min(length, first + size))


def _gradients(
    of: Tensor, by: Sequence[Tensor], given: Tensor | None = None
) -> Sequence[Tensor | None]:
    # A backward pass has the precision of its forward pass, which is on record; autocast is for
    # the latter alone.
    with torch.autocast(of.device.type, enabled=False):
        return torch.autograd.grad(of, by, given, allow_unused=True)


def _add(sums: Sequence[Tensor], found: Sequence[Tensor | None]) -> None:
    pairs = [(total, part) for total, part in zip(sums, found, strict=True) if part is not None]
    if pairs:
        torch._foreach_add_([total for total, _ in pairs], [part for _, part in pairs])


class _Reader:
    """Tables of some samples, with the gradients by them, which all pieces add to."""

    def __init__(self, table: Tensor, gates: tuple[Tensor, Tensor] | None) -> None:
        self.table = table.detach().requires_grad_()
        self.by_table = torch.zeros_like(table)
        self.gates: Tensor | None = None
        self.sums = {id(self.table): self.by_table}
        self.leaves = [self.table]
        if gates is not None:
            self.gates = gates[0].flatten(0, 1).detach().requires_grad_()
            self.sums[id(self.gates)] = gates[1].flatten(0, 1)
            self.leaves.append(self.gates)

    def gather(self, table: Tensor, index: Tensor) -> Tensor:
        """Rows whose gradient goes into the sum, instead of a fresh table of zeros."""
        rows: Tensor = _Rows.apply(  # type: ignore[no-untyped-call]
            table, index, self.sums[id(table)]
        )
        return rows


class _Rows(torch.autograd.Function):
    """Rows (..., C) of a table at indices (...); the gradient is added to a sum, if one is given.

    Fresh memory, not a view, so that it may be written over.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, total: Tensor | None) -> Tensor:
        ctx.index, ctx.total, ctx.length = index, total, table.shape[0]
        rows = table.new_empty(*index.shape, table.shape[1])
        torch.index_select(table, 0, index.flatten(), out=rows.view(-1, table.shape[1]))
        return rows

    @staticmethod
    def backward(ctx: Any, by_rows: Tensor) -> tuple[Tensor | None, None, None]:
        given = ctx.total is not None
        total = ctx.total if given else by_rows.new_zeros(ctx.length, by_rows.shape[-1])
        total.index_add_(0, ctx.index.flatten(), by_rows.flatten(0, -2))
        return None if given else total, None, None


def _rows(table: Tensor, index: Tensor) -> Tensor:
    rows: Tensor = _Rows.apply(table, index, None)  # type: ignore[no-untyped-call]
    return rows


class _Piecewise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, pieces: _Pieces, latent: Tensor, gates: Tensor | None, *weights: Tensor
    ) -> Tensor:
        loss, ctx.found = pieces.run(latent, gates, weights)
        return loss

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.found
        if found is None:
            raise RuntimeError("the gradients of l1_loss can be taken once")
        ctx.found = None
        return None, *(None if part is None else part.mul_(by_loss) for part in found)
