"""Percentages of multiply-adds are of a method's own baseline, and say of which."""

from __future__ import annotations

from dataclasses import replace

import pytest
from report_fixtures import PLAN

from baselines import parse
from harness.experiments import Experiment, get
from harness.report.aggregate import Report
from harness.report.layout import Table
from harness.report.macs import macs_table
from harness.report.means import CellMean
from harness.report.paper import others, paper_system, printed_fields
from harness.runs.plan import PlannedCell, RoleNote


@pytest.mark.parametrize(
    ("method", "baseline"),
    [
        ("edsr-moeisr-lte-s", "edsr-lte"),
        ("swinir-moeisr-ipe-b", "swinir-ipe"),
        ("rdn-liif-3layer", "rdn-liif"),
        ("rdn-moeisr-liif-b-tau3", "rdn-liif"),
        ("rdn-lmliif", "rdn-liif"),
        ("edsr-lmlte", "edsr-lte"),
        ("edsr-large-igconv-plus", "edsr-large-igconv"),
        *((m, "") for m in ("bicubic", "edsr-liif", "rdn-metasr", "edsr-ipe", "edsr-igconv")),
        *((m, "") for m in ("rdn-x2", "seemore-b-x4")),
    ],
)
def test_the_baseline_of_a_method(method, baseline):
    assert parse(method).baseline == baseline


def made_up(
    experiment: Experiment, missing: tuple[str, ...] = ()
) -> tuple[Report, dict[str, float]]:
    """A report in which every row has another number of multiply-adds, but for those missing."""
    role = experiment.roles[0]
    note = RoleNote(role, role, "the set itself", 3, False)
    planned = [
        PlannedCell(row, role, role, scale, 0, "")
        for row in experiment.rows
        for scale in experiment.scales
    ]
    plan = replace(PLAN, roles=[note], cells=planned, stand_in=False, methods=[])
    counted = {row: 1e9 * (3 + 2 * n) for n, row in enumerate(experiment.rows)}
    cells = {}
    for row in experiment.rows:
        for scale in experiment.scales:
            cell = CellMean(row, role, role, scale, False, (0,), 3)
            if row in missing:
                cell = replace(cell, missing="not measured (0 of 3 images)")
            else:
                cell = replace(cell, images=3, metrics={"psnr": 30.0}, macs=counted[row])
            named = paper_system(experiment, row)
            cells[row, role, scale] = replace(
                cell, **printed_fields(experiment, named, role, scale)
            )
    printed = {
        (row, role, scale): CellMean(row, role, "", scale, False, (), 0, missing="not ours")
        for row in others(experiment)
        for scale in experiment.scales
    }
    return Report(experiment, plan, cells, (), printed), counted


def percentages(report: Report, table: Table) -> dict[str, tuple[str, str]]:
    """By row: the name of its line, and what stands in the first column."""
    names = {report.label(row): row for row in report.experiment.rows}
    found, row = {}, ""
    for line in table.rows:
        row = names.get(line.head[0], row)
        if line.head[1].startswith("% of"):
            found[row] = (line.head[1], line.cells[0].text)
    return found


def over(*encoders: str, decoders: tuple[str, ...] = ("liif", "lte")) -> dict[str, tuple[str, str]]:
    """Every MoEISR variant with the name and the row of its baseline."""
    return {
        f"{encoder}-moeisr-{decoder}-{variant}": (decoder.upper(), f"{encoder}-{decoder}")
        for encoder in encoders
        for decoder in decoders
        for variant in ("s", "b")
    }


DEPTHS = ("rdn-liif-4layer", "rdn-liif-3layer", "rdn-liif-2layer")
EXPECTED = {
    "table1": over("edsr", "rdn", "swinir"),
    "table3": over("edsr", "rdn", "swinir"),
    "table4": dict.fromkeys(
        (*DEPTHS, *over("rdn", decoders=("liif",))), ("LIIF-5layer", "rdn-liif")
    ),
    **{name: {} for name in ("table5", "figure1", "figure5", "controllable", "seemore-table1")},
    "figure3": over("rdn"),
    "figure4": over("rdn"),
    "compare": {
        **over("edsr", decoders=("liif", "lte", "ipe")),
        "edsr-lmliif": ("LIIF", "edsr-liif"),
        "edsr-lmlte": ("LTE", "edsr-lte"),
        "edsr-igconv-plus": ("IGConv", "edsr-igconv"),
    },
    "igconv-table2": {"edsr-large-igconv-plus": ("IGConv", "edsr-large-igconv")},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_percent_are_of_the_methods_own_baseline(name):
    experiment = get(name)
    report, counted = made_up(experiment)
    found = percentages(report, macs_table(report, experiment.roles[0]))
    assert found == {
        row: (f"% of {named}", f"{100 * counted[row] / counted[base]:.1f}")
        for row, (named, base) in EXPECTED[name].items()
    }


def test_there_are_none_of_what_was_not_measured():
    experiment = get("figure3")
    report, _ = made_up(experiment, missing=("rdn-liif",))
    found = percentages(report, macs_table(report, experiment.roles[0]))
    assert set(found) == {"rdn-moeisr-lte-s", "rdn-moeisr-lte-b"}


def test_published_percentages_stay_beside_a_baseline_that_was_not_measured():
    report, _ = made_up(get("table3"), missing=("edsr-liif",))
    table = macs_table(report, "Set14")
    lines = {row.head[1] for row in table.rows}
    assert {"published % of LIIF", "published % of LTE"} <= lines
