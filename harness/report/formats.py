"""Documents as Markdown and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import pandas as pd
from tabulate import tabulate

from harness.common import escaping
from harness.report.model import Document, Figure, Section, Table, Verdict
from harness.report.text import DAGGER, DOUBLE_DAGGER, INFINITY, MINUS, MISSING, TIMES, sentences

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
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
}
_LONG = 17
"""Letters of an interval that takes two lines in LaTeX: one of SSIM, with four digits."""


def _parts(text: str) -> tuple[str, str]:
    """Split a cell in its number and what stands small beside it (published value, reason)."""
    found = re.fullmatch(r"(.*?) ?((?:\[\w+\])? ?(?:\([^()]*\))?)", text)
    return (found[1], found[2].strip()) if found else (text, "")


# Markdown, as GitHub and pandoc read it


def markdown(document: Document, root: Path) -> str:
    """Format a document; figures are linked relative to `root`."""
    shown = escaping.markdown
    parts = [f"# {shown(document.title)}", shown(document.source)]
    parts += [f"> **Note.** {shown(document.notice)}"] if document.notice else []
    parts += markdown_verdicts(document)
    parts += [part for section in document.sections for part in markdown_section(section, root)]
    lines = [f"- {shown(name)}: {shown(text)}" for name, text in document.provenance]
    parts += ["## How these numbers were made", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def markdown_verdicts(document: Document) -> list[str]:
    """Format how many verdicts there are, and those that were measured."""
    if not document.verdicts:
        return []
    parts = ["## Verdicts", f"{document.tally} {document.certainty}".strip()]
    measured = [v for own in document.by_outcome.values() for v in own if v.ours]
    lines = [f"- **{v.verdict}**: {_shown(_sentences(v))}" for v in measured]
    return [*parts, "\n".join(lines)] if lines else parts


def _sentences(verdict: Verdict) -> str:
    """Put a claim, the paper's figure and what was measured on each set into words."""
    here = f"Here: {'; '.join(verdict.ours.splitlines())}." if verdict.ours else ""
    return sentences(f"{verdict.claim}. Paper: {verdict.paper}.", here)


def markdown_section(section: Section, root: Path) -> list[str]:
    """Format a section as paragraphs."""
    parts = [f"## {escaping.markdown(section.title)}"]
    # A command in a text is code, and stays as it is.
    parts += [_escaped_but_code(section.text)] if section.text else []
    parts += [markdown_figure(figure, root) for figure in section.figures]
    return parts + [markdown_table(table).strip() for table in section.tables]


def _escaped_but_code(text: str) -> str:
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return escaping.markdown(text)
    for place in range(0, len(pieces), 2):
        first, last = pieces[place][:1] == " ", pieces[place][-1:] == " "
        inner = escaping.markdown(pieces[place])
        pieces[place] = f"{' ' * first}{inner}{' ' * (last and bool(inner))}"
    return "`".join(pieces)


def markdown_figure(figure: Figure, root: Path) -> str:
    """Format a figure with its caption under it."""
    place = PurePosixPath(figure.png.relative_to(root).as_posix())
    title = escaping.markdown(figure.title)
    return f"![{title}]({quote(str(place))})\n\n*{title}.* {escaping.markdown(figure.caption)}"


def markdown_table(table: Table) -> str:
    """Format a table with caption and notes."""
    groups = [str(group) for group in table.cells.columns.get_level_values("group")]
    heads = [str(head) for head in table.cells.columns.get_level_values("column")]
    body = []
    if any(groups):
        # Pipe tables have one header line: what stands over several columns becomes a row.
        body.append(["", *(f"*{escaping.markdown(group)}*" if group else "" for group in groups)])
    for (_, method), texts, marks in _lines(table):
        cells = [_markdown_cell(text, mark) for text, mark in zip(texts, marks, strict=True)]
        body.append([escaping.markdown(method), *cells])
    header = ["Method", *map(escaping.markdown, heads)]
    align = ["left"] + ["right"] * len(heads)
    text = tabulate(body, header, tablefmt="pipe", disable_numparse=True, colalign=align)
    notes = "\n".join(f"- {_note(note)}" for note in table.notes)
    said = [f"### {escaping.markdown(table.title)}", escaping.markdown(table.caption), text, notes]
    said.append(_escaped_but_code(table.folded))
    return "\n\n".join(part for part in said if part) + "\n"


def _shown(text: str) -> str:
    """Escape text, but for the brackets of intervals, which are no link."""
    return re.sub(r"\\\[([-+\d., \u2212\u2013]+)\\\]", r"[\1]", escaping.markdown(text))


def _note(note: str) -> str:
    """Escape a note, but for the letter that its places have."""
    found = re.fullmatch(r"(\[[a-z]+\] )?(.*)", note, re.DOTALL)
    assert found
    return f"{found[1] or ''}{escaping.markdown(found[2])}"


def _markdown_cell(text: str, mark: str) -> str:
    number, beside = _parts(text)
    shown, space, rest = _shown(number).partition(" ")
    if mark == "best":
        shown = f"**{shown}**"
    elif mark == "second":
        shown = f"<u>{shown}</u>"
    shown += space + rest
    letter = re.sub(r"\((.*)\)", lambda f: f"({escaping.markdown(f[1])})", beside)
    return f"{shown} {letter}".strip()


