"""Parts that a report consists of, whatever the format that it is written in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import pandas as pd

from harness.measure.statistics import FEWEST
from harness.report.text import counted, listing


@dataclass(frozen=True)
class Entry:
    """Place of a table.

    Attributes:
        text: printed number; "" where there is none.
        published: printed number of the paper, shown beside it in parentheses.
        detail: what a tooltip says (interval, published value, difference).
        why: why there is no number; it becomes a note.
        value: number that is compared with those of other rows.
        mark: "best", "second", "undecided" (its interval includes zero) or "".
        beside: what stands small behind the number: an interval, quartiles, the spread of seeds.
        letter: letter that the note on `why` has.
    """

    text: str = ""
    published: str = ""
    detail: str = ""
    why: str = ""
    value: float | None = None
    mark: str = ""
    beside: str = ""
    letter: str = ""


Row = tuple[str, tuple[Entry, ...]]
"""(name, entry in each column)"""


@dataclass(frozen=True)
class Table:
    """Table as it is shown; every format (terminal, Markdown, LaTeX, HTML) is made from it.

    Attributes:
        key: short name, unique in a report, for anchors and labels ("psnr-Set5").
        title: heading, one line.
        caption: one sentence.
        columns: (group, heading) of each column, e.g. ("in-scale", "x2"); a group may be "".
        blocks: rows that are compared with each other stand in a block.
        notes: sentences under the table.
        role: set of the paper that it is of; "" for all of them.
    """

    key: str
    title: str
    caption: str
    columns: tuple[tuple[str, str], ...]
    blocks: tuple[tuple[Row, ...], ...]
    notes: tuple[str, ...] = ()
    role: str = ""

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings over several columns, each with their number; none where all are ""."""
        found = [(g, len(list(own))) for g, own in groupby(group for group, _ in self.columns)]
        return found if any(group for group, _ in found) else []

    @property
    def rows(self) -> list[Row]:
        """Rows of all blocks."""
        return [row for block in self.blocks for row in block]


@dataclass(frozen=True)
class Figure:
    """Figure in files: vector PDF and PNG without captions in the pixels.

    Attributes:
        key: short name, unique in a report.
        title: heading, one line.
        caption: what is drawn, in sentences.
        png: the figure in pixels.
        pdf: the same as vectors.
        data: what is drawn, for interactive charts (`harness.report.charts`); None for pictures.
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
OUTCOMES: dict[Outcome, tuple[str, str]] = {
    "holds": ("holds", "hold"),
    "does not hold": ("does not hold", "do not hold"),
    "not decided": ("is not decided", "are not decided"),
    "not measured": ("was not measured", "were not measured"),
}
"""Words for the outcome of one statement, and of several."""


@dataclass(frozen=True)
class Verdict:
    """Statement of a paper, and whether the numbers of a report agree.

    Attributes:
        claim: the statement in words.
        paper: the paper's figure.
        ours: what was measured, with its interval and on what data, a line for each set; "" where
            nothing was.
        verdict: the outcome.
        main: whether it is one of the few that the paper's abstract makes.
        images: number of images of the largest set that was measured; 0 where none are needed.
    """

    claim: str
    paper: str
    ours: str
    verdict: Outcome
    main: bool = False
    images: int = 0

    @property
    def decisive(self) -> str:
        """Value that was measured on the set that the outcome is from."""
        lines = self.ours.splitlines()
        found = (line for line in lines if line.endswith(f", {self.verdict}"))
        return next(found, lines[0] if lines else "").removesuffix(f", {self.verdict}")


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
        key: explanation of the marks in all tables; "" where none has one.
        not_run: methods that were not run, and the command that runs them; "" without any.
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
    key: str = ""
    not_run: str = ""

    @property
    def ordered(self) -> list[Verdict]:
        """Verdicts by outcome, those that hold first and those that were not measured last."""
        return sorted(self.verdicts, key=lambda verdict: [*OUTCOMES].index(verdict.verdict))

    @property
    def measured(self) -> list[Verdict]:
        """List the verdicts that something was measured for."""
        return [verdict for verdict in self.ordered if verdict.ours]

    @property
    def too_few(self) -> int:
        """Number of images, where they are too few to decide any statement; else 0."""
        images = [verdict.images for verdict in self.measured]
        return max(images, default=0) if all(0 < n < FEWEST for n in images) else 0

    @property
    def main_verdicts(self) -> list[Verdict]:
        """List at most five that were measured: of the paper's abstract, where there are such.

        None is listed where all of them are open for one reason, which `tally` says.
        """
        measured = [] if self.too_few else [verdict for verdict in self.verdicts if verdict.ours]
        return ([verdict for verdict in measured if verdict.main] or measured)[:5]

    @property
    def tally(self) -> str:
        """Say how many statements hold, or why none can be decided."""
        every = counted(len(self.verdicts), "statement")
        if self.too_few:
            here = counted(self.too_few, "image")
            return (
                f"Too few images to decide any of the paper's {every}: {here} here, and a verdict "
                f"takes at least {FEWEST}."
            )
        found = [verdict.verdict for verdict in self.ordered]
        said = (
            f"{found.count(o)} {OUTCOMES[o][found.count(o) != 1]}" for o in dict.fromkeys(found)
        )
        return f"Of {every} of the paper, {listing(list(said))}."
