"""What training minimises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from baselines.composition import FixedScaleSR, ImplicitSR, Routing
from baselines.sampled import decode_queries, l1_loss
from harness.data.patches import Batch
from harness.profiles import Training
from moeisr.losses import moeisr_loss

Network = ImplicitSR | FixedScaleSR
Objective = Callable[[Network, Batch, Training, Sequence[float] | None], dict[str, Tensor]]


def _l1(model: Network, batch: Batch) -> tuple[Tensor, Routing | None]:
    """Mean absolute error of a batch's queries, and the expert choice behind it."""
    if isinstance(model, FixedScaleSR):
        rgb = model.query(batch.lr, batch.coord)
        return (rgb.float() - batch.target).abs().mean(), None
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


def losses(
    model: Network,
    batch: Batch,
    settings: Training,
    balance_weights: Sequence[float] | None = None,
) -> dict[str, Tensor]:
    """`loss` to minimise, and `l1` (mean absolute error in [-1, 1] units) to look at."""
    l1, routing = _l1(model, batch)
    return {"loss": total_loss(l1, routing, settings, balance_weights), "l1": l1}


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
