"""Overview with one line for each system: its size, its quality and its costs at one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.report import words
from harness.report.costs import mebibytes, memory_in_words, milliseconds, quartiles
from harness.report.data import Report
from harness.report.model import Section, section
from harness.report.sections.costs import cost_entry
from harness.report.sections.limits import count
from harness.report.systems import parameters_at, system
from harness.report.tables import Column, Entry, number, role_key, table
from harness.report.text import decimals, scale_text, sentences, unit_of
from harness.runs.experiment import IN_SCALE, SectionMaker

_IMAGES = "mean per image"


@dataclass(frozen=True)
class Overview(SectionMaker):
    """Table of parameters, PSNR, MACs, latency and peak memory at the reference scale."""

    macs: ClassVar[bool] = True
    costs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        scale = reference_scale(report)
        made = (
            table(
                report,
                role_key(report, role, "overview"),
                f"Every system at {scale_text(scale)}, {words.shown_set(report, role)}",
                words.caption(report, role),
                [*_sizes(report, scale), *_means(report, role, scale), *_costs(report, scale)],
                list(_notes(report)),
                report.experiment.groups,
                role=role,
            )
            for role in report.roles
        )
        return section("overview", "Overview", made)


def reference_scale(report: Report) -> float:
    """Return the last scale that training covers, which every system can do."""
    inside = [s for s in report.scales if s <= IN_SCALE]
    return inside[-1] if inside else report.scales[0]


def _sizes(report: Report, scale: float) -> Iterator[Column]:
    def one(row: str) -> Entry:
        return Entry(count(parameters_at(report, row, scale)))

    def every(row: str) -> Entry:
        return Entry(count(system(report, row).parameters_in_sum))

    yield Column("parameters", "one model", one)
    yield Column("parameters", "all models", every)


def _means(report: Report, role: str, scale: float) -> Iterator[Column]:
    """Make the columns of means over the images of a set."""
    exponent, letter = unit_of(
        report.at(row, role, scale).metric("macs") for row in report.experiment.rows
    )

    def psnr(row: str) -> Entry:
        cell = report.at(row, role, scale)
        return number(cell, cell.psnr, "" if cell.psnr is None else decimals(cell.psnr))

    def macs(name: str) -> Callable[[str], Entry]:
        def entry(row: str) -> Entry:
            value = report.at(row, role, scale).metric(name)
            return Entry(decimals(value / 10.0**exponent), value=value) if value else Entry()

        return entry

    yield Column(_IMAGES, "PSNR (dB)", psnr, max, scale)
    yield Column(_IMAGES, f"{letter}MACs as in the papers", macs("macs"), min, scale)
    yield Column(_IMAGES, f"{letter}MACs executed", macs("executed"), min, scale)


def _costs(report: Report, scale: float) -> Iterator[Column]:
    """Make the columns of latency with its quartiles, and memory."""
    latency, memory = report.costs.latency, report.costs.memory
    setting = latency.setting or memory.setting
    group = f"LR image of {setting.size}" if setting else "one LR image"

    def time(row: str) -> Entry:
        return cost_entry(latency, row, scale, lambda value: milliseconds(value.median))

    def spread(row: str) -> Entry:
        value = latency.at(row, scale)
        return Entry("" if value is None else quartiles(value))

    def space(row: str) -> Entry:
        return cost_entry(memory, row, scale, lambda value: mebibytes(value.median))

    yield Column(group, "latency (ms)", time, min, scale)
    yield Column(group, "quartiles", spread)
    yield Column(group, "memory (MiB)", space, min, scale)


def _notes(report: Report) -> Iterator[str]:
    latency, memory = report.costs.latency, report.costs.memory
    yield (
        "One model: the one that does this scale. MACs: all of a system's, encoder included, the "
        "mean per image of the set, as the papers count and as executed here. Latency and memory "
        "are of one LR image."
    )
    if latency.setting is not None:
        yield sentences(
            f"Latency: median and quartiles of warm calls; {latency.setting.in_words()}.",
            latency.turns([reference_scale(report)]),
            latency.load(),
        )
    if memory.setting is not None:
        yield f"Memory: {memory_in_words(memory.setting.memory_kind)}"
