"""Execution of a job: train what is missing, measure what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from baselines import Method
from harness.checkpoints.subject import Subject, open_subject, ready_subjects, shapes_subject
from harness.checkpoints.trained import finished_checkpoints, shipped_networks
from harness.common.locks import BusyError
from harness.common.progress import bar, say
from harness.common.stopping import stoppable
from harness.data.pairs import PairStore
from harness.data.sets import SPECS, Dataset
from harness.data.sets.sizes import FIXED_SIZES
from harness.measure.evaluate import Keep, measure_unit
from harness.measure.rows import Measurement
from harness.profiles import description
from harness.runs.job import Job
from harness.runs.make_plan import role_notes
from harness.training.loop import Run, train


def announce(job: Job) -> None:
    """Print which profile, data and schedule a run uses."""
    profile, experiment, training_set = job.profile, job.experiment, job.training_set
    roles, names = role_notes(job), [method.name for method in job.methods]
    say(f"{experiment.name}: {experiment.title}")
    lines = [("profile", f"{profile.name}: {profile.summary}")]
    for note in roles:
        data = f"SUBSTITUTE DATA {note.dataset}" if note.substitute else note.dataset
        count = f"{note.images} image{'s' * (note.images != 1)}"
        lines.append((note.role, f"{data} ({count}; {note.description})"))
    for role in experiment.published_roles:
        lines.append((role, "published values alone"))
    for size in experiment.sizes:
        about = FIXED_SIZES[size].description
        lines.append(("costs", f"counted for {about}, published sizes"))
    if training_set is not None:
        schedule = description.schedule(profile, len(training_set.items), names)
        lines += [
            ("training", training_set.caption()),
            ("networks", description.networks(profile, names)),
            ("schedule", schedule),
        ]
    elif not profile.trains and job.trained_methods():
        lines.append(("networks", "shipped ones; nothing is trained (--retrain trains)"))
        found = (path for method in job.methods for path in existing_networks(job, method))
        for path in dict.fromkeys(found):
            network = open_subject(path, torch.device("cpu"))
            lines.append(("", f"{path}, weights {network.weights[:10]}"))
    for row in job.added:
        lines.append(("added", f"{row.label}: {row.origin or row.missing or row.method}"))
    if experiment.measures_costs:
        height, width = profile.costs.lr_size
        text = f"latency and peak memory for an LR image of {height}x{width}"
        lines.append(("costs", text))
    used = [*job.datasets.values(), *([training_set] if training_set else [])]
    if job.places.data_root and used and not any(SPECS[data.name].layout for data in used):
        text = f"NOT USED: the sets of profile {profile.name} are part of the harness"
        lines.append(("data root", text))
    lines.append(("results", str(job.places.results / profile.name)))
    for word, text in lines:
        say(f"  {word:<10} {text}")
    ready = [
        method.name
        for method in job.methods
        if job.datasets and (not _needs_shipped(job, method) or existing_networks(job, method))
    ]
    for warning in description.full_size_warning(profile, ready):
        say(f"  {warning}")
    trained = [method.name for method in job.trained_methods()] if job.trains else []
    departing = [name for name in trained if profile.reduced([name])]
    say_setting(departing, trained, any(note.substitute for note in roles))


def say_setting(departing: Sequence[str], of: Sequence[str], substitute: bool = False) -> None:
    """Print which numbers are not comparable with the paper's: those of some methods, or all."""
    if substitute or departing:
        some = not substitute and len(departing) < len(of)
        which = f" ({', '.join(departing)})" if some else ""
        found = [*["REDUCED SETTING"] * bool(departing), *["SUBSTITUTE DATA"] * substitute]
        words = " AND ".join(found)
        say(f"  {words}{which}: these numbers are not comparable with the paper's.")


def train_missing(job: Job) -> None:
    """Train every run that is not finished; finally wait for those that other processes train."""
    postponed = []
    for run in job.runs():
        run.folder.mkdir(parents=True, exist_ok=True)  # `harness status` shows that it waits
    for run in job.runs():
        try:
            if not run.is_finished():
                train(run, _training_set(job))
        except BusyError:
            postponed.append(run)
    for run in postponed:
        train(run, _training_set(job), wait=True)


