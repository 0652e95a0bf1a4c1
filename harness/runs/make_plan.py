"""Making and storing of the plan of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from baselines import parse
from harness.checkpoints.subject import Subject
from harness.common.locks import held
from harness.common.progress import say
from harness.common.versions import versions
from harness.data.sets.sizes import FIXED_SIZES
from harness.measure.macs import COSTS
from harness.profiles import Profile, concerning, description
from harness.runs.costs import cost_units
from harness.runs.job import Job
from harness.runs.plan import (
    DamagedPlanError,
    MethodNote,
    PlannedUnit,
    RoleNote,
    StoredPlan,
    load_plan,
    save_plan,
)


def role_notes(job: Job) -> list[RoleNote]:
    """Describe which dataset is measured for each set of the paper, for captions."""
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


def _method_note(job: Job, subject: Subject) -> MethodNote:
    """Describe where a subject's network comes from, and whether that is the published way.

    The training set is that of its checkpoint, or this job's.
    """
    name, said, data = subject.method, subject.training, job.training_set
    if subject.counts_only:
        return MethodNote(name, reduced=job.profile.networks.differ(parse(name)))
    if said is not None:
        note = MethodNote(name, said.caption, said.images, said.complete, said.fingerprint)
    elif data is not None:
        note = MethodNote(name, data.caption(), len(data.items), data.complete, data.fingerprint)
    else:
        note = MethodNote(name, subject.origin)
    return replace(note, reduced=not note.complete or job.profile.reduced([name]))


def make_plan(job: Job, measured: Sequence[Subject]) -> StoredPlan:
    """Make the plan of the methods that a job measures."""
    scored = [(subject, task) for subject in measured for task in job.tasks(subject)]
    timed = [(unit.subject, unit.task) for unit in cost_units(job, measured)]
    units = [
        PlannedUnit(
            method=subject.method,
            role=task.role,
            dataset=task.dataset.name,
            scale=task.scale,
            seed=subject.seed,
            file=task.unit(subject).relative_path.as_posix(),
        )
        for subject, task in (*scored, *timed)
    ]
    trained = {method.name for method in job.methods if method.is_trained}
    networks = [s for s in measured if s.method in trained and not s.published_sizes]
    notes = {s.method: _method_note(job, s) for s in networks}
    plan = StoredPlan(
        experiment=job.experiment.name,
        profile=job.profile.name,
        summary=job.profile.summary,
        reduced=False,
        training="",
        networks="",
        schedule="",
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        roles=role_notes(job),
        units=units,
        warnings=[],
        profile_settings=job.profile.numbers(),
        methods=list(notes.values()),
        versions=versions(),
        added=list(job.added),
    )
    return described(job, plan)


def described(job: Job, plan: StoredPlan) -> StoredPlan:
    """Add the words that captions are made of to a plan, for all of its methods."""
    profile, notes = job.profile, plan.methods
    trained = [note for note in notes if note.training]
    names = [note.method for note in notes]
    known = [note.method for note in trained if note.images]
    images = max((note.images for note in trained), default=0)
    lacking = [d.caption() for d in job.datasets.values() if not d.complete]
    lacking += [note.training for note in trained if not note.complete]
    return replace(
        plan,
        reduced=bool(lacking) or any(note.reduced for note in notes),
        training="; ".join(dict.fromkeys(note.training for note in trained)),
        networks=description.networks(profile, names) if names else "",
        schedule=description.schedule(profile, images, known) if known else "",
        warnings=[
            *(f"Incomplete data: {caption}." for caption in dict.fromkeys(lacking)),
            *description.full_size_warning(profile, names),
            *_missing_seeds(profile, plan),
        ],
    )


def _missing_seeds(profile: Profile, plan: StoredPlan) -> Iterator[str]:
    """List trained methods with fewer measured seeds than the profile has."""
    for note in plan.methods:
        own = [u for u in plan.units if u.method == note.method and not _is_count(u)]
        seeds = {unit.seed for unit in own if unit.role != COSTS}
        if note.training and seeds and seeds != set(profile.seeds):
            listed = ", ".join(map(str, sorted(seeds)))
            yield f"{note.method}: {len(seeds)} of {len(profile.seeds)} seeds ({listed})."


def merge(new: StoredPlan, old: StoredPlan, methods: Sequence[str]) -> StoredPlan:
    """Merge the new plan with the old one's units of methods that were left out this time.

    They are kept only if they were measured under the same settings and, where both were trained,
    on the same training data. Rows that were added to the experiment are those of the new plan.
    """
    before, now = (concerning(plan.profile_settings, methods) for plan in (old, new))
    if (before, old.roles) != (now, new.roles):
        return new
    again = {unit.method for unit in new.units if not _is_count(unit)}
    counted = {unit.method for unit in new.units if _is_count(unit)}
    trained_on = {note.data for note in new.methods if note.data}
    kept = {
        note.method: note
        for note in old.methods
        if note.method in methods
        and note.method not in again
        and not (note.data and trained_on and note.data not in trained_on)
    }

    photographs = {unit.dataset for unit in new.units if unit.role == COSTS}

    def stays(unit: PlannedUnit) -> bool:
        method = unit.method
        if _is_count(unit):
            return method not in counted
        if method not in methods or (unit.role == COSTS and photographs - {unit.dataset}):
            return False
        return method in kept or not (method in again or parse(method).is_trained)

    return replace(
        new, units=[*new.units, *filter(stays, old.units)], methods=[*new.methods, *kept.values()]
    )


def _is_count(unit: PlannedUnit) -> bool:
    """Tell whether a unit is counted at published sizes, which no training or setting changes."""
    return unit.role in FIXED_SIZES


def store_plan(job: Job, measured: Sequence[Subject]) -> StoredPlan:
    """Write the plan; other processes may be adding their methods to it."""
    path = job.plan_file
    with held(path.with_name(f"{path.name}.lock"), f"writing {path}"):
        plan = make_plan(job, measured)
        old = _earlier(path)
        if old is not None:
            plan = described(job, merge(plan, old, job.experiment.methods))
            if replace(plan, created=old.created, versions=old.versions) == old:
                return old  # so that a run that finds nothing to do writes the same report
        save_plan(plan, path)
    return plan


def _earlier(path: Path) -> StoredPlan | None:
    """Read the plan that is replaced; a damaged one counts as none, and is named."""
    try:
        return load_plan(path) if path.exists() else None
    except DamagedPlanError as error:
        reason = str(error).partition("\n")[0]
        say(f"{reason}. It is made anew, of this run's methods alone.")
        return None
