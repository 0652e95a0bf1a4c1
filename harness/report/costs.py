"""From stored counts to costs: parameters and multiply-adds beside the published figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from harness.experiments import Experiment, method_at
from harness.experiments.costs import Costs, Part, Reference
from harness.plan import StoredPlan
from harness.published import Printed, System, printed_of
from harness.report.paper import others, paper_system
from harness.report.stored import cell_rows


@dataclass(frozen=True)
class Count:
    """What was counted, and the published figures beside it.

    Attributes:
        counted: None where nothing is.
        beside: in multiples of one, for each reference of the experiment; None where it has none.
    """

    counted: int | None
    beside: tuple[Printed | None, ...]


@dataclass(frozen=True)
class CostCell:
    """What a row costs at a scale.

    Attributes:
        method: the row's name.
        missing: why nothing was counted; "" where it was.
        parameters, macs: of the part that the experiment counts.
        versions: what counted.
    """

    method: str
    scale: float
    parameters: Count
    macs: Count
    missing: str = ""
    versions: tuple[str, ...] = ()


CostTable = Mapping[tuple[str, float], CostCell]


def load_costs(
    experiment: Experiment, plan: StoredPlan, folder: Path, scales: Sequence[float]
) -> tuple[CostTable, ...]:
    """The costs of every row, also of the paper's others, one mapping for each `Costs`."""
    found = []
    for costs in experiment.costs:
        cells: dict[tuple[str, float], CostCell] = {}
        for scale in scales:
            for row in experiment.rows:
                cell = _beside(costs, row, paper_system(experiment, row), scale)
                cells[row, scale] = _cell(cell, costs, plan, folder)
            for row, named in others(experiment).items():
                cell = _beside(costs, row, named, scale)
                cells[row, scale] = replace(cell, missing="not measured: not a system of ours")
        found.append(cells)
    return tuple(found)


def _beside(costs: Costs, row: str, named: System, scale: float) -> CostCell:
    """A row's cell with the published figures alone."""

    def found(references: tuple[Reference, ...]) -> Count:
        return Count(None, tuple(_printed(r, row, named, scale) for r in references))

    return CostCell(row, scale, found(costs.parameters), found(costs.macs))


def _printed(reference: Reference, row: str, named: System, scale: float) -> Printed | None:
    system = System(*reference.systems[row]) if row in reference.systems else named
    found = printed_of([reference.source], system, reference.dataset, scale, reference.metric)
    if found is None:
        return None
    unit, word = reference.unit
    digit = None if reference.estimated else found.digit
    return Printed(
        value=found.value * unit,
        note=found.note,
        text=f"{found.text}{word}" if found.text else "",
        digit=None if digit is None else digit * unit,
    )


def _cell(cell: CostCell, costs: Costs, plan: StoredPlan, folder: Path) -> CostCell:
    """The cell with what is stored of it, or why there is nothing."""
    method = method_at(cell.method, cell.scale)
    if method is None:
        return replace(cell, missing="fixed-scale networks, one for each of their scales")
    wanted = (method, costs.size, cell.scale)
    planned = [p for p in plan.cells if (p.method, p.role, p.scale) == wanted]
    rows = [row for p in planned for row in cell_rows(folder, p)]
    if not rows:
        return replace(cell, missing="left out of this run" if not planned else "not counted yet")
    return _counted(cell, rows[0], costs.part)


def _counted(cell: CostCell, row: Mapping[str, Any], part: Part) -> CostCell:
    """The cell with the counts of a stored row."""
    behind = ("decoder_macs", "estimator_macs", "kernel_macs")
    macs, parameters = sum(row.get(name, 0) for name in behind), row["parameters"]
    if part == "all":
        macs += row["encoder_macs"]
    else:
        inside = row["encoder_parameters"]
        parameters = None if inside is None else parameters - inside
    return replace(
        cell,
        parameters=replace(cell.parameters, counted=parameters),
        macs=replace(cell.macs, counted=macs),
        versions=tuple(sorted(f"{name} {number}" for name, number in row["versions"].items())),
    )
