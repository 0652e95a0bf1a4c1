"""Report of an experiment as a document, and the choice of a part of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.common.progress import tracked
from harness.report import words
from harness.report.claims import verdicts
from harness.report.data import Report, distinct
from harness.report.model import Document, Section, Table
from harness.report.text import phrase
from harness.runs.plan import RoleNote


def make(report: Report, folder: Path | None) -> Document:
    """Make every section.

    Args:
        report: what was measured.
        folder: receives the files of figures; None to draw none.
    """
    declared = report.experiment.sections
    label = f"report of {report.experiment.name}"
    every = (section.make(report, folder) for section in tracked(label, declared))
    made = [section for section in every if section is not None]
    # A page shows the first figures and the first tables unfolded.
    main = {
        next((s.key for s in made if s.figures), ""),
        next((s.key for s in made if s.tables), ""),
    }
    sections = [replace(section, folded=section.key not in main) for section in made]
    if folder is None and any(section.draws for section in declared):
        said = "Figures were not drawn with this document."
        sections.append(Section("figures", "Figures", said, folded=True))
    plan = report.plan
    return Document(
        name=report.experiment.name,
        title=report.experiment.title,
        source=f"{report.experiment.origin} Profile {plan.profile}: {phrase(plan.summary)}.",
        notice=words.notice(report),
        verdicts=verdicts(report),
        provenance=tuple(_provenance(report)),
        sections=tuple(sections),
        certainty=words.certainty(report),
        role=max(report.roles, key=partial(_weight, report), default=""),
    )


def _weight(report: Report, role: str) -> tuple[int, int]:
    """Count the measured cells and the images of a set."""
    cells = [c for c in report.cells.values() if c.role == role and not c.missing]
    return len(cells), report.role(role).images


def _other(note: RoleNote) -> str:
    """Name the set that was measured in place of one of the paper."""
    return "" if note.dataset == note.role else f"{note.dataset}, "


def _provenance(report: Report) -> list[tuple[str, str]]:
    """List versions, devices and settings behind the rows."""
    cells, plan = [*report.cells.values(), *report.counts.values()], report.plan

    def every(column: str) -> str:
        return ", ".join(distinct(text for cell in cells for text in cell.source(column)))

    costs = {"Latency": report.costs.latency, "Peak memory": report.costs.memory}
    found = [
        ("Profile", plan.profile),
        ("Planned", plan.created),
        ("Trained on", plan.training),
        ("Networks", plan.networks),
        ("Schedule", plan.schedule),
        *((row.label, row.origin) for row in plan.added),
        *((r.role, f"{_other(r)}{r.description}, {r.images} images") for r in plan.roles),
        *((name, of.setting.in_words()) for name, of in costs.items() if of.setting is not None),
        ("Devices", every("device")),
        ("Precision", every("precision")),
        ("Seeds", ", ".join(distinct(seed for cell in cells for seed in cell.seeds))),
        ("Protocol", every("protocol")),
        ("Versions", every("version")),
        ("Data", every("dataset_fingerprint")),
    ]
    return [(name, text) for name, text in found if text]


def tables(document: Document) -> list[Table]:
    """List every table, in order."""
    return [table for section in document.sections for table in section.tables]


def only_table(document: Document, key: str) -> Document:
    """Keep the tables of this key, without anything else.

    Args:
        document: the report.
        key: key of a table ("psnr-Set5"), or the first part of several ("psnr").

    Raises:
        UsageError: there is no such table.
    """
    known = [table.key for table in tables(document)]
    wanted = [key] if key in known else [k for k in known if k.startswith(f"{key}-")]
    if not wanted:
        raise UsageError(unknown("table", key, known))
    sections = [
        replace(s, text="", figures=(), tables=tuple(t for t in s.tables if t.key in wanted))
        for s in document.sections
    ]
    kept = tuple(section for section in sections if section.tables)
    return replace(document, sections=kept, verdicts=())


def short(document: Document) -> Document:
    """Keep of each table's notes the first, and no folded line: for a paper."""
    sections = [
        replace(s, tables=tuple(replace(t, notes=t.notes[:1], folded="") for t in s.tables))
        for s in document.sections
    ]
    return replace(document, sections=tuple(sections))
