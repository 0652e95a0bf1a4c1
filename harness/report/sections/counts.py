"""Parameters and MACs of networks of the published sizes, beside the published figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from baselines import parse
from harness.data.published import Printed, System, printed_of
from harness.report import words
from harness.report.data import Report, Result
from harness.report.model import Section, Table, section
from harness.report.paper import others, paper_system
from harness.report.tables import Column, Entry, by_scale, table
from harness.report.text import decimals, scale_text, signed
from harness.runs.experiment import SectionMaker, methods_of

Part = Literal["all", "decoder", "upsampler"]
EQUAL, IN_RANGE = "equal", "in range"
_PARTS: dict[Part, str] = {
    "all": "",
    "decoder": " behind the encoder",
    "upsampler": " of the upsampler, made for a scale",
}
_AGREEMENT = (
    "Behind a published figure: equal, if the count rounded to the printed digit is; in range, if "
    "some image costs so much, rounded; else how much more is counted."
)


@dataclass(frozen=True)
class Reference:
    """Published figures shown beside a count.

    Attributes:
        name: name of their column in a table.
        about: explanation of that column, for a note.
        source: file of `harness/data/published`, with the value of its `table` column.
        metric: value of the `metric` column.
        dataset: value of the `dataset` column.
        unit: size of the unit of the values, and the text that follows them in print ("K").
        estimated: whether the values were read off a figure, so that no digit can agree.
        noted: whether the notes of single figures are shown; not where `about` has said it all.
    """

    name: str
    about: str
    source: tuple[str, str]
    metric: str
    dataset: str = "none"
    unit: tuple[float, str] = (1.0, "")
    estimated: bool = False
    noted: bool = True

    def of(self, report: Report, row: str, scale: float) -> Printed | None:
        """Find the figure of a row, over its backbone or over any, in single MACs or parameters."""
        named = others(report.experiment).get(row) or paper_system(row)
        found = (
            printed_of([self.source], each, self.dataset, scale, self.metric)
            for each in (named, System("none", named.method))
        )
        figure = next(filter(None, found), None)
        if figure is None:
            return None
        unit, word = self.unit
        digit = None if self.estimated or figure.digit is None else figure.digit * unit
        text = f"{figure.text}{word}" if figure.text else ""
        return Printed(figure.value * unit, figure.note if self.noted else "", text, digit)


@dataclass(frozen=True)
class Count:
    """Counted number; `least` where it depends on the image, and `counted` is the largest."""

    counted: int | None
    least: int | None = None

    @property
    def ends(self) -> tuple[int, ...]:
        """Smallest and largest number, or the only one; empty where nothing is counted."""
        return tuple(n for n in (self.least, self.counted) if n is not None)

    def agreement(self, figure: Printed | None) -> str:
        """Say how count and figure agree; "" without a count or a figure.

        They are equal at the printed digit, the figure is in the range, or the count is larger by
        so many percent.
        """
        if self.counted is None or figure is None:
            return ""
        if not self.agrees(figure):
            return f"{signed(100 * (self.counted / figure.value - 1))} %"
        return EQUAL if all(figure.agrees(end) for end in self.ends) else IN_RANGE

    def agrees(self, figure: Printed) -> bool:
        """Tell whether some image costs as much as is printed, rounded to the printed digit."""
        if not self.ends or figure.digit is None:
            return False
        least, most = (round(n / figure.digit) for n in (self.ends[0], self.ends[-1]))
        return least <= round(figure.value / figure.digit) <= most


@dataclass(frozen=True)
class Counts(SectionMaker):
    """Tables of parameters and MACs that follow from the architecture alone.

    Attributes:
        size: size that MACs are counted at, from `harness.data.sets.sizes.FIXED_SIZES`.
        part: "all" of a network; "decoder": everything behind the encoder; "upsampler": the kernels
            of a network for several scales, made for one, and applying them.
        parameters: references shown beside the parameters.
        macs_beside: references shown beside the MACs.
        unit: MACs of one unit in the table, and the unit's name there.
        note: what is counted, and how it can be compared.
    """

    size: str
    part: Part = "all"
    parameters: tuple[Reference, ...] = ()
    macs_beside: tuple[Reference, ...] = ()
    unit: tuple[float, str] = (1e9, "GMACs")
    note: str = ""

    @property
    def sizes(self) -> tuple[str, ...]:
        """The size must be counted at."""
        return (self.size,)

    def make(self, report: Report, folder: Path | None) -> Section | None:
        unit, name = self.unit
        part = _PARTS[self.part]

        def whole(number: float) -> str:
            return f"{number:,.0f}"

        def per_unit(number: float, unit: float = unit) -> str:
            return decimals(number / unit)

        def plain(number: float) -> str:
            return f"{number / unit:g}"

        parameters = {"counted": partial(self._counted, report, 0, whole)}
        macs = {f"counted ({name})": partial(self._counted, report, 1, per_unit)}
        for each in self.parameters:
            parameters[each.name] = partial(self._beside, report, 0, whole, each)
        for each in self.macs_beside:
            macs[each.name] = partial(self._beside, report, 1, plain, each)
        if unit != 1e9:
            macs["in GMACs"] = partial(self._counted, report, 1, partial(per_unit, unit=1e9))
        macs["% of the baseline"] = partial(self._percent, report)
        title = f"MACs{part} ({name}), {self.size}"
        made = [
            self._table(report, "parameters", f"Parameters{part}", parameters, self.parameters),
            self._table(report, "counts", title, macs, self.macs_beside, self.note),
        ]
        return section(f"counts-{self.part}", f"Counts{part}", made, text=words.COUNTED)

    def result(self, report: Report, row: str, scale: float) -> Result:
        """Return what is stored of the count."""
        return report.at(row, self.size, scale)

    def count(self, result: Result) -> tuple[Count, Count]:
        """Read parameters and MACs of the part from a result."""

        def number(*names: str) -> int | None:
            found = [None if result.missing else result.metric(name) for name in names]
            return None if None in found else sum(int(n) for n in found if n is not None)

        decoder, every = number("decoder_macs", "estimator_macs"), number("parameters")
        if self.part == "decoder":
            inside = number("encoder_parameters")
            own = None if inside is None or every is None else every - inside
            return Count(own), Count(decoder)
        if self.part == "upsampler":
            values = number("kernel_parameters")
            return Count(values), Count(None if values is None else number("decoder_macs"))
        parts = ("decoder_macs", "estimator_macs")
        return Count(every), Count(
            number(*parts, "encoder_macs"), number(*parts, "least_encoder_macs")
        )

    def records(self, report: Report) -> Iterator[dict[str, Any]]:
        """List each count, with the published figures beside it."""
        for scale in report.scales:
            for row in (*report.experiment.rows, *others(report.experiment)):
                result = self.result(report, row, scale)
                parameters, macs = self.count(result)
                other = report.is_other(row)
                record: dict[str, Any] = {
                    "method": row,
                    "label": report.label(row),
                    "kind": "published" if other else "counted",
                    "size": self.size,
                    "part": self.part,
                    "scale": scale,
                    "missing": result.missing,
                    "parameters": parameters.counted,
                    "macs": macs.counted,
                    "least_macs": macs.least,
                    "versions": list(result.source("version")),
                    "provenance": words.COUNTED,
                }
                for what, count, references in (
                    ("parameters", parameters, self.parameters),
                    ("macs", macs, self.macs_beside),
                ):
                    for reference in references:
                        figure = reference.of(report, row, scale)
                        key = f"{reference.name.replace(' ', '_')}_{what}"
                        record[key] = None if figure is None else figure.value
                        record[f"{key}_agreement"] = count.agreement(figure) or None
                yield record

    def _counted(
        self, report: Report, which: int, show: Callable[[float], str], row: str, scale: float
    ) -> Entry:
        result = self.result(report, row, scale)
        ours = not report.is_other(row) and parse(methods_of(row)[0]).is_trained
        ends = self.count(result)[which].ends
        return Entry(" to ".join(map(show, ends)), why=result.missing if ours else "")

    def _beside(
        self,
        report: Report,
        which: int,
        show: Callable[[float], str],
        reference: Reference,
        row: str,
        scale: float,
    ) -> Entry:
        figure = reference.of(report, row, scale)
        if figure is None:
            return Entry()
        agreement = self.count(self.result(report, row, scale))[which].agreement(figure)
        return Entry(", ".join(filter(None, [figure.text or show(figure.value), agreement])))

    def _percent(self, report: Report, row: str, scale: float) -> Entry:
        """Make the entry of the MACs in percent of a row's baseline."""
        base = report.baseline(row)
        if not base:
            return Entry()
        own, theirs = (
            self.count(self.result(report, name, scale))[1].counted for name in (row, base)
        )
        text = decimals(100 * own / theirs) if own is not None and theirs else ""
        return Entry(text, detail=f"of {report.label(base)}")

    def _table(
        self,
        report: Report,
        key: str,
        title: str,
        groups: Mapping[str, Callable[[str, float], Entry]],
        references: Sequence[Reference],
        note: str = "",
    ) -> Table | None:
        """Make a table with a column for each scale of a group; one where no scale matters."""
        rows = [row for block in report.blocks for row in block]
        columns: list[Column] = []
        for group, entry in groups.items():
            texts = [[entry(row, scale).text for scale in report.scales] for row in rows]
            if all(len(set(of_row)) == 1 for of_row in texts):
                alike = partial(_at, entry, report.scales[0])
                columns += [Column(group, "any scale", alike)] * any(map(any, texts))
            else:
                every = by_scale(report.scales, entry, group=group)
                columns += [c for n, c in enumerate(every) if any(line[n] for line in texts)]
        notes = [note, *_notes(report, references)]
        return table(report, f"{key}-{self.part}", title, columns, notes)


def _at(entry: Callable[[str, float], Entry], scale: float, row: str) -> Entry:
    return entry(row, scale)


def _notes(report: Report, references: Sequence[Reference]) -> Iterator[str]:
    """Explain the columns of references, and list the notes on single figures."""
    for reference in references:
        yield f"{reference.name}: {reference.about}."
    if references:
        estimated = any(reference.estimated for reference in references)
        yield _AGREEMENT + " What was read off a figure has no digit to agree with." * estimated
    rows = [row for block in report.blocks for row in block]
    yield from words.notes_on(
        (figure.note, f"{report.label(row)} {scale_text(scale)}")
        for reference in references
        for row in rows
        for scale in report.scales
        for figure in [reference.of(report, row, scale)]
        if figure is not None
    )
