"""Documents as Markdown and LaTeX."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from tabulate import tabulate

from harness.common import escaping
from harness.report.model import Document, Entry, Figure, Section, Table, Verdict
from harness.report.text import DAGGER, DOUBLE_DAGGER, INFINITY, MINUS, MISSING, TIMES, sentences

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
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
)
_LONG = 17
"""Letters of an interval that takes two lines in LaTeX: one of SSIM, with four digits."""


# Markdown, as GitHub and pandoc read it


def markdown(document: Document, root: Path) -> str:
    """Format a document; figures are linked relative to `root`."""
    shown = escaping.markdown
    parts = [f"# {shown(document.title)}", shown(document.source)]
    parts += [f"> **Note.** {shown(document.notice)}"] if document.notice else []
    parts += markdown_verdicts(document)
    parts += [shown(document.key), escaped_but_code(document.not_run)]
    parts += [part for section in document.sections for part in markdown_section(section, root)]
    lines = [f"- {shown(name)}: {shown(text)}" for name, text in document.provenance]
    parts += ["## How these numbers were made", "\n".join(lines)]
    return "\n\n".join(filter(None, parts)) + "\n"


def markdown_verdicts(document: Document, folded: bool = True) -> list[str]:
    """Format how many statements hold and the main ones; behind them, folded, all others."""
    if not document.verdicts:
        return []
    main, measured = document.main_verdicts, document.measured
    parts = [
        "## Do the paper's statements hold here?",
        sentences(document.tally, document.certainty),
    ]
    parts.append(_listed(main))
    if folded and len(measured) > len(main):
        summary = f"<details><summary>All {len(measured)} that were measured</summary>"
        parts += [summary, _listed(measured), "</details>"]
    return list(filter(None, parts))


def _listed(verdicts: list[Verdict]) -> str:
    return "\n".join(f"- **{v.verdict}**: {_shown(_sentences(v))}" for v in verdicts)


def _sentences(verdict: Verdict) -> str:
    """Put a claim, the paper's figure and what was measured on each set into words."""
    here = f"Here: {'; '.join(verdict.ours.splitlines())}." if verdict.ours else ""
    return sentences(f"{verdict.claim}. Paper: {verdict.paper}.", here)


def markdown_section(section: Section, root: Path) -> list[str]:
    """Format a section as paragraphs."""
    parts = [f"## {escaping.markdown(section.title)}"]
    parts += [escaped_but_code(section.text)] if section.text else []
    parts += [markdown_figure(figure, root) for figure in section.figures]
    return parts + [markdown_table(table) for table in section.tables]


def escaped_but_code(text: str) -> str:
    """Escape text, but for the commands in it, which are code and stay as they are."""
    pieces = re.split(r"(\s*`[^`]*`\s*)", text)
    return "".join(p if n % 2 else escaping.markdown(p) for n, p in enumerate(pieces))


def markdown_figure(figure: Figure, root: Path) -> str:
    """Format a figure with its caption under it."""
    place = PurePosixPath(figure.png.relative_to(root).as_posix())
    title = escaping.markdown(figure.title)
    return f"![{title}]({quote(str(place))})\n\n*{title}.* {escaping.markdown(figure.caption)}"


def markdown_table(table: Table) -> str:
    """Format a table with caption and notes."""
    groups, heads = zip(*table.columns, strict=True)
    body = [[escaping.markdown(name), *map(_markdown_entry, row)] for name, row in table.rows]
    if any(groups):
        # Pipe tables have one header line: what stands over several columns becomes a row.
        body.insert(0, ["", *(f"*{escaping.markdown(g)}*" if g else "" for g in groups)])
    header = ["Method", *map(escaping.markdown, heads)]
    align = ["left"] + ["right"] * len(heads)
    text = tabulate(body, header, tablefmt="pipe", disable_numparse=True, colalign=align)
    notes = "\n".join(f"- {_note(note)}" for note in table.notes)
    said = [f"### {escaping.markdown(table.title)}", escaping.markdown(table.caption), text, notes]
    return "\n\n".join(filter(None, said))


def _shown(text: str) -> str:
    """Escape text, but for the brackets of intervals, which are no link."""
    return re.sub(r"\\\[([-+\d., \u2212\u2013]+)\\\]", r"[\1]", escaping.markdown(text))


def _note(note: str) -> str:
    """Escape a note, but for the letter that its places have."""
    found = re.fullmatch(r"(\[[a-z]+\] )?(.*)", note, re.DOTALL)
    assert found
    return f"{found[1] or ''}{escaping.markdown(found[2])}"


def _markdown_entry(entry: Entry) -> str:
    number = _shown(entry.text)
    marked = {"best": f"**{number}**", "second": f"<u>{number}</u>"}.get(entry.mark, number)
    parts = (
        f"{MISSING} [{entry.letter}]" if entry.letter else marked,
        _shown(entry.beside),
        "?" if entry.mark == "undecided" else "",
        f"({escaping.markdown(entry.published)})" if entry.published else "",
    )
    return " ".join(filter(None, parts))


