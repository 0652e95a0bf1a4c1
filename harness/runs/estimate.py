"""Estimate of what plans will cost, before anything runs: trainings, units, memory and disk."""

from __future__ import annotations

import heapq
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch

from baselines import Method, build, parse
from baselines.base import SRModel
from baselines.shapes import shapes_only
from harness import checkpoints
from harness.checkpoints.subject import Subject
from harness.common.device import PeakMemory, synchronise
from harness.common.progress import bar
from harness.data.degrade import lr_size
from harness.data.published import rows_of
from harness.data.sets import Dataset, ImageItem
from harness.data.sets.base import memory_item
from harness.profiles import Training
from harness.profiles.training import published
from harness.runs.execute import existing_networks, subjects
from harness.runs.job import Job
from harness.training.loop import Run, Source, source_of
from harness.training.losses import compiled, losses
from harness.training.step import new_state, optimise

_FLOAT = 4


@dataclass(frozen=True)
class TrainingCost:
    """Rest of the training of one network.

    Attributes:
        experiments: names of the experiments that need it.
        steps: steps that are left; 0 of a finished one.
        macs: MACs of these steps.
        cited_hours: GPU-hours of these steps by published training times, scaled by MACs from the
            LTE network of the same encoder; None where there are none.
        gpu: GPU of the published times.
        memory: bytes of weights, gradients, Adam's averages and images; with `step_seconds` on a
            GPU, the measured peak.
        disk: bytes of its checkpoint.
        step_seconds: seconds of a step on this device; None where it was not timed.
    """

    method: str
    seed: int
    experiments: tuple[str, ...]
    steps: int
    macs: int
    cited_hours: float | None
    gpu: str
    memory: int
    disk: int
    step_seconds: float | None = None

    def hours(self, macs_per_second: float) -> float:
        """Hours of these steps here: by a timed step, else at a number of MACs per second."""
        if self.step_seconds is not None:
            return self.steps * self.step_seconds / 3600
        return self.macs / macs_per_second / 3600


def training_costs(jobs: Sequence[Job], timed: bool = False) -> list[TrainingCost]:
    """List the trainings of some jobs, each once, in the order in which they are done.

    Args:
        jobs: jobs under one profile.
        timed: whether to time a step of each method that is not finished, on the jobs' device.
    """
    users: dict[str, list[str]] = {}
    runs: dict[str, tuple[Job, Run]] = {}
    for job in jobs:
        for run in job.runs():
            runs.setdefault(run.recipe.fingerprint, (job, run))
            users.setdefault(run.recipe.fingerprint, []).append(job.experiment.name)
    found = [_cost(job, run, tuple(users[key])) for key, (job, run) in runs.items()]
    left = {cost.method for cost in found if cost.steps} if timed else set()
    times: dict[str, tuple[float, int]] = {}
    with bar("timing steps", len(left)) as progress:
        for _, run in runs.values():
            if run.recipe.method in left - times.keys():
                progress.note = run.recipe.method
                times[run.recipe.method] = time_step(run)
                progress.advance()
    return [
        replace(cost, step_seconds=seconds, memory=peak or cost.memory)
        for cost in found
        for seconds, peak in [times.get(cost.method, (None, 0))]
    ]


def _cost(job: Job, run: Run, experiments: tuple[str, ...]) -> TrainingCost:
    assert job.training_set is not None
    method, settings, images = run.recipe.trained, run.settings, job.training_set.items
    with shapes_only():
        model = build(method.name, **run.recipe.build)
    total = settings.total_steps(len(images))
    done = int(checkpoints.read(run.checkpoint).get("step", 0)) if run.checkpoint.exists() else 0
    if job.training_set.sizes_of and existing_networks(job, method, [run.recipe.seed]):
        done = total  # of any training data
    weights = sum(weight.numel() for weight in model.parameters())
    trained = weights - (model.encoder_parameters or 0) * bool(settings.frozen_encoder)
    sizes = [item.size() for item in images] if settings.in_memory else []
    steps = max(0, total - done)
    macs = steps * settings.batch * sample_macs(model, settings)
    hours, gpu = _cited(method.encoder, macs)
    return TrainingCost(
        method.name,
        run.recipe.seed,
        experiments,
        steps,
        macs,
        None if job.profile.networks.differ(method) else hours,
        gpu,
        memory=_FLOAT * (weights + 3 * trained) + sum(3 * h * w for h, w in sizes),
        disk=_FLOAT * (weights * (2 if settings.ema else 1) + 2 * trained),
    )


