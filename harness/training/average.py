"""Running average of a network's weights, which is measured instead of the weights."""

from __future__ import annotations

import copy

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from baselines.base import SRModel


class Average:
    """Exponential moving average: after each step, decay * average + (1 - decay) * weights.

    As in BasicSR's `model_ema`, it starts at the initial weights: short runs want a small decay
    (after 500 steps at 0.999, 0.61 of the average is still the initial weights).

    Attributes:
        model: a network with the averaged weights, in evaluation mode.
    """

    def __init__(self, model: SRModel, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self._update = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def update(self, model: SRModel) -> None:
        """Update the average with the weights after a step; buffers are copied from the network."""
        self._update(list(self.model.parameters()), list(model.parameters()), None)
        for mine, theirs in zip(self.model.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)
