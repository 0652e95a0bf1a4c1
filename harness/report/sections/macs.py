"""MACs: as the papers count them, as share of the baseline's, as executed, and outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from baselines import parse
from harness.report import words
from harness.report.data import Cell, Report
from harness.report.model import Section, Table, section
from harness.report.tables import Entry, number, scale_table
from harness.report.text import UNITS, decimals, sentences, signed, unit_of
from harness.runs.experiment import SectionMaker

_EXECUTED = (
    "What our engine computes for the same pixels, LTE's estimators included: what the queries of "
    "a latent code share, once. A few queries at the image's border that it answers twice are left "
    "out."
)
_KERNELS = "Kernels are made once for all images of a scale, and are not in the other counts."


@dataclass(frozen=True)
class MacsTable(SectionMaker):
    """Tables of the MACs that the experiment is about, beside the published ones.

    Attributes:
        unit: letter of the paper's unit, so that digits can be compared; "" to choose it by the
            numbers.
        notes: notes that a comparison with published values needs, by role.
    """

    unit: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    macs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        made = (table for role in report.roles for table in self._of_role(report, role))
        return section("macs", "MACs", made)

    def _of_role(self, report: Report, role: str) -> Iterator[Table | None]:
        comparable = _comparable(report, role)
        fixed = [unit for unit in UNITS if unit[1] == self.unit and comparable]
        exponent, letter = fixed[0] if fixed else _unit(report, role, "macs")
        part = "Decoder MACs" if report.experiment.macs_of == "decoder" else "MACs"
        papers = "paper" if report.experiment.reproduces else "papers"
        title = f"{part} counted as in the {papers} ({letter}MACs)"
        notes = _notes(report, role, exponent, comparable)
        if comparable:
            notes += [self.notes.get(role, ""), *words.published_notes(report, role, "macs")]
        yield scale_table(report, role, "macs", title, _count(exponent, comparable), min, notes)
        yield scale_table(
            report,
            role,
            "macs-percent",
            f"{part}, % of the method's own baseline",
            partial(_percent, report),
            notes=["In parentheses: published.", *words.published_notes(report, role, "percent")]
            if any("percent" in c.printed for c in report.cells.values())
            else (),
        )
        if any(parse(method).decoder for method in report.experiment.methods):
            title = f"{part} executed ({letter}MACs)"
            entry = _part("executed", exponent)
            yield scale_table(report, role, "macs-executed", title, entry, notes=[_EXECUTED])
        title = f"MACs that make the kernels of a scale, once ({letter}MACs)"
        entry = _part("kernel_macs", exponent)
        yield scale_table(report, role, "macs-kernel", title, entry, notes=[_KERNELS])


@dataclass(frozen=True)
class OtherMacs(SectionMaker):
    """Tables of the MACs outside the decoder: encoder and LTE's estimators."""

    macs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        parts = {
            "encoder": ("MACs of the encoder", ""),
            "estimator": (
                "MACs of LTE's estimators",
                "Estimators are LTE's amplitude, frequency and phase layers.",
            ),
        }
        tables = []
        for role in report.roles:
            exponent, letter = _unit(report, role, "encoder_macs")
            for part, (title, note) in parts.items():
                entry = _part(f"{part}_macs", exponent)
                shown = f"{title} ({letter}MACs)"
                said = sentences(f"Mean per image, 1 {letter}MACs = 1e{exponent}.", note)
                tables.append(scale_table(report, role, part, shown, entry, notes=[said]))
        said = "Kept apart because the papers' decoder figures leave them out."
        return section("other-macs", "MACs outside the decoder", tables, text=said)