def _cited(encoder: str, macs: int) -> tuple[float | None, str]:
    """Scale the published hours of an encoder's LTE network to some MACs of training."""
    for row in rows_of("training_hours.csv"):
        if row["encoder"] == encoder:
            return float(row["gpu_hours"]) * macs / _whole_macs(row["method"]), row["gpu"]
    return None, ""


@cache
def _whole_macs(method: str) -> int:
    """Count the MACs of a method's published training on the 800 images of DIV2K."""
    settings = published().for_method(parse(method))
    with shapes_only():
        model = build(method)
    return settings.total_steps(800) * settings.batch * sample_macs(model, settings)


def time_step(run: Run) -> tuple[float, int]:
    """Time a training step of a run on its device, on random pixels.

    On a GPU, the mean of ten steps of the whole batch; on a CPU one step of one sample, times the
    batch.

    Returns:
        Seconds of a step, and the peak memory in bytes; 0 on a CPU.
    """
    device, settings = run.device, run.settings
    on_gpu = device.type == "cuda"
    warm, timed = (3, 10) if on_gpu else (1, 1)
    source = _random_source(settings if on_gpu else settings.model_copy(update={"batch": 1}), run)
    state, peak = new_state(run.recipe, settings, device), PeakMemory(device)
    objective = compiled(losses) if settings.compile else losses
    start = 0.0
    for step in range(warm + timed):
        if step == warm:
            synchronise(device)
            start = time.perf_counter()
        optimise(state, source.batch(step), source.settings, settings.lr, step, objective)
    synchronise(device)
    seconds = (time.perf_counter() - start) / timed
    return seconds * settings.batch / source.settings.batch, peak.read() if on_gpu else 0


def _random_source(settings: Training, run: Run) -> Source:
    made_by = source_of(settings)
    side = made_by.sides_of(settings)[-1]
    pixels = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
    images = Dataset("random", "", (memory_item("random", lambda: pixels),), None, "full")
    repeated = settings.model_copy(update={"repeat": settings.batch, "in_memory": True})
    return made_by(images, repeated, 0, run.device)


def training_time(trainings: Sequence[TrainingCost], speed: float, devices: int) -> dict[str, Any]:
    """Compute hours of one device and of some, at MACs per second and by published times."""
    left = [each for each in trainings if each.steps]
    here = [each.hours(speed) for each in left]
    cited = [each.cited_hours for each in left if each.cited_hours is not None]
    whole = bool(cited) and len(cited) == len(left)
    return {
        "devices": devices,
        "device_hours": sum(here),
        "wall_hours": wall_hours(here, devices),
        "gpu": next((each.gpu for each in left if each.cited_hours is not None), ""),
        "cited_device_hours": sum(cited) if whole else None,
        "cited_wall_hours": wall_hours(cited, devices) if whole else None,
    }


def wall_hours(hours: Iterable[float], devices: int) -> float:
    """Compute when the last of some devices ends, where each takes the next training when free.

    Example:
        >>> [wall_hours([3, 1, 1, 4], devices) for devices in (1, 2, 8)]
        [9, 6, 4]
    """
    free: list[float] = [0] * devices
    for each in hours:
        heapq.heappush(free, heapq.heappop(free) + each)
    return max(free)


Left = list[tuple[float, Sequence[ImageItem]]]
"""Images that are not measured yet, by scale: one entry for each unit."""


def method_costs(job: Job, trainings: Sequence[TrainingCost]) -> list[dict[str, Any]]:
    """List the work of a job by method, and how much of it is left; without what it leaves out.

    Args:
        job: the job.
        trainings: its trainings, as `training_costs` lists them, and others.

    Returns:
        For each method `cells` (one for each dataset, scale and seed) and `cells_finished`,
        `runs_to_train` and `runs_finished`, and the MACs that are left: `training_macs`, and
        `evaluation_macs` of images, encoder included, with experts in even shares.
    """
    ready = subjects(replace(job, device=torch.device("cpu")), finished_only=True)
    own = [training for training in trainings if job.experiment.name in training.experiments]
    found = [_method_cost(job, method, ready, own) for method in job.methods]
    return [cost for cost in found if any(cost[each] for each in ("cells", *_RUNS))]


