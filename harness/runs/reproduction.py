"""Plan of one or several experiments: every training once, with its hours, memory and disk."""

from __future__ import annotations

import heapq
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import torch

from baselines import build, parse
from baselines.shapes import shapes_only
from harness import checkpoints
from harness.common.device import PeakMemory, synchronise
from harness.common.progress import bar
from harness.data.published import rows_of
from harness.data.sets import Dataset
from harness.data.sets.base import memory_item
from harness.profiles import Training
from harness.profiles.training import published
from harness.runs.estimate import sample_macs
from harness.runs.execute import existing_networks
from harness.runs.job import Job
from harness.training.dense import DenseSource
from harness.training.loop import Run
from harness.training.losses import compiled, losses
from harness.training.patches import PatchSource
from harness.training.step import new_state, optimise

_FLOAT = 4


@dataclass(frozen=True)
class TrainingCost:
    """What is left of the training of one network.

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
    if job.training_set.sizes_of and existing_networks(job, method):  # of any training data
        done = total
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
        None if job.profile.changes_size(method.name) else hours,
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


def _random_source(settings: Training, run: Run) -> PatchSource | DenseSource:
    side = round(settings.patch * max([settings.scale_max, *settings.scales]))
    pixels = torch.randint(0, 256, (3, side, side), dtype=torch.uint8)
    images = Dataset("random", "", (memory_item("random", lambda: pixels),), None, "full")
    repeated = settings.model_copy(update={"repeat": settings.batch, "in_memory": True})
    made_by = DenseSource if settings.dense else PatchSource
    return made_by(images, repeated, 0, run.device)


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
