"""Tables with one row for a method: texts, best values, reasons of what is empty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

import pandas as pd

from harness.report import words
from harness.report.data import Cell, Report
from harness.report.model import Table
from harness.report.text import MISSING, scale_text, sentences
from harness.runs.experiment import IN_SCALE, method_at

BOLD = "Bold: best, underlined: second, at printed precision; unmarked where a value is missing."


@dataclass(frozen=True)
class Entry:
    """Content of a place of a table.

    Attributes:
        text: printed number; "" where there is none.
        published: printed number of the paper, shown beside it in parentheses.
        detail: what a tooltip says.
        why: why there is no number; it becomes a note.
        value: number that is compared with those of other rows.
        mark: mark of the entry itself, where none is found by comparison.
    """

    text: str = ""
    published: str = ""
    detail: str = ""
    why: str = ""
    value: float | None = None
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Attributes:
        group: heading over several columns; "" for none.
        entry: makes the entry of a row.
        best: finds the best of some values (min or max); None for a column without a best.
    """

    group: str
    head: str
    entry: Callable[[str], Entry]
    best: Callable[[Sequence[float]], float] | None = None
    scale: float | None = None


@dataclass
class _Notes:
    """Reasons of a table in the making; equal ones share a letter."""

    letters: dict[str, str] = field(default_factory=dict)

    def mark(self, why: str) -> str:
        number = self.letters.setdefault(why, _letter(len(self.letters)))
        return f"[{number}]"


def _letter(number: int) -> str:
    """Yield a, b, ..., z, aa, ab, ..."""
    higher, place = divmod(number, 26)
    return (_letter(higher - 1) if higher else "") + chr(ord("a") + place)


def table(
    report: Report,
    key: str,
    title: str,
    caption: str,
    columns: Sequence[Column],
    notes: Sequence[str] = (),
    blocks: Sequence[Sequence[str]] | None = None,
    folds: bool = True,
    reasons_suffice: bool = False,
) -> Table | None:
    """Make a table with the rows that have something in a column; None where none has.

    Args:
        report: the report.
        key: unique in the report.
        title: heading.
        caption: one sentence.
        columns: the columns.
        notes: sentences under the table, behind the reasons of empty places.
        blocks: rows; those of the report, if left out.
        folds: whether rows that were not run are named in one line instead.
        reasons_suffice: whether a table without any number is shown, for its reasons.
    """
    reasons = _Notes()
    # Every entry is made once: rows are compared with each other.
    columns = [replace(column, entry=cache(column.entry)) for column in columns]
    cells, marks, details, index = [], [], [], []
    for block in report.blocks if blocks is None else blocks:
        rows = [r for r in block if not folds or report.is_other(r) or report.is_run(r)]
        for row in rows:
            made = [column.entry(row) for column in columns]
            if not any(e.text or e.published or e.why for e in made):
                continue
            index.append((report.label(block[0]), words.row_name(report, row)))
            cells.append([_text(entry, reasons) for entry in made])
            marks.append(
                [e.mark or _mark(report, c, row, rows) for c, e in zip(columns, made, strict=True)]
            )
            details.append([entry.detail or entry.why for entry in made])
    shown = [row for block in report.blocks for row in block]
    known = any(text.partition(" ")[0] not in ("", MISSING) for line in cells for text in line)
    if not cells or not (known or reasons_suffice):
        return None
    heads = pd.MultiIndex.from_tuples([(c.group, c.head) for c in columns], names=_HEADS)
    best = BOLD if any(column.best for column in columns) else ""
    listed = [f"[{letter}] {why}." for why, letter in reasons.letters.items()]
    more = [*notes, best, words.others_note(report, shown if blocks is None else ())]
    return Table(
        key,
        title,
        caption,
        _frame(cells, index, heads),
        _frame(marks, index, heads),
        _frame(details, index, heads),
        notes=tuple(filter(None, [*listed, *more])),
        folded=words.not_run(report) if folds else "",
    )


