"""Overview with one line for each system: its size, its quality and its costs at one scale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.report import captions
from harness.report.aggregate import Report
from harness.report.cost_tables import (
    load_note,
    mebibytes,
    memory_in_words,
    milliseconds,
    quartiles,
    turns_note,
)
from harness.report.costs import Measured
from harness.report.layout import Cell, Notes, Row, Table, is_best, rivals_of, table_key
from harness.report.systems import parameters_at, system
from harness.report.text import MISSING, TIMES, decimals, scale_text
from harness.report.units import unit_of


@dataclass(frozen=True)
class _Numbers:
    """Column of numbers of the rows at the reference scale.

    Attributes:
        value: returns the number of a row; None where there is none.
        better: min or max.
        missing: returns why there is none, for a mark; None where another column says it.
    """

    head: str
    value: Callable[[str], float | None]
    show: Callable[[float], str]
    better: Callable[[Sequence[float]], float]
    missing: Callable[[str], str] | None = None

    def cell(self, row: str, rivals: Sequence[str], marks: Notes) -> Cell:
        """Format the number of a row; bold if no rival is better."""
        value = self.value(row)
        if value is None:
            why = self.missing(row) if self.missing else ""
            return Cell(MISSING, mark=marks.mark([why]) if why else "")
        text, values = self.show(value), [self.value(rival) for rival in rivals]
        return Cell(text, bold=is_best(text, values, self.show, self.better))


@dataclass(frozen=True)
class _Texts:
    """Column that belongs to the one before it."""

    head: str
    text: Callable[[str], str]

    def cell(self, row: str, rivals: Sequence[str], marks: Notes) -> Cell:
        """Format the text of a row."""
        del rivals, marks
        return Cell(self.text(row))


def reference_scale(report: Report) -> float:
    """Return the last scale that training covers, which every system can do."""
    inside = [s for s in report.scales if s <= report.experiment.in_scale_up_to]
    return inside[-1] if inside else report.scales[0]


def overview_table(report: Report, role: str) -> Table:
    """Make the table of parameters, PSNR, MACs, latency and peak memory at the reference scale."""
    scale = reference_scale(report)
    images, costs = _image_columns(report, role, scale), _cost_columns(report, scale)
    marks, rows = Notes(), []
    for block in report.experiment.groups:
        rivals = rivals_of(report, block, scale)
        for number, row in enumerate(block):
            measured = [column.cell(row, rivals, marks) for column in (*images, *costs)]
            cells = (*_sizes(report, row, scale), *measured)
            rows.append(Row((captions.measured_name(report, row),), cells, number == 0))
    heads = [column.head for column in (*images, *costs)]
    return Table(
        key=table_key(report, role, "overview"),
        title=f"Every system at {scale_text(scale)}, {captions.shown_set(report, role)}",
        caption=captions.caption(report, role),
        brief=captions.brief_caption(report, role),
        groups=(("parameters", 2), ("mean per image", len(images)), (_size(report), len(costs))),
        header=("System", "one model", "all models", *heads),
        rows=tuple(rows),
        notes=(
            *((mark, text) for text, mark in marks.marks.items()),
            *(("", text) for text in _notes(report)),
        ),
    )


def _sizes(report: Report, row: str, scale: float) -> tuple[Cell, Cell]:
    numbers = (parameters_at(report, row, scale), system(report, row).parameters_in_sum)
    one, every = (Cell(f"{n:,}" if n is not None else MISSING) for n in numbers)
    return one, every


def _image_columns(report: Report, role: str, scale: float) -> list[_Numbers]:
    """Make the columns of means over the images of a set."""
    cells = {row: report.at(row, role, scale) for row in report.experiment.rows}
    exponent, letter = unit_of(cell.macs for cell in cells.values())

    def missing(row: str) -> str:
        return cells[row].missing or cells[row].unscored

    def macs(value: float | None) -> float | None:
        return value / 10.0**exponent if value else None

    return [
        _Numbers("PSNR (dB)", lambda row: cells[row].psnr, decimals, max, missing),
        _Numbers(f"{letter}MACs", lambda row: macs(cells[row].macs), decimals, min),
        _Numbers("executed", lambda row: macs(cells[row].executed), decimals, min),
    ]


def _cost_columns(report: Report, scale: float) -> list[_Numbers | _Texts]:
    """Make the columns of latency with its quartiles, and memory."""
    latency, memory = report.costs.latency, report.costs.memory

    def column(head: str, of: Measured, show: Callable[[float], str]) -> _Numbers:
        return _Numbers(
            head, lambda row: of.median(row, scale), show, min, lambda row: of.missing[row, scale]
        )

    def around(row: str) -> str:
        value = latency.at(row, scale)
        return "" if value is None else quartiles(value, milliseconds)

    return [
        column("latency (ms)", latency, milliseconds),
        _Texts("quartiles", around),
        column("memory (MiB)", memory, mebibytes),
    ]


def _size(report: Report) -> str:
    timed = report.costs.latency.setting or report.costs.memory.setting
    return f"LR image of {timed.lr_size[0]}{TIMES}{timed.lr_size[1]}" if timed else "one LR image"


def _notes(report: Report) -> list[str]:
    latency, memory = report.costs.latency.setting, report.costs.memory.setting
    notes = [
        "One model: the one that does this scale. MACs (multiply-adds): all of a system's, encoder "
        "included, the mean per image of the set, as the papers count and as executed here. "
        "Latency and memory are of one LR image."
    ]
    if latency is not None:
        notes.append(
            f"Latency: median and quartiles of warm calls; {latency.in_words()}. "
            + turns_note(report.costs.latency, [reference_scale(report)])
            + f" {load_note(report.costs.latency)}"
        )
    if memory is not None:
        notes.append(f"Memory: {memory_in_words(memory.memory_kind)}")
    notes.append("Bold: best of a column at printed precision; unmarked where a value is missing.")
    return notes
