"""Cells that a command is to measure: subjects with a dataset, a scale and a protocol each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.commands.options import Setup
from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.checkpoints.cmsr_table import Cmsr
    from harness.checkpoints.subject import Subject
    from harness.common.progress import Bar
    from harness.data.sets import Dataset
    from harness.measure.rows import Measurement


@dataclass(frozen=True)
class Case:
    """Cell to measure; the protocol has its name in rows."""

    subject: Subject
    dataset: str
    scale: float
    protocol: str


Cases = tuple[list[Case], list[str]]
"""Cells to measure, and notes on what is not among them."""


def check_wanted(names: Iterable[str], protocol: str | None, metrics: Iterable[str] = ()) -> None:
    """Refuse unknown datasets, protocols and metrics before a network is looked for."""
    from baselines.registry import unknown
    from harness.data.sets import SPECS, check_name
    from harness.metrics import METRICS, resolve

    for metric in metrics:
        if metric not in METRICS:
            raise UsageError(unknown("metric", metric, METRICS))
    for name in names:
        check_name(name)
        if protocol not in (None, "all"):
            resolve(str(protocol), SPECS[name].protocol)


def protocols_for(
    asked: str | None, dataset: Dataset, scale: float, notes: dict[str, None]
) -> list[str]:
    """List the protocols, by their names in rows, that are asked for.

    `asked` is the name on the command line; None for the dataset's own, "all" for every family's:
    then `notes` get one for each family that is not defined for the dataset and scale. UsageError
    where the one that is asked for is not.
    """
    from harness.metrics import FAMILIES, resolve

    found = []
    for name in FAMILIES if asked == "all" else [asked or dataset.protocol]:
        try:
            rule = resolve(name, dataset.protocol)
            if rule.refusal(scale):
                raise UsageError(f"The protocol {rule.name} {rule.refusal(scale)}.")
            found.append(rule.name)
        except UsageError as error:
            if asked != "all":
                raise
            notes[f"{dataset.name}, protocol {name}: -. {error}"] = None
    return found


def cases_of_network(
    setup: Setup,
    subject: Subject,
    names: Iterable[str],
    scales: Sequence[float],
    protocol: str | None,
) -> Cases:
    """List what is to be measured of a network."""
    factors = list(dict.fromkeys(scales or map(float, subject.model.scales or (2, 3, 4))))
    notes: dict[str, None] = {}
    cases = [
        Case(subject, name, scale, rule)
        for name in dict.fromkeys(names)
        for scale in factors
        for rule in protocols_for(protocol, setup.dataset(name), scale, notes)
    ]
    return cases, list(notes)


def _advance(progress: Bar, row: Measurement) -> None:
    del row
    progress.advance()


def measured(
    setup: Setup,
    cases: Sequence[Case],
    rendering: Cmsr | None = None,
    ensemble: int = 1,
    force: bool = False,
    metrics: Sequence[str] = (),
) -> Iterator[tuple[Case, list[dict[str, Any]]]]:
    """Measure each case, and yield its rows; what was measured before is not measured again.

    `rendering` and `ensemble` as in `harness.measure.evaluate.Task`; `force` measures all again;
    `metrics` are asked for beside PSNR and SSIM.
    """
    from harness.common.progress import bar
    from harness.data.pairs import PairStore
    from harness.measure.evaluate import Task, measure_cell
    from harness.measure.rows import CellFile

    pairs, held = PairStore(), ""
    for case in cases:
        if case.dataset != held:
            pairs, held = PairStore(), case.dataset
            dataset = setup.dataset(case.dataset)
        subject = case.subject
        task = Task(
            dataset=dataset,
            fingerprint=dataset.fingerprint(),
            role=dataset.name,
            scale=case.scale,
            protocol=case.protocol,
            profile=subject.profile,
            settings=setup.profile.evaluation,
            cache=setup.places.lr_cache,
            rendering=rendering,
            ensemble=ensemble,
            metrics=tuple(dict.fromkeys(("psnr", "ssim", *metrics))),
        )
        file = CellFile(setup.places.results / "eval" / task.cell(subject).relative_path)
        total = len(dataset.items)
        left = total if force else len(task.missing(file.by_image()))
        title = f"{subject.method} {dataset.name} x{case.scale:g}"
        with bar(title, total, total - left) as progress:
            rows = measure_cell(
                subject,
                task,
                file,
                wait=True,
                measured=partial(_advance, progress),
                pairs=pairs,
                force=force,
            )
        yield case, rows or []
