"""Percentages of multiply-adds are of a method's own baseline, and say of which."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
from report_fixtures import PLAN

from baselines import parse
from harness.experiments import get
from harness.report.data import Report, Result
from harness.report.model import Table
from harness.report.paper import others, paper_system, printed_values
from harness.report.sections.macs import MacsTable
from harness.runs.experiment import Experiment
from harness.runs.plan import PlannedUnit, RoleNote


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
        PlannedUnit(method, role, role, scale, 0, "")
        for method in experiment.methods
        for scale in experiment.scales
    ]
    plan = replace(PLAN, roles=[note], units=planned, reduced=False, methods=[])
    counted = {row: 1e9 * (3 + 2 * n) for n, row in enumerate(experiment.rows)}
    results = {}
    for row in experiment.rows:
        for scale in experiment.scales:
            printed = printed_values(experiment, paper_system(row), role, scale)
            result = Result(row, role, role, scale, False, (0,), 3, printed=printed)
            if row in missing:
                result = replace(result, missing="not measured (0 of 3 images)")
            else:
                result = replace(
                    result, images=3, means={"macs": SimpleNamespace(mean=counted[row])}
                )
            results[row, role, scale] = result
    printed = {
        (row, role, scale): Result(row, role, "", scale, missing="not ours")
        for row in others(experiment)
        for scale in experiment.scales
    }
    return Report(experiment, plan, results, (), printed), counted


def table(report: Report) -> Table | None:
    """The table of percentages of the first set."""
    section = MacsTable().make(report, None)
    assert section is not None
    return next((t for t in section.tables if t.key.startswith("macs-percent")), None)


def percentages(report: Report) -> dict[str, tuple[str, str]]:
    """By row: the name of its baseline, and what stands in the first column."""
    names = {report.label(row): row for row in report.experiment.rows}
    found, shown = {}, table(report)
    if shown is None:
        return found
    for method, entries in shown.rows:
        if entries[0].text:
            found[names[method]] = (entries[0].detail.removeprefix("of "), entries[0].text)
    return found


def over(*encoders: str, decoders: tuple[str, ...] = ("liif", "lte")) -> dict[str, str]:
    """Every MoEISR variant with the row of its baseline."""
    return {
        f"{encoder}-moeisr-{decoder}-{variant}": f"{encoder}-{decoder}"
        for encoder in encoders
        for decoder in decoders
        for variant in ("s", "b")
    }


DEPTHS = ("rdn-liif-4layer", "rdn-liif-3layer", "rdn-liif-2layer")
EXPECTED = {
    "table1": over("edsr", "rdn", "swinir"),
    "table3": over("edsr", "rdn", "swinir"),
    "table4": dict.fromkeys((*DEPTHS, *over("rdn", decoders=("liif",))), "rdn-liif"),
    **{name: {} for name in ("table5", "figure1", "figure5", "controllable", "seemore-table1")},
    "figure3": over("rdn"),
    "figure4": over("rdn"),
    "compare": {
        **over("edsr", decoders=("liif", "lte", "ipe")),
        "edsr-lmliif": "edsr-liif",
        "edsr-lmlte": "edsr-lte",
        "edsr-igconv-plus": "edsr-igconv",
    },
    "igconv-table2": {"edsr-large-igconv-plus": "edsr-large-igconv"},
}


@pytest.mark.parametrize("name", EXPECTED)
def test_percent_are_of_the_methods_own_baseline(name):
    report, counted = made_up(get(name))
    assert percentages(report) == {
        row: (report.label(base), f"{100 * counted[row] / counted[base]:.1f}")
        for row, base in EXPECTED[name].items()
    }


def test_there_are_none_of_what_was_not_measured():
    report, _ = made_up(get("figure3"), missing=("rdn-liif",))
    assert set(percentages(report)) == {"rdn-moeisr-lte-s", "rdn-moeisr-lte-b"}


def test_published_percentages_stay_beside_a_baseline_that_was_not_measured():
    report, _ = made_up(get("table3"), missing=("edsr-liif",))
    shown = table(report)
    assert shown is not None
    first = {method: entries[0] for method, entries in shown.rows}
    liif, lte = first["EDSR-MoEISR(LIIF)-b"], first["EDSR-MoEISR(LTE)-b"]
    assert (liif.text, liif.published) == ("", "68.5")
    assert lte.text
    assert lte.published == "91.8"
