"""Choice of what commands measure of networks: datasets, scales, protocols and metrics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from harness.commands.options import Setup
from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.checkpoints.cmsr_table import Cmsr
    from harness.checkpoints.subject import Subject
    from harness.data.sets import Dataset
    from harness.measure.evaluate import Task

    Unit = tuple[Subject, Task]


@dataclass(frozen=True)
class Wanted:
    """Choice of a command line; unknown names are refused before a network is looked for.

    Attributes:
        scales: scale factors; empty for those of a network, or 2, 3 and 4.
        protocol: name of a protocol; None for the dataset's own, "all" for every family's.
        metrics: names of metrics beside PSNR and SSIM.
        rendering, ensemble: as in `harness.measure.evaluate.Task`.
        notes: what is said of units that are not measured; more are added.
    """

    setup: Setup
    names: Sequence[str]
    scales: Sequence[float]
    protocol: str | None
    metrics: Sequence[str] = ()
    ensemble: int = 1
    rendering: Cmsr | None = None
    notes: dict[str, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from baselines.registry import unknown
        from harness.data.sets import SPECS, check_name
        from harness.metrics import METRICS, resolve

        for metric in self.metrics:
            if metric not in METRICS:
                raise UsageError(unknown("metric", metric, METRICS))
        for name in self.names:
            check_name(name)
            if self.protocol not in (None, "all"):
                resolve(str(self.protocol), SPECS[name].protocol)

    @cached_property
    def sets(self) -> dict[str, Dataset]:
        """The datasets, by name."""
        return {name: self.setup.dataset(name) for name in self.names}

    def units(self, subject: Subject) -> list[Unit]:
        """List what is measured of a network."""
        scales = dict.fromkeys(self.scales or map(float, subject.model.scales or (2, 3, 4)))
        return [
            unit for name in self.sets for scale in scales for unit in self.at(subject, name, scale)
        ]

    def at(
        self, subject: Subject, name: str, scale: float, protocol: str | None = None
    ) -> Iterator[Unit]:
        """List what is measured of a network on a dataset at a scale, by each protocol.

        `protocol` is for where none is asked for. UsageError where the one that is asked for is
        not defined; where all are, there is a note.
        """
        from harness.measure.evaluate import Task
        from harness.metrics import FAMILIES, resolve

        dataset, every = self.sets[name], self.protocol == "all"
        own = self.protocol or protocol or dataset.protocol
        for family in FAMILIES if every else [own]:
            try:
                rule = resolve(family, dataset.protocol)
                if rule.refusal(scale):
                    raise UsageError(f"The protocol {rule.name} {rule.refusal(scale)}.")
            except UsageError as error:
                if not every:
                    raise
                self.notes[f"{name}, protocol {family}: -. {error}"] = None
                continue
            task = Task(
                dataset=dataset,
                role=name,
                scale=scale,
                protocol=rule.name,
                profile=subject.profile,
                settings=self.setup.profile.evaluation,
                cache=self.setup.places.lr_cache,
                rendering=self.rendering,
                ensemble=self.ensemble,
                metrics=tuple(dict.fromkeys(("psnr", "ssim", *self.metrics))),
            )
            yield subject, task

    def measured(
        self, units: Sequence[Unit], force: bool = False
    ) -> Iterator[tuple[Subject, Task, list[dict[str, Any]]]]:
        """Measure each unit, and yield its rows; what was measured before only with `force`."""
        from harness.common.progress import bar
        from harness.data.pairs import PairStore
        from harness.measure.evaluate import measure_unit
        from harness.measure.rows import UnitFile

        def count(row: object) -> None:
            del row
            progress.advance()

        pairs, held = PairStore(), ""
        for subject, task in units:
            if task.dataset.name != held:
                pairs, held = PairStore(), task.dataset.name
            path = self.setup.places.results / "eval" / task.unit(subject).relative_path
            file, total = UnitFile(path), len(task.items)
            left = total if force else len(task.missing(file.by_image()))
            with bar(f"{subject.method} {held} x{task.scale:g}", total, total - left) as progress:
                rows = measure_unit(
                    subject, task, file, wait=True, measured=count, pairs=pairs, force=force
                )
            yield subject, task, rows or []
