"""Aggregation of a stored plan's rows to one mean per (method, set of the paper, scale).

Only the plan, the rows it points to and the samples are read. A mean is formed only when every
image of the cell has its row, so that two methods are never compared on different images; otherwise
the cell says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from baselines import parse
from harness.common.errors import HarnessError
from harness.common.escaping import in_a_line
from harness.experiments import Experiment, get, method_at, methods_of
from harness.measure.crops import Sample, load_samples
from harness.measure.rows import frame
from harness.report.costs import Costs, load_costs
from harness.report.counts import CountedTable, load_counts
from harness.report.gaps import LEFT_OUT, unable
from harness.report.means import CellMean, means, with_macs
from harness.report.paper import (
    Blocks,
    blocks,
    others,
    paper_system,
    printed_fields,
    row_label,
)
from harness.report.stored import cell_rows
from harness.runs.plan import (
    RoleNote,
    StoredPlan,
    load_plan,
    measurements_dir,
    plan_path,
    samples_dir,
)

Key = tuple[str, str, float]


@dataclass(frozen=True)
class Report:
    """Data that a report is made from.

    Attributes:
        cells: cells by row, role and scale.
        printed: cells that only the paper has, in the same way.
        counts: counts by row and scale, for each `Counts` of the experiment.
    """

    experiment: Experiment
    plan: StoredPlan
    cells: Mapping[Key, CellMean]
    samples: tuple[Sample, ...]
    printed: Mapping[Key, CellMean] = field(default_factory=dict)
    counts: tuple[CountedTable, ...] = ()
    costs: Costs = field(default_factory=Costs)

    @property
    def scales(self) -> tuple[float, ...]:
        """Scales of the experiment (of a figure, those shown), and others that the plan has."""
        declared = () if self.experiment.regions_only else self.experiment.scales
        return tuple(sorted({*declared, *(c.scale for c in self.plan.cells)}))

    @property
    def roles(self) -> tuple[str, ...]:
        """Sets of the paper that the plan has, in the experiment's order."""
        planned = {note.role for note in self.plan.roles}
        return tuple(role for role in self.experiment.roles if role in planned)

    @property
    def blocks(self) -> Blocks:
        """Rows of a table, with the paper's others; see `harness.report.paper.blocks`."""
        return blocks(self.experiment)

    def label(self, row: str) -> str:
        """Return the paper's name of a row, or of a method."""
        return row if self.is_other(row) else row_label(self.experiment, row)

    def baseline(self, row: str) -> str:
        """Return the row of the method's own baseline; "" where the experiment has none."""
        own = "" if self.is_other(row) else parse(methods_of(row)[0]).baseline
        return own if own in self.experiment.rows else ""

    def baseline_name(self, row: str) -> str:
        """Return the paper's name of a row's baseline, without an encoder, which both have."""
        own = self.baseline(row)
        return paper_system(self.experiment, own).method if own else ""

    @property
    def baseline_names(self) -> list[str]:
        """List every name of a baseline, in the order of the rows."""
        names = (self.baseline_name(row) for row in self.experiment.rows)
        return list(dict.fromkeys(filter(None, names)))

    def is_other(self, row: str) -> bool:
        """Tell whether a row is a system that only the paper has."""
        return row in others(self.experiment)

    def role(self, name: str) -> RoleNote:
        """Return the dataset that was measured for a set of the paper.

        Raises:
            HarnessError: the plan does not say.
        """
        for note in self.plan.roles:
            if note.role == name:
                return note
        raise HarnessError(
            f"The stored plan of {self.experiment.name} does not say what plays {name}.",
            f"Run `harness run {self.experiment.name} --profile {self.plan.profile}` again.",
        )

    def at(self, method: str, role: str, scale: float) -> CellMean:
        """Return the cell of a row, which may be a missing one, or one that only the paper has."""
        key = (method, role, scale)
        return self.cells[key] if key in self.cells else self.printed[key]

    def measured(self, role: str, scale: float) -> list[CellMean]:
        """List the cells of one column that have numbers."""
        column = [self.at(row, role, scale) for row in self.experiment.rows]
        return [cell for cell in column if not cell.missing]


