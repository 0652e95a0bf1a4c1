"""Loss of MoEISR: 3000 * L1 + 1 * balance (sec. 3.3, eqs. 6 and 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from baselines.shared_batch import batch_size, mean, total

BalanceUnit = Literal["batch", "image"]

ALPHA = 3000.0
BETA = 1.0


def balance_loss(
    probabilities: Tensor, weights: Sequence[float] | None = None, unit: BalanceUnit = "batch"
) -> Tensor:
    """Compute eq. 7: sum_j | w_j * sum_k D_kj - K / J |, for one image of K latent codes.

    The paper does not define the loss of a batch. Both units are scaled to one image, so that alpha
    and beta mean the same for every batch size:

    - "batch" (default): the absolute value of the batch's totals is divided by the batch size. The
      paper asks for E[D_k] = 1/J of a random input pixel, and the losses it cites (sparsely-gated
      mixture of experts, ClassSR) balance batches: a smooth patch may use shallow experts only.
    - "image": each patch is balanced on its own; the mean over the batch.

    Args:
        probabilities: (B, K, J) expert map D.
        weights: w_j; None for ones.
        unit: "batch" or "image".

    Example:
        >>> balance_loss(torch.full((2, 6, 3), 1 / 3)).item() < 1e-5
        True
    """
    k, experts = probabilities.shape[1:]
    w = torch.ones(experts) if weights is None else torch.tensor(tuple(weights))
    if w.numel() != experts:
        raise ValueError(f"{w.numel()} balance weights for {experts} experts")
    used = probabilities.sum(dim=1) * w.to(probabilities)
    if unit == "batch":
        batch = batch_size(len(used))
        return (total(used.sum(dim=0)) - batch * k / experts).abs().sum() / batch
    return mean((used - k / experts).abs().sum(dim=1).mean())


def moeisr_loss(
    l1: Tensor,
    probabilities: Tensor,
    alpha: float = ALPHA,
    beta: float = BETA,
    weights: Sequence[float] | None = None,
    unit: BalanceUnit = "batch",
) -> Tensor:
    """Compute eq. 6: alpha * L1 + beta * balance."""
    return alpha * l1 + beta * balance_loss(probabilities, weights, unit)