def _count(exponent: int, comparable: bool) -> Callable[[Cell], Entry]:
    def entry(cell: Cell) -> Entry:
        value, paper = _over(cell.metric("macs"), exponent), _over(cell.paper("macs"), exponent)
        if value is None and not cell.missing:
            return Entry()  # bicubic has no layers
        published = "" if paper is None or not comparable else decimals(paper)
        detail = ""
        if value is not None and published:
            difference = float(f"{value:.2f}") - float(f"{paper:.2f}")
            detail = f"{signed(difference)} to published"
        return number(cell, value, "" if value is None else decimals(value), published, detail)

    return entry


def _part(name: str, exponent: int) -> Callable[[Cell], Entry]:
    def entry(cell: Cell) -> Entry:
        value = _over(cell.metric(name), exponent)
        return Entry() if value is None else Entry(decimals(value), value=value)

    return entry


def percent_of_baseline(report: Report, cell: Cell) -> float | None:
    """Compute the MACs of a cell as percentage of its baseline's; None where one is missing."""
    base = report.baseline(cell.method)
    own, theirs = cell.metric("macs"), None
    if base:
        theirs = report.at(base, cell.role, cell.scale).metric("macs")
    return 100 * own / theirs if own and theirs else None


def _percent(report: Report, cell: Cell) -> Entry:
    value, paper = percent_of_baseline(report, cell), cell.paper("percent")
    published = "" if paper is None or not report.baseline(cell.method) else decimals(paper, 1)
    text = "" if value is None else decimals(value, 1)
    detail = f"of {report.label(report.baseline(cell.method))}" if text else ""
    return Entry(text, published, detail, value=value)


def _comparable(report: Report, role: str) -> bool:
    """Tell whether MACs can be compared: other images or network sizes cost something else."""
    networks: dict[str, object] = report.plan.profile_settings.get("networks", {})
    return not report.role(role).substitute and not any(networks.values())


def _notes(report: Report, role: str, exponent: int, comparable: bool) -> list[str]:
    """Say what is counted, and why published figures are not shown where they are not."""
    letter = dict(UNITS)[exponent]
    cells = [cell for cell in report.cells.values() if cell.role == role]
    notes = [
        f"MACs (multiply-accumulate operations), mean per image, 1 {letter}MACs = 1e{exponent}: "
        f"{_counted(report, cells)}."
    ]
    dearest = dict.fromkeys(report.label(c.method) for c in cells if c.metric("least_encoder_macs"))
    if dearest:
        notes.append(
            f"{', '.join(dearest)}: counted without weights, with the dearest expert in every "
            "layer, which no image exceeds."
        )
    moeisr = any(parse(method).head for method in report.experiment.methods)
    if not (report.experiment.reproduces and moeisr):
        return notes
    if not any("macs" in cell.printed for cell in cells):
        why = "Its Table 3 takes Set14's HR images as LR, so its figures are no comparison and are"
        notes.append(f"The paper calls MACs FLOPs. {why} not shown.")
    elif comparable:
        notes.append("The paper calls MACs FLOPs. In parentheses: published.")
    else:
        why = "Its figures are of other images or networks, and are not shown."
        notes.append(f"The paper calls MACs FLOPs. {why}")
    return notes


def _counted(report: Report, cells: list[Cell]) -> str:
    """Say what is counted."""
    counted = "every query through its expert's MLP, and the mapper"
    if report.experiment.macs_of == "all":
        counted = "convolutions and linear layers of the whole network"
        if any(parse(method).decoder for method in report.experiment.methods):
            counted += ", every query through its MLP (its expert's, and the mapper)"
    pixels = [value for cell in cells if (value := cell.metric("lr_pixels")) is not None]
    if report.experiment.macs_input == "hr" and pixels:
        counted += f"; LR images here have {pixels[0]:,.2f} pixels on the mean"
    return counted


def _over(value: float | None, exponent: int) -> float | None:
    """Convert to the unit; None where there is nothing to count (bicubic has no layers)."""
    return value / 10.0**exponent if value else None


def _unit(report: Report, role: str, name: str) -> tuple[int, str]:
    return unit_of(c.metric(name) for c in report.cells.values() if c.role == role)
