"""Tables with one row for a method: texts, best values, reasons of what is empty."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.report import words
from harness.report.data import Report, Result
from harness.report.model import Entry, Table
from harness.report.text import MISSING, scale_text, sentences
from harness.runs.experiment import IN_SCALE, method_at

Best = Callable[..., Any]
"""`max` or `min`."""


@dataclass(frozen=True)
class Column:
    """Column of a table.

    Attributes:
        group: heading over several columns; "" for none.
        entry: makes the entry of a row.
        best: finds the best of some values (min or max); None for a column without a best.
        scale: scale that it is of; None for none or several.
    """

    group: str
    head: str
    entry: Callable[[str], Entry]
    best: Best | None = None
    scale: float | None = None


def table(
    report: Report,
    key: str,
    title: str,
    columns: Sequence[Column],
    notes: Sequence[str] = (),
    *,
    caption: str = "",
    role: str = "",
    own: bool = False,
    folds: bool = True,
    reasons_suffice: bool = False,
) -> Table | None:
    """Make a table with the rows that have something in a column; None where none has.

    Args:
        report: the report.
        key: unique in the report; a table of a role has the role's name behind it.
        title: heading; a table of a role names what was measured behind it.
        columns: the columns.
        notes: sentences under the table, behind the reasons of empty places; "" is none.
        caption: one sentence; of a table of a role, its images and setting if left out.
        role: set of the paper that it is of; "" for all of them.
        own: whether it is of our systems alone, and not of those that only the paper has.
        folds: whether rows that were not run are left out (`words.not_run` names them).
        reasons_suffice: whether a table without any number is shown, for its reasons.
    """
    if role:
        key = key if len(report.shown_roles) == 1 else f"{key}-{role}"
        title = f"{title}, {words.shown_set(report, role)}"
        caption = caption or words.caption(report, role)
    every = report.experiment.groups if own else report.blocks
    listed = [[r for r in b if not folds or report.is_other(r) or report.is_run(r)] for b in every]
    made = {row: [column.entry(row) for column in columns] for block in listed for row in block}
    for number, column in enumerate(columns):
        for rivals in _rivals(report, column, listed):
            found = {row: made[row][number] for row in rivals}
            for row, mark in _ranks(column.best or max, found).items():
                if row not in report.experiment.common:
                    made[row][number] = replace(found[row], mark=mark)
    letters: dict[str, str] = {}  # of the reasons of empty places; equal ones share a letter
    blocks = []
    for block in listed:
        rows = [row for row in block if any(e.text or e.published or e.why for e in made[row])]
        named = [(words.row_name(report, row), _lettered(made[row], letters)) for row in rows]
        blocks += [tuple(named)] * bool(named)
    entries = [entry for block in blocks for _, row in block for entry in row]
    known = any(e.text not in ("", MISSING) or (e.published and not e.why) for e in entries)
    if not entries or not (known or reasons_suffice):
        return None
    said = (
        *(f"[{letter}] {why}." for why, letter in letters.items()),
        *notes,
        "" if own else words.others_note(report, [row for block in listed for row in block]),
    )
    heads = tuple((column.group, column.head) for column in columns)
    return Table(key, title, caption, heads, tuple(blocks), tuple(filter(None, said)), role)


def _lettered(entries: Sequence[Entry], letters: dict[str, str]) -> tuple[Entry, ...]:
    """Give places without a number the letter of their reason; new reasons get the next one."""
    return tuple(
        replace(entry, letter=letters.setdefault(entry.why, _letter(len(letters))))
        if entry.why and not entry.text
        else entry
        for entry in entries
    )


def _letter(number: int) -> str:
    """Return a, b, ..., z, aa, ab, ..."""
    higher, place = divmod(number, 26)
    return (_letter(higher - 1) if higher else "") + chr(ord("a") + place)


def _rivals(report: Report, column: Column, listed: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """List the rows among which a column has a best: those of each block, or of all."""
    if column.best is None:
        return []
    if report.experiment.best_of == "block":
        return [[row for row in block if not report.is_other(row)] for block in listed]
    rows = (row for block in report.experiment.blocks for row in block.methods)
    scale = column.scale
    able = [row for row in rows if report.is_run(row) and (not scale or method_at(row, scale))]
    return [able]


def _ranks(best: Best, rivals: Mapping[str, Entry]) -> dict[str, str]:
    """Mark the best and the second at printed precision; none where a value is missing."""
    values = {entry.text: entry.value for entry in rivals.values()}
    marks: dict[str, str] = {}
    if None in values.values():
        return marks
    for mark, fewest in (("best", 2), ("second", 3)):
        if len(rivals) >= fewest and values:
            text = best(values, key=values.__getitem__)
            marks |= {row: mark for row, entry in rivals.items() if entry.text == text}
            del values[text]
    return marks


def by_scale(
    scales: Sequence[float],
    entry: Callable[[str, float], Entry],
    best: Best | None = None,
    group: str = "",
) -> list[Column]:
    """Make a column for each scale of what an entry is made of (row, scale).

    They stand under a group, or under the ranges that training covers or not.
    """

    def column(scale: float) -> Column:
        head = group or ("in-scale" if scale <= IN_SCALE else "out-of-scale")
        return Column(head, scale_text(scale), lambda row: entry(row, scale), best, scale)

    return [column(scale) for scale in scales]


def scale_table(
    report: Report,
    role: str,
    key: str,
    title: str,
    entry: Callable[[Result], Entry],
    best: Best | None = None,
    notes: Sequence[str] = (),
) -> Table | None:
    """Make a table of a set with a column for each scale; None where no row has a number."""
    columns = by_scale(report.scales, lambda row, scale: entry(report.at(row, role, scale)), best)
    folds = role in report.roles
    return table(report, key, title, columns, notes, role=role, folds=folds, reasons_suffice=True)


def number(
    result: Result,
    value: float | None,
    text: str,
    published: str = "",
    detail: str = "",
    beside: str = "",
) -> Entry:
    """Make the entry of a measured number, beside the published one; or say why there is none."""
    said = f"published {published}" if published else ""
    if value is None:
        why = "" if result.role and not result.dataset else result.missing or result.unscored
        return Entry("", published, sentences(why, said), why)
    detail = "; ".join(filter(None, [detail, said]))
    return Entry(text, published, detail, value=value, beside=beside)


__all__ = ["Best", "Column", "Entry", "by_scale", "number", "scale_table", "table"]
