"""One composition for every implicit model: encoder, decoder, head, ensemble.

encoder -> features on the LR grid -> for each query the latent codes around it, turned by the
decoder into what the head is fed -> head -> weighted sum over the codes.

A *decoder* (LIIF, LTE) knows how codes, relative coordinates and cells become the head's input.
A *head* turns that input into RGB: one MLP in the baselines, a mapper and experts in MoEISR.
Neither knows the other, so every decoder has its MoEISR variant. A *split* says what a decoder's
queries share; `baselines.fast` decodes regular grids and training's random queries by it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Encoder, SRModel
from baselines.geometry import (
    AxisLookup,
    LatentQuery,
    axis_lookup,
    crossed,
    latent_queries,
    table_rows,
)
from baselines.mlp import MLP
from baselines.names import Names

RoutingUnit = Literal["latent", "pixel"]


class Decoder(nn.Module, ABC):
    """The part of an implicit method that turns codes and queries into its head's input.

    Attributes:
        label: what tables call the method.
        code_dim: width of what is read per latent code.
        fed_dim: width of the head's input.
        out_dim: width of the head's output; three for RGB.
        depth: linear layers of the method's own MLP (the deepest MoEISR expert mirrors it).
        width: hidden width of that MLP.
        clips_cell: whether evaluation stretches the cell above x4 (LTE, not LIIF).
        ensembles: whether the method predicts from the four codes around a query.
        routable: whether its MLP can be replaced by experts of different depth.
        modulated: whether codes have modulation intensities (LMF).
        for_encoder: options that the published settings change for an encoder, by its name.
        baseline: name of the decoder that this one is a change of; "" for none.
    """

    label: ClassVar[str]
    code_dim: int
    fed_dim: int
    out_dim: int = 3
    depth: int
    width: int
    clips_cell: ClassVar[bool] = False
    ensembles: ClassVar[bool] = True
    routable: ClassVar[bool] = True
    modulated: ClassVar[bool] = False
    for_encoder: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    baseline: ClassVar[str] = ""

    @abstractmethod
    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        """Codes of r rows of encoder features.

        Args:
            rows: (B, C, r + 2, w), with the row above and the row below (zeros outside).
            rel_cell: (B, 2) cell of an image's queries, in units in which an LR pixel spans 2.

        Returns:
            (B, r*w, code_dim)
        """

    @abstractmethod
    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        """Head input (N, fed_dim) of codes (N, code_dim), coordinates and cells (N, 2)."""

    def own_mlp(self, hidden: Sequence[int] | None = None) -> MLP:
        """The method's own MLP, from what is fed to `out_dim`; `hidden` as in `MLP`."""
        return MLP(self.fed_dim, self.width, self.depth, self.out_dim, hidden)

    def finish(self, code: Tensor, out: Tensor) -> Tensor:
        """RGB (N, 3) of codes (N, code_dim) and the head's output (N, out_dim)."""
        del code
        return out

    def along(self, coord: Tensor, cell: Tensor, n: int, ensemble: bool) -> AxisLookup:
        """Locate queries along one axis; rows and columns do not depend on each other.

        Args:
            coord: queries, any shape.
            cell: side of their pixels, of a shape that broadcasts.
            n: rows (or columns) of the latent grid.
            ensemble: four codes for each query: two directions on each axis.
        """
        del cell
        return axis_lookup(coord, n, ensemble)

    def locate(
        self, coord: Tensor, cell: Tensor, size: tuple[int, int], ensemble: bool
    ) -> list[LatentQuery]:
        """The latent codes of queries (B, Q, 2) on a grid of (h, w) codes."""
        rows, columns = (
            self.along(coord[..., axis], cell[..., axis], n, ensemble)
            for axis, n in enumerate(size)
        )
        return crossed(rows, columns, size[1])

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """Split the decoder, with MLPs of the head, by what the queries of a code share."""
        return Split(self, mlps, dtype)

    def skip(self, lr: Tensor, coord: Tensor) -> Tensor | None:
        """Addition to the prediction, (B, Q, 3), such as LTE's bilinear skip; None for nothing."""
        del lr, coord
        return None

    @property
    def working_dim(self) -> int:
        """Values for each code while `codes` makes it."""
        return 2 * self.code_dim

    def latent_macs(self) -> int:
        """Multiply-adds of an MLP that runs once per LR pixel, before the head (LMF)."""
        return 0

    def estimator_macs(self) -> tuple[int, int]:
        """Multiply-adds outside encoder and head: per LR pixel, and per latent code of a query.

        LTE's estimators; Meta-SR's application of the kernels.
        """
        return 0, 0


