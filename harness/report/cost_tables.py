"""Tables of latency and peak memory: a column per scale, of one LR image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from harness.profiling.cost_rows import OWN_MEMORY
from harness.profiling.timing import Spread
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.costs import Measured
from harness.report.layout import Cell, Notes, Row, Table, is_best, rivals_of, scale_groups
from harness.report.text import EN_DASH, MISSING, decimals, scale_text

Show = Callable[[float], str]


def latency_table(report: Report) -> Table:
    """Make the table of median and quartiles of warm calls, in milliseconds."""
    measured = report.costs.latency
    notes = [
        f"Median of {_listed(measured.calls())} warm calls, from the LR image to the SR image in "
        "memory; quartiles below. All systems of a scale enlarge the same image.",
        turns_note(measured, report.scales),
        load_note(measured),
        "What a network with experts takes depends on the image.",
    ]
    return _table(report, "latency", "Latency (ms)", "median", measured, milliseconds, notes)


def memory_table(report: Report) -> Table:
    """Make the table of peak memory, in MiB."""
    measured = report.costs.memory
    kind = measured.setting.memory_kind if measured.setting else ""
    notes = [
        f"{memory_in_words(kind)} Weights and SR image included. Each system and scale is measured "
        "once, in a process of its own."
    ]
    return _table(report, "memory", "Peak memory (MiB)", "", measured, mebibytes, notes)


def turns_note(measured: Measured, scales: Sequence[float]) -> str:
    """Say whether systems were timed in interleaved runs; "" where nothing was timed."""
    if not measured.rows:
        return ""
    apart = measured.apart(scales)
    if not apart:
        return "Their calls are interleaved, so that other load of the machine affects all of them."
    listed = ", ".join(map(scale_text, apart))
    return f"NOT all of {listed} were timed in interleaved runs, but at different times."


def milliseconds(seconds: float) -> str:
    """Format with three digits, or more where they stand before the point."""
    value = 1000 * seconds
    return decimals(value, digits=2 if value < 9.995 else 1 if value < 99.95 else 0)


def mebibytes(count: float) -> str:
    """Format bytes in MiB."""
    return decimals(count / 2**20, digits=1)


def memory_in_words(kind: str) -> str:
    """Say which kind of peak it is, as a sentence; `kind` as in stored rows."""
    imported = "above that of a process that has only imported the program"
    return {
        OWN_MEMORY: f"Resident memory of the process without that of files (libraries), at its "
        f"peak while the image is enlarged, {imported}.",
        "process": f"Resident memory at its peak while the image is enlarged, {imported}.",
        "process since start": f"Resident memory at its peak since the process began, {imported}.",
        "cuda allocator": "Peak of the CUDA allocator while the image is enlarged.",
    }.get(kind, "Peak memory.")


def quartiles(value: Spread, show: Show) -> str:
    """Format as `11.9-12.8`; empty where there is one value."""
    return "" if value.low == value.high else f"{show(value.low)}{EN_DASH}{show(value.high)}"


def _listed(numbers: Sequence[int]) -> str:
    return " or ".join(map(str, numbers)) or "no"


def load_note(measured: Measured) -> str:
    """Say how busy the machine was: a timing on a busy one is an upper bound."""
    loads = measured.loads()
    if loads is None or measured.setting is None:
        return ""
    cores = dict(measured.setting.machine)["cores"]
    return (
        f"Load of the machine before the measurements: {loads[0]:g} to {loads[1]:g}, on {cores} "
        "cores."
    )


def _table(
    report: Report,
    key: str,
    title: str,
    line: str,
    measured: Measured,
    show: Show,
    notes: Sequence[str],
) -> Table:
    marks, rows = Notes(), []
    for block in report.experiment.groups:
        for number, row in enumerate(block):
            lines = _lines(report, measured, block, row, show, marks)
            name = captions.measured_name(report, row)
            rows.append(Row((name, line), tuple(lines[0]), number == 0))
            if any(cell.text for cell in lines[1]):
                rows.append(Row(("", "quartiles"), tuple(lines[1]), kind="aside"))
    if all(row.kind == "aside" or _empty(row) for row in rows):
        rows = []
    bold = f"Bold: least of a {report.experiment.best_of}; unmarked where a value is missing."
    return Table(
        key=key,
        title=title,
        caption=captions.costs_provenance(report, measured),
        brief=captions.costs_provenance(report, measured, whole=False),
        groups=scale_groups(report),
        header=("Method", "", *map(scale_text, report.scales)),
        rows=tuple(rows),
        notes=(*((m, t) for t, m in marks.marks.items()), *(("", t) for t in (*notes, bold) if t)),
    )


def _empty(row: Row) -> bool:
    return all(cell.text == MISSING for cell in row.cells)


def _lines(
    report: Report, measured: Measured, block: Sequence[str], row: str, show: Show, marks: Notes
) -> tuple[list[Cell], list[Cell]]:
    """Make the lines of medians, and quartiles, of a row at every scale."""
    medians, spreads = [], []
    for scale in report.scales:
        value = measured.at(row, scale)
        if value is None:
            medians.append(Cell(MISSING, mark=marks.mark([measured.missing[row, scale]])))
            spreads.append(Cell(""))
            continue
        text = show(value.median)
        rivals = [measured.median(other, scale) for other in rivals_of(report, block, scale)]
        medians.append(Cell(text, bold=is_best(text, rivals, show, min)))
        spreads.append(Cell(quartiles(value, show)))
    return medians, spreads
