"""Tables, and the layout that most have: a column per scale, a few lines per method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.experiments import method_at
from harness.metrics import METRICS
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.means import CellMean
from harness.report.text import MISSING, scale_text


@dataclass(frozen=True)
class Cell:
    """Printed text of one table cell; `mark` refers to a note of the table."""

    text: str
    bold: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """Line of a table.

    Attributes:
        head: texts of the leading columns.
        rule: whether a block starts here.
        kind: measured, info or aside (published values, differences, percentages).
    """

    head: tuple[str, ...]
    cells: tuple[Cell, ...]
    rule: bool = False
    kind: str = "measured"


@dataclass(frozen=True)
class Table:
    """Table with its caption and notes.

    Attributes:
        key: short name, for labels and anchors.
        groups: headings over the columns after the leading ones, each with its width.
        header: all column names, leading columns first.
        notes: (mark, text); general notes have no mark.
        brief: caption in documents that begin with the long form; "" for the same caption.
    """

    key: str
    title: str
    caption: str
    groups: tuple[tuple[str, int], ...]
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[tuple[str, str], ...]
    brief: str = ""

    @property
    def has_numbers(self) -> bool:
        """Whether a measured line has a number."""
        cells = [cell for row in self.rows if row.kind == "measured" for cell in row.cells]
        return any(cell.text != MISSING for cell in cells)


@dataclass
class Notes:
    """Notes of a table in the making; equal texts share a mark."""

    marks: dict[str, str] = field(default_factory=dict)

    def mark(self, texts: Sequence[str]) -> str:
        """Return the marks of these notes, in one string."""
        for text in texts:
            self.marks.setdefault(text, _letters(len(self.marks)))
        return ",".join(self.marks[text] for text in texts)


Value = Callable[[CellMean], float | None]


@dataclass(frozen=True)
class Line:
    """Line that every method may have: a number per scale.

    Attributes:
        better: min or max; None for lines without a best value.
        kind: kind of its `Row`.
    """

    name: str
    value: Value
    show: Callable[[float], str]
    better: Callable[[Sequence[float]], float] | None = None
    kind: str = "aside"


def scale_table(
    report: Report, role: str, key: str, title: str, lines: Sequence[Line], *, note: str = ""
) -> Table:
    """Make a table with a column per scale and the given lines for each method."""
    notes = Notes()
    rows = list(_info_rows(report, role, notes)) if role in report.roles else []
    for block in report.blocks:
        rows += _block_rows(report, role, block, lines, notes)
    # Lines that no method has a number in are not printed, nor a table that has none at all.
    body = any(row.kind != "info" for row in rows)
    general = [note, captions.protocol_note(report, role) if key in METRICS else ""]
    general.append(captions.lr_note(report, role))
    if any(line.name.startswith("published") for line in lines):
        general += captions.published_notes(report, role, key)
    if any(line.better for line in lines):
        general.append(
            f"Bold: best of a {report.experiment.best_of} at printed precision; unmarked where a "
            "value is missing."
        )
    general.append(captions.others_note([row.head[0] for row in rows]))
    return Table(
        key=table_key(report, role, key),
        title=f"{title}, {captions.shown_set(report, role)}",
        caption=captions.caption(report, role),
        brief=captions.brief_caption(report, role),
        groups=scale_groups(report),
        header=("Method", "", *map(scale_text, report.scales)),
        rows=tuple(rows) if body else (),
        notes=(*((m, t) for t, m in notes.marks.items()), *(("", t) for t in general if t)),
    )


def scale_groups(report: Report) -> tuple[tuple[str, int], ...]:
    """Make headings over the columns of the scales: those that training covers, and the others."""
    inside = sum(scale <= report.experiment.in_scale_up_to for scale in report.scales)
    groups = (("in-scale", inside), ("out-of-scale", len(report.scales) - inside))
    return tuple(group for group in groups if group[1])


def _info_rows(report: Report, role: str, notes: Notes) -> Iterator[Row]:
    """Make the rows with LR source and number of images of each column."""
    sources, counts = [], []
    for scale in report.scales:
        cells = report.measured(role, scale)
        # What was counted beside scored methods has no LR image of its own.
        cells = [cell for cell in cells if not cell.unscored] or cells
        names = dict.fromkeys(name for cell in cells for name in cell.source("lr_source"))
        sources.append(Cell("+".join(names) or MISSING))
        images = dict.fromkeys(str(cell.images) for cell in cells)
        mark = notes.mark(captions.column_notes(report, role, scale))
        counts.append(Cell("/".join(images) or MISSING, mark=mark))
    yield Row(("LR source", ""), tuple(sources), kind="info")
    yield Row(("Images", ""), tuple(counts), kind="info")


def _block_rows(
    report: Report, role: str, block: Sequence[str], lines: Sequence[Line], notes: Notes
) -> list[Row]:
    """Make the lines of a block's methods."""
    rows: list[Row] = []
    for method in block:
        named, other = False, report.is_other(method)
        for number, line in enumerate(lines):
            if other and line.kind == "measured":
                continue
            cells = [
                _cell(report, line, report.at(method, role, scale), block, notes)
                for scale in report.scales
            ]
            has_value = any(cell.text != MISSING for cell in cells)
            # A method without any number still has its line, which says so.
            cells_of = [report.at(method, role, s) for s in report.scales]
            all_missing = all(cell.missing or cell.unscored for cell in cells_of)
            if has_value or (number == 0 and all_missing and line.kind == "measured"):
                head = ("" if named else captions.measured_name(report, method), line.name)
                rows.append(Row(head, tuple(cells), not rows, line.kind))
                named = True
    return rows


def _cell(report: Report, line: Line, cell: CellMean, block: Sequence[str], notes: Notes) -> Cell:
    value = line.value(cell)
    if value is None:
        why = cell.missing or cell.unscored
        return Cell(MISSING, mark=notes.mark([why]) if why and line.kind == "measured" else "")
    text = line.show(value)
    if line.better is None:
        return Cell(text)
    rivals = rivals_of(report, block, cell.scale)
    values = [line.value(report.at(method, cell.role, cell.scale)) for method in rivals]
    return Cell(text, bold=is_best(text, values, line.show, line.better))


def is_best(
    text: str,
    rivals: Sequence[float | None],
    show: Callable[[float], str],
    better: Callable[[Sequence[float]], float],
) -> bool:
    """Tell whether no rival is better at printed precision; without rivals nothing is best.

    If a value is missing, the best one is unknown.
    """
    known = [value for value in rivals if value is not None]
    return 1 < len(known) == len(rivals) and show(better(known)) == text


def rivals_of(report: Report, block: Sequence[str], scale: float) -> list[str]:
    """List the rows that a block's rows are compared with at a scale; none for common rows.

    For a whole column, only rows that can do the scale: others leave no gap.
    """
    experiment = report.experiment
    if block == experiment.common:
        return []
    if experiment.best_of == "block":
        return list(block)
    rows = [row for each in experiment.blocks for row in each.methods]
    return [row for row in rows if method_at(row, scale) is not None]


def table_key(report: Report, role: str, key: str) -> str:
    """Make a key that is unique in the report."""
    return key if len(report.roles) == 1 else f"{key}-{role}"


def _letters(number: int) -> str:
    """Yield a, b, ..., z, aa, ab, ..."""
    text = ""
    while True:
        text = chr(ord("a") + number % 26) + text
        number = number // 26 - 1
        if number < 0:
            return text