@dataclass(frozen=True)
class SplitMacs:
    """Multiply-adds of a `Split` with one MLP.

    Attributes:
        code: per latent code.
        row: per latent code and row of its queries, on a regular grid.
        column: per latent code and column of its queries.
        query: per latent code and query.
    """

    code: int
    row: int
    column: int
    query: int


class Split:
    """A decoder with MLPs of its head, by what each part of the work depends on.

    What depends on a latent code alone is computed once per LR pixel (`prepare`), and only the
    rest for every query: of training's random queries in `decode`, of a regular grid, where a
    code's queries are rows times columns, in `on_grid`. Nothing is approximated.

    This one shares nothing: any decoder's `feed`, MLPs and `finish` for every query.

    Args:
        decoder: whose queries these are.
        mlps: the MLP, or the experts that `decode` mixes; one MLP for `on_grid`.
        dtype: of the matrix products of `on_grid`.
    """

    def __init__(
        self, decoder: Decoder, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32
    ) -> None:
        self.decoder = decoder
        self.mlps = mlps
        self.dtype = dtype

    @property
    def prepared_dim(self) -> int:
        """Width of what `prepare` makes."""
        return self.decoder.code_dim

    def macs(self) -> SplitMacs:
        """Multiply-adds with the first MLP."""
        return SplitMacs(0, 0, 0, self.mlps[0].macs + self.decoder.estimator_macs()[1])

    def prepare(self, code: Tensor) -> Tensor:
        """Compute what depends on the code alone: (N, code_dim) to (N, prepared_dim)."""
        return code

    def prepare_all(self, latent: Tensor, rel_cell: Tensor) -> Tensor:
        """Prepare all codes (B * h * w, prepared_dim) of features (B, C, h, w), cells (B, 2)."""
        codes = self.decoder.codes(F.pad(latent, (0, 0, 1, 1)), rel_cell)
        return self.prepare(codes.flatten(0, 1))

    def decode(
        self, prepared: Tensor, rel_coord: Tensor, rel_cell: Tensor, gates: Tensor | None = None
    ) -> Tensor:
        """RGB (N, 3) of queries with a code each.

        Args:
            prepared: (N, prepared_dim); may be overwritten.
            rel_coord: (N, 2).
            rel_cell: (N, 2).
            gates: (N, J) shares of the MLPs in the answer; None where there is one.
        """
        fed = self.decoder.feed(prepared, rel_coord, rel_cell)
        return self.decoder.finish(prepared, mixed([mlp(fed) for mlp in self.mlps], gates))

    def on_grid(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor) -> Tensor:
        """RGB (N, R, C, 3) of R times C queries of each of N codes, without gradients.

        Args:
            prepared: (N, prepared_dim).
            rel_y: (N, R) vertical relative coordinates.
            rel_x: (N, C) horizontal ones.
            rel_cell: (2,), the same for all.
        """
        coord = grid_coords(rel_y, rel_x)
        code = prepared[:, None].expand(-1, coord.shape[1], -1).flatten(0, 1)
        coord = coord.flatten(0, 1)
        with self.reduced():
            rgb = self.decode(code, coord, rel_cell.expand_as(coord))
        return rgb.view(*rel_y.shape, -1, 3)

    def reduced(self) -> AbstractContextManager[object]:
        """Matrix products in `dtype`."""
        device = next(self.mlps[0].parameters()).device.type
        whole = self.dtype == torch.float32
        if whole and not torch.is_autocast_enabled(device):
            return nullcontext()  # chunks are many, and autocast takes time to do nothing
        return torch.autocast(device, self.dtype, enabled=not whole)


def grid_coords(rel_y: Tensor, rel_x: Tensor) -> Tensor:
    """Relative coordinates (N, R*C, 2) of rows (N, R) times columns (N, C)."""
    size = (*rel_y.shape, rel_x.shape[1])
    pair = [rel_y[:, :, None].expand(size), rel_x[:, None].expand(size)]
    return torch.stack(pair, dim=-1).flatten(1, 2)


def mixed(answers: Sequence[Tensor], gates: Tensor | None) -> Tensor:
    """Sum of J answers (N, M) by gates (N, J); the only answer without gates."""
    if gates is None:
        (answer,) = answers
        return answer
    return (torch.stack(list(answers), dim=1) * gates.unsqueeze(2)).sum(dim=1)


