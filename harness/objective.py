"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from baselines.composition import FixedScaleSR, ImplicitSR, Routing
from baselines.frequency import frequency_loss
from baselines.sampled import decode_queries, l1_loss
from harness.data.dense import DenseBatch
from harness.data.patches import Batch
from harness.profiles import Training
from moeisr.losses import moeisr_loss

Objective = Callable[
    [nn.Module, Batch | DenseBatch, Training, Sequence[float] | None], dict[str, Tensor]
]


def losses(
    model: nn.Module,
    batch: Batch | DenseBatch,
    settings: Training,
    balance_weights: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """What is minimised, and its parts to look at.

    Args:
        model: one that answers queries, or has one scale, for a `Batch`; one that makes whole
            images, at one or several scales, for a `DenseBatch`.
        batch: of the model's kind.
        settings: weights of the parts.
        balance_weights: w_j of the balance loss.

    Returns:
        `loss` to minimise; `l1`, mean absolute error in the units of the batch ([-1, 1], or [0, 1]
        if it is dense); with a weight, `frequency`, the unweighted frequency loss.
    """
    if isinstance(batch, DenseBatch):
        return _dense(model, batch, settings.frequency)
    l1, routing = _l1(model, batch)
    return {"loss": total_loss(l1, routing, settings, balance_weights), "l1": l1}


def _dense(model: nn.Module, batch: DenseBatch, weight: float) -> dict[str, Tensor]:
    """L1 of all pixels, and the frequency loss at a weight (SeemoRe and IGConv+)."""
    # In any precision of training: there is no transform of bfloat16.
    sr = enlarged(model, batch.lr, batch.scale).float()
    l1 = (sr - batch.hr).abs().mean()
    if not weight:
        return {"loss": l1, "l1": l1}
    frequency = frequency_loss(sr, batch.hr)
    return {"loss": l1 + weight * frequency, "l1": l1, "frequency": frequency}


def enlarged(model: nn.Module, lr: Tensor, scale: int) -> Tensor:
    """Whole images by a network that makes such.

    Args:
        model: of one scale, or called as `model(lr, scale)` on [0, 1].
        lr: (B, 3, h, w) in [0, 1] whatever the network works on.
        scale: one that the network has.

    Returns:
        (B, 3, h * scale, w * scale) in [0, 1], not clamped.
    """
    if not isinstance(model, FixedScaleSR):
        sr: Tensor = model(lr, scale)
        return sr
    if model.input_range == "unit":
        return model(lr)  # type: ignore[no-any-return]
    return model(lr * 2 - 1) / 2 + 0.5  # type: ignore[no-any-return]


def _l1(model: nn.Module, batch: Batch) -> tuple[Tensor, Routing | None]:
    """Mean absolute error of a batch's queries, and the expert choice behind it."""
    if isinstance(model, FixedScaleSR):
        rgb = model.query(batch.lr, batch.coord)
        return (rgb.float() - batch.target).abs().mean(), None
    if not isinstance(model, ImplicitSR):
        raise TypeError(f"{type(model).__name__} answers no queries")
    features = model.encode(_as_convolved(batch.lr))
    if torch.compiler.is_compiling():  # a compiler saves the traffic that pieces are there to save
        rgb = decode_queries(model, features, batch.coord, batch.cell)
        return (rgb.float() - batch.target).abs().mean(), features.routing
    l1 = l1_loss(model, features, batch.coord, batch.cell, batch.target)
    return l1, features.routing


def _as_convolved(lr: Tensor) -> Tensor:
    """LR patches in the memory order that convolutions like best.

    On a CPU, channels last: a 3x3 convolution of 64 channels takes 0.78 of the time forward and
    back, the mapper's of 20 channels half (EPYC, one thread). Not measured on a GPU.
    """
    on_cpu = lr.device.type == "cpu"
    return lr.contiguous(memory_format=torch.channels_last) if on_cpu else lr


def total_loss(
    l1: Tensor,
    routing: Routing | None,
    settings: Training,
    balance_weights: Sequence[float] | None,
) -> Tensor:
    """L1, or MoEISR's loss where there are experts."""
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
    """The same through torch.compile, with the noise that it has without."""
    from torch._inductor import config

    config.fallback_random = True
    run: Objective = torch.compile(objective)
    return run
