"""Networks as they were measured: size, training, weights and machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from harness.report import words
from harness.report.data import Report
from harness.report.model import Section, section
from harness.report.tables import Column, Entry, role_key, table
from harness.report.text import MISSING
from harness.runs.experiment import SectionMaker

_COLUMNS = {
    "Parameters": "parameters",
    "Steps": "",
    "Seed": "",
    "Checkpoint": "checkpoint",
    "Precision": "precision",
    "Device": "device",
}


@dataclass(frozen=True)
class Networks(SectionMaker):
    """Table of parameters, training and machine of every method."""

    def make(self, report: Report, folder: Path | None) -> Section | None:
        made = (
            table(
                report,
                role_key(report, role, "networks"),
                f"Networks as measured, {words.shown_set(report, role)}",
                words.caption(report, role),
                [Column("", head, _entry(report, role, head)) for head in _COLUMNS],
                blocks=report.experiment.groups,
                role=role,
            )
            for role in report.roles
        )
        return section("networks", "Networks", made)


def _entry(report: Report, role: str, head: str) -> Callable[[str], Entry]:
    def entry(row: str) -> Entry:
        cells = [report.at(row, role, scale) for scale in report.scales]
        cells = [cell for cell in cells if not cell.missing]
        column = _COLUMNS[head]
        if head == "Seed":
            texts = [str(n) for cell in cells if any(cell.source("checkpoint")) for n in cell.seeds]
        elif head == "Steps":
            steps = [n for cell in cells for n in cell.rows["trained_steps"]]
            texts = [f"{int(each):,}" for each in steps if each]
        elif head == "Parameters":
            values = [cell.metric(column) for cell in cells]
            texts = [f"{int(value):,}" for value in values if value is not None]
        else:
            texts = [
                text[:10] if column == "checkpoint" else text
                for c in cells
                for text in c.source(column)
            ]
        return Entry(", ".join(dict.fromkeys(texts)) or MISSING)

    return entry