@dataclass(frozen=True)
class Routing:
    """Expert choice on the LR grid.

    Attributes:
        probabilities: (B, h*w, J), the expert map D of the paper (eq. 3); sums to 1 over J.
        gates: (B, h*w, J), weights of the experts: g(D) in training (eq. 5), D in evaluation,
            where the largest alone is used (eq. 4).
    """

    probabilities: Tensor
    gates: Tensor


class Head(nn.Module, ABC):
    """From the decoder's output to RGB."""

    routing_unit: RoutingUnit = "latent"

    def route(self, latent: Tensor) -> Routing | None:
        """Expert choice for (B, C, h, w) features, once per LR image; None without experts."""
        del latent
        return None

    @abstractmethod
    def forward(self, fed: Tensor, gates: Tensor | None) -> Tensor:
        """(N, fed_dim), and (N, J) gates where there are experts, to (N, out_dim)."""

    @property
    @abstractmethod
    def mlps(self) -> Sequence[MLP]:
        """The MLP, or the experts, shallowest first."""

    def expert_macs(self) -> tuple[int, ...]:
        """Multiply-adds of each expert for one latent code of one query, shallowest first."""
        return tuple(mlp.macs for mlp in self.mlps)

    def at_scale(self, decoder: Decoder, pairs: float) -> Head:
        """Prepare for one scale, in evaluation mode; the head itself where it is the same for all.

        `pairs` is the number of queries that each latent code answers.
        """
        del decoder, pairs
        return self

    def mixable_mlps(self) -> Sequence[MLP] | None:
        """The perceptrons whose answers, summed by the gates, are the head's in its present mode.

        None where the answer is of another form; training then decodes by `Composition.decode`.
        """
        return None

    def routing_macs(self) -> int:
        """Multiply-adds of the expert choice, per LR pixel."""
        return 0


class MLPHead(Head):
    """One MLP for every query: the head of the baselines."""

    def __init__(self, mlp: MLP) -> None:
        super().__init__()
        self.mlp = mlp

    def forward(self, fed: Tensor, gates: Tensor | None) -> Tensor:
        del gates
        out: Tensor = self.mlp(fed)
        return out

    @property
    def mlps(self) -> Sequence[MLP]:
        return (self.mlp,)

    def mixable_mlps(self) -> Sequence[MLP]:
        return self.mlps


