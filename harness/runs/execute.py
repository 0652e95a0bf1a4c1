"""Execution of a job: train what is missing, measure what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from baselines import build, parse
from harness.checkpoints.subject import Subject, open_subject, published_subject, shapes_subject
from harness.checkpoints.trained import finished_checkpoints, shipped_networks
from harness.common.locks import BusyError
from harness.common.progress import bar, say
from harness.common.stopping import stoppable
from harness.data.pairs import PairStore
from harness.data.sets import SPECS, Dataset
from harness.data.sets.sizes import FIXED_SIZES
from harness.measure.evaluate import Keep, measure_cell
from harness.measure.rows import Measurement
from harness.profiles import description
from harness.runs.job import Job, needs_weights
from harness.runs.make_plan import role_notes
from harness.training.loop import Run, train


def announce(job: Job) -> None:
    """Print which profile, data and schedule a run uses."""
    profile = job.profile
    say(f"{job.experiment.name}: {job.experiment.title}")
    say(f"  profile    {profile.name}: {profile.summary}")
    for note in role_notes(job):
        played = f"PLAYED BY {note.dataset}" if note.substitute else note.dataset
        say(f"  {note.role:<10} {played} ({note.images} images; {note.description})")
    for role in job.experiment.published_roles:
        say(f"  {role:<10} not among the datasets of this harness: published values alone")
    for size in dict.fromkeys(counts.size for counts in job.experiment.counts):
        say(f"  costs      counted for {FIXED_SIZES[size].description}, published sizes")
    if job.training_set is not None:
        say(f"  training   {job.training_set.caption()}")
        say(f"  networks   {description.networks(profile, job.methods)}")
        schedule = description.schedule(profile, len(job.training_set.items), job.methods)
        say(f"  schedule   {schedule}")
    elif not profile.trains and job.trained_methods():
        say("  networks   shipped ones; nothing is trained (--retrain trains)")
        found = (path for method in job.methods for path in existing_networks(job, method))
        for path in dict.fromkeys(found):
            network = open_subject(path, torch.device("cpu"))
            say(f"             {path}, weights {network.checkpoint[:10]}")
    if job.experiment.measures_costs:
        height, width = profile.costs.lr_size
        say(f"  costs      latency and peak memory for an LR image of {height}x{width}")
    used = [*job.datasets.values(), *([job.training_set] if job.training_set else [])]
    if job.places.data_root and used and not any(SPECS[data.name].layout for data in used):
        say(f"  data root  NOT USED: the sets of profile {profile.name} are part of the harness")
    say(f"  results    {job.places.results / profile.name}")
    ready = [
        method
        for method in job.methods
        if job.datasets and (not _needs_shipped(job, method) or existing_networks(job, method))
    ]
    for warning in description.full_size_warning(profile, ready):
        say(f"  {warning}")
    trained = job.trained_methods() if job.trains else []
    departing = [method for method in trained if profile.stand_in([method])]
    say_stand_in(departing, trained, any(note.substitute for note in role_notes(job)))


def say_stand_in(departing: Sequence[str], of: Sequence[str], substitute: bool = False) -> None:
    """Print which numbers are not comparable with the paper's: those of some methods, or all."""
    if substitute or departing:
        some = not substitute and len(departing) < len(of)
        which = f" ({', '.join(departing)})" if some else ""
        say(f"  STAND-IN{which}: these numbers are not comparable with the paper's.")


def train_missing(job: Job) -> None:
    """Train every run that is not finished; finally wait for those that other processes train."""
    postponed = []
    for run in job.runs():
        if run.is_finished():
            continue
        try:
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
    measured = _measured(job, finished_only) if job.datasets else []
    costly = [method for method in job.methods if job.counts(method)]
    return [*measured, *(published_subject(method, job.profile) for method in costly)]


def _measured(job: Job, finished_only: bool) -> list[Subject]:
    """List the methods to be measured on the job's datasets."""
    runs = job.runs()
    found: list[Subject] = []
    left_out: list[str] = []
    for method in job.methods:
        if not parse(method).encoder:
            found.append(Subject(method, build(method).eval(), torch.device("cpu")))
        elif not needs_weights(job.experiment, method):
            found.append(shapes_subject(method, job.profile))
        elif job.trains:
            own = [run for run in runs if run.recipe.method == parse(method).weights]
            paths = _finished(job, method, own) if finished_only else [r.checkpoint for r in own]
            found += [open_subject(path, job.device, method) for path in paths]
        else:
            existing = _existing(job, method)
            found += existing
            left_out += [] if existing else [method]
    _say_left_out(job, left_out)
    return found


def _say_left_out(job: Job, methods: Sequence[str]) -> None:
    """Print which methods are not measured for want of a network, and what would train them."""
    costs = [method for method in methods if job.counts(method)]
    for names, but in (
        ([method for method in methods if method not in costs], ""),
        (costs, " but for their costs"),
    ):
        if not names:
            continue
        reason = f"not trained under profile '{job.profile.name}'"
        if not job.profile.trains:
            reason = f"not shipped, and {reason}; --retrain trains them"
        say(f"Left out{but}: {', '.join(names)} ({reason}).")


def _finished(job: Job, method: str, own: Sequence[Run]) -> list[Path]:
    """List the checkpoints of finished runs; on any data, where the training set is absent."""
    if _training_set(job).sizes_of:
        return existing_networks(job, method)
    return [run.checkpoint for run in own if run.is_finished()]


def _existing(job: Job, method: str) -> list[Subject]:
    """List what can be measured of a method without training it."""
    files = existing_networks(job, method)
    if files:
        return [open_subject(path, job.device, method) for path in files]
    if _needs_shipped(job, method) or not shapes_suffice(job, method):
        return []
    return [shapes_subject(method, job.profile)]


def _needs_shipped(job: Job, method: str) -> bool:
    """Tell whether a method without a network is left out: its profile trains nothing unasked."""
    return not (job.trains or job.profile.trains) and needs_weights(job.experiment, method)


def existing_networks(job: Job, method: str) -> list[Path]:
    """List the finished checkpoints of a method, one for each seed that has one.

    Where nothing is trained, shipped networks go before those that were trained here.
    """
    found: list[Path] = []
    for seed in job.profile.seeds:
        shipped = [] if job.trains else shipped_networks(method, job.profile, seed)
        found += shipped or finished_checkpoints(method, job.profile, job.places, seed)
    return found


def shapes_suffice(job: Job, method: str) -> bool:
    """Tell whether the job can count a method's MACs without its weights."""
    parts = parse(method)
    return bool(parts.encoder) and not parts.head and "macs" in job.experiment.tables


def measure_missing(
    job: Job, measured: Sequence[Subject], force: bool = False, keep: Keep | None = None
) -> int:
    """Measure every cell that is not finished.

    Args:
        job: the experiment.
        measured: methods that are ready.
        force: whether to measure finished cells again.
        keep: receives the SR images.

    Returns:
        Number of rows written.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM; finished rows are kept.
    """
    work = [(s, t, job.cell_file(s, t)) for s in measured for t in job.tasks(s)]
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
            if stop.requested:
                raise KeyboardInterrupt

        measure = partial(measure_cell, force=force, measured=count, pairs=PairStore(), keep=keep)
        for item in [item for item in work if measure(*item) is None]:
            measure(*item, wait=True)
    return written