_RUNS = ("runs_to_train", "runs_finished")


def total_cost(costs: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Sum up the lines of `method_costs`; the sum is called by a name."""
    numbers = ("cells", "cells_finished", *_RUNS, "training_macs", "evaluation_macs")
    return {"method": name, **{each: sum(cost[each] for cost in costs) for each in numbers}}


def _method_cost(
    job: Job, method: Method, ready: Sequence[Subject], trainings: Sequence[TrainingCost]
) -> dict[str, Any]:
    options = job.profile.networks.options(method) if method.encoder else {}
    with shapes_only() if method.is_trained else nullcontext():
        model = build(method.name, **options)
    runs = [training for training in trainings if training.method == method.name]
    unfinished = [training for training in runs if training.steps]
    own = [subject for subject in ready if subject.method == method.name]
    left = [_left(job, subject) for subject in own if not subject.counts_only]
    # Of a network that is still to be trained, all images of every unit.
    whole: Left = [(scale, job.items(role)) for role, scale in job.units(method.can_do)]
    left += [whole] * len(unfinished)
    counted = [_left(job, subject) for subject in own if subject.counts_only]
    units = [unit for each in (*left, *counted) for unit in each]
    return {
        "method": method.name,
        "cells": len(units),
        "cells_finished": sum(not items for _, items in units),
        "runs_to_train": len(unfinished),
        "runs_finished": len(runs) - len(unfinished),
        "training_macs": sum(training.macs for training in unfinished),
        # What a method from outside costs is known when it has run.
        "evaluation_macs": 0
        if method.outside
        else sum(_measuring_left(job, model, each) for each in left),
    }


def _left(job: Job, subject: Subject) -> Left:
    tasks = job.tasks(subject)
    return [(t.scale, t.missing(job.unit_file(subject, t).by_image())) for t in tasks]


def sample_macs(model: SRModel, settings: Training) -> int:
    """Count the MACs of one sample of a training step: backward twice the forward pass.

    A frozen encoder has no backward pass.
    """
    forward = model.training_macs(settings.patch, settings.queries, settings.scales, settings.batch)
    if not settings.frozen_encoder:
        return 3 * forward
    # Training takes a patch as it is; an image of whole windows would be extended by another one.
    side = settings.patch - (model.window > 1)
    scale = (model.scales or (1,))[0]
    seen = model.count((side, side), (side * scale, side * scale), shares=_even(model))
    return 3 * forward - 2 * seen.encoder


def _measuring_left(job: Job, model: SRModel, left: Left) -> int:
    if job.experiment.scores:
        return sum(_evaluation_macs(model, items, scale) for scale, items in left)
    if not model.needs_choice:
        return 0
    # Experts of HR images are found once for all scales.
    items = dict.fromkeys(item for _, items in left for item in items)
    counts = [model.count(i.size(), i.size(), shares=_even(model)) for i in items]
    return sum(count.encoder + count.mapper for count in counts)


def _evaluation_macs(model: SRModel, items: Iterable[ImageItem], scale: float) -> int:
    total = 0
    for (h, w), images in Counter(lr_size(item.size(), scale) for item in items).items():
        lr = (max(1, h), max(1, w))
        # As images are cut when they are measured.
        hr = (round(lr[0] * scale), round(lr[1] * scale))
        total += images * model.count(lr, hr, shares=_even(model)).total
    return total


def _even(model: SRModel) -> list[float]:
    return [1 / model.expert_count] * model.expert_count


def duration(seconds: float) -> str:
    """Format a duration in the largest suitable unit.

    Example:
        >>> [duration(s) for s in (0, 42, 5400, 3.6e5, 1e9)]
        ['0 s', '42 s', '1.5 hours', '4.2 days', '11,574 days']
    """
    for length, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= length:
            number = seconds / length
            return f"{number:,.{1 if number < 100 else 0}f} {unit}"
    return f"{seconds:.0f} s"