@dataclass(frozen=True)
class Features:
    """All that decoding needs of an LR image.

    Attributes:
        lr: (B, 3, h, w) network input in [-1, 1].
        latent: (B, C, h, w) of the encoder.
        routing: expert choice per latent code; None without experts.
    """

    lr: Tensor
    latent: Tensor
    routing: Routing | None

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of the latent grid."""
        return self.latent.shape[-2], self.latent.shape[-1]

    def of_image(self, index: int) -> Features:
        """Features of one image of the batch."""
        one = slice(index, index + 1)
        routing = self.routing
        if routing is not None:
            routing = Routing(routing.probabilities[one], routing.gates[one])
        return Features(self.lr[one], self.latent[one], routing)


@dataclass(frozen=True)
class CodeTable:
    """Codes (B, r*w, code_dim) of some rows of the latent grid, from row `first` on.

    LIIF's are nine times as large as the features, so large images are decoded from a part of them
    at a time.
    """

    codes: Tensor
    first: int


def _check_counted(
    part: nn.Module, counted: Sequence[nn.Module], base: type, counts: Sequence[str]
) -> None:
    """Refuse a part whose parameters would cost nothing, as it defines none of the counts."""
    covered = {parameter for module in counted for parameter in module.parameters()}
    own = [name for name, parameter in part.named_parameters() if parameter not in covered]
    if own and all(getattr(type(part), name) is getattr(base, name) for name in counts):
        raise TypeError(
            f"{type(part).__name__} has parameters of its own ({', '.join(own)}), but does not say "
            f"how many multiply-adds they take: define {' or '.join(counts)}."
        )


class Composition(SRModel):
    """An arbitrary-scale network, the plain way: `model(lr, coord, cell) -> rgb`.

    `ImplicitSR` adds the fast ways: `stream` (images) and `query_loss` (training). They are apart
    because `baselines.fast` is written for this class, and `ImplicitSR` with `baselines.fast`.

    Pure: nothing is kept on the module between calls. `encode` once per LR image, `tabulate`
    once for the rows that a part of the queries needs, `decode` for as many chunks of queries as
    memory asks for; `forward` is all three.

    Args:
        encoder: LR image to features, with `out_channels`.
        decoder: feeds the head.
        head: one MLP, or mapper and experts.
        ensemble: predict from the four codes around a query instead of the nearest; ignored by
            decoders that never do.

    Raises:
        TypeError: for a decoder or a head with parameters that no count of multiply-adds covers.
    """

    encoder: Encoder
    names = Names(
        (("imnet", "head.mlp"), ("encoder", "encoder"), ("head", "head"), ("", "decoder"))
    )

    def __init__(
        self, encoder: Encoder, decoder: Decoder, head: Head, ensemble: bool = True
    ) -> None:
        super().__init__()
        _check_counted(decoder, (), Decoder, ("estimator_macs", "latent_macs"))
        _check_counted(head, head.mlps, Head, ("routing_macs",))
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.ensemble = ensemble and decoder.ensembles

    def encode(self, lr: Tensor) -> Features:
        """(B, 3, h, w) in [-1, 1] to features on the latent grid."""
        latent: Tensor = self.encoder(lr)
        return Features(lr, latent, self.head.route(latent))

    def tabulate(
        self, features: Features, cell: Tensor, first: int = 0, end: int | None = None
    ) -> CodeTable:
        """Codes of the rows [first, end) of the latent grid; of all rows by default.

        `cell` (B, 2) has the height and width of an image's query pixels, which are all alike.
        """
        height = features.size[0]
        end = height if end is None else end
        rows = features.latent[:, :, max(first - 1, 0) : end + 1]
        halo = F.pad(rows, (0, 0, int(first == 0), int(end == height)))
        return CodeTable(self.decoder.codes(halo, cell * cell.new_tensor(features.size)), first)

    def decode(
        self, features: Features, coord: Tensor, cell: Tensor, table: CodeTable | None = None
    ) -> Tensor:
        """RGB in [-1, 1] (not clamped) of queries.

        Args:
            features: of `encode`.
            coord: (B, Q, 2) query centres, (y, x) in [-1, 1].
            cell: (B, Q, 2) height and width of the query pixel, in the same units.
            table: of `tabulate`, with all rows that the queries look up; made here if None, with
                the cell of an image's first query (only LMF's codes depend on it).

        Returns:
            (B, Q, 3)
        """
        table = self.tabulate(features, cell[:, 0]) if table is None else table
        rel_cell = (cell * cell.new_tensor(features.size)).flatten(0, 1)
        queries = self.decoder.locate(coord, cell, features.size, self.ensemble)
        pixel_gates = self._pixel_gates(features, coord)
        rgb: Tensor | None = None
        for query in queries:
            part = self._predict(features, table, query, rel_cell, pixel_gates)
            part = part if query.weight is None else part * query.weight.unsqueeze(-1)
            rgb = part if rgb is None else rgb + part
        assert rgb is not None
        skip = self.decoder.skip(features.lr, coord)
        return rgb if skip is None else rgb + skip

    def forward(self, lr: Tensor, coord: Tensor, cell: Tensor) -> Tensor:
        """RGB of queries; see `encode` and `decode`."""
        return self.decode(self.encode(lr), coord, cell)

    def _predict(
        self,
        features: Features,
        table: CodeTable,
        query: LatentQuery,
        rel_cell: Tensor,
        pixel_gates: Tensor | None,
    ) -> Tensor:
        """Prediction (B, Q, 3) from one latent code per query."""
        code = table_rows(table.codes, query.index - table.first * features.size[1])
        fed = self.decoder.feed(code, query.rel_coord.flatten(0, 1), rel_cell)
        gates = pixel_gates
        if gates is None and features.routing is not None:
            gates = table_rows(features.routing.gates, query.index)
        rgb = self.decoder.finish(code, self.head(fed, gates))
        return rgb.reshape(*query.index.shape, 3)

    def _pixel_gates(self, features: Features, coord: Tensor) -> Tensor | None:
        """Gates of the nearest code, where one expert serves all codes of an output pixel."""
        if features.routing is None or self.head.routing_unit == "latent":
            return None
        (nearest,) = latent_queries(coord, features.size, ensemble=False)
        return table_rows(features.routing.gates, nearest.index)
