"""Report of an experiment as a document, and the choice of a part of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.common.progress import tracked
from harness.report import words
from harness.report.brief import brief
from harness.report.claims import verdicts
from harness.report.data import Report, distinct
from harness.report.model import Document, Section, Table
from harness.report.text import counted, phrase, sentences


def make(report: Report, folder: Path | None) -> Document:
    """Make every section.

    Args:
        report: what was measured.
        folder: receives the files of figures; None to draw none.
    """
    declared = report.experiment.sections
    label = f"report of {report.experiment.name}"
    every = (section.make(report, folder) for section in tracked(label, declared))
    found = [section for section in every if section is not None]
    # What several sections say of what they lack stands once.
    made = [s for n, s in enumerate(found) if s.tables or s.figures or s not in found[:n]]
    first = brief(report)
    # A page shows the first figures and the first tables unfolded.
    main = {
        next((s.key for s in made if s.figures), ""),
        next((s.key for s in made if s.tables), ""),
    }
    folds = (replace(section, folded=section.key not in main) for section in made)
    sections = [*([first] if first else []), *folds]
    if folder is None and any(section.draws for section in declared):
        said = "Figures were not drawn with this document."
        sections.append(Section("figures", "Figures", said, folded=True))
    plan = report.plan

    def weight(role: str) -> tuple[int, int]:
        results = [r for r in report.results.values() if r.role == role and not r.missing]
        return len(results), report.role(role).images

    marks = {e.mark for s in sections for t in s.tables for _, row in t.rows for e in row}
    profile = f"Profile {plan.profile}: {phrase(plan.summary)}."
    made_of = Document(
        name=report.experiment.name,
        title=report.experiment.title,
        source=sentences(report.experiment.origin, profile, words.when_and_where(report)),
        notice=words.notice(report),
        verdicts=verdicts(report),
        provenance=tuple(_provenance(report)),
        sections=tuple(sections),
        certainty=words.certainty(report),
        role=max(report.roles, key=weight, default=""),
        key=words.marks(report, marks),
        not_run=words.not_run(report),
    )
    return replace(made_of, certainty="") if made_of.too_few else made_of


def _provenance(report: Report) -> list[tuple[str, str]]:
    """List versions, devices and settings behind the rows."""
    results, plan = [*report.results.values(), *report.counts.values()], report.plan

    def every(column: str) -> str:
        return ", ".join(distinct(text for result in results for text in result.source(column)))

    others = {r.role: f"{r.dataset}, " for r in plan.roles if r.dataset != r.role}
    costs = {"Latency": report.costs.latency, "Peak memory": report.costs.memory}
    found = [
        ("Profile", plan.profile),
        ("Planned", plan.created),
        ("Trained on", plan.training),
        ("Networks", plan.networks),
        ("Schedule", plan.schedule),
        *((row.label, row.origin) for row in plan.added),
        *(
            (r.role, f"{others.get(r.role, '')}{r.description}, {counted(r.images, 'image')}")
            for r in plan.roles
        ),
        *((name, of.setting.in_words()) for name, of in costs.items() if of.setting is not None),
        ("Devices", "; ".join(words.devices(report))),
        ("Precision", every("precision")),
        ("Seeds", ", ".join(distinct(seed for result in results for seed in result.seeds))),
        ("Protocol", every("protocol")),
        ("Versions", every("version")),
        ("Data", every("dataset_fingerprint")),
    ]
    return [(name, text) for name, text in found if text]


def only_table(document: Document, key: str) -> Document:
    """Keep the tables of this key, without anything else.

    Args:
        document: the report.
        key: key of a table ("psnr-Set5"), or the first part of several ("psnr").

    Raises:
        UsageError: there is no such table.
    """
    known = [table.key for section in document.sections for table in section.tables]
    wanted = [key] if key in known else [k for k in known if k.startswith(f"{key}-")]
    if not wanted:
        raise UsageError(unknown("table", key, known))

    def chosen(table: Table) -> Table | None:
        return table if table.key in wanted else None

    made = _changed(document, chosen)
    alone = (replace(s, text="", figures=()) for s in made.sections if s.tables)
    return replace(made, sections=tuple(alone), verdicts=())


def short(document: Document) -> Document:
    """Keep of each table's notes the first: for a paper."""
    return _changed(document, lambda table: replace(table, notes=table.notes[:1]))


def without_published(document: Document) -> Document:
    """Leave out the published values beside the measured ones, and what explains them."""

    def measured(table: Table) -> Table:
        blocks = tuple(
            tuple((name, tuple(replace(e, published="") for e in row)) for name, row in block)
            for block in table.blocks
        )
        notes = (n.replace(words.IN_PARENTHESES, "").strip() for n in table.notes)
        kept = tuple(n for n in notes if n and not n.startswith("Published "))
        return replace(table, blocks=blocks, notes=kept)

    return _changed(document, measured)


def _changed(document: Document, change: Callable[[Table], Table | None]) -> Document:
    """Change every table of a document, or leave it out."""
    sections = (
        replace(s, tables=tuple(filter(None, map(change, s.tables)))) for s in document.sections
    )
    return replace(document, sections=tuple(sections))
