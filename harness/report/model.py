"""Parts that a report consists of, whatever the format that it is written in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd


@dataclass(frozen=True)
class Table:
    """Table as it is shown; every format (terminal, Markdown, LaTeX, HTML, CSV) is made from it.

    Attributes:
        key: short name, unique in a report, for anchors and labels ("psnr-Set5").
        title: heading, one line.
        caption: one sentence.
        cells: printed texts. Index: ("block", "method"); columns: ("group", "column"), e.g.
            ("in-scale", "x2").
        marks: "best", "second", "undecided" or "", of the same shape.
        details: text for a tooltip (interval, published value, difference, reason if empty), of the
            same shape.
        notes: sentences under the table.
        folded: methods that were not run, one line that says how to run them; "".
        role: set of the paper that it is of; "" for all of them.
    """

    key: str
    title: str
    caption: str
    cells: pd.DataFrame
    marks: pd.DataFrame
    details: pd.DataFrame
    notes: tuple[str, ...] = ()
    folded: str = ""
    role: str = ""


@dataclass(frozen=True)
class Figure:
    """Figure in files: vector PDF and PNG without captions in the pixels.

    Attributes:
        key: short name, unique in a report.
        title: heading, one line.
        caption: what is drawn, in sentences.
        png: the figure in pixels.
        pdf: the same as vectors.
        data: what is drawn (method, label, x, y, ...), for interactive charts; None for pictures.
        role: set of the paper that it is of; "" for all of them.
    """

    key: str
    title: str
    caption: str
    png: Path
    pdf: Path
    data: pd.DataFrame | None = None
    role: str = ""


@dataclass(frozen=True)
class Section:
    """Part of a report.

    Attributes:
        key: short name, unique in a report.
        title: heading, one line.
        text: a paragraph; may be "".
        tables: its tables.
        figures: its figures.
        folded: whether a page shows it only when asked.
    """

    key: str
    title: str
    text: str = ""
    tables: tuple[Table, ...] = ()
    figures: tuple[Figure, ...] = ()
    folded: bool = False


def section(
    key: str,
    title: str,
    tables: Iterable[Table | None] = (),
    figures: Iterable[Figure | None] = (),
    text: str = "",
) -> Section | None:
    """Make a section of the tables and figures that there are; None where there is neither."""
    shown = tuple(table for table in tables if table is not None)
    drawn = tuple(figure for figure in figures if figure is not None)
    return Section(key, title, text, shown, drawn) if shown or drawn else None


Outcome = Literal["holds", "does not hold", "not decided", "not measured"]
OUTCOMES: tuple[Outcome, ...] = ("holds", "does not hold", "not decided", "not measured")


@dataclass(frozen=True)
class Verdict:
    """Statement of a paper, and whether the numbers of a report agree.

    Attributes:
        claim: the statement in words.
        paper: the paper's figure.
        ours: what was measured, with its interval and on what data, a line for each set; "" where
            nothing was.
        verdict: the outcome.
    """

    claim: str
    paper: str
    ours: str
    verdict: Outcome


@dataclass(frozen=True)
class Document:
    """Report of an experiment, before it is written in a format.

    Attributes:
        name: name of the experiment.
        title: heading.
        source: table or figure, and paper, in sentences.
        notice: what is reduced or substituted, said once; "" for the paper's setting.
        verdicts: statements of the paper, each with its outcome.
        provenance: (name, text): profile, data, networks, schedule, device, versions, protocol.
        sections: the sections, in order.
        certainty: what the intervals of the verdicts are over, and what is in none of them.
        role: set of the paper that a page shows first; "" where there is one.
    """

    name: str
    title: str
    source: str
    notice: str
    verdicts: tuple[Verdict, ...]
    provenance: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    certainty: str = ""
    role: str = ""

    @property
    def by_outcome(self) -> dict[Outcome, list[Verdict]]:
        """Verdicts by outcome, those that hold first."""
        found = {o: [v for v in self.verdicts if v.verdict == o] for o in OUTCOMES}
        return {outcome: verdicts for outcome, verdicts in found.items() if verdicts}

    @property
    def tally(self) -> str:
        """Number of verdicts by outcome."""
        counts = ", ".join(f"{outcome} {len(found)}" for outcome, found in self.by_outcome.items())
        return f"{len(self.verdicts)} statements of the paper: {counts}."
