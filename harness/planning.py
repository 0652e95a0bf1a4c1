"""Making and storing the plan of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from filelock import FileLock

from baselines import parse
from harness import describing
from harness.errors import HarnessError
from harness.jobs import Job
from harness.plan import PlannedCell, RoleNote, StoredPlan, load_plan, plan_path, save_plan
from harness.profiles import Networks
from harness.subject import Subject


def role_notes(job: Job) -> list[RoleNote]:
    """Which dataset plays which set of the paper, for captions."""
    return [
        RoleNote(
            role=role,
            dataset=dataset.name,
            description=dataset.about(),
            images=len(job.images(role)) or len(dataset.items),
            substitute=(dataset.sizes_of or dataset.name) != role or not dataset.complete,
            only=list(job.images(role)),
        )
        for role, dataset in job.datasets.items()
    ]


def stand_in(job: Job, trained: bool) -> bool:
    """Whether networks, training or data are not the paper's.

    Args:
        job: the experiment.
        trained: whether trained networks are measured; else their shapes are all that counts.
    """
    if any(not dataset.complete for dataset in job.datasets.values()):
        return True
    if trained:
        return job.profile.stand_in or not (job.training_set is None or job.training_set.complete)
    networks = any(parse(method).encoder for method in job.methods)
    return networks and job.profile.networks != Networks()


def make_plan(job: Job, measured: Sequence[Subject]) -> StoredPlan:
    """The plan of the methods that a job measures."""
    cells = [
        PlannedCell(
            method=subject.method,
            role=task.role,
            dataset=task.dataset.name,
            scale=task.scale,
            seed=subject.seed,
            file=task.cell(subject).relative_path.as_posix(),
        )
        for subject in measured
        for task in job.tasks(subject)
    ]
    data = job.training_set
    trained = [s for s in measured if s.checkpoint and not s.counts_only]
    networks = any(parse(method).encoder for method in job.methods)
    used = [*job.datasets.values(), *([data] if data else [])]
    incomplete = {d.name: d for d in used if not d.complete}
    return StoredPlan(
        experiment=job.experiment.name,
        profile=job.profile.name,
        summary=job.profile.summary,
        stand_in=stand_in(job, bool(trained)),
        training=data.caption() if data else "; ".join(dict.fromkeys(s.origin for s in trained)),
        networks=describing.networks(job.profile, job.methods) if networks else "",
        schedule=describing.schedule(job.profile, len(data.items), job.methods) if data else "",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        roles=role_notes(job),
        cells=cells,
        warnings=[f"Incomplete data: {d.caption()}." for d in incomplete.values()],
        profile_settings=job.profile.numbers(),
        training_data=job.training_fingerprint,
    )


def merge(new: StoredPlan, old: StoredPlan) -> StoredPlan:
    """The new plan with the old one's cells of methods that were left out this time.

    They are kept only if they were measured under the same settings, and, where both plans
    trained, on the same training data; the captions stay those of the training behind them.
    """
    if (old.profile_settings, old.roles) != (new.profile_settings, new.roles):
        return new
    again = {cell.method for cell in new.cells}
    kept = [cell for cell in old.cells if cell.method not in again]
    if new.training and old.training_data != new.training_data:
        kept = [cell for cell in kept if not parse(cell.method).encoder]
    if not any(parse(cell.method).encoder for cell in kept):
        return replace(new, cells=[*new.cells, *kept])
    return replace(
        new,
        cells=[*new.cells, *kept],
        stand_in=new.stand_in or old.stand_in,
        training=old.training,
        networks=old.networks,
        schedule=old.schedule,
        training_data=old.training_data,
        warnings=list(dict.fromkeys([*new.warnings, *old.warnings])),
    )


def store_plan(job: Job, measured: Sequence[Subject]) -> Path:
    """Write the plan; other processes may be adding their methods to it."""
    path = plan_path(job.places.results, job.profile.name, job.experiment.name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(str(path) + ".lock"):
        plan = make_plan(job, measured)
        old = _earlier(path)
        save_plan(_described(job, merge(plan, old)) if old else plan, path)
    return path


def _described(job: Job, plan: StoredPlan) -> StoredPlan:
    """A merged plan, its networks and schedule in words for all of its methods."""
    methods = list(dict.fromkeys(cell.method for cell in plan.cells))
    if plan.networks:
        plan = replace(plan, networks=describing.networks(job.profile, methods))
    if plan.schedule and job.training_set is not None:
        images = len(job.training_set.items)
        plan = replace(plan, schedule=describing.schedule(job.profile, images, methods))
    return plan


def _earlier(path: Path) -> StoredPlan | None:
    """The plan that is replaced; one that is damaged or of another version counts as none."""
    try:
        return load_plan(path)
    except HarnessError:
        return None
