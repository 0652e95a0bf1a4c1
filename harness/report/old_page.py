"""Report as one document: an HTML page that needs no other file, or Markdown."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from harness.common import escaping
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.figure import COLUMN_WIDTH, DPI, FigureFile
from harness.report.formats import escape, latex, markdown, markdown_figures
from harness.report.layout import Table
from harness.report.limits import TITLE as LIMITS
from harness.report.limits import limits
from harness.report.means import distinct
from harness.report.tables import build_tables


def html(report: Report, figures: Sequence[FigureFile]) -> str:
    """Format a page with the figures inside, so that it can be sent alone."""
    environment = Environment(
        loader=PackageLoader("harness", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("report.html.j2").render(
        title=_title(report),
        experiment=report.experiment,
        plan=report.plan,
        roles=[*_counted_banner(report), *(_banner(report, role) for role in report.roles)],
        tables=build_tables(report),
        figures=[_embedded(figure) for figure in figures],
        absent=_absent(report, figures),
        limits_title=LIMITS,
        limits=limits(report),
        environment=_environment(report),
    )


def markdown_page(report: Report, figures: Sequence[FigureFile], folder: PurePosixPath) -> str:
    """Format headline, tables, figures (which are in `folder`) and environment."""
    shown, plan = escaping.markdown, report.plan
    parts = [f"# {_title(report)}"]
    parts.append(shown(f"{report.experiment.origin} Profile {plan.profile}: {plan.summary}."))
    parts += [f"> {shown(warning)}" for warning in plan.warnings]
    parts += [shown(captions.caption(report, role)) for role in report.roles]
    cannot = limits(report)
    parts += [f"## {LIMITS}", shown(" ".join(cannot))] if cannot else []
    parts += [markdown(table).strip() for table in build_tables(report)]
    if figures:
        parts.append(markdown_figures(figures, folder).strip())
    parts += _absent(report, figures)
    parts.append("## How it was measured")
    lines = [f"- {shown(name)}: {shown(value)}" for name, value in _environment(report)]
    parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _title(report: Report) -> str:
    """Return the paper's title, and whether this is the paper's setting."""
    stand_in = any(captions.is_stand_in(report, role) for role in report.roles)
    return report.experiment.title + " (STAND-IN)" * stand_in


def latex_page(report: Report) -> str:
    r"""Format the tables, to be read into a paper by `\input`."""
    heads = [
        f"{report.experiment.source}, profile {report.plan.profile}",
        r"Needs \usepackage{booktabs} in the preamble.",
        *report.plan.warnings,
    ]
    comments = "\n".join(f"% {' '.join(head.split())}" for head in heads)
    cannot = limits(report)
    words = [rf"\paragraph{{{LIMITS}.}} {escape(' '.join(cannot))}" + "\n"] if cannot else []
    tables = [_numbered(report, table) for table in build_tables(report)]
    return "\n".join([comments + "\n", *words, *tables])


def _numbered(report: Report, table: Table) -> str:
    """Add a label that is unique in a paper that reads several reports."""
    return latex(table, f"{report.experiment.name}-{table.key}")


def _counted_banner(report: Report) -> list[dict[str, Any]]:
    """Write the banner of an experiment that only counts, and has no set of images."""
    if report.roles:
        return []
    lines = list(report.plan.warnings)
    return [{"stand_in": False, "provenance": captions.COUNTED, "lines": lines}]


def _banner(report: Report, role: str) -> dict[str, Any]:
    lines = (captions.comparison_note(report, role), captions.path_warning(report))
    return {
        "stand_in": captions.is_stand_in(report, role),
        "provenance": captions.provenance(report, role),
        "lines": [line for line in (*lines, *report.plan.warnings) if line],
    }


def _embedded(figure: FigureFile) -> dict[str, Any]:
    with Image.open(figure.png) as image:
        narrow = image.width <= COLUMN_WIDTH * DPI + 1
    data = base64.b64encode(figure.png.read_bytes()).decode()
    return {
        "title": figure.title,
        "caption": figure.caption,
        "data": data,
        "narrow": narrow,
    }


def _absent(report: Report, figures: Sequence[FigureFile]) -> list[str]:
    """Say how to get what is not on the page."""
    profile = report.plan.profile.replace("`", "'")  # which ends the code span
    command = f"`harness run {report.experiment.name} --profile {profile}`"
    lines = []
    pictures = {"maps", "crops"} & set(report.experiment.figures)
    if pictures and not report.samples:
        lines.append(
            "Expert maps and crops are left out, because no samples are stored: "
            f"{command} stores them while it measures."
        )
    if report.experiment.figures and not figures:
        lines.append("Figures were not drawn with this document.")
    return lines


def _environment(report: Report) -> list[tuple[str, str]]:
    """List versions, devices and settings behind the rows."""
    cells = list(report.cells.values())
    versions = [v for cell in cells for v in cell.source("version")]
    versions += [v for table in report.counts for cell in table.values() for v in cell.versions]
    seeds = distinct(seed for cell in cells for seed in cell.seeds)
    rows = [
        ("Profile", report.plan.profile),
        ("Planned", report.plan.created),
        ("Trained on", report.plan.training),
        ("Networks", report.plan.networks),
        ("Schedule", report.plan.schedule),
        *(
            (f"{r.role}", f"{r.dataset}, {r.description}, {r.images} images")
            for r in report.plan.roles
        ),
        *_costs(report),
        ("Devices", ", ".join(distinct(d for c in cells for d in c.source("device")))),
        ("Precision", ", ".join(distinct(p for c in cells for p in c.source("precision")))),
        ("Seeds", ", ".join(seeds)),
        ("Versions", ", ".join(distinct(versions))),
        ("Data", ", ".join(distinct(f for c in cells for f in c.source("dataset_fingerprint")))),
    ]
    return [(name, value) for name, value in rows if value]


def _costs(report: Report) -> list[tuple[str, str]]:
    """List the machines behind latency and memory."""
    costs = {"Latency": report.costs.latency, "Peak memory": report.costs.memory}
    return [(name, of.setting.in_words()) for name, of in costs.items() if of.setting is not None]
