"""Tables of latency and peak memory: a column per scale, of one LR image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.measure.timing import Spread
from harness.report import words
from harness.report.costs import Measured, mebibytes, memory_in_words, milliseconds, quartiles
from harness.report.data import Report
from harness.report.model import Section, Table, section
from harness.report.tables import Entry, by_scale, table
from harness.runs.experiment import SectionMaker


@dataclass(frozen=True)
class Latency(SectionMaker):
    """Table of median and quartiles of warm calls, in milliseconds."""

    costs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        measured = report.costs.latency
        calls = sorted({len(row["values"]) for row in measured.rows.values()})
        notes = [
            f"Median of {' or '.join(map(str, calls))} warm calls, from the LR image to the SR "
            "image in memory; in brackets the quartiles. All systems of a scale enlarge the same "
            "image.",
            measured.turns(report.scales),
            measured.load(),
            "What a network with experts takes depends on the image.",
        ]
        made = _table(report, "latency", "Latency (ms)", measured, _time, notes)
        return section("latency", "Latency", [made])


@dataclass(frozen=True)
class Memory(SectionMaker):
    """Table of peak memory, in MiB."""

    costs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        measured = report.costs.memory
        kind = measured.setting.memory_kind if measured.setting else ""
        notes = [
            f"{memory_in_words(kind)} Weights and SR image included. Each system and scale is "
            "measured once, in a process of its own."
        ]
        made = _table(report, "memory", "Peak memory (MiB)", measured, _bytes, notes)
        return section("memory", "Peak memory", [made])


def _time(value: Spread) -> str:
    spread = quartiles(value)
    return f"{milliseconds(value.median)} [{spread}]" if spread else milliseconds(value.median)


def _bytes(value: Spread) -> str:
    return mebibytes(value.median)


def cost_entry(measured: Measured, row: str, scale: float, show: Callable[[Spread], str]) -> Entry:
    """Make the entry of a cost, or say why there is none."""
    found = measured.at(row, scale)
    if found is None:
        return Entry(why=measured.missing[row, scale])
    return Entry(show(found), value=found.median)


def _table(
    report: Report,
    key: str,
    title: str,
    measured: Measured,
    show: Callable[[Spread], str],
    notes: Sequence[str],
) -> Table | None:
    columns = by_scale(
        report.scales, lambda row, scale: cost_entry(measured, row, scale, show), min
    )
    caption = words.setting_of_costs(report, measured)
    return table(report, key, title, caption, columns, notes, report.experiment.groups)
