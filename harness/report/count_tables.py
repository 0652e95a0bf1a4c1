"""Tables of counts: counted numbers, the published figures under them, and whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.experiments.counts import Counts, Part, Reference
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.counts import Count, CountedCell, CountedTable
from harness.report.layout import Cell, Notes, Row, Table
from harness.report.text import MISSING, decimals, scale_text


@dataclass(frozen=True)
class _CountLine:
    """Line that every row may have; `text` returns None where it has nothing."""

    name: str
    text: Callable[[CountedCell], str | None]
    kind: str = "aside"


@dataclass(frozen=True)
class _Contents:
    """Contents of a table: the number of its `Counts`, its count of a cell, its references."""

    number: int
    count: Callable[[CountedCell], Count]
    references: Sequence[Reference]
    note: str = ""


_PARTS: dict[Part, str] = {
    "all": "",
    "decoder": " behind the encoder",
    "upsampler": " of the upsampler, made for a scale",
}


def count_tables(report: Report) -> list[Table]:
    """Make tables of parameters and MACs, for each of the experiment's `Counts`."""
    tables = []
    for number, counts in enumerate(report.experiment.counts):
        made = [_parameters(report, counts, number), _macs(report, counts, number)]
        tables += [table for table in made if table.rows]
    return tables


def _parameters(report: Report, counts: Counts, number: int) -> Table:
    def count(cell: CountedCell) -> Count:
        return cell.parameters

    part = _PARTS[counts.part]
    lines = _lines(count, counts.parameters, "{:,.0f}".format, "{:,.0f}".format)
    about = _Contents(number, count, counts.parameters)
    return _table(report, about, "parameters", f"Parameters{part}", lines)


def _macs(report: Report, counts: Counts, number: int) -> Table:
    def count(cell: CountedCell) -> Count:
        return cell.macs

    unit, name = counts.unit
    part = f"MACs{_PARTS[counts.part]}"
    lines = _lines(
        count, counts.macs, lambda n: decimals(n / unit), lambda value: f"{value / unit:g}"
    )
    if unit != 1e9:
        lines.insert(1, _CountLine("in GMACs", lambda c: _giga(c.macs.counted)))
    cells = report.counts[number]
    lines += [_CountLine(f"% of {n}", _percent(report, cells, n)) for n in report.baseline_names]
    about = _Contents(number, count, counts.macs, counts.note)
    return _table(report, about, "counts", f"{part} ({name}), {counts.size}", lines)


def _giga(value: int | None) -> str | None:
    return None if value is None else decimals(value / 1e9)


def _lines(
    count: Callable[[CountedCell], Count],
    references: Sequence[Reference],
    show_count: Callable[[int], str],
    show_figure: Callable[[float], str],
) -> list[_CountLine]:
    """Make the line of the count, and for each reference its figure and whether they agree."""

    def counted(cell: CountedCell) -> str | None:
        return " to ".join(map(show_count, count(cell).ends)) or None

    def figure(number: int) -> Callable[[CountedCell], str | None]:
        def text(cell: CountedCell) -> str | None:
            found = count(cell).beside[number]
            return None if found is None else found.text or show_figure(found.value)

        return text

    def agreement(number: int) -> Callable[[CountedCell], str | None]:
        return lambda cell: count(cell).agreement(count(cell).beside[number])

    lines = [_CountLine("counted", counted, "measured")]
    for number, reference in enumerate(references):
        lines += [
            _CountLine(reference.name, figure(number)),
            _CountLine("agreement", agreement(number)),
        ]
    return lines


def _percent(report: Report, cells: CountedTable, name: str) -> Callable[[CountedCell], str | None]:
    """Compute percentages of a baseline of this name, for the rows whose own it is."""

    def text(cell: CountedCell) -> str | None:
        if report.baseline_name(cell.method) != name:
            return None
        base, own = cells[report.baseline(cell.method), cell.scale].macs.counted, cell.macs.counted
        return decimals(100 * own / base) if base and own is not None else None

    return text


def _table(
    report: Report, of: _Contents, key: str, title: str, lines: Sequence[_CountLine]
) -> Table:
    """Make a column for each scale, or one column where no number depends on it."""
    notes, cells = Notes(), report.counts[of.number]
    scales = _columns(report, cells, lines)
    rows: list[Row] = []
    for block in report.blocks:
        rows += _block_rows(
            report, [[cells[row, s] for s in scales] for row in block], lines, notes
        )
    general = [of.note, *_reference_notes(of.references), *_figure_notes(report, of, scales)]
    general.append(captions.others_note([row.head[0] for row in rows]))
    one = len(scales) < len(report.scales)
    return Table(
        key=key if of.number == 0 else f"{key}-{of.number + 1}",
        title=title,
        caption=captions.COUNTED,
        groups=(),
        header=("Method", "", *(["any scale"] if one else map(scale_text, scales))),
        rows=tuple(rows),
        notes=(*((m, t) for t, m in notes.marks.items()), *(("", t) for t in general if t)),
    )


def _columns(report: Report, cells: CountedTable, lines: Sequence[_CountLine]) -> Sequence[float]:
    """List the scales; only the first where every line is the same at all of them."""
    said = (
        {line.text(cells[row, scale]) for scale in report.scales}
        for block in report.blocks
        for row in block
        for line in lines
    )
    return report.scales[:1] if all(len(texts) == 1 for texts in said) else report.scales


def _block_rows(
    report: Report,
    block: Sequence[Sequence[CountedCell]],
    lines: Sequence[_CountLine],
    notes: Notes,
) -> list[Row]:
    """Make the lines of a block's rows; one without any text only says what is lacking."""
    rows: list[Row] = []
    for cells in block:
        named = False
        for line in lines:
            texts = [line.text(cell) for cell in cells]
            ours = not report.is_other(cells[0].method)
            lacking = ours and line.kind == "measured" and any(cell.missing for cell in cells)
            if not any(texts) and not lacking:
                continue
            shown = tuple(_shown(t, c, line, notes) for t, c in zip(texts, cells, strict=True))
            name = "" if named else captions.row_name(report, cells[0].method)
            rows.append(Row((name, line.name), shown, not rows, line.kind))
            named = True
    return rows


def _shown(text: str | None, cell: CountedCell, line: _CountLine, notes: Notes) -> Cell:
    """Format a cell; a line of counts says why one is missing."""
    if text is not None:
        return Cell(text)
    why = [cell.missing] if cell.missing and line.kind == "measured" else []
    return Cell(MISSING, mark=notes.mark(why))


def _reference_notes(references: Sequence[Reference]) -> list[str]:
    """Explain the lines under a count."""
    if not references:
        return []
    notes = [f"{reference.name}: {reference.about}." for reference in references]
    notes.append(
        "Agreement: equal, rounded to the printed digit; in range, what some image costs, so "
        "rounded; else how much more is counted."
    )
    if any(reference.estimated for reference in references):
        notes[-1] += " What was read off a figure has no digit to agree with."
    return notes


def _figure_notes(report: Report, of: _Contents, scales: Sequence[float]) -> list[str]:
    """List the notes on single published figures."""
    found: dict[str, list[str]] = {}
    for (row, scale), cell in report.counts[of.number].items():
        if scale in scales:
            for note in dict.fromkeys(p.note for p in of.count(cell).beside if p and p.note):
                at = f" {scale_text(scale)}" if len(scales) > 1 else ""
                found.setdefault(note, []).append(f"{report.label(row)}{at}")
    return [f"Published {captions.listed(where)}: {note}." for note, where in found.items()]
