"""Running an experiment: train what is missing, measure what is missing, store the plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import torch

from baselines import build, parse
from harness.cost import training_steps
from harness.data.sets import Dataset, find
from harness.errors import HarnessError, UsageError
from harness.evaluation import Subject, Task, measure_cell, missing_images, open_subject
from harness.experiments import Experiment
from harness.places import Places
from harness.plan import (
    PlannedCell,
    RoleNote,
    StoredPlan,
    load_plan,
    measurements_dir,
    plan_path,
    save_plan,
)
from harness.profiles import Profile
from harness.progress import bar, say
from harness.recipe import make_recipe, run_dir
from harness.results import CellFile, Measurement
from harness.stopping import stoppable
from harness.training import BusyError, Run, train
from moeisr.losses import BETA


@dataclass(frozen=True)
class Job:
    """An experiment under a profile, with its datasets found.

    Attributes:
        methods: of the experiment, those asked for.
        datasets: by role of the paper.
        fingerprints: of the datasets, by role.
        training_set: None when no method needs training.
    """

    experiment: Experiment
    profile: Profile
    places: Places
    device: torch.device
    methods: tuple[str, ...]
    datasets: dict[str, Dataset]
    fingerprints: dict[str, str]
    training_set: Dataset | None

    def trained_methods(self) -> list[str]:
        """Methods with a network."""
        return [m for m in self.methods if parse(m).encoder]

    def runs(self) -> list[Run]:
        """Training runs, one for each trained method and seed."""
        if self.training_set is None:
            return []
        found = []
        for method in self.trained_methods():
            for seed in self.profile.seeds:
                recipe = make_recipe(self.profile, method, seed, self.training_set)
                folder = run_dir(self.places.results, self.profile.name, recipe)
                found.append(
                    Run(
                        recipe,
                        self.profile,
                        folder,
                        self.device,
                        self.places.data_root,
                        self.places.lr_cache,
                    )
                )
        return found

    def tasks(self) -> list[Task]:
        """Cells of one method: dataset and scale."""
        return [
            Task(
                dataset=self.datasets[role],
                fingerprint=self.fingerprints[role],
                role=role,
                scale=scale,
                protocol=ROLE_PROTOCOLS.get(role, "benchmark"),
                profile=self.profile.name,
                settings=self.profile.evaluation,
                cache=self.places.lr_cache,
            )
            for role in self.experiment.roles
            for scale in self.experiment.scales
        ]

    def cell_file(self, subject: Subject, task: Task) -> CellFile:
        """Where the rows of a cell lie."""
        folder = measurements_dir(self.places.results, self.profile.name)
        return CellFile(folder / task.cell(subject).relative_path)


PAPER_SCHEDULE = "the paper: 1,000,000 steps of batch 16, patches 48x48, 2304 queries each"

# The role decides, not the dataset that plays it: a substitute for DIV2K is scored as DIV2K is.
ROLE_PROTOCOLS = {"DIV2K_valid": "div2k"}


def prepare(
    experiment: Experiment,
    profile: Profile,
    places: Places,
    device: torch.device,
    only: Sequence[str] = (),
) -> Job:
    """Find every dataset, so that a missing one is known before the first training step.

    Raises:
        UsageError: a method of `only` that the experiment does not have.
        HarnessError: a dataset that is not there.
    """
    for method in only:
        parse(method)
        if method not in experiment.methods:
            raise UsageError(
                f"{experiment.name} does not compare {method}. "
                f"It has {', '.join(experiment.methods)}."
            )
    chosen = tuple(m for m in experiment.methods if not only or m in only)
    datasets = {
        role: find(profile.dataset_for(role), places.data_root) for role in experiment.roles
    }
    needs_training = any(parse(m).encoder for m in chosen)
    training_set = find(profile.training.dataset, places.data_root) if needs_training else None
    if training_set is not None and profile.training.validation is not None:
        find(profile.training.validation.dataset, places.data_root)
    fingerprints = {role: dataset.fingerprint() for role, dataset in datasets.items()}
    return Job(experiment, profile, places, device, chosen, datasets, fingerprints, training_set)


def role_notes(job: Job) -> list[RoleNote]:
    """Which dataset plays which set of the paper, for captions."""
    return [
        RoleNote(
            role=role,
            dataset=dataset.name,
            description=dataset.about(),
            images=len(dataset.items),
            substitute=dataset.name != role or not dataset.complete,
        )
        for role, dataset in job.datasets.items()
    ]


def describe_networks(profile: Profile) -> str:
    """Sizes of the networks in words."""
    networks = profile.networks
    changed = {f"{name} encoder": options for name, options in networks.encoder.items()}
    changed |= {"decoder": networks.decoder, "MoEISR": networks.head}
    parts = [
        f"{part} " + ", ".join(f"{k} {v}" for k, v in options.items())
        for part, options in changed.items()
        if options
    ]
    return "; ".join(parts) if parts else "the paper's sizes"


def describe_schedule(profile: Profile, data: Dataset | None) -> str:
    """Length and precision of training in words."""
    s = profile.training
    steps = f"{training_steps(profile, data):,} steps" if data else f"{s.epochs} epochs"
    milestones = "/".join(map(str, s.milestones))
    balance = "" if s.beta == BETA else f", balance loss weighted {s.beta:g} instead of {BETA:g}"
    text = (
        f"{steps} of batch {s.batch} (LR patches {s.patch}x{s.patch}, {s.queries} queries each, "
        f"x{s.scale_min:g} to x{s.scale_max:g}), Adam {s.lr:g}, times {s.gamma:g} at epochs "
        f"{milestones} of {s.epochs}{balance}, {s.precision}, "
        f"seed{'s' * (len(profile.seeds) > 1)} {', '.join(map(str, profile.seeds))}"
    )
    return f"{text} ({PAPER_SCHEDULE})" if profile.stand_in else text


def announce(job: Job) -> None:
    """Say which profile, data and schedule a run uses."""
    profile = job.profile
    say(f"{job.experiment.name}: {job.experiment.title}")
    say(f"  profile    {profile.name}: {profile.summary}")
    for note in role_notes(job):
        played = f"PLAYED BY {note.dataset}" if note.substitute else note.dataset
        say(f"  {note.role:<10} {played} ({note.images} images; {note.description})")
    if job.training_set is not None:
        say(f"  training   {job.training_set.caption()}")
        say(f"  networks   {describe_networks(profile)}")
        say(f"  schedule   {describe_schedule(profile, job.training_set)}")
    say(f"  results    {job.places.results / profile.name}")
    if profile.stand_in:
        say("  STAND-IN: these numbers are not comparable with the paper's.")


def train_missing(job: Job) -> None:
    """Train every run that is not finished; those that others train are waited for, last."""
    postponed = []
    assert job.training_set is not None or not job.trained_methods()
    for run in job.runs():
        if run.is_finished():
            continue
        try:
            train(run, _training_set(job))
        except BusyError:
            postponed.append(run)
    for run in postponed:
        say(f"Waiting for another process that trains {run.recipe.method} in {run.folder}")
        train(run, _training_set(job), wait=True)


def _training_set(job: Job) -> Dataset:
    assert job.training_set is not None
    return job.training_set


def subjects(job: Job) -> list[Subject]:
    """Every method and seed, ready to be measured; training must be finished."""
    found = [
        Subject(method, build(method).eval(), torch.device("cpu"))
        for method in job.methods
        if not parse(method).encoder
    ]
    for run in job.runs():
        found.append(open_subject(run.checkpoint, job.device, run.recipe.method))
    return found


def store_plan(job: Job, measured: Sequence[Subject]) -> Path:
    """Write the plan; cells of methods that were left out this time are kept."""
    path = plan_path(job.places.results, job.profile.name, job.experiment.name)
    plan = _plan(job, measured)
    old = _earlier_plan(path)
    if old and (old.profile_settings, old.roles) == (plan.profile_settings, plan.roles):
        kept = [cell for cell in old.cells if cell.method not in job.methods]
        plan = replace(plan, cells=[*plan.cells, *kept])
    save_plan(plan, path)
    return path


def _earlier_plan(path: Path) -> StoredPlan | None:
    """The plan that is replaced; one that is damaged or of another version counts as none."""
    try:
        return load_plan(path)
    except HarnessError:
        return None


def _plan(job: Job, measured: Sequence[Subject]) -> StoredPlan:
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
        for task in job.tasks()
    ]
    used = [*job.datasets.values(), *([job.training_set] if job.training_set else [])]
    incomplete = {d.name: d for d in used if not d.complete}
    return StoredPlan(
        experiment=job.experiment.name,
        profile=job.profile.name,
        summary=job.profile.summary,
        stand_in=job.profile.stand_in or bool(incomplete),
        training=job.training_set.caption() if job.training_set else "",
        networks=describe_networks(job.profile),
        schedule=describe_schedule(job.profile, job.training_set),
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        roles=role_notes(job),
        cells=cells,
        warnings=[f"Incomplete data: {d.caption()}." for d in incomplete.values()],
        profile_settings=job.profile.model_dump(mode="json", exclude={"data_root"}),
    )


def measure_missing(job: Job, measured: Sequence[Subject], force: bool = False) -> int:
    """Measure every cell that is not finished.

    Args:
        job: the experiment.
        measured: methods, ready.
        force: measure finished cells again.

    Returns:
        number of rows written.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM; finished rows are kept.
    """
    work = [(s, t, job.cell_file(s, t)) for s in measured for t in job.tasks()]
    if force:
        for _, _, file in work:
            file.clear()
    left = sum(len(missing_images(f, t.dataset.items)) for _, t, f in work)
    total = sum(len(t.dataset.items) for _, t, _ in work)
    if left == 0:
        return 0
    say(f"Measuring {left} of {total} (method, image, scale) triples")
    written = 0
    with bar("measuring", total, total - left) as progress, stoppable() as stop:

        def count(row: Measurement) -> None:
            nonlocal written
            written += 1
            progress.note = f"{row.method} {row.dataset} x{row.scale:g}"
            progress.advance()
            if stop.requested:
                raise KeyboardInterrupt

        taken = [item for item in work if not measure_cell(*item, measured=count)]
        for subject, task, file in taken:
            measure_cell(subject, task, file, wait=True, measured=count)
    return written
