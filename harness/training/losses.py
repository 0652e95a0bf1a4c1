"""Losses that training minimises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from baselines.base import SRModel
from baselines.composition import Routing
from baselines.shared_batch import mean
from harness.profiles import Training
from harness.training.dense import DenseBatch
from harness.training.patches import Batch
from moeisr.losses import moeisr_loss

Objective = Callable[
    [SRModel, Batch | DenseBatch, Training, Sequence[float] | None], dict[str, Tensor]
]


def losses(
    model: SRModel,
    batch: Batch | DenseBatch,
    settings: Training,
    balance_weights: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """Compute the loss, and its parts for the log.

    The network must suit the kind of the batch. `balance_weights` are w_j of the balance loss.

    Returns:
        `loss` to minimise; `l1`, mean absolute error in the units of the batch ([-1, 1], or [0, 1]
        if it is dense); with a weight, `frequency`, the unweighted frequency loss.
    """
    if isinstance(batch, DenseBatch):
        return _dense(model, batch, settings.frequency)
    own, routing = model.query_loss(batch.lr, batch.coord, batch.cell, batch.target)
    l1 = mean(own)
    return {"loss": total_loss(l1, routing, settings, balance_weights), "l1": l1}


def _dense(model: SRModel, batch: DenseBatch, weight: float) -> dict[str, Tensor]:
    """Compute L1 of all pixels, and the weighted frequency loss (SeemoRe and IGConv+)."""
    # In any precision of training: there is no transform of bfloat16.
    sr = model.image(batch.lr, batch.scale).float()
    l1 = mean((sr - batch.hr).abs().mean())
    if not weight:
        return {"loss": l1, "l1": l1}
    frequency = mean(frequency_loss(sr, batch.hr))
    return {"loss": l1 + weight * frequency, "l1": l1, "frequency": frequency}


def frequency_loss(sr: Tensor, hr: Tensor) -> Tensor:
    """Compute the mean absolute difference of two images' spectra, over real and imaginary parts.

    SeemoRe (arXiv 2402.03412; `FFTLoss` in `basicsr/losses/losses.py`) and IGConv+ (arXiv
    2408.09674; `igconv/losses/fft_loss.py`) use the same loss: the half spectrum of a real image
    (`rfft2`) over height and width, not normalised, each of its numbers counted as two. It grows
    with the image: white noise of deviation d has coefficients of deviation d * sqrt(H * W / 2).

    Args:
        sr: (..., H, W), float32 or float64.
        hr: same shape as `sr`.

    Returns:
        Scalar loss (), without a weight (0.1 in SeemoRe's recipes, 0.05 in most of IGConv+'s).

    Example:
        >>> frequency_loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2))
        tensor(0.5000)
    """
    # The transform is linear: one of the difference instead of one for each image.
    spectrum = torch.fft.rfft2(sr - hr)
    return torch.view_as_real(spectrum).abs().mean()


def total_loss(
    l1: Tensor,
    routing: Routing | None,
    settings: Training,
    balance_weights: Sequence[float] | None,
) -> Tensor:
    """Compute L1, or MoEISR's loss where there are experts."""
    if routing is None:
        return l1
    return moeisr_loss(
        l1,
        routing.probabilities.float(),
        settings.alpha,
        settings.beta,
        balance_weights,
        settings.balance_unit,
    )


def compiled(objective: Objective) -> Objective:
    """Run the losses through torch.compile, with the same noise as without."""
    from torch._inductor import config

    config.fallback_random = True
    run: Objective = torch.compile(objective)
    return run
