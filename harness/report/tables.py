"""Tables with one row for a method: texts, best values, reasons of what is empty."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import pandas as pd

from harness.report import words
from harness.report.data import Cell, Report
from harness.report.model import Table
from harness.report.text import MISSING, scale_text, sentences
from harness.runs.experiment import IN_SCALE, method_at

BOLD = (
    "Bold: best of a block of rows, underlined: second, at printed precision; unmarked where a "
    "value is missing."
)


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
    role: str = "",
) -> Table | None:
    """Make a table with the rows that have something in a column; None where none has.

    Args:
        report: the report.
        key: unique in the report.
        title: heading.
        caption: one sentence.
        columns: the columns.
        notes: sentences under the table, behind the reasons of empty places; "" is none.
        blocks: rows; those of the report, if left out.
        folds: whether rows that were not run are named in one line instead.
        reasons_suffice: whether a table without any number is shown, for its reasons.
        role: set of the paper that it is of; "" for all of them.
    """
    shown = report.blocks if blocks is None else blocks
    # Every entry is made once: rows are compared with each other.
    columns = [replace(column, entry=cache(column.entry)) for column in columns]
    letters: dict[str, str] = {}  # of the reasons of empty places; equal ones share a letter
    index, lines = [], []
    for block in shown:
        rows = [r for r in block if not folds or report.is_other(r) or report.is_run(r)]
        for row in rows:
            made = [(column, column.entry(row)) for column in columns]
            if any(e.text or e.published or e.why for _, e in made):
                index.append((report.label(block[0]), words.row_name(report, row)))
                marks = [e.mark or _mark(report, column, row, rows) for column, e in made]
                texts = [_text(e, letters) for _, e in made]
                lines.append((texts, marks, [e.detail or e.why for _, e in made]))
    known = any(text.partition(" ")[0] not in ("", MISSING) for line in lines for text in line[0])
    if not lines or not (known or reasons_suffice):
        return None
    heads = pd.MultiIndex.from_tuples([(c.group, c.head) for c in columns], names=_HEADS)
    names = pd.MultiIndex.from_tuples(index, names=("block", "method"))
    frames = (pd.DataFrame(list(part), names, heads) for part in zip(*lines, strict=True))
    cells, ranks, details = frames
    best = BOLD if any(column.best for column in columns) else ""
    listed = [f"[{letter}] {why}." for why, letter in letters.items()]
    others = words.others_note(report, [row for block in shown for row in block])
    said = tuple(filter(None, [*listed, *notes, best, others if blocks is None else ""]))
    folded = words.not_run(report) if folds else ""
    return Table(key, title, caption, cells, ranks, details, said, folded, role)


_HEADS = ("group", "column")


def _letter(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    higher, place = divmod(number, 26)
    return (_letter(higher - 1) if higher else "") + chr(ord("a") + place)


def _text(entry: Entry, letters: dict[str, str]) -> str:
    text = entry.text
    if not text and entry.why:
        text = f"{MISSING} [{letters.setdefault(entry.why, _letter(len(letters)))}]"
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


def by_scale(
    scales: Sequence[float],
    entry: Callable[[str, float], Entry],
    best: Callable[[Sequence[float]], float] | None = None,
    group: str = "",
) -> list[Column]:
    """Make a column for each scale of what an entry is made of (row, scale).

    They stand under a group, or under the ranges that training covers or not.
    """

    def column(scale: float) -> Column:
        head = group or ("in-scale" if scale <= IN_SCALE else "out-of-scale")
        return Column(head, scale_text(scale), lambda row: entry(row, scale), best, scale)

    return [column(scale) for scale in scales]


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
        by_scale(report.scales, lambda row, scale: entry(report.at(row, role, scale)), best),
        notes,
        folds=role in report.roles,
        reasons_suffice=True,
        role=role,
    )


def number(
    cell: Cell, value: float | None, text: str, published: str = "", detail: str = ""
) -> Entry:
    """Make the entry of a measured number, beside the published one."""
    said = f"published {published}" if published else ""
    if value is None:
        why = "" if cell.role and not cell.dataset else cell.missing or cell.unscored
        return Entry("", published, sentences(why, said), why)
    return Entry(text, published, "; ".join(filter(None, [detail, said])), value=value)
