"""Tables as Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from tabulate import tabulate

from harness.common import escaping
from harness.report.figure import FigureFile
from harness.report.layout import Cell, Row, Table
from harness.report.text import DAGGER, DOUBLE_DAGGER, INFINITY, MINUS, MISSING, TIMES

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    TIMES: r"$\times$",
    MINUS: r"$-$",
    MISSING: "--",
    INFINITY: r"$\infty$",
    DAGGER: r"$\dagger$",
    DOUBLE_DAGGER: r"$\ddagger$",
}


def markdown(table: Table) -> str:
    """Format a table with its brief caption and notes, as GitHub and pandoc read it."""
    header = [escaping.markdown(name) for name in table.header]
    body = []
    if table.groups:
        # Pipe tables have one header line: what stands over several columns becomes a row.
        spans = [name for name, width in table.groups for _ in range(width)]
        body.append([""] * (len(header) - len(spans)) + [f"*{name}*" for name in spans])
    for row in table.rows:
        heads = map(escaping.markdown, row.head)
        body.append([*heads, *(_markdown_cell(cell) for cell in row.cells)])
    leading = len(table.rows[0].head)
    align = ["left"] * leading + ["right"] * (len(header) - leading)
    text = tabulate(body, header, tablefmt="pipe", disable_numparse=True, colalign=align)
    notes = [(f"[{mark}] " if mark else "") + escaping.markdown(note) for mark, note in table.notes]
    listed = "\n".join(f"- {note}" for note in notes)
    said = escaping.markdown(table.brief or table.caption)
    parts = [f"## {escaping.markdown(table.title)}", said, text, listed]
    return "\n\n".join(part for part in parts if part) + "\n"


def _markdown_cell(cell: Cell) -> str:
    text = escaping.markdown(cell.text)
    text = f"**{text}**" if cell.bold else text
    return f"{text} [{cell.mark}]" if cell.mark else text


def markdown_figures(figures: Sequence[FigureFile], folder: PurePosixPath) -> str:
    """Format links to the figures, which are in `folder` beside the document.

    The caption is printed in the figure itself; here it is the text for those who cannot see it.
    """
    return "\n".join(
        f"## {escaping.markdown(figure.title)}\n\n"
        f"![{escaping.markdown(f'{figure.title}. {figure.caption}')}]"
        f"({quote(str(folder / figure.png.name))})\n"
        for figure in figures
    )


def escape(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_LATEX.get(character, character) for character in text)


def latex(table: Table, label: str) -> str:
    """Format as `table*` environments in booktabs style; needs no package but booktabs.

    A table that is too long for a page continues in further ones, cut between blocks.
    """
    parts = _pages(table)
    return "\n".join(
        _latex_part(table, rows, label if number == 0 else "", last=number == len(parts) - 1)
        for number, rows in enumerate(parts)
    )


_PAGE_ROWS = 48
"""Number of rows in footnotesize that leave room for caption and notes on a page."""


def _pages(table: Table) -> list[list[Row]]:
    """Split the rows by page; each begins with the rows that describe the columns."""
    head = [row for row in table.rows if row.kind == "info"]
    blocks: list[list[Row]] = []
    for row in table.rows[len(head) :]:
        if row.rule or not blocks:
            blocks.append([])
        blocks[-1].append(row)
    pages = [list(head)]
    for block in blocks:
        if len(pages[-1]) > len(head) and len(pages[-1]) + len(block) > _PAGE_ROWS:
            pages.append(list(head))
        pages[-1] += block
    return pages


def _latex_part(table: Table, rows: Sequence[Row], label: str, last: bool) -> str:
    """Format one environment; without a label it is a continuation."""
    leading = len(table.rows[0].head)
    columns = "l" * leading + "r" * (len(table.header) - leading)
    caption = f"{table.title}. {table.caption}" if label else f"{table.title} (continued)"
    lines = [
        r"\begin{table*}[tbp]",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        r"\smallskip",
        *([rf"\label{{tab:{label}}}"] if label else []),
        r"\footnotesize",
        r"\setlength{\tabcolsep}{4pt}",
        rf"\begin{{tabular}}{{@{{}}{columns}@{{}}}}",
        r"\toprule",
        *_latex_groups(table, leading),
        _latex_line([escape(name) for name in table.header]),
    ]
    for number, row in enumerate(rows):
        if row.rule or number == 0:
            lines.append(r"\midrule")
        lines.append(_latex_row(row))
    notes = _latex_notes(table) if last else []
    lines += [r"\bottomrule", r"\end{tabular}", *notes, r"\end{table*}"]
    return "\n".join(lines) + "\n"


def _latex_groups(table: Table, leading: int) -> list[str]:
    """Format headings over several columns, each with a rule under it."""
    if not table.groups:
        return []
    heads = [rf"\multicolumn{{{width}}}{{c}}{{{escape(name)}}}" for name, width in table.groups]
    rules, first = [], leading + 1
    for _, width in table.groups:
        rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return [_latex_line([""] * leading + heads), " ".join(rules)]


def _latex_row(row: Row) -> str:
    cells = []
    for cell in row.cells:
        text = rf"\textbf{{{escape(cell.text)}}}" if cell.bold else escape(cell.text)
        cells.append(rf"{text}\textsuperscript{{{cell.mark}}}" if cell.mark else text)
    return _latex_line([escape(name) for name in row.head] + cells)


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_notes(table: Table) -> list[str]:
    if not table.notes:
        return []
    lines = [
        (rf"\textsuperscript{{{mark}}} " if mark else "") + escape(note)
        for mark, note in table.notes
    ]
    # Without its braces a note that begins with `[` or `*` would be read as an argument of `\\`.
    text = r"\\".join(f"{{{line}}}" for line in lines)
    return [
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\scriptsize\raggedright {text}}}",
    ]