def _lines(table: Table) -> list[tuple[tuple[str, str], list[str], list[str]]]:
    rows = zip(
        table.cells.index,
        table.cells.to_numpy().tolist(),
        table.marks.to_numpy().tolist(),
        strict=True,
    )
    return [((str(name[0]), str(name[1])), texts, marks) for name, texts, marks in rows]


# LaTeX, to be read into a paper by `\input`


def escape(text: str) -> str:
    """Escape text for LaTeX."""
    return "".join(_LATEX.get(character, character) for character in text)


def latex(document: Document, short: bool = False) -> str:
    r"""Format the tables; needs no package but booktabs.

    Args:
        document: the report.
        short: whether captions have one line, and notes only the provenance.
    """
    heads = [document.source, r"Needs \usepackage{booktabs} in the preamble."]
    heads += [document.notice] if document.notice else []
    heads += [escape(f"{name}: {text}") for name, text in document.provenance]
    parts = ["\n".join(f"% {' '.join(head.split())}" for head in heads) + "\n"]
    if not short:
        parts += [_paragraph("Setting", document.notice)] if document.notice else []
        parts += [_latex_verdicts(document.verdicts)] if document.verdicts else []
    for section in document.sections:
        if section.text and section.tables and not short:
            parts.append(_paragraph(section.title, section.text))
        for table in section.tables:
            note = document.notice if short else table.folded
            parts.append(_latex_table(table, document.name, note))
    return "\n".join(parts)


def _paragraph(title: str, text: str) -> str:
    return rf"\paragraph{{{escape(title)}.}} {escape(' '.join(text.split()))}" + "\n"


def _latex_verdicts(verdicts: Sequence[Verdict]) -> str:
    items = [rf"\item {v.verdict.capitalize()}: {escape(_sentences(v))}" for v in verdicts]
    lines = [r"\paragraph{Verdicts.}", r"\begin{itemize}", *items, r"\end{itemize}"]
    return "\n".join(lines) + "\n"


def _latex_table(table: Table, name: str, note: str) -> str:
    columns = table.cells.columns
    star = "*" if len(columns) > 5 else ""
    # Before the caption, a sentence of the notes: what is printed there is of the paper's table.
    caption = " ".join(filter(None, [f"{table.title}.", table.caption]))
    lines = [
        rf"\begin{{table{star}}}[tbp]",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        r"\smallskip",
        rf"\label{{tab:{name}-{table.key}}}",
        r"\footnotesize",
        # Eight scales fit into the width of a page.
        rf"\setlength{{\tabcolsep}}{{{4 if len(columns) <= 6 else 2}pt}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * len(columns)}@{{}}}}",
        r"\toprule",
        *_latex_groups(columns),
        _latex_line(["Method", *map(escape, columns.get_level_values("column"))]),
    ]
    block = None
    for (own, method), texts, marks in _lines(table):
        if own != block:
            lines.append(r"\midrule")
            block = own
        cells = [_latex_cell(text, mark) for text, mark in zip(texts, marks, strict=True)]
        lines.append(_latex_line([escape(method), *cells]))
    lines += [r"\bottomrule", r"\end{tabular}", *_latex_notes([*table.notes, note])]
    return "\n".join([*lines, rf"\end{{table{star}}}"]) + "\n"


def _latex_groups(columns: pd.Index[Any]) -> list[str]:
    """Format headings over several columns, each with a rule under it."""
    groups = [(str(g), len(list(own))) for g, own in groupby(columns.get_level_values("group"))]
    if not any(group for group, _ in groups):
        return []
    heads, rules, first = [], [], 2
    for group, width in groups:
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        rules += [rf"\cmidrule(lr){{{first}-{first + width - 1}}}"] if group else []
        first += width
    return [_latex_line(["", *heads]), " ".join(rules)]


def _latex_cell(text: str, mark: str) -> str:
    wrap: dict[str, Callable[[str], str]] = {
        "best": r"\textbf{{{}}}".format,
        "second": r"\underline{{{}}}".format,
    }
    number, beside = _parts(text)
    letter, _, paper = beside.partition("(")
    first, space, rest = escape(number).partition(" ")
    shown = wrap.get(mark, str)(first) + space + rest
    if re.search(r"^\[| / ", rest):
        # Intervals and shares would make a table wider than a page: they stand below.
        open_mark = " ?" if rest.endswith(" ?") else ""
        lines = r" / |(?<=,) " if len(rest) > _LONG else " / "
        below = re.split(lines, rest.removesuffix(" ?"))
        small = "".join(rf"\\{{\tiny {part}}}" for part in below)
        shown = rf"\shortstack[r]{{{first}{open_mark}{small}}}"
    if letter.strip():
        shown += rf"\textsuperscript{{{letter.strip()[1:-1]}}}"
    return shown + (rf" {{\tiny({escape(paper)}}}" if paper else "")


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _latex_notes(notes: Sequence[str]) -> list[str]:
    said = [escape(note) for note in notes if note]
    if not said:
        return []
    # Without its braces a note that begins with `[` or `*` would be read as an argument of `\\`.
    text = r"\\".join(f"{{{line}}}" for line in said)
    return [
        r"\par\smallskip",
        rf"\parbox{{\linewidth}}{{\scriptsize\raggedright {text}}}",
    ]
