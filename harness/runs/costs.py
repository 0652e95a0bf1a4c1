"""Measurement of the costs of a job: its units of costs, and those that lack one."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from baselines import build, parse
from baselines.base import SRModel
from harness import checkpoints
from harness.checkpoints.subject import Subject
from harness.common.locks import held
from harness.common.progress import bar, say
from harness.common.stopping import Stop, stoppable
from harness.common.versions import versions
from harness.data import degrade
from harness.data.images import save_png
from harness.measure.costs import (
    BASELINE,
    CALLS,
    FIRST,
    KIND,
    LATENCY,
    LOAD,
    MEMORY,
    NAME,
    TURN,
    photograph,
    photograph_set,
    this_machine,
    values_of,
)
from harness.measure.evaluate import Task, make_row, rows_of_unit
from harness.measure.latency import rounds_of, seconds_of_calls
from harness.measure.machine import machine
from harness.measure.macs import COSTS
from harness.measure.peak_memory import MemoryCase, Peak, peaks
from harness.measure.rows import UnitFile, beside, known, no_value
from harness.measure.timing import spread
from harness.profiles import Profile
from harness.runs.job import Job
from harness.runs.plan import COSTS_LOCK, measurements_dir


@dataclass(frozen=True)
class CostUnit:
    """Method at a scale, and the file of its costs."""

    subject: Subject
    task: Task
    file: UnitFile

    @property
    def scale(self) -> float:
        """Scale that is measured."""
        return self.task.scale

    def row(self) -> dict[str, Any] | None:
        """Read what is stored; None where nothing was measured by this version of the code.

        Another version may be faster: nothing of it is kept beside new costs.
        """
        row = rows_of_unit(self.file, self.task.unit(self.subject)).get(NAME)
        return row if row and row["versions"] == versions() else None

    def store(self, metric: str, value: float | None, why: str, facts: Mapping[str, Any]) -> None:
        """Put a cost into the row, beside the other one; `why` there is none, "" where there is."""
        height, width = self.task.items[0].size()
        # A semicolon parts the reasons of a row.
        reasons = [f"{no_value(metric)}{why.replace(';', ',')}"] if why else []
        row = make_row(
            self.subject,
            self.task,
            image=NAME,
            lr_size=(height, width),
            hr_size=(round(height * self.scale), round(width * self.scale)),
            **beside(self.row(), {metric: value}, reasons, facts),
        )
        self.file.append(row)
        self.file.drop_superseded()


def cost_units(job: Job, measured: Sequence[Subject]) -> list[CostUnit]:
    """List every (method, scale) whose costs the job measures here; one seed of each method.

    Methods that are only counted have no weights; they are run with random ones, or not at all. SR
    images cannot be run.
    """
    if not job.experiment.measures_costs:
        return []
    first: dict[str, Subject] = {}
    untrained = any(section.untrained for section in job.experiment.sections)
    for subject in measured:
        random = subject.counts_only and not untrained
        if not random and subject.model.made != "stored":
            first.setdefault(subject.method, subject)
    image, settings = photograph_set(job.profile.costs.lr_size), job.profile.evaluation
    found = []
    for scale in job.experiment.scales:
        for subject in first.values():
            if subject.model.refusal(scale):
                continue
            task = Task(
                dataset=image,
                role=COSTS,
                scale=scale,
                protocol=COSTS,
                profile=job.profile.name,
                settings=settings,
                cache=None,
                metrics=(LATENCY, MEMORY),
                machine=this_machine(subject.device),
            )
            found.append(CostUnit(subject, task, job.unit_file(subject, task)))
    return found


def measure_costs(job: Job, measured: Sequence[Subject], force: bool = False) -> int:
    """Measure what the job's cost units lack.

    Where one method lacks its latency, all methods of its scale are timed again, interleaved. Only
    one process at a time measures in a results folder, because two would disturb each other.

    Args:
        job: the experiment.
        measured: methods that are ready.
        force: whether to measure again what is there; the new rows count.

    Returns:
        Number of costs measured.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM; finished rows are kept.
    """
    units = _runnable(job, cost_units(job, measured))
    if not units:
        return 0
    folder = measurements_dir(job.places.results, job.profile.name)
    with held(folder / COSTS_LOCK, f"measuring costs in {folder}"), stoppable() as stop:
        rows = [unit.row() for unit in units]  # a damaged file is named before the work
        if force:
            rows = [None] * len(units)
        stale = _stale_scales(job, units, rows)
        timed = [unit for unit in units if unit.scale in stale]
        weighed = [
            unit
            for unit, row in zip(units, rows, strict=True)
            # What a program takes beside this process is in its rows.
            if unit.subject.model.made == "here" and not (row and values_of(row, MEMORY))
        ]
        _measure_latency(job, timed, stop)
        _measure_memory(job, weighed, stop)
    return len(timed) + len(weighed)


def _runnable(job: Job, units: Sequence[CostUnit]) -> list[CostUnit]:
    """Give random weights to networks without any: a plain network costs the same with all."""
    made: dict[str, Subject] = {}
    for unit in units:
        subject = unit.subject
        if subject.counts_only and subject.method not in made:
            options = job.profile.networks.options(parse(subject.method))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(subject.seed)
                model = build(subject.method, **options).eval()
            made[subject.method] = replace(subject, model=model.to(subject.device))
    return [replace(unit, subject=made.get(unit.subject.method, unit.subject)) for unit in units]


def _stale_scales(
    job: Job, units: Sequence[CostUnit], rows: Sequence[Mapping[str, Any] | None]
) -> set[float]:
    """Find scales where a method was not timed, or with fewer calls, or not with the others."""
    turns: dict[float, set[object]] = {}
    stale = set()
    for unit, row in zip(units, rows, strict=True):
        if row is None or len(values_of(row, LATENCY)) < job.profile.costs.rounds:
            stale.add(unit.scale)
        else:
            turns.setdefault(unit.scale, set()).add(row["facts"][TURN])
    return stale | {scale for scale, found in turns.items() if len(found) > 1}


def _measure_latency(job: Job, units: Sequence[CostUnit], stop: Stop) -> None:
    """Time all methods of each scale that lacks it, interleaved; rows are written by scale."""
    scales = list(dict.fromkeys(unit.scale for unit in units))
    costs = job.profile.costs
    if scales:
        say(f"Timing {len(units)} (method, scale) pairs, {costs.rounds} calls of each")
    lr = degrade.unit(photograph(costs.lr_size))[None]
    with bar("timing", rounds_of(costs) * sum(map(_work, scales))) as progress:

        def done() -> None:
            progress.advance(_work(scale))
            stop.check()

        for scale in scales:
            progress.note = f"x{scale:g}"
            own = [unit for unit in units if unit.scale == scale]
            # Taken before: afterwards the load is our own.
            turn, load = uuid.uuid4().hex[:12], machine(job.device)["load"]
            models = {unit.subject.method: unit.subject.model for unit in own}
            found = seconds_of_calls(models, lr, scale, job.profile, job.device, done)
            for unit in own:
                method = unit.subject.method
                calls, first = found.seconds.get(method, []), found.first.get(method, 0.0)
                median, why = spread(calls).median if calls else None, found.failed.get(method, "")
                facts = {CALLS: calls, FIRST: first, TURN: turn} | known({LOAD: load})
                unit.store(LATENCY, median, why, facts)


def _work(scale: float) -> int:
    """Count the SR pixels for every LR pixel, which the time of a round goes with."""
    return round(scale**2)


def _measure_memory(job: Job, units: Sequence[CostUnit], stop: Stop) -> None:
    if not units:
        return
    say(f"Measuring peak memory of {len(units)} (method, scale) pairs, each in its own process")
    with tempfile.TemporaryDirectory() as folder, bar("memory", len(units)) as progress:
        files = {unit.subject.method: _stored(job, unit.subject, Path(folder)) for unit in units}
        networks = [(unit.subject, files[unit.subject.method], unit.scale) for unit in units]
        makers = {method.name: method.make for method in job.methods if method.outside}
        for unit, peak in zip(units, peaks_of(networks, job.profile, makers), strict=True):
            value = None if peak.reason else float(peak.bytes)
            facts = {BASELINE: float(peak.baseline), KIND: peak.kind}
            unit.store(MEMORY, value, peak.reason, facts)
            progress.note = f"{unit.subject.method} x{unit.scale:g}"
            progress.advance()
            stop.check()


def peaks_of(
    networks: Sequence[tuple[Subject, str, float]],
    profile: Profile,
    makers: Mapping[str, Callable[..., SRModel]] = MappingProxyType({}),
) -> Iterator[Peak]:
    """Measure the peak memory of networks that enlarge the photograph, one after the other.

    Args:
        networks: each with its checkpoint ("" for methods without one) and the scale.
        profile: size of the LR image, precision and memory.
        makers: what makes the models of methods from outside, by name.
    """
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "lr.png"
        save_png(photograph(profile.costs.lr_size), image)
        cases = [
            MemoryCase(
                method=subject.method,
                network=file,
                image=str(image),
                scale=scale,
                precision=profile.evaluation.precision,
                memory=profile.evaluation.memory,
                device=str(subject.device),
                threads=torch.get_num_threads(),
                make=makers.get(subject.method),
            )
            for subject, file, scale in networks
        ]
        yield from peaks(cases)


def _stored(job: Job, subject: Subject, folder: Path) -> str:
    """Write a file of a network as it is in memory here; "" for methods without one."""
    (method,) = (each for each in job.methods if each.name == subject.method)
    if not method.is_trained:
        return ""
    path = folder / f"{subject.method}.pt"
    checkpoints.save(
        path,
        {
            "method": subject.method,
            "build": job.profile.networks.options(method),
            "state_dict": subject.model.state_dict(),
            "origin": subject.origin,
        },
    )
    return str(path)
