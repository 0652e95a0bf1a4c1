"""Counts from stored rows: parameters and MACs beside the published figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from baselines import parse
from harness.experiments import Experiment, method_at
from harness.experiments.counts import Counts, Part, Reference
from harness.experiments.published import Printed, System, printed_of
from harness.report.gaps import unable
from harness.report.paper import others, paper_system
from harness.report.stored import cell_rows
from harness.report.text import signed
from harness.runs.plan import StoredPlan

EQUAL = "equal"
IN_RANGE = "in range"


@dataclass(frozen=True)
class Count:
    """Counted number, and the published figures beside it.

    Attributes:
        counted: None where nothing is counted; the largest number where it depends on the image.
        beside: figure for each reference of the experiment, in single MACs or parameters; None
            where it has none.
        least: the smallest number for an image; None where all images cost the same.
    """

    counted: int | None
    beside: tuple[Printed | None, ...]
    least: int | None = None

    @property
    def ends(self) -> tuple[int, ...]:
        """Smallest and largest number, or the only one; empty where nothing is counted."""
        return tuple(n for n in (self.least, self.counted) if n is not None)

    def agreement(self, figure: Printed | None) -> str | None:
        """Say how count and figure agree; None without a count or a figure.

        They are equal at the printed digit, the figure is in the range, or the count is larger by
        so many percent.
        """
        if self.counted is None or figure is None:
            return None
        if not self.agrees(figure):
            return f"{signed(100 * (self.counted / figure.value - 1))} %"
        return EQUAL if all(figure.agrees(end) for end in self.ends) else IN_RANGE

    def agrees(self, figure: Printed) -> bool:
        """Tell whether some image costs as much as is printed, rounded to the printed digit."""
        if not self.ends or figure.digit is None:
            return False
        least, *_, most = (round(n / figure.digit) for n in (self.ends[0], *self.ends))
        return least <= round(figure.value / figure.digit) <= most


@dataclass(frozen=True)
class CountedCell:
    """Counts of a row at a scale.

    Attributes:
        method: name of the row.
        missing: why nothing was counted; "" where it was.
        parameters, macs: counts of the part that the experiment counts.
        versions: versions of the software that counted.
    """

    method: str
    scale: float
    parameters: Count
    macs: Count
    missing: str = ""
    versions: tuple[str, ...] = ()


CountedTable = Mapping[tuple[str, float], CountedCell]


def load_counts(
    experiment: Experiment, plan: StoredPlan, folder: Path, scales: Sequence[float]
) -> tuple[CountedTable, ...]:
    """Read the counts of every row, also of the paper's others, one mapping for each `Counts`."""
    found = []
    for counts in experiment.counts:
        cells: dict[tuple[str, float], CountedCell] = {}
        for scale in scales:
            for row in experiment.rows:
                cell = _beside(counts, row, paper_system(experiment, row), scale)
                cells[row, scale] = _cell(cell, counts, plan, folder)
            for row, named in others(experiment).items():
                cell = _beside(counts, row, named, scale)
                cells[row, scale] = replace(cell, missing="not measured: not a system of ours")
        found.append(cells)
    return tuple(found)


def _beside(counts: Counts, row: str, named: System, scale: float) -> CountedCell:
    """Make a row's cell with the published figures alone."""

    def found(references: tuple[Reference, ...]) -> Count:
        return Count(None, tuple(_printed(r, row, named, scale) for r in references))

    return CountedCell(row, scale, found(counts.parameters), found(counts.macs))


def _printed(reference: Reference, row: str, named: System, scale: float) -> Printed | None:
    system = System(*reference.systems[row]) if row in reference.systems else named
    found = printed_of([reference.source], system, reference.dataset, scale, reference.metric)
    if found is None:
        return None
    unit, word = reference.unit
    digit = None if reference.estimated else found.digit
    return Printed(
        value=found.value * unit,
        note=found.note if reference.noted else "",
        text=f"{found.text}{word}" if found.text else "",
        digit=None if digit is None else digit * unit,
    )


def _cell(cell: CountedCell, counts: Counts, plan: StoredPlan, folder: Path) -> CountedCell:
    """Make the cell with what is stored of it, or why there is nothing."""
    method = method_at(cell.method, cell.scale)
    if method is None:
        return replace(cell, missing=unable(cell.method))
    if not parse(method).encoder:
        return cell  # bicubic has nothing to count
    wanted = (method, counts.size, cell.scale)
    planned = [p for p in plan.cells if (p.method, p.role, p.scale) == wanted]
    rows = [row for p in planned for row in cell_rows(folder, p)]
    if not rows:
        return replace(cell, missing="left out of this run" if not planned else "not counted yet")
    return _counted(cell, rows[0], counts.part)


def _counted(cell: CountedCell, row: Mapping[str, Any], part: Part) -> CountedCell:
    """Make the cell with the counts of a stored row."""
    parameters, macs, least = _COUNTS[part](row)
    return replace(
        cell,
        parameters=replace(cell.parameters, counted=parameters),
        macs=replace(cell.macs, counted=macs, least=least),
        versions=tuple(sorted(f"{name} {number}" for name, number in row["versions"].items())),
    )


_Counts = tuple[int | None, int | None, int | None]
"""Parameters, MACs, and the least MACs where they depend on the image."""


def _all(row: Mapping[str, Any]) -> _Counts:
    macs = row["macs"]
    behind = macs["decoder"] + macs["estimator"]
    fewest = macs.get("least_encoder")
    least = None if fewest is None else behind + fewest
    return row["parameters"]["all"], behind + macs["encoder"], least


def _behind_the_encoder(row: Mapping[str, Any]) -> _Counts:
    inside = row["parameters"].get("encoder")
    parameters = None if inside is None else row["parameters"]["all"] - inside
    return parameters, row["macs"]["decoder"] + row["macs"]["estimator"], None


def _made_kernels(row: Mapping[str, Any]) -> _Counts:
    values = row["parameters"].get("kernel")
    return values, None if values is None else row["macs"]["decoder"], None


_COUNTS: Mapping[Part, Callable[[Mapping[str, Any]], _Counts]] = {
    "all": _all,
    "decoder": _behind_the_encoder,
    "upsampler": _made_kernels,
}
