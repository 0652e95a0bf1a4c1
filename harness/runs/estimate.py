"""Estimate of what a plan will cost, before anything runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace

import torch

from baselines import Method, build
from baselines.base import SRModel
from baselines.shapes import shapes_only
from harness import checkpoints
from harness.checkpoints.subject import Subject
from harness.data.degrade import lr_size
from harness.data.sets import ImageItem
from harness.profiles import Training
from harness.runs.execute import subjects
from harness.runs.job import Job
from harness.training.loop import Run


@dataclass(frozen=True)
class MethodCost:
    """Work of a run for one method, and how much of it is done.

    Attributes:
        networks: number of networks to train, one for each seed.
        trained: number of them that are finished.
        cells: number of cells to measure, one for each dataset, scale and seed.
        measured: number of them that are finished.
        training: MACs of the remaining training steps (`sample_macs`).
        evaluation: MACs of the remaining images, encoder included; experts in even shares.
    """

    method: str
    networks: int = 0
    trained: int = 0
    cells: int = 0
    measured: int = 0
    training: int = 0
    evaluation: int = 0

    def __add__(self, other: MethodCost) -> MethodCost:
        numbers = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)[1:]}
        return MethodCost(self.method, **numbers)


Left = list[tuple[float, Sequence[ImageItem]]]
"""Images that are not measured yet, by scale: one entry for each cell."""


def method_costs(job: Job) -> list[MethodCost]:
    """Estimate the remaining work of a job, by method; without those that it leaves out."""
    job = replace(job, device=torch.device("cpu"))
    ready, runs = subjects(job, finished_only=True), job.runs()
    found = [
        _method_cost(
            job,
            method,
            [subject for subject in ready if subject.method == method.name],
            [run for run in runs if run.recipe.method == method.name],
        )
        for method in job.methods
    ]
    return [cost for cost in found if cost.cells or cost.networks]


def _method_cost(
    job: Job, method: Method, ready: Sequence[Subject], runs: Sequence[Run]
) -> MethodCost:
    options = job.profile.networks.options(method) if method.encoder else {}
    with shapes_only() if method.is_trained else nullcontext():
        model = build(method.name, **options)
    seeds = {subject.seed for subject in ready if not subject.counts_only}
    unfinished = [run for run in runs if run.recipe.seed not in seeds]
    left = [_left(job, subject) for subject in ready if not subject.counts_only]
    # Of a network that is still to be trained, all images of every cell.
    left += [[(scale, job.items(role)) for role, scale in job.cells(method.can_do)]] * len(
        unfinished
    )
    counted = [_left(job, subject) for subject in ready if subject.counts_only]
    cells = [cell for own in (*left, *counted) for cell in own]
    return MethodCost(
        method.name,
        networks=len(runs),
        trained=len(runs) - len(unfinished),
        cells=len(cells),
        measured=sum(not items for _, items in cells),
        training=sum(_training_left(job, run, model) for run in unfinished),
        # What a method from outside costs is known when it has run.
        evaluation=0 if method.outside else sum(_measuring_left(job, model, own) for own in left),
    )


def _left(job: Job, subject: Subject) -> Left:
    tasks = job.tasks(subject)
    return [(t.scale, t.missing(job.cell_file(subject, t).by_image())) for t in tasks]


def _training_left(job: Job, run: Run, model: SRModel) -> int:
    assert job.training_set is not None
    steps = steps_left(run, len(job.training_set.items))
    return sample_macs(model, run.settings) * run.settings.batch * steps


def steps_left(run: Run, images: int) -> int:
    """Count the steps on so many training images that the run's checkpoint does not have."""
    done = int(checkpoints.read(run.checkpoint).get("step", 0)) if run.checkpoint.exists() else 0
    return max(0, run.settings.total_steps(images) - done)


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
