"""Claims of a paper, beside what follows from the counts of its networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.experiments.published import Claim, claims
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.counts import CountedCell
from harness.report.layout import Cell, Notes, Row, Table
from harness.report.text import MISSING, decimals, scale_text


@dataclass(frozen=True)
class Followed:
    """Claim, and the largest saving that follows from the counts.

    Attributes:
        words: text of the claim.
        percent: largest saving here; None where no count tells.
        where: row and scale of that saving; the reason, where there is none.
    """

    claim: Claim
    words: str
    percent: float | None
    where: str

    @property
    def printed(self) -> str:
        """Value as the paper prints it."""
        bound = "up to " if self.claim.metric.endswith("_max") else ""
        return bound + self.claim.printed.text


_Saving = tuple[float, str]
"""Percentage, and the row and scale that it belongs to."""


def followed(report: Report) -> list[Followed]:
    """List the experiment's claims, with what follows; savings are against a row's baseline."""
    return [
        each
        for source in report.experiment.claims
        for claim in claims(*source)
        for each in _FOLLOWS[claim.metric](report, claim)
    ]


def claims_table(report: Report) -> list[Table]:
    """Make the table of claims; None where an experiment has none."""
    found = followed(report)
    if not found:
        return []
    notes = Notes()
    rows: list[Row] = []
    for each in found:
        mark = notes.mark([each.claim.printed.note] if each.claim.printed.note else [])
        value = MISSING if each.percent is None else f"{decimals(each.percent)} %"
        cells = (Cell(each.printed, mark=mark), Cell(value))
        rows.append(Row((each.words, each.where), cells, not rows))
    table = Table(
        key="claims",
        title="What is claimed, and what follows from the architecture",
        caption=captions.COUNTED,
        groups=(),
        header=("Claim", "The most of it here", "Printed", "Counted"),
        rows=tuple(rows),
        notes=tuple((mark, text) for text, mark in notes.marks.items()),
    )
    return [table]


def _macs(report: Report, claim: Claim) -> Iterator[Followed]:
    """Return the MACs at the scales of the table, and where the scale grows without bound."""
    yield _most(claim, "MACs saved", _savings(report, lambda cell: cell.macs.counted))
    yield _most(claim, "MACs saved", _limits(report))


def _parameters(report: Report, claim: Claim) -> Iterator[Followed]:
    savings = _savings(report, lambda cell: cell.parameters.counted)
    yield _most(claim, "parameters saved", ((p, w.rpartition(",")[0]) for p, w in savings))


def _time(report: Report, claim: Claim) -> Iterator[Followed]:
    del report
    yield Followed(claim, "speed", None, "a time, which no count tells")


_FOLLOWS: dict[str, Callable[[Report, Claim], Iterator[Followed]]] = {
    "compute_reduction_percent_max": _macs,
    "params_saving_percent_max": _parameters,
    "inference_speedup_max": _time,
}


def _most(claim: Claim, words: str, savings: Iterator[_Saving]) -> Followed:
    percent, where = max(savings, default=(None, "not counted"), key=lambda saving: saving[0])
    return Followed(claim, words, percent, where)


def _pairs(report: Report) -> Iterator[tuple[str, str, str]]:
    """List (row, its baseline, both by name)."""
    for row in report.experiment.rows:
        base = report.baseline(row)
        if base:
            yield row, base, f"{report.label(row)} against {report.label(base)}"


def _savings(report: Report, count: Callable[[CountedCell], int | None]) -> Iterator[_Saving]:
    """Compute the savings of each row and scale against the row's baseline."""
    cells = report.counts[0]
    for row, baseline, names in _pairs(report):
        for scale in report.scales:
            own, base = count(cells[row, scale]), count(cells[baseline, scale])
            if own is not None and base:
                yield 100 * (1 - own / base), f"{names}, {scale_text(scale)}"


def _limits(report: Report) -> Iterator[_Saving]:
    """Compute the savings in the part of the MACs that grows with the square of the scale."""
    cells, low, high = report.counts[0], report.scales[0], report.scales[-1]

    def growth(row: str) -> float | None:
        less, more = (cells[row, scale].macs.counted for scale in (low, high))
        return None if less is None or more is None or low == high else float(more - less)

    for row, baseline, names in _pairs(report):
        own, base = growth(row), growth(baseline)
        if own is not None and base:
            yield 100 * (1 - own / base), f"{names}, in the limit of large scales"
