"""Curves of PSNR over scale, and of the differences to each method's baseline."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from matplotlib.ticker import MaxNLocator

from harness.report import charts, words
from harness.report.charts import COLUMN_WIDTH, Group, psnrs, with_looks
from harness.report.data import Report
from harness.report.model import Figure, Section, section
from harness.report.text import sentences
from harness.runs.experiment import SectionMaker

_TOP, _TO = "PSNR (dB)", "dB to "


@dataclass(frozen=True)
class Curves(SectionMaker):
    """Figure for each group of blocks: PSNR above, differences to the baselines below."""

    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        if folder is None:
            return None
        found = (
            _draw(report, role, group, folder)
            for role in report.roles
            for group in charts.groups(report)
            # Where none of the group's own methods was measured, there is nothing to compare.
            if psnrs(report, role, group.own)["y"].notna().any()
        )
        return section("curves", "PSNR over scale", figures=found)


def _draw(report: Report, role: str, group: Group, folder: Path) -> Figure:
    above = psnrs(report, role, (*group.common, *group.own)).rename(columns={"scale": "x"})
    drawn = above.groupby("method")["y"].transform("count") > 0
    lines = [line for row in group.own for line in _differences(report, role, row)]
    every = pd.concat([above[drawn].assign(panel=_TOP, kind="measured"), pd.DataFrame(lines)])
    data = with_looks(every.reset_index(drop=True), report)
    panels = [(name, own) for name, own in data.groupby("panel", sort=False)]
    figure = charts.canvas(COLUMN_WIDTH, 1.05 + 1.05 * len(panels), report, role)
    ratios = [2.0] + [1.0] * (len(panels) - 1)
    axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)
    for axis, (name, own) in zip(axes.ravel(), panels, strict=True):
        # Beside each other, so that intervals do not cover each other.
        charts.plot(axis, own, apart=0 if name == _TOP else 0.08 * math.log(2))
        charts.scale_axis(axis, report)
        axis.set_ylabel(name)
        if name != _TOP:
            of = data.loc[data["label"] == str(name).removeprefix(_TO), "color"]
            axis.axhline(0, color=of.iloc[0] if len(of) else charts.GREY, lw=0.8)
            axis.yaxis.set_major_locator(MaxNLocator(4))
    top = axes[0][0]
    plain = {"frameon": True, "framealpha": 1, "facecolor": "white", "edgecolor": "none"}
    charts.legend(top, data[data["panel"] == _TOP], loc="upper right", borderpad=0, **plain)
    axes[-1][0].set_xlabel("scale factor")
    charts.name_ranges(top, report)
    explained = sentences(
        "Differences: mean, with its 95 % interval over images." * (len(panels) > 1),
        "Dotted and hollow: as published." * (charts.PUBLISHED in set(data["kind"])),
        *words.column_notes(report, role),
    )
    return charts.save(
        figure,
        folder / group.key(report, "psnr_over_scale", role),
        f"PSNR over scale{group.of}, {words.shown_set(report, role)}",
        report,
        role,
        explained,
        words.lr_note(report, role),
        data,
    )


def _differences(report: Report, role: str, row: str) -> Iterator[dict[str, Any]]:
    """List measured and published differences of a row to its baseline, if it has one."""
    baseline = report.baseline(row)
    measured = any(report.at(row, role, scale).psnr is not None for scale in report.scales)
    if not baseline or not report.is_run(row) or not measured:
        return
    about = {"method": row, "label": report.label(row), "panel": f"{_TO}{report.label(baseline)}"}
    for scale in report.scales:
        own, base = (report.at(each, role, scale).paper("psnr") for each in (row, baseline))
        if own is not None and base is not None:
            yield {**about, "kind": charts.PUBLISHED, "x": scale, "y": own - base}
    for scale in report.scales:
        found = report.to_baseline(row, role, scale, "psnr")
        if found is not None and math.isfinite(found.mean):
            ends = {"low": found.low, "high": found.high}
            interval = {end: found.mean if at is None else at for end, at in ends.items()}
            yield {**about, "kind": "measured", "x": scale, "y": found.mean, **interval}
