"""Networks as they were measured: size, training, weights and machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.report.data import Report, Result
from harness.report.model import Section, section
from harness.report.tables import Column, Entry, table
from harness.report.text import MISSING, singular
from harness.runs.experiment import SectionMaker

_COLUMNS: dict[str, Callable[[Result], Iterable[str]]] = {
    "Parameters": lambda result: (f"{int(n):,}" for n in result.rows["parameters"].dropna()),
    "Steps": lambda result: (f"{int(steps):,}" for steps in result.rows["trained_steps"] if steps),
    "Seed": lambda result: map(str, result.seeds if any(result.source("checkpoint")) else ()),
    "Checkpoint": lambda result: (text[:10] for text in result.source("checkpoint")),
    "Precision": lambda result: result.source("precision"),
    "Device": lambda result: map(singular, result.source("device")),
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


def _entry(report: Report, role: str, of: Callable[[Result], Iterable[str]], row: str) -> Entry:
    """List the different texts of the results of a row."""
    results = (report.at(row, role, scale) for scale in report.scales)
    texts = (text for result in results if not result.missing for text in of(result))
    return Entry(", ".join(dict.fromkeys(texts)) or MISSING)