# LaTeX, to be read into a paper by `\input`


def escape(text: str) -> str:
    """Escape text for LaTeX."""
    return text.translate(_LATEX)


def latex(document: Document, short: bool = False) -> str:
    r"""Format the tables; needs no package but booktabs.

    Args:
        document: the report.
        short: whether captions have one line, and notes only the provenance.
    """
    facts = "; ".join(f"{name}: {escape(text)}" for name, text in document.provenance)
    heads = [document.source, r"Needs \usepackage{booktabs} in the preamble."]
    comments = (
        f"% {' '.join(head.split())}\n" for head in [*heads, document.notice, facts] if head
    )
    parts = ["".join(comments)]
    if not short:
        setting = sentences(document.notice, document.key, document.not_run)
        parts += [_paragraph("Setting", setting)] if setting else []
        parts += [_latex_verdicts(document)] if document.verdicts else []
    for section in document.sections:
        if section.text and section.tables and not short:
            parts.append(_paragraph(section.title, section.text))
        for table in section.tables:
            note = document.notice if short else ""
            parts.append(_latex_table(table, document.name, note))
    return "\n".join(parts)


def _paragraph(title: str, text: str) -> str:
    return rf"\paragraph{{{escape(title)}.}} {escape(' '.join(text.split()))}" + "\n"


def _latex_verdicts(document: Document) -> str:
    said = _paragraph("Verdicts", sentences(document.tally, document.certainty))
    if document.too_few or not document.measured:
        return said
    items = [rf"\item {v.verdict.capitalize()}: {escape(_sentences(v))}" for v in document.measured]
    return said + "\n".join([r"\begin{itemize}", *items, r"\end{itemize}"]) + "\n"


def _latex_table(table: Table, name: str, note: str) -> str:
    width = len(table.columns)
    star = "*" if width > 5 else ""
    # Before the caption, a sentence of the notes: what is printed there is of the paper's table.
    caption = sentences(f"{table.title}.", table.caption)
    lines = [
        rf"\begin{{table{star}}}[tbp]",
        r"\centering",
        rf"\caption{{{escape(caption)}}}",
        r"\smallskip",
        rf"\label{{tab:{name}-{table.key}}}",
        r"\footnotesize",
        # Eight scales fit into the width of a page.
        rf"\setlength{{\tabcolsep}}{{{4 if width <= 6 else 2}pt}}",
        rf"\begin{{tabular}}{{@{{}}l{'r' * width}@{{}}}}",
        r"\toprule",
        *_latex_groups(table),
        _latex_line("Method", *(escape(head) for _, head in table.columns)),
    ]
    for block in table.blocks:
        rows = (_latex_line(escape(name), *map(_latex_entry, row)) for name, row in block)
        lines += [r"\midrule", *rows]
    lines += [r"\bottomrule", r"\end{tabular}", *_latex_notes([*table.notes, note])]
    return "\n".join([*lines, rf"\end{{table{star}}}"]) + "\n"


def _latex_groups(table: Table) -> list[str]:
    """Format headings over several columns, each with a rule under it."""
    heads, rules, first = [""], [], 2
    for group, width in table.groups:
        heads.append(rf"\multicolumn{{{width}}}{{c}}{{{escape(group)}}}")
        rules += [rf"\cmidrule(lr){{{first}-{first + width - 1}}}"] if group else []
        first += width
    return [_latex_line(*heads), " ".join(rules)] if rules else []


def _latex_entry(entry: Entry) -> str:
    number = escape(entry.text)
    marked = {"best": rf"\textbf{{{number}}}", "second": rf"\underline{{{number}}}"}
    shown = marked.get(entry.mark, number) + " ?" * (entry.mark == "undecided")
    if entry.beside:
        # Intervals and shares would make a table wider than a page: they stand below.
        lines = r" / |(?<=,) " if len(entry.beside) > _LONG else " / "
        below = (rf"\\{{\tiny {part}}}" for part in re.split(lines, escape(entry.beside)))
        shown = rf"\shortstack[r]{{{shown}{''.join(below)}}}"
    if entry.letter:
        shown = rf"{escape(MISSING)}\textsuperscript{{{entry.letter}}}"
    beside = rf"{{\tiny({escape(entry.published)})}}" if entry.published else ""
    return " ".join(filter(None, [shown, beside]))


def _latex_line(*entries: str) -> str:
    return " & ".join(entries) + r" \\"


def _latex_notes(notes: list[str]) -> list[str]:
    # Without its braces a note that begins with `[` or `*` would be read as an argument of `\\`.
    text = r"\\".join(f"{{{escape(note)}}}" for note in notes if note)
    notes_of = rf"\parbox{{\linewidth}}{{\scriptsize\raggedright {text}}}"
    return [r"\par\smallskip", notes_of] if text else []
