"""Random queries decoded for training: exact, and with little traffic through memory.

`Composition.decode` is the plain and readable reference; these functions compute the same from the
decoder's split (`baselines.composition.Split`). `decode_queries` is differentiable like any other
operation. `l1_loss` goes further: the mean absolute error is a sum over queries, so each piece of
the queries can be taken forward and back at once, and is forgotten before the next. On a CPU a
piece stays in the cache; with all queries at once, about a third of a full-size step goes into
page faults of fresh memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from baselines.composition import Composition, Features, Split
from baselines.geometry import latent_queries

# Bytes of one hidden layer of all experts for a piece of the queries. Measured on a CPU at the
# papers' sizes; a GPU wants large pieces, as long as they fit.
PIECE_BYTES = {"cpu": 5_000_000, "cuda": 500_000_000}

Reader = Callable[[Tensor], Tensor]
"""Rows (N, P) of a table at indices (N,)."""


@dataclass(frozen=True)
class _Queries:
    """Queries of B samples, each with S latent codes.

    Attributes:
        index: (B, S, Q) LR pixel of each code, within its sample.
        rel: (B, S, Q, 4) relative coordinate and cell.
        weight: (B, S, Q) share of each code; None for one code.
        chooser: (B, S, Q) LR pixel whose gates count.
        skip: (B, Q, 3) to be added; None for nothing.
    """

    index: Tensor
    rel: Tensor
    weight: Tensor | None
    chooser: Tensor
    skip: Tensor | None

    def part(self, samples: slice, queries: slice) -> _Queries:
        """Take some queries of some samples; `index` stays within its sample."""
        at = (samples, slice(None), queries)
        return _Queries(
            self.index[at],
            self.rel[at],
            None if self.weight is None else self.weight[at],
            self.chooser[at],
            None if self.skip is None else self.skip[samples, queries],
        )


def _locate(model: Composition, features: Features, coord: Tensor, cell: Tensor) -> _Queries:
    found = model.decoder.locate(coord, cell, features.size, model.ensemble)
    rel_cell = cell * cell.new_tensor(features.size)
    index = torch.stack([query.index for query in found], dim=1)
    chooser = index
    if model.head.routing_unit == "pixel":
        (nearest,) = latent_queries(coord, features.size, ensemble=False)
        chooser = nearest.index.unsqueeze(1).expand_as(index)
    weights = [query.weight for query in found if query.weight is not None]
    return _Queries(
        index=index,
        rel=torch.stack([torch.cat([q.rel_coord, rel_cell], dim=-1) for q in found], dim=1),
        weight=torch.stack(weights, dim=1) if weights else None,
        chooser=chooser,
        skip=model.decoder.skip(features.lr, coord),
    )


def _counts(features: Features, queries: _Queries) -> tuple[int, int]:
    """LR pixels of a sample, and latent codes of its queries."""
    return features.size[0] * features.size[1], queries.index[0].numel()


def _through(index: Tensor, pixels: int) -> Tensor:
    """Pixels (B, S, Q) of each sample, counted through the batch, flat."""
    first = torch.arange(index.shape[0], device=index.device) * pixels
    return (index + first.reshape(-1, 1, 1)).flatten()


def training_split(model: Composition, pixels: int, pairs: int) -> Split | None:
    """The decoder with all MLPs that the head mixes.

    None where it does not mix: in evaluation, a mixture's queries go to one expert each. Where a
    sample has fewer latent codes of queries (`pairs`) than LR pixels, nothing is shared.
    """
    mlps = model.head.mixable_mlps()
    if mlps is None:
        return None
    return model.decoder.split(mlps) if pairs >= pixels else Split(model.decoder, mlps)


def _predict(
    split: Split, prepared: Reader, gates: Reader | None, queries: _Queries, pixels: int
) -> Tensor:
    """RGB (B, Q, 3) of queries of some samples.

    The readers read what the split's `prepare_all` made, and gates (B * pixels, J), if any.
    """
    codes = prepared(_through(queries.index, pixels))
    chosen = None if gates is None else gates(_through(queries.chooser, pixels))
    rel_coord, rel_cell = torch.split(queries.rel.flatten(0, 2), 2, dim=1)
    parts = split.decode(codes, rel_coord, rel_cell, chosen).view(*queries.index.shape, 3)
    if queries.weight is not None:
        parts = parts * queries.weight.unsqueeze(-1)
    rgb = parts.sum(dim=1)
    return rgb if queries.skip is None else rgb + queries.skip


def decode_queries(model: Composition, features: Features, coord: Tensor, cell: Tensor) -> Tensor:
    """Decode random queries: RGB (B, Q, 3) of (B, Q, 2), equal to `Composition.decode` to rounding.

    A head that does not mix its MLPs is decoded by `Composition.decode`.
    """
    queries = _locate(model, features, coord, cell)
    split = training_split(model, *_counts(features, queries))
    if split is None:
        return model.decode(features, coord, cell)
    prepared = split.prepare_all(features.latent, queries.rel[:, 0, 0, 2:])
    routing = features.routing
    gates = None if routing is None else _reader(routing.gates.flatten(0, 1))
    return _predict(split, _reader(prepared), gates, queries, features.size[0] * features.size[1])


def _reader(table: Tensor) -> Reader:
    return lambda index: table.index_select(0, index)


def l1_loss(
    model: Composition, features: Features, coord: Tensor, cell: Tensor, target: Tensor
) -> Tensor:
    """Mean absolute error of `decode_queries`, a float32 scalar, piece by piece.

    Gradients by the weights and the encoder's features are computed together with the value, so
    call it where they are wanted; they can be taken once.

    Args:
        model: whose features these are.
        features: of `encode`.
        coord: (B, Q, 2) queries.
        cell: (B, Q, 2) their cells.
        target: (B, Q, 3) RGB.

    Raises:
        ValueError: where a gradient by image, coordinates, cells or target is wanted.
    """
    queries = _locate(model, features, coord, cell)
    split = training_split(model, *_counts(features, queries))
    if split is None or not torch.is_grad_enabled():
        return (decode_queries(model, features, coord, cell).float() - target).abs().mean()
    if any(given.requires_grad for given in (features.lr, coord, cell, target)):
        raise ValueError("l1_loss has gradients by weights and features only; use decode_queries")
    pieces = _Pieces(split, features, queries, target)
    gates = None if features.routing is None else features.routing.gates
    loss: Tensor = _Piecewise.apply(  # type: ignore[no-untyped-call]
        pieces, features.latent, gates, *pieces.weights
    )
    return loss


class _Pieces:
    """Value and gradients of `l1_loss`, piece by piece."""

    def __init__(self, split: Split, features: Features, queries: _Queries, target: Tensor) -> None:
        self.split, self.features, self.queries, self.target = split, features, queries, target
        parts = [split.decoder, *split.mlps]
        self.weights = [w for part in parts for w in part.parameters() if w.requires_grad]

    def sizes(self) -> tuple[int, int]:
        """Samples, and queries of each, that are taken at once."""
        batch, codes, queries = self.queries.index.shape
        width = sum(mlp.linears[0].out_features for mlp in self.split.mlps)
        at_once = PIECE_BYTES[self.target.device.type] // (4 * width * codes)
        at_once = max(1, at_once)
        return min(batch, max(1, at_once // queries)), min(queries, at_once)

    def run(self) -> tuple[Tensor, list[Tensor | None]]:
        """The loss, and its gradients by latent, gates and weights."""
        by_weight: dict[Tensor, Tensor] = {}
        latent = self.features.latent
        # A frozen encoder wants no gradient.
        by_latent = torch.zeros_like(latent) if latent.requires_grad else None
        routing = self.features.routing
        gates = None if routing is None else routing.gates
        by_gates = None if gates is None else torch.zeros_like(gates)
        total = torch.zeros((), device=self.target.device)
        for some in _slices(len(latent), self.sizes()[0]):
            read = None
            if gates is not None and by_gates is not None:
                read = _Shared(gates[some].flatten(0, 1), by_gates[some].flatten(0, 1))
            own = latent[some].detach().requires_grad_(latent.requires_grad)
            total += self._samples(some, own, read, by_weight)
            if by_latent is not None and own.grad is not None:
                by_latent[some] = own.grad
        return total, [by_latent, by_gates, *map(by_weight.get, self.weights)]

    def _samples(
        self, some: slice, latent: Tensor, gates: _Shared | None, by_weight: dict[Tensor, Tensor]
    ) -> Tensor:
        """The loss of some samples; adds up gradients by weights, leaves that by latent on it."""
        with torch.enable_grad():
            made = self.split.prepare_all(latent, self.queries.rel[some, 0, 0, 2:])
        prepared = _Shared(made, torch.zeros_like(made))
        shared = [prepared] if gates is None else [prepared, gates]
        wanted = [*self.weights, *(table.rows for table in shared)]
        total = torch.zeros((), device=latent.device)
        for chosen in _slices(self.target.shape[1], self.sizes()[1]):
            part = self.queries.part(some, chosen)
            with torch.enable_grad():
                readers = prepared.read, None if gates is None else gates.read
                rgb = _predict(self.split, *readers, part, latent[0, 0].numel())
                error = (rgb.float() - self.target[some, chosen]).abs().sum()
                loss = error / self.target.numel()
            _add(by_weight, self.weights, _gradients(loss, wanted))
            total += loss.detach()
        if not made.requires_grad:  # the features themselves, of a frozen encoder
            return total
        leaves = [*self.weights, *([latent] if latent.requires_grad else [])]
        found = _gradients(made, leaves, prepared.sum)
        _add(by_weight, self.weights, found)
        if latent.requires_grad:
            latent.grad = found[-1]
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


def _add(
    sums: dict[Tensor, Tensor], weights: Sequence[Tensor], found: Sequence[Tensor | None]
) -> None:
    for weight, part in zip(weights, found, strict=False):
        if part is not None and weight in sums:
            sums[weight] += part
        elif part is not None:
            sums[weight] = part.clone()


class _Shared:
    """A table that all pieces read, and the sum of the gradients by it, which all add to."""

    def __init__(self, table: Tensor, total: Tensor) -> None:
        self.rows = table.detach().requires_grad_()
        self.sum = total

    def read(self, index: Tensor) -> Tensor:
        """Rows whose gradient goes into the sum, instead of a fresh table of zeros."""
        rows: Tensor = _Rows.apply(self.rows, index, self.sum)  # type: ignore[no-untyped-call]
        return rows


class _Rows(torch.autograd.Function):
    """Rows of a table at indices; their gradient is added to a sum."""

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor, total: Tensor) -> Tensor:
        ctx.index, ctx.total = index, total
        return table.index_select(0, index)

    @staticmethod
    def backward(ctx: Any, by_rows: Tensor) -> tuple[None, None, None]:
        ctx.total.index_add_(0, ctx.index, by_rows)
        return None, None, None


class _Piecewise(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pieces: _Pieces, *wanted: Tensor | None) -> Tensor:
        del wanted  # those that `found` are the gradients by
        loss, ctx.found = pieces.run()
        return loss

    @staticmethod
    def backward(ctx: Any, by_loss: Tensor) -> tuple[Tensor | None, ...]:
        found = ctx.found
        if found is None:
            raise RuntimeError("the gradients of l1_loss can be taken once")
        ctx.found = None
        return None, *(None if part is None else part.mul_(by_loss) for part in found)
