"""Costs: a line for each system with its size, quality and costs; latency and memory by scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

from harness.report import words
from harness.report.costs import Measured, memory_in_words, quartiles
from harness.report.data import Report
from harness.report.model import Section, section
from harness.report.sections.limits import count, parameters_at, system
from harness.report.tables import Column, Entry, by_scale, number, table
from harness.report.text import decimals, scale_text, sentences, unit_of
from harness.runs.experiment import IN_SCALE, SectionMaker


@dataclass(frozen=True)
class Latency(SectionMaker):
    """Table of median and quartiles of warm calls, in milliseconds."""

    costs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        measured = report.costs.latency
        notes = [
            f"Median of {measured.calls} warm calls, from the LR image to the SR image in memory; "
            "in brackets the quartiles. All systems of a scale enlarge the same image.",
            measured.turns(report.scales),
            measured.load(),
            "What a network with experts takes depends on the image.",
        ]
        return _section(report, "latency", "Latency", "ms", measured, notes)


@dataclass(frozen=True)
class Memory(SectionMaker):
    """Table of peak memory, in MiB."""

    costs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        measured = report.costs.memory
        kind = measured.setting.memory_kind if measured.setting else ""
        notes = [
            f"{memory_in_words(kind)} Weights and SR image included. Each system and scale is "
            "measured once, in a process of its own."
        ]
        return _section(report, "memory", "Peak memory", "MiB", measured, notes)


def _section(
    report: Report, key: str, title: str, unit: str, measured: Measured, notes: list[str]
) -> Section | None:
    columns = by_scale(report.scales, partial(cost_at, measured), min)
    caption = words.setting_of_costs(report, measured)
    named = f"{title} ({unit})"
    made = table(report, key, named, columns, notes, caption=caption, own=True)
    return section(key, title, [made])


def cost_at(measured: Measured, row: str, scale: float) -> Entry:
    """Make the entry of a cost, with quartiles of several calls, or say why there is none."""
    found = measured.at(row, scale)
    if found is None:
        return Entry(why=measured.missing[row, scale])
    return Entry(measured.show(found.median), value=found.median, beside=quartiles(found))


@dataclass(frozen=True)
class Overview(SectionMaker):
    """Table of parameters, PSNR, MACs, latency and peak memory at the reference scale."""

    macs: ClassVar[bool] = True
    costs: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        scale = reference_scale(report)
        title, notes = f"Every system at {scale_text(scale)}", list(_notes(report, scale))
        made = (
            table(
                report,
                "overview",
                title,
                list(_columns(report, role, scale)),
                notes,
                role=role,
                own=True,
            )
            for role in report.roles
        )
        return section("overview", "Overview", made)


def reference_scale(report: Report) -> float:
    """Return the last scale that training covers, which every system can do."""
    inside = [s for s in report.scales if s <= IN_SCALE]
    return inside[-1] if inside else report.scales[0]


def _columns(report: Report, role: str, scale: float) -> Iterator[Column]:
    """Make columns of parameters, of means over the images of a set, and of costs of one image."""
    every = (report.at(row, role, scale).metric("macs") for row in report.experiment.rows)
    exponent, letter = unit_of(every)

    def psnr(row: str) -> Entry:
        result = report.at(row, role, scale)
        return number(result, result.psnr, "" if result.psnr is None else decimals(result.psnr))

    def macs(name: str, row: str) -> Entry:
        value = report.at(row, role, scale).metric(name)
        return Entry(decimals(value / 10.0**exponent), value=value) if value else Entry()

    def one(row: str) -> Entry:
        return Entry(count(parameters_at(report, row, scale)))

    def every_one(row: str) -> Entry:
        return Entry(count(system(report, row).parameters_in_sum))

    images = "mean per image"
    latency, memory = report.costs.latency, report.costs.memory
    setting = latency.setting or memory.setting
    lr = f"LR image of {setting.size}" if setting else "one LR image"
    yield Column("parameters", "one model", one)
    yield Column("parameters", "all models", every_one)
    yield Column(images, "PSNR (dB)", psnr, max, scale)
    yield Column(images, f"{letter}MACs as in the papers", partial(macs, "macs"), min, scale)
    yield Column(images, f"{letter}MACs executed", partial(macs, "executed"), min, scale)
    yield Column(lr, "latency (ms)", lambda row: cost_at(latency, row, scale), min, scale)
    yield Column(lr, "memory (MiB)", lambda row: cost_at(memory, row, scale), min, scale)


def _notes(report: Report, scale: float) -> Iterator[str]:
    latency, memory = report.costs.latency, report.costs.memory
    yield (
        "One model: the one that does this scale. MACs: all of a system's, encoder included, the "
        "mean per image of the set, as the papers count and as executed here. Latency and memory "
        "are of one LR image."
    )
    if latency.setting is not None:
        yield sentences(
            f"Latency: median and quartiles of warm calls; {latency.setting.in_words()}.",
            latency.turns([scale]),
            latency.load(),
        )
    if memory.setting is not None:
        yield f"Memory: {memory_in_words(memory.setting.memory_kind)}"
