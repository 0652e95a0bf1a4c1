"""Reports: stored plan, rows and samples become tables, figures and a page.

Only stored files are read, so a report can be written on a machine without data or networks, and is
the same, byte for byte, when it is written again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.common.files import replacing, write_text
from harness.report import document as documents
from harness.report import page, records
from harness.report.charts import style
from harness.report.data import Report, load_report
from harness.report.formats import (
    escaped_but_code,
    latex,
    markdown,
    markdown_section,
    markdown_table,
    markdown_verdicts,
)
from harness.report.model import Document
from harness.runs.experiment import Experiment

_SUFFIXES = {
    "markdown": "md",
    "latex": "tex",
    "html": "html",
    "csv": "csv",
    "json": "json",
    "parquet": "parquet",
}
FORMATS = tuple(_SUFFIXES)
ALL_FORMATS = FORMATS[:-1]
"""Formats that are written unless others are asked for."""
_TEXTS: dict[str, Callable[[Report, Document, Path], str]] = {
    "markdown": lambda _, document, root: markdown(document, root),
    "latex": lambda _, document, __: latex(document),
    "html": lambda _, document, __: page.html(document),
    "csv": lambda report, *_: records.csv(report),
    "json": lambda report, *_: records.json_text(report),
}


def write_report(
    results: Path,
    profile: str,
    experiment: Experiment,
    out: Path,
    formats: Sequence[str] = ALL_FORMATS,
    *,
    figures: bool = True,
) -> list[Path]:
    """Write the tables, figures and page of an experiment from stored files.

    Args:
        results: folder that plans, measurements and samples were written to.
        profile: name of the profile.
        experiment: the experiment.
        out: receives `<experiment>.<format>` and `<experiment>/figures/*.png`, `*.pdf` and `*.txt`.
        formats: formats to write.
        figures: whether to draw figures.

    Returns:
        The files that were written.

    Raises:
        UsageError: a format is unknown, or needs a package that is not installed.
        HarnessError: nothing is stored, or `out` cannot be written.
    """
    for fmt in formats:
        _check(fmt)
    report = load_report(results, profile, experiment)
    folder = out / experiment.name / "figures"
    with style():
        made = documents.make(report, folder if figures else None)
    drawn = [figure for section in made.sections for figure in section.figures]
    paths = [path for f in drawn for path in (f.png, f.pdf, f.png.with_suffix(".txt"))]
    if figures:
        # Figures of an earlier report would otherwise stay beside the new ones.
        for path in set(folder.glob("*.*")) - set(paths):
            path.unlink(missing_ok=True)
    written = []
    for fmt in formats:
        path = out / f"{experiment.name}.{_SUFFIXES[fmt]}"
        if fmt == "html" and figures:
            viewer = page.load_viewer(results, profile, experiment.name, report.label)
            write_text(path, page.html(made, viewer))
        elif fmt == "parquet":
            with replacing(path) as temporary:
                temporary.write_bytes(records.parquet(report))
        else:
            write_text(path, _TEXTS[fmt](report, made, out))
        written.append(path)
    return written + paths


def render(
    results: Path,
    profile: str,
    experiment: Experiment,
    fmt: str,
    *,
    table: str = "",
    methods: Sequence[str] = (),
    short: bool = False,
    published: bool = True,
) -> str:
    """Return one format as text, without figures.

    Args:
        results: folder that was measured to.
        profile: name of the profile.
        experiment: the experiment.
        fmt: a format that is text.
        table: key of a table ("psnr", "psnr-Set5"): it alone, as LaTeX or Markdown.
        methods: methods or patterns whose rows are shown; all if empty.
        short: whether captions and notes are cut to a line each, as for a paper.
        published: whether published values stand beside the measured ones; without, as LaTeX or
            Markdown.

    Raises:
        UsageError: the format or the table is unknown.
        HarnessError: nothing is stored, or it is damaged.
    """
    _check(fmt)
    if fmt == "parquet":
        raise UsageError("Parquet is no text: write it to a file.")
    if (table or short or not published) and fmt not in ("markdown", "latex"):
        raise UsageError("A single or short table is written as latex or markdown.")
    report = load_report(results, profile, experiment, methods)
    made = documents.make(report, None)
    if table:
        made = documents.only_table(made, table)
    if not published:
        made = documents.without_published(made)
    if short:
        made = documents.short(made)
    if fmt == "latex":
        return latex(made, short)
    if table:
        parts = [part for s in made.sections for part in markdown_section(s, Path())]
        return "\n\n".join(filter(None, [*parts, made.key, escaped_but_code(made.not_run)]))
    return _TEXTS[fmt](report, made, Path())


def headline(results: Path, profile: str, experiment: Experiment) -> str:
    """Return notice, main verdicts, and the tables that a page shows first, for the terminal.

    What was left out of a run is said when it starts.
    """
    made = documents.short(documents.make(load_report(results, profile, experiment), None))
    tables = (s.tables[0] for s in made.sections if s.tables and not s.folded)
    shown = map(markdown_table, tables)
    parts = [made.notice, *markdown_verdicts(made, folded=False), *shown]
    # A terminal underlines nothing; spaces keep the columns under each other.
    return re.sub(r"<u>(.*?)</u>", r"     _\1_", "\n\n".join(filter(None, parts)))


def _check(fmt: str) -> None:
    if fmt not in FORMATS:
        raise UsageError(unknown("format", fmt, FORMATS))


__all__ = ["ALL_FORMATS", "FORMATS", "headline", "render", "write_report"]
