"""Cost control at inference: the experts of one checkpoint within any budget of MACs.

The paper does not have it. The mapper's score of expert j is lowered by a price times the MACs of
the expert: by one number for each expert, the same for all latent codes of an image. A price above
0 moves codes to shallower experts, first those that the mapper hesitates over; one below 0 to
deeper ones. The price is found on the image itself, by bisection.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from baselines.composition import Decoder, Head
from baselines.shapes import shapes_only

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
    scores, each = scores.detach().double(), torch.tensor(macs, device=scores.device)
    allowed = limit * scores[..., 0].numel() * (1 + 1e-9)

    def chosen(rows: Tensor, price: float) -> Tensor:
        return each[(rows - price * each).argmax(dim=-1)]

    steps = each.sort().values.diff()
    smallest = int(steps[steps > 0].min()) if bool(steps.any()) else 1
    # At these prices the cheapest expert is chosen everywhere, or the dearest.
    high = (float(scores.max() - scores.min()) + 1) / smallest
    low = -high
    every = rows = scores.reshape(-1, len(macs))
    at_low, at_high = chosen(rows, low), chosen(rows, high)
    if int(at_low.sum()) <= allowed:
        return scores - low * each
    settled = 0
    for _ in range(_STEPS):
        # A code with the same expert at both prices has it at every price between them.
        unsettled = at_low != at_high
        settled += int(at_low[~unsettled].sum())
        rows, at_low, at_high = rows[unsettled], at_low[unsettled], at_high[unsettled]
        middle = (low + high) / 2
        at_middle = chosen(rows, middle)
        if settled + int(at_middle.sum()) > allowed:
            low, at_low = middle, at_middle
        else:
            high, at_high = middle, at_middle
    # Rounding may move codes whose experts are tied, which were taken for settled.
    step = (high - low) / 2
    while int(chosen(every, high).sum()) > allowed:
        high, step = high + step, 2 * step
    return scores - high * each


def mean_macs_allowed(decoder: Decoder, head: Head, budget: float, pairs: float) -> float:
    """Compute the mean MACs of the chosen expert that a budget allows.

    Args:
        decoder: decoder of the network, whose own MLP is the baseline.
        head: mapper and experts.
        budget: decoder MACs of an image relative to the baseline's, the mapper included.
        pairs: queries that each latent code answers, which decide the mapper's share.

    Raises:
        ValueError: the cheapest expert exceeds the budget; the message says the smallest one.
    """
    with shapes_only():
        whole = decoder.own_mlp().macs
    mapper = head.routing_macs() / pairs
    least = (min(head.expert_macs()) + mapper) / whole
    if budget < least:
        raise ValueError(f"the cheapest expert alone takes {least:.3f} of the baseline")
    return budget * whole - mapper
