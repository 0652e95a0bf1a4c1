"""Measurement of the costs of a job: its cells of costs, and those that have no row yet."""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
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
from harness.data.degrade import unit
from harness.data.images import save_png
from harness.measure.cost_rows import (
    Cost,
    CostId,
    Kind,
    costs_dir,
    latest,
    stored_rows,
    this_machine,
)
from harness.measure.latency import rounds_of, seconds_of_calls
from harness.measure.machine import machine
from harness.measure.peak_memory import MemoryCase, Peak, peaks
from harness.measure.photograph import NAME, photograph
from harness.measure.rows import CellFile
from harness.profiles import Profile
from harness.runs.job import Job


@dataclass(frozen=True)
class CostCell:
    """Method at a scale, and the file of its costs."""

    subject: Subject
    id: CostId
    file: CellFile

    def latest(self, kind: Kind) -> dict[str, Any] | None:
        """Return the row that counts; None where nothing was measured."""
        return latest(stored_rows(self.file), kind)


def cost_cells(job: Job, measured: Sequence[Subject]) -> list[CostCell]:
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
    folder, settings = costs_dir(job.places.results, job.profile.name), job.profile.evaluation
    found = []
    for scale in job.experiment.scales:
        for subject in first.values():
            if subject.model.refusal(scale):
                continue
            cell = CostId(
                method=subject.method,
                seed=subject.seed,
                checkpoint=subject.weights,
                scale=scale,
                lr_size=job.profile.costs.lr_size,
                image=NAME,
                precision=settings.precision,
                memory_mib=settings.memory_mib,
                machine=this_machine(subject.device),
            )
            found.append(CostCell(subject, cell, CellFile(folder / cell.relative_path, Cost)))
    return found


def measure_costs(job: Job, measured: Sequence[Subject], force: bool = False) -> int:
    """Measure what the job's cost cells lack.

    Where one method lacks its latency, all methods of its scale are timed again, interleaved. Only
    one process at a time measures in a results folder on machines of a kind, because two would
    disturb each other.

    Args:
        job: the experiment.
        measured: methods that are ready.
        force: whether to measure again what is there; the new rows count.

    Returns:
        Number of rows written.

    Raises:
        KeyboardInterrupt: after Ctrl-C or SIGTERM; finished rows are kept.
    """
    cells = _runnable(job, cost_cells(job, measured))
    if not cells:
        return 0
    folder = costs_dir(job.places.results, job.profile.name)
    alone = held(folder / "measuring.lock", f"measuring costs in {folder}")
    with alone, stoppable() as stop:
        stale = _stale_scales(job, cells) if not force else {cell.id.scale for cell in cells}
        timed = [cell for cell in cells if cell.id.scale in stale]
        # What a program takes beside this process is in its rows.
        here = [cell for cell in cells if cell.subject.model.made == "here"]
        weighed = [
            cell
            for cell in here
            if force or (row := cell.latest("memory")) is None or row["reason"]
        ]
        _measure_latency(job, timed, stop)
        _measure_memory(job, weighed, stop)
    return len(timed) + len(weighed)


def _runnable(job: Job, cells: Sequence[CostCell]) -> list[CostCell]:
    """Give random weights to networks without any: a plain network costs the same with all."""
    made: dict[str, Subject] = {}
    for cell in cells:
        subject = cell.subject
        if subject.counts_only and subject.method not in made:
            options = job.profile.networks.options(parse(subject.method))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(subject.seed)
                model = build(subject.method, **options).eval()
            made[subject.method] = replace(subject, model=model.to(subject.device))
    return [replace(cell, subject=made.get(cell.subject.method, cell.subject)) for cell in cells]


def _stale_scales(job: Job, cells: Sequence[CostCell]) -> set[float]:
    """Find scales where a method was not timed, or with fewer calls, or not with the others."""
    timings: dict[float, set[str]] = {}
    stale = set()
    for cell in cells:
        row = cell.latest("latency")
        if row is None or row["reason"] or len(row["values"]) < job.profile.costs.rounds:
            stale.add(cell.id.scale)
        else:
            timings.setdefault(cell.id.scale, set()).add(row["timing"])
    return stale | {scale for scale, found in timings.items() if len(found) > 1}


def _check(stop: Stop) -> None:
    if stop.requested:
        raise KeyboardInterrupt


def _measure_latency(job: Job, cells: Sequence[CostCell], stop: Stop) -> None:
    """Time all methods of each scale that lacks it, interleaved; rows are written by scale."""
    scales = list(dict.fromkeys(cell.id.scale for cell in cells))
    costs = job.profile.costs
    if scales:
        say(f"Timing {len(cells)} (method, scale) pairs, {costs.rounds} calls of each")
    lr = unit(photograph(costs.lr_size))[None]
    with bar("timing", rounds_of(costs) * sum(map(_work, scales))) as progress:

        def done() -> None:
            progress.advance(_work(scale))
            _check(stop)

        for scale in scales:
            progress.note = f"x{scale:g}"
            own = [cell for cell in cells if cell.id.scale == scale]
            # Taken before: afterwards the load is our own.
            timing = uuid.uuid4().hex[:12]
            here = {cell.subject.device: machine(cell.subject.device) for cell in own}
            models = {cell.subject.method: cell.subject.model for cell in own}
            found = seconds_of_calls(models, lr, scale, job.profile, job.device, done)
            for cell in own:
                method = cell.subject.method
                row = _row(
                    job.profile,
                    cell,
                    kind="latency",
                    machine=here[cell.subject.device],
                    values=found.seconds.get(method, []),
                    reason=found.failed.get(method, ""),
                    timing=timing,
                    first=found.first.get(method, 0.0),
                )
                cell.file.append(row)


def _work(scale: float) -> int:
    """Count the SR pixels for every LR pixel, which the time of a round goes with."""
    return round(scale**2)


def _measure_memory(job: Job, cells: Sequence[CostCell], stop: Stop) -> None:
    if not cells:
        return
    say(f"Measuring peak memory of {len(cells)} (method, scale) pairs, each in its own process")
    with tempfile.TemporaryDirectory() as folder, bar("memory", len(cells)) as progress:
        files = {cell.subject.method: _stored(job, cell.subject, Path(folder)) for cell in cells}
        networks = [(cell.subject, files[cell.subject.method], cell.id.scale) for cell in cells]
        makers = {method.name: method.make for method in job.methods if method.outside}
        for cell, peak in zip(cells, peaks_of(networks, job.profile, makers), strict=True):
            row = _row(
                job.profile,
                cell,
                kind="memory",
                machine=machine(cell.subject.device),
                values=[] if peak.reason else [float(peak.bytes)],
                reason=peak.reason,
                baseline_bytes=peak.baseline,
                memory_kind=peak.kind,
            )
            cell.file.append(row)
            progress.note = f"{cell.subject.method} x{cell.id.scale:g}"
            progress.advance()
            _check(stop)


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


def _row(profile: Profile, cell: CostCell, **found: Any) -> Cost:
    own = vars(cell.id) | found
    height, width = own.pop("lr_size")
    return Cost(
        **own,
        profile=profile.name,
        lr_height=height,
        lr_width=width,
        versions=versions(),
        measured_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )
