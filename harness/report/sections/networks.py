"""Networks as they were measured: size, training, weights and machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.report.data import Cell, Report
from harness.report.model import Section, section
from harness.report.tables import Column, Entry, table
from harness.report.text import MISSING, singular
from harness.runs.experiment import SectionMaker

_COLUMNS: dict[str, Callable[[Cell], Iterable[str]]] = {
    "Parameters": lambda cell: (f"{int(n):,}" for n in cell.rows["parameters"].dropna()),
    "Steps": lambda cell: (f"{int(steps):,}" for steps in cell.rows["trained_steps"] if steps),
    "Seed": lambda cell: map(str, cell.seeds if any(cell.source("checkpoint")) else ()),
    "Checkpoint": lambda cell: (text[:10] for text in cell.source("checkpoint")),
    "Precision": lambda cell: cell.source("precision"),
    "Device": lambda cell: map(singular, cell.source("device")),
}


@dataclass(frozen=True)
class Networks(SectionMaker):
    """Table of parameters, training and machine of every method."""

    def make(self, report: Report, folder: Path | None) -> Section | None:
        made = (
            table(
                report,
                "networks",
                "Networks as measured",
                [Column("", h, partial(_entry, report, role, of)) for h, of in _COLUMNS.items()],
                role=role,
                own=True,
            )
            for role in report.roles
        )
        return section("networks", "Networks", made)


def _entry(report: Report, role: str, of: Callable[[Cell], Iterable[str]], row: str) -> Entry:
    """List the different texts of the cells of a row."""
    cells = (report.at(row, role, scale) for scale in report.scales)
    texts = (text for cell in cells if not cell.missing for text in of(cell))
    return Entry(", ".join(dict.fromkeys(texts)) or MISSING)
