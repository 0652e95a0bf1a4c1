"""Cost control at inference: the experts of one checkpoint within any budget of MACs.

No paper has it. The mapper's score of expert j is lowered by a price times the MACs of the expert:
by one number for each expert, the same for all latent codes of an image. A price above 0 moves
codes to shallower experts, first those that the mapper hesitates over; one below 0 to deeper
ones. The price is found on the image itself, by bisection.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.composition import Head, Routing
from baselines.mlp import MLP
from baselines.shapes import shapes_only
from baselines.systems.implicit import ImplicitSR
from moeisr.experts import ExpertHead

_STEPS = 60
"""Steps of the bisection."""


def within(scores: Tensor, macs: Sequence[int], limit: float) -> Tensor:
    """Shift the mapper's scores so that the experts with the highest cost no more than a limit.

    Args:
        scores: (..., J) of one image; their softmax is the expert map D.
        macs: of each expert.
        limit: mean MACs of the chosen expert over all latent codes.

    Returns:
        (..., J), shifted by one number for each expert.

    Raises:
        ValueError: the limit is below the MACs of the cheapest expert.

    Example:
        >>> scores = torch.tensor([[0.4, 0.6], [0.1, 0.9]])
        >>> within(scores, (10, 20), 15).argmax(dim=-1).tolist()
        [0, 1]
    """
    if limit < min(macs):
        raise ValueError(f"the cheapest expert takes {min(macs)} MACs, more than {limit:.0f}")
    scores, each = scores.double(), torch.tensor(macs, device=scores.device)
    allowed = limit * scores[..., 0].numel() * (1 + 1e-9)

    def dear(price: float) -> bool:
        return int(each[(scores - price * each).argmax(dim=-1)].sum()) > allowed

    steps = each.sort().values.diff()
    smallest = int(steps[steps > 0].min()) if bool(steps.any()) else 1
    # At these prices the cheapest expert is chosen everywhere, or the dearest.
    high = (float(scores.max() - scores.min()) + 1) / smallest
    low = -high
    if not dear(low):
        return scores - low * each
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if dear(middle) else (low, middle)
    return scores - high * each


class BudgetHead(Head):
    """Experts chosen within a budget.

    Args:
        head: mapper and experts, in evaluation mode.
        limit: mean MACs of the chosen expert, for one latent code of one query.
    """

    def __init__(self, head: ExpertHead, limit: float) -> None:
        super().__init__()
        self.head = head
        self.limit = limit
        self.routing_unit = head.routing_unit

    def route(self, latent: Tensor) -> Routing:
        """Expert map of a single image, after the shift."""
        scores = within(self.head.mapper(latent), self.head.expert_macs(), self.limit)
        probabilities = scores.softmax(dim=-1)
        return Routing(probabilities, probabilities)

    def forward(self, fed: Tensor, gates: Tensor | None) -> Tensor:
        """Answer as the head does."""
        out: Tensor = self.head(fed, gates)
        return out

    @property
    def mlps(self) -> Sequence[MLP]:
        """The experts."""
        return self.head.mlps

    def routing_macs(self) -> int:
        """MACs of the mapper; weighting is not counted."""
        return self.head.routing_macs()


def baseline_macs(model: ImplicitSR) -> int:
    """MACs of the decoder's own MLP, for one latent code of one query."""
    with shapes_only():
        return model.decoder.own_mlp().macs


def within_budget(model: ImplicitSR, budget: float, scale: float) -> ImplicitSR:
    """The same network, its experts chosen within a budget; weights are shared.

    Args:
        model: with experts, in evaluation mode.
        budget: decoder MACs of an image relative to the baseline's (the decoder's own MLP), the
            mapper included.
        scale: factor of the SR image, which decides the mapper's share.

    Raises:
        ValueError: a budget that the cheapest expert exceeds; says the smallest one.
    """
    whole, head = baseline_macs(model), model.head
    # Every latent code serves this many pairs of code and query, at the border too.
    pairs = (4 if model.ensemble else 1) * scale**2
    mapper = head.routing_macs() / pairs
    least = (min(head.expert_macs()) + mapper) / whole
    if budget < least:
        raise ValueError(f"the cheapest expert alone takes {least:.3f} of the baseline")
    twin = copy.copy(model)
    twin._modules = dict(model._modules)
    assert isinstance(head, ExpertHead)
    twin.head = BudgetHead(head, budget * whole - mapper)
    return twin.eval()
