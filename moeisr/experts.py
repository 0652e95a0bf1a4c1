"""Experts of different depth, and the head that routes queries to them (MoEISR, sec. 3.2)."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.composition import Decoder, Head, Routing, RoutingUnit, mixed
from baselines.mlp import MLP
from baselines.shared_batch import by_sample
from moeisr.budget import mean_macs_allowed, within
from moeisr.mapper import Mapper


class ExpertHead(Head):
    """Head of mapper and experts that replaces a single MLP.

    Training mixes all experts with Gumbel-softmax weights (eq. 5); the noise is drawn once per LR
    pixel, since g(D_k) is indexed by the LR pixel k. Evaluation runs only the most probable expert
    (eq. 4): queries are grouped by expert, so an unused expert costs nothing.

    Args:
        mapper: network that scores the experts from the encoder's features.
        in_dim: width of the decoder's output, which the experts take.
        width: hidden width of every expert.
        depths: number of linear layers of each expert, shallowest first.
        temperature: tau of the Gumbel-softmax.
        straight_through: whether to use one-hot weights forward and the soft gradient backward,
            instead of eq. 5.
        routing_unit: "latent": each code of the local ensemble has its own choice; "pixel": all
            codes of an output pixel take the choice of the nearest code.
        out_dim: width of the experts' output.
        budget: decoder MACs of each image relative to the baseline's (`moeisr.budget`), once the
            network is prepared for a scale; None for the mapper's own choice.
    """

    def __init__(
        self,
        mapper: Mapper,
        in_dim: int,
        width: int,
        depths: Sequence[int],
        temperature: float = 1.0,
        straight_through: bool = False,
        routing_unit: RoutingUnit = "latent",
        out_dim: int = 3,
        budget: float | None = None,
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f"the temperature must be above 0, not {temperature}")
        self.mapper = mapper
        self.experts = nn.ModuleList(MLP(in_dim, width, depth, out_dim) for depth in depths)
        self.temperature = temperature
        self.straight_through = straight_through
        self.routing_unit = routing_unit
        self.out_dim = out_dim
        self.budget = budget
        self.limit: float | None = None

    def at_scale(self, decoder: Decoder, pairs: float) -> Head:
        """Find the mean MACs of an expert that the budget allows; see `Head.at_scale`."""
        if self.budget is None:
            return self
        twin = copy.copy(self)
        twin.limit = mean_macs_allowed(decoder, self, self.budget, pairs)
        return twin

    def route(self, latent: Tensor) -> Routing:
        """Compute the expert map D, and the weights that `forward` takes (g(D) in training).

        Raises:
            ValueError: there is a budget, and the network was not prepared for a scale.
        """
        if self.budget is not None and self.limit is None and not self.training:
            raise ValueError("a budget is one of a scale: prepare the network by `at_scale(scale)`")
        scores: Tensor = self.mapper(latent)
        if self.limit is not None:
            costs = self.expert_macs()
            scores = torch.stack([within(each, costs, self.limit) for each in scores])
        probabilities = scores.softmax(dim=-1)
        if not self.training:
            return Routing(probabilities, probabilities)
        mixed_by = partial(F.gumbel_softmax, tau=self.temperature, hard=self.straight_through)
        return Routing(probabilities, by_sample(mixed_by, scores))

    def forward(self, fed: Tensor, gates: Tensor | None) -> Tensor:
        """Map (N, in_dim) with weights (N, J) to (N, out_dim)."""
        assert gates is not None
        if self.training:  # all experts, eq. 5
            return mixed([expert(fed) for expert in self.experts], gates)
        return self._choose(fed, gates)

    def _choose(self, fed: Tensor, gates: Tensor) -> Tensor:
        """Run only the most probable expert of each query (eq. 4)."""
        choice = gates.argmax(dim=-1)
        out: Tensor | None = None
        for j, expert in enumerate(self.experts):
            rows = torch.nonzero(choice == j).squeeze(1)
            if rows.numel() == 0:
                continue
            answer = expert(fed.index_select(0, rows))
            if out is None:
                out = answer.new_empty(fed.shape[0], self.out_dim)
            out.index_copy_(0, rows, answer)
        return fed.new_empty(0, self.out_dim) if out is None else out

    @property
    def mlps(self) -> Sequence[MLP]:
        """MLPs of the experts, shallowest first."""
        return cast(Sequence[MLP], list(self.experts))

    def mixable_mlps(self) -> Sequence[MLP] | None:
        """Return the MLPs that training mixes; None in evaluation, where one expert answers."""
        return self.mlps if self.training else None

    def routing_macs(self) -> int:
        """Count the MACs of the mapper per LR pixel."""
        return self.mapper.macs