_HEADS = ("group", "column")


def _frame(
    content: list[list[str]], index: list[tuple[str, str]], columns: pd.MultiIndex
) -> pd.DataFrame:
    rows = pd.MultiIndex.from_tuples(index, names=("block", "method"))
    return pd.DataFrame(content, index=rows, columns=columns)


def _text(entry: Entry, reasons: _Notes) -> str:
    text = entry.text
    if not text and entry.why:
        text = f"{MISSING} {reasons.mark(entry.why)}"
    return " ".join(filter(None, [text, f"({entry.published})" if entry.published else ""]))


def _mark(report: Report, column: Column, row: str, block: Sequence[str]) -> str:
    """Compare a row with its block (or all blocks); if a value is missing, none is the best."""
    experiment = report.experiment
    if column.best is None or row in experiment.common or report.is_other(row):
        return ""
    rivals = [r for r in block if not report.is_other(r)]
    if experiment.best_of == "column":
        rows = [r for each in experiment.blocks for r in each.methods if report.is_run(r)]
        rivals = [r for r in rows if column.scale is None or method_at(r, column.scale)]
    entries = {rival: column.entry(rival) for rival in rivals}
    if row not in entries or any(entry.value is None for entry in entries.values()):
        return ""
    # What stands behind the number (seeds, quartiles) decides nothing.
    by_text = {_number(e): e.value for e in entries.values() if e.value is not None}
    for mark, fewest in (("best", 2), ("second", 3)):
        if len(rivals) < fewest or not by_text:
            return ""
        best = column.best(list(by_text.values()))
        text = next(text for text, value in by_text.items() if value == best)
        if _number(entries[row]) == text:
            return mark
        del by_text[text]
    return ""


def _number(entry: Entry) -> str:
    return entry.text.partition(" ")[0]


def scale_columns(
    report: Report,
    role: str,
    entry: Callable[[Cell], Entry],
    best: Callable[[Sequence[float]], float] | None = None,
) -> list[Column]:
    """Make a column for each scale, under the ranges that training covers or not."""
    return by_scale(report.scales, lambda row, scale: entry(report.at(row, role, scale)), best)


def by_scale(
    scales: Sequence[float],
    entry: Callable[[str, float], Entry],
    best: Callable[[Sequence[float]], float] | None = None,
    group: str = "",
) -> list[Column]:
    """Make a column for each scale of what an entry is made of (row, scale)."""
    columns = []
    for scale in scales:

        def of_row(row: str, scale: float = scale) -> Entry:
            return entry(row, scale)

        covered = "in-scale" if scale <= IN_SCALE else "out-of-scale"
        columns.append(Column(group or covered, scale_text(scale), of_row, best, scale))
    return columns


def role_key(report: Report, role: str, key: str) -> str:
    """Make a key that is unique in the report."""
    return key if len(report.shown_roles) == 1 else f"{key}-{role}"


def scale_table(
    report: Report,
    role: str,
    key: str,
    title: str,
    entry: Callable[[Cell], Entry],
    best: Callable[[Sequence[float]], float] | None = None,
    notes: Sequence[str] = (),
) -> Table | None:
    """Make a table with a column for each scale; None where no row has a number."""
    return table(
        report,
        role_key(report, role, key),
        f"{title}, {words.shown_set(report, role)}",
        words.caption(report, role),
        scale_columns(report, role, entry, best),
        notes,
        folds=role in report.roles,
        reasons_suffice=True,
    )


def number(
    cell: Cell, value: float | None, text: str, published: str = "", detail: str = ""
) -> Entry:
    """Make the entry of a measured number, beside the published one."""
    if value is None:
        said = f"published {published}" if published else ""
        why = "" if cell.role and not cell.dataset else cell.missing or cell.unscored
        return Entry("", published, sentences(why, said), why)
    said = f"published {published}" if published else ""
    return Entry(text, published, "; ".join(filter(None, [detail, said])), value=value)