def load_report(results: Path, profile: str, experiment: str) -> Report:
    """Read plan, rows and samples of an experiment.

    Raises:
        UsageError: the experiment is unknown.
        HarnessError: nothing is stored, or it is damaged.
    """
    declared = get(experiment)
    plan = load_plan(plan_path(results, profile, experiment))
    stored = load_samples(samples_dir(results, profile, experiment))
    samples = tuple(sorted(stored, key=lambda s: (s.role, s.image, s.scale)))
    report = Report(declared, plan, {}, samples)
    folder = measurements_dir(results, profile)
    cells = {
        (row, role, scale): _cell_mean(report, folder, row, role, scale)
        for role in report.roles
        for row in declared.rows
        for scale in report.scales
    }
    # Every text that others wrote comes in here: names of images, profiles, machines.
    return Report(
        declared,
        in_a_line(plan),
        in_a_line(cells),
        in_a_line(samples),
        printed={(c.method, c.role, c.scale): c for c in _published_alone(report)},
        counts=in_a_line(load_counts(declared, plan, folder, report.scales)),
        costs=in_a_line(load_costs(results, plan, declared, report.scales)),
    )


def _published_alone(report: Report) -> Iterator[CellMean]:
    """List the paper's cells that cannot be measured here: other systems, other sets."""
    experiment, unknown = report.experiment, others(report.experiment)
    named = {row: paper_system(experiment, row) for row in experiment.rows} | dict(unknown)
    for role in (*report.roles, *experiment.published_roles):
        lacking = role in experiment.published_roles
        for row in named if lacking else unknown:
            why = f"there are no images of {role} here" if lacking else "not a system of ours"
            for scale in report.scales:
                printed = printed_fields(experiment, named[row], role, scale)
                yield CellMean(
                    row, role, "", scale, False, (), 0, f"not measured: {why}", **printed
                )


def _cell_mean(report: Report, folder: Path, row: str, role: str, scale: float) -> CellMean:
    method = method_at(row, scale)
    planned = [
        cell
        for cell in report.plan.cells
        if (cell.method, cell.role, cell.scale) == (method, role, scale)
    ]
    note = report.role(role)
    cell = CellMean(
        method=row,
        role=role,
        dataset=note.dataset,
        scale=scale,
        substitute=note.substitute,
        seeds=tuple(sorted(cell.seed for cell in planned)),
        images_planned=note.images,
        **printed_fields(report.experiment, paper_system(report.experiment, row), role, scale),
    )
    if method is None:
        return replace(cell, missing=unable(row))
    if not planned:
        shown = any((c.role, c.scale) == (role, scale) for c in report.plan.cells)
        elsewhere = report.experiment.regions_only and not shown
        return replace(cell, missing="not shown at this scale" if elsewhere else LEFT_OUT)
    by_seed = [cell_rows(folder, cell, note.only) for cell in planned]
    rows = [row for found in by_seed for row in found]
    if any(len(found) != note.images for found in by_seed):
        wanted = note.images * len(planned)
        seeds = f", {len(planned)} seeds" if len(planned) > 1 else ""
        return replace(cell, missing=f"not measured ({len(rows)} of {wanted} images{seeds})")
    return with_macs(report.experiment, replace(cell, **means(frame(rows), len(planned))))


def under_common(report: Report) -> tuple[int, int]:
    """Count the cells of trained methods below a common method (bicubic), and all of them."""
    compared = under = 0
    for role in report.roles:
        for scale in report.scales:
            cells = [c for c in report.measured(role, scale) if not c.unscored]
            common = [c.psnr for c in cells if c.method in report.experiment.common]
            floor = max((p for p in common if p is not None), default=None)
            trained = [c.psnr for c in cells if c.method not in report.experiment.common]
            if floor is not None:
                compared += len(trained)
                under += sum(p is not None and p < floor for p in trained)
    return under, compared