def _training_set(job: Job) -> Dataset:
    assert job.training_set is not None
    return job.training_set


def subjects(job: Job, finished_only: bool = False) -> list[Subject]:
    """List every method and seed, ready to be measured.

    Where nothing is trained, methods without a finished network have their MACs counted if their
    shapes suffice for it, and are left out if not. Costs are counted for every network.

    Args:
        job: the job.
        finished_only: whether to leave out networks that are still to be trained; without it all
            must be finished.
    """
    runs = job.runs()
    here = job.methods if job.datasets else ()
    measured = [(method, _subjects(job, method, runs, finished_only)) for method in here]
    counted = [m for m in job.methods if m.is_trained and job.counts(m.can_do)]
    if not job.trains:
        lacking = [method for method, found in measured if not found]
        _say_left_out(job, [m for m in lacking if m not in counted], "")
        _say_left_out(job, [m for m in lacking if m in counted], " but for their costs")
    published = (shapes_subject(m.name, job.profile, published=True) for m in counted)
    return [*(subject for _, found in measured for subject in found), *published]


def _subjects(job: Job, method: Method, runs: Sequence[Run], finished_only: bool) -> list[Subject]:
    """List the networks of a method that are measured on the job's datasets, one for each seed."""
    name = method.name
    if not method.is_trained:
        return ready_subjects(name)
    if not job.experiment.needs_weights(method):
        return [shapes_subject(name, job.profile)]
    if job.trains:
        own = [run for run in runs if run.recipe.method == method.weights]
        if finished_only and _training_set(job).sizes_of:  # absent: of any training data
            paths = existing_networks(job, method)
        else:
            paths = [r.checkpoint for r in own if not finished_only or r.is_finished()]
    else:
        paths = existing_networks(job, method)
    counted = not method.head and any(section.macs for section in job.experiment.sections)
    if counted and not (paths or job.trains or _needs_shipped(job, method)):
        return [shapes_subject(name, job.profile)]
    return [open_subject(path, job.device, name) for path in paths]


def _say_left_out(job: Job, methods: Sequence[Method], but: str) -> None:
    """Print which methods are not measured for want of a network, and what would train them."""
    if methods:
        reason = f"not trained under profile '{job.profile.name}'"
        if not job.profile.trains:
            reason = f"not shipped, and {reason}; --retrain trains them"
        say(f"Left out{but}: {', '.join(method.name for method in methods)} ({reason}).")


def _needs_shipped(job: Job, method: Method) -> bool:
    """Tell whether a method without a network is left out: its profile trains nothing unasked."""
    return not (job.trains or job.profile.trains) and job.experiment.needs_weights(method)


def existing_networks(job: Job, method: Method, seeds: Sequence[int] = ()) -> list[Path]:
    """List the finished checkpoints of a method, one for each seed (all: none given) that has one.

    Where nothing is trained, shipped networks go before those that were trained here.
    """
    found: list[Path] = []
    for seed in seeds or job.profile.seeds:
        shipped = [] if job.trains else shipped_networks(method.name, job.profile, seed)
        found += shipped or finished_checkpoints(method.name, job.profile, job.places, seed)
    return found


def measure_missing(
    job: Job, measured: Sequence[Subject], force: bool = False, keep: Keep | None = None
) -> int:
    """Measure every unit that is not finished.

    Args:
        job: the experiment.
        measured: methods that are ready.
        force: whether to measure finished units again.
        keep: receives the SR images.

    Returns:
        Number of rows written.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM; finished rows are kept.
    """
    work = [(s, t, job.unit_file(s, t)) for s in measured for t in job.tasks(s)]
    left = sum(len(t.items if force else t.missing(f.by_image())) for _, t, f in work)
    total = sum(len(t.items) for _, t, _ in work)
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
            stop.check()

        measure = partial(measure_unit, force=force, measured=count, pairs=PairStore(), keep=keep)
        for item in [item for item in work if measure(*item) is None]:
            measure(*item, wait=True)
    return written
