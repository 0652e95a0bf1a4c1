"""Reports: stored plan, rows and samples become tables, figures and a page.

Only stored files are read, so a report can be written on a machine without data or networks, and is
the same, byte for byte, when it is written again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.common.files import write_text
from harness.report import old_page, records
from harness.report.aggregate import Report, load_report
from harness.report.figure import FigureFile, style
from harness.report.figures import draw_curves
from harness.report.formats import markdown
from harness.report.pareto import draw_pareto
from harness.report.pictures import draw_pictures
from harness.report.tables import main_tables

_Writer = Callable[[Report, Sequence[FigureFile]], str]


def _figure_folder(experiment: str) -> PurePosixPath:
    """Return the folder of the figures, relative to the documents."""
    return PurePosixPath(experiment) / "figures"


def _markdown(report: Report, figures: Sequence[FigureFile]) -> str:
    return old_page.markdown_page(report, figures, _figure_folder(report.experiment.name))


_FORMATS: dict[str, tuple[str, _Writer]] = {
    "markdown": ("md", _markdown),
    "latex": ("tex", lambda report, _: old_page.latex_page(report)),
    "html": ("html", old_page.html),
    "csv": ("csv", lambda report, _: records.csv(report)),
    "json": ("json", lambda report, _: records.json_text(report)),
}
ALL_FORMATS = tuple(_FORMATS)


def write_report(
    results: Path,
    profile: str,
    experiment: str,
    out: Path,
    formats: Sequence[str] = ALL_FORMATS,
    *,
    figures: bool = True,
) -> list[Path]:
    """Write the tables, figures and page of an experiment from stored files.

    Args:
        experiment: name of the experiment.
        profile: name of the profile.
        results: folder that plans, measurements and samples were written to.
        out: receives `<experiment>.<format>` and `<experiment>/figures/*.png` and `*.pdf`.
        formats: formats to write.
        figures: whether to draw figures.

    Returns:
        The files that were written.

    Raises:
        UsageError: the experiment or a format is unknown.
        HarnessError: nothing is stored, or `out` cannot be written.
    """
    for fmt in formats:
        _check(fmt)
    report = load_report(results, profile, experiment)
    drawn: list[FigureFile] = []
    if figures:
        folder = out / _figure_folder(experiment)
        with style():
            drawn = [
                *draw_pareto(report, folder),
                *draw_curves(report, folder),
                *draw_pictures(report, folder),
            ]
        _remove_stale(folder, {path for figure in drawn for path in (figure.png, figure.pdf)})
    written = []
    for fmt in formats:
        suffix, writer = _FORMATS[fmt]
        path = out / f"{experiment}.{suffix}"
        write_text(path, writer(report, drawn))
        written.append(path)
    return written + [path for figure in drawn for path in (figure.png, figure.pdf)]


def _remove_stale(folder: Path, current: set[Path]) -> None:
    """Remove figures of an earlier report, which would otherwise stay beside the new ones."""
    for path in (*folder.glob("*.png"), *folder.glob("*.pdf")):
        if path not in current:
            path.unlink(missing_ok=True)


def render(results: Path, profile: str, experiment: str, fmt: str) -> str:
    """Return one format as text, without figures.

    Raises:
        UsageError: the experiment or the format is unknown.
        HarnessError: nothing is stored, or it is damaged.
    """
    _check(fmt)
    return _FORMATS[fmt][1](load_report(results, profile, experiment), ())


def headline(results: Path, profile: str, experiment: str) -> str:
    """Return the main table of each set, with its caption and notes, for the terminal."""
    report = load_report(results, profile, experiment)
    return "\n\n".join(markdown(table).strip() for table in main_tables(report))


def _check(fmt: str) -> None:
    if fmt not in _FORMATS:
        raise UsageError(unknown("format", fmt, ALL_FORMATS))


__all__ = ["ALL_FORMATS", "headline", "render", "write_report"]
