"""What a plan will cost, before anything runs."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch

from baselines import build, parse
from baselines.composition import FixedScaleSR, ImplicitSR
from baselines.multiscale import MultiScaleSR
from baselines.shapes import shapes_only
from harness import flops
from harness.data.degrade import lr_size
from harness.jobs import Job
from harness.profiles import Profile, Training

Network = ImplicitSR | FixedScaleSR | MultiScaleSR


@dataclass(frozen=True)
class MethodCost:
    """Multiply-adds of one method.

    Attributes:
        training: of all training steps; backward counted as twice the forward pass.
        evaluation: of all images and scales, encoder included; experts in even shares.
    """

    method: str
    training: int
    evaluation: int


def _meta_model(profile: Profile, method: str) -> torch.nn.Module:
    parts = parse(method)
    with shapes_only():
        if not parts.encoder:
            return build(method)
        return build(method, **profile.networks.options(parts))


def training_macs(model: Network, s: Training) -> int:
    """One training sample through a network, forward, decoded the plain way."""
    size = (s.patch, s.patch)
    if isinstance(model, FixedScaleSR):
        return flops.encoder_macs(model.network, size)
    if isinstance(model, MultiScaleSR):
        return _mean_macs(model, s)
    per_pair = model.decoder.estimator_macs()[1]
    pairs = s.queries * (4 if model.ensemble else 1)
    return (
        flops.encoder_macs(model.encoder, size)
        + s.patch**2 * flops.per_pixel_macs(model)
        + pairs * (per_pair + sum(model.head.expert_macs()))
    )


def _mean_macs(model: MultiScaleSR, s: Training) -> int:
    """Over the scales that a batch may have; a batch makes its kernels once."""
    lr = (s.patch, s.patch)
    scales = [n for n in model.scales if n in s.scales] or list(model.scales)
    counts = [flops.count(model, lr, (n * s.patch, n * s.patch)) for n in scales]
    return sum(c.total - c.kernels + c.kernels // s.batch for c in counts) // len(counts)


def _evaluation_macs(model: Network, job: Job, method: str) -> int:
    total = 0
    for role, scale in job.cells(method):
        only = job.images(role)
        for item in (i for i in job.datasets[role].items if not only or i.name in only):
            lr = lr_size(item.size(), scale)
            lr = (max(1, lr[0]), max(1, lr[1]))
            # As images are cut when they are measured.
            hr = (round(lr[0] * scale), round(lr[1] * scale))
            total += flops.count(model, lr, hr, shares=_even(model)).total
    return total


def _choosing_macs(model: Network, job: Job) -> int:
    """Finding the experts of every HR image, once for all scales."""
    if not isinstance(model, ImplicitSR):
        return 0
    sizes = [item.size() for dataset in job.datasets.values() for item in dataset.items]
    counts = [flops.count(model, s, s, shares=_even(model)) for s in sizes]
    return sum(count.encoder + count.mapper for count in counts)


def _even(model: Network) -> list[float]:
    experts = flops.expert_count(model)
    return [1 / experts] * experts


def method_cost(job: Job, method: str) -> MethodCost:
    """Cost of training a method once and measuring what the job needs of it."""
    model = _meta_model(job.profile, method)
    if not isinstance(model, Network):
        return MethodCost(method, 0, 0)
    training = evaluation = 0
    if job.training_set is not None and method in job.trained_methods():
        settings = job.profile.training.for_method(parse(method))
        steps = settings.total_steps(len(job.training_set.items))
        training = 3 * training_macs(model, settings) * settings.batch * steps
    if job.experiment.scores:
        evaluation = _evaluation_macs(model, job, method)
    elif parse(method).head:
        evaluation = _choosing_macs(model, job)
    return MethodCost(method, training, evaluation)


def matrix_product_speed(
    device: torch.device, seconds: float = 0.5, dtype: torch.dtype = torch.float32
) -> float:
    """Multiply-adds per second of a plain matrix product on this device."""
    side = 1024 if device.type == "cpu" else 8192
    a = torch.randn(side, side, device=device, dtype=dtype)
    a @ a
    rounds = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        product = a @ a
        product[0, 0].item()
        rounds += 1
    return rounds * side**3 / (time.perf_counter() - start)
