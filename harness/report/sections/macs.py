"""MACs: as the papers count them, as share of the baseline's, as executed, and outside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar

from baselines import parse
from harness.report import words
from harness.report.data import Report, Result
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
        notes = _notes(report, role, exponent, comparable)
        percent = []
        if comparable:
            notes += [self.notes.get(role, ""), *words.published_notes(report, role, "macs")]
        if any("percent" in result.printed for result in report.results.values()):
            percent = [words.IN_PARENTHESES, *words.published_notes(report, role, "percent")]
        made = partial(scale_table, report, role)
        unit = f"({letter}MACs)"
        counted = partial(_counted, exponent, comparable)
        yield made("macs", f"{part} counted as in the {papers} {unit}", counted, min, notes)
        title = f"{part}, % of the method's own baseline"
        yield made("macs-percent", title, partial(_percent, report), notes=percent)
        if any(parse(method).decoder for method in report.experiment.methods):
            executed = partial(_part, "executed", exponent)
            yield made("macs-executed", f"{part} executed {unit}", executed, notes=[_EXECUTED])
        kernels = partial(_part, "kernel_macs", exponent)
        title = f"MACs that make the kernels of a scale, once {unit}"
        yield made("macs-kernel", title, kernels, notes=[_KERNELS])


@dataclass(frozen=True)
class OtherMacs(SectionMaker):
    """Tables of the MACs outside the decoder: encoder and LTE's estimators."""

    macs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        layers = "Estimators are LTE's amplitude, frequency and phase layers."
        parts = {"encoder": ("the encoder", ""), "estimator": ("LTE's estimators", layers)}
        tables = []
        for role in report.roles:
            exponent, letter = _unit(report, role, "encoder_macs")
            for part, (what, note) in parts.items():
                entry = partial(_part, f"{part}_macs", exponent)
                title = f"MACs of {what} ({letter}MACs)"
                said = sentences(f"Mean per image, 1 {letter}MACs = 1e{exponent}.", note)
                tables.append(scale_table(report, role, part, title, entry, notes=[said]))
        said = "Kept apart because the papers' decoder figures leave them out."
        return section("other-macs", "MACs outside the decoder", tables, text=said)


def _counted(exponent: int, comparable: bool, result: Result) -> Entry:
    value, paper = (
        each and each / 10.0**exponent for each in (result.metric("macs"), result.paper("macs"))
    )
    if not value and not result.missing:
        return Entry()  # bicubic has no layers
    published = decimals(paper) if paper and comparable else ""
    detail = ""
    if value and paper and comparable:
        detail = f"{signed(float(f'{value:.2f}') - float(f'{paper:.2f}'))} to published"
    return number(result, value or None, decimals(value) if value else "", published, detail)


def _part(name: str, exponent: int, result: Result) -> Entry:
    value = result.metric(name)
    return Entry(decimals(value / 10.0**exponent), value=value) if value else Entry()


def percent_of_baseline(report: Report, result: Result) -> float | None:
    """Compute the MACs of a result as percentage of its baseline's; None where one is missing."""
    base = report.baseline(result.method)
    own, theirs = result.metric("macs"), None
    if base:
        theirs = report.at(base, result.role, result.scale).metric("macs")
    return 100 * own / theirs if own and theirs else None


def _percent(report: Report, result: Result) -> Entry:
    value, paper = percent_of_baseline(report, result), result.paper("percent")
    published = "" if paper is None or not report.baseline(result.method) else decimals(paper, 1)
    text = "" if value is None else decimals(value, 1)
    detail = f"of {report.label(report.baseline(result.method))}" if text else ""
    return Entry(text, published, detail, value=value)


def _comparable(report: Report, role: str) -> bool:
    """Tell whether MACs can be compared: other images or network sizes cost something else."""
    networks: dict[str, object] = report.plan.profile_settings.get("networks", {})
    return not report.role(role).substitute and not any(networks.values())


def _notes(report: Report, role: str, exponent: int, comparable: bool) -> list[str]:
    """Say what is counted, and why published figures are not shown where they are not."""
    letter = dict(UNITS)[exponent]
    results = [result for result in report.results.values() if result.role == role]
    notes = [
        f"MACs (multiply-accumulate operations), mean per image, 1 {letter}MACs = 1e{exponent}: "
        f"{_what(report, results)}."
    ]
    dearest = [report.label(r.method) for r in results if r.metric("least_encoder_macs")]
    if dearest:
        notes.append(
            f"{', '.join(dict.fromkeys(dearest))}: counted without weights, with the dearest "
            "expert in every layer, which no image exceeds."
        )
    moeisr = any(parse(method).head for method in report.experiment.methods)
    if report.experiment.reproduces and moeisr:
        said = words.IN_PARENTHESES
        if not any("macs" in result.printed for result in results):
            said = (
                "Its Table 3 takes Set14's HR images as LR, so its figures are no comparison and "
                "are not shown."
            )
        elif not comparable:
            said = "Its figures are of other images or networks, and are not shown."
        notes.append(f"The paper calls MACs FLOPs. {said}")
    return notes


def _what(report: Report, results: list[Result]) -> str:
    """Say what is counted."""
    counted = "every query through its expert's MLP, and the mapper"
    if report.experiment.macs_of == "all":
        counted = "convolutions and linear layers of the whole network"
        if any(parse(method).decoder for method in report.experiment.methods):
            counted += ", every query through its MLP (its expert's, and the mapper)"
    pixels = [value for result in results if (value := result.metric("lr_pixels")) is not None]
    if report.experiment.macs_input == "hr" and pixels:
        counted += f"; LR images here have {pixels[0]:,.2f} pixels on the mean"
    return counted


def _unit(report: Report, role: str, name: str) -> tuple[int, str]:
    return unit_of(r.metric(name) for r in report.results.values() if r.role == role)
