"""Curves of PSNR over scale, and of the differences to each method's baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from matplotlib.ticker import MaxNLocator

from harness.report import charts, words
from harness.report.charts import COLUMN_WIDTH, Group, points, with_looks
from harness.report.data import Report
from harness.report.looks import Look, looks
from harness.report.model import Figure, Section, section
from harness.report.text import sentences
from harness.runs.experiment import Block, SectionMaker


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
            if len(points(report, role, [r for b in group.blocks for r in b.methods]))
        )
        return section("curves", "PSNR over scale", figures=found)


def _draw(report: Report, role: str, group: Group, folder: Path) -> Figure:
    seen = looks(report.experiment.rows, report.experiment.common)
    above = points(report, role, group.rows)
    drawn = {str(row) for row in above["method"]}
    blocks = [b for b in group.blocks if any(r in drawn and report.baseline(r) for r in b.methods)]
    figure = charts.canvas(COLUMN_WIDTH, 2.1 + 1.05 * len(blocks), report, role)
    ratios = [2.0] + [1.0] * len(blocks)
    axes = figure.subplots(len(ratios), 1, sharex=True, squeeze=False, height_ratios=ratios)
    top, *lower = axes.ravel()
    for row in group.rows:
        own = above[above["method"] == row]
        if len(own):
            values = dict(zip(own["scale"], own["y"], strict=True))
            # Gaps stay gaps.
            y = [values.get(scale, math.nan) for scale in report.scales]
            look = seen[row]
            top.plot(
                report.scales, y, look.marker, ls="-", color=look.color, label=report.label(row)
            )
    top.set_ylabel("PSNR (dB)")
    plain = {"frameon": True, "framealpha": 1, "facecolor": "white", "edgecolor": "none"}
    top.legend(loc="upper right", handlelength=1.8, labelspacing=0.3, borderpad=0, **plain)
    below = [
        _differences(axis, report, role, b, seen) for axis, b in zip(lower, blocks, strict=True)
    ]
    for axis in (top, *lower):
        charts.scale_axis(axis, report)
    axes[-1][0].set_xlabel("scale factor")
    charts.name_ranges(top, report)
    compared = [row for block in blocks for row in block.methods if report.baseline(row)]
    published = any(_published(report, role, row) for row in compared)
    explained = sentences(
        "Differences: mean, with its 95 % interval over images." * bool(blocks),
        "In PNG and PDF, dotted and hollow: as published." * published,
        *words.column_notes(report, role),
    )
    above = above.rename(columns={"scale": "x"}).assign(panel="PSNR (dB)")
    data = pd.concat([above, *below], ignore_index=True)
    return charts.save(
        figure,
        folder / group.key(report, "psnr_over_scale", role),
        f"PSNR over scale{group.of}, {words.shown_set(report, role)}",
        report,
        role,
        explained,
        words.lr_note(report, role),
        with_looks(data, report),
    )


def _differences(
    axis: Any, report: Report, role: str, block: Block, seen: dict[str, Look]
) -> pd.DataFrame:
    """Draw measured and published differences of a block's methods to their baselines."""
    compared = [row for row in block.methods if report.baseline(row) and report.is_run(row)]
    lines: list[dict[str, Any]] = []
    # Beside each other, so that intervals do not cover each other.
    for place, row in enumerate(compared):
        look, shift = seen[row], 2 ** (0.08 * (place - (len(compared) - 1) / 2))
        printed = _published(report, role, row)
        hollow = {"markerfacecolor": "white", "markeredgewidth": 0.7}
        x = [scale * shift for scale, _ in printed]
        y = [value for _, value in printed]
        axis.plot(x, y, look.marker, ls=":", lw=0.7, alpha=0.75, color=look.color, **hollow)
        found = {s: report.to_baseline(row, role, s, "psnr") for s in report.scales}
        known = {s: d for s, d in found.items() if d is not None and math.isfinite(d.mean)}
        for scale, each in known.items():
            low = each.mean if each.low is None else each.low
            high = each.mean if each.high is None else each.high
            axis.plot([scale * shift] * 2, [low, high], color=look.color, lw=0.7)
            about = {
                "method": row,
                "label": report.label(row),
                "panel": "difference to the baseline (dB)",
            }
            lines.append({**about, "x": scale, "y": each.mean, "low": low, "high": high})
        x = [scale * shift for scale in known]
        axis.plot(x, [d.mean for d in known.values()], look.marker, ls="-", color=look.color)
    baselines = list(dict.fromkeys(map(report.baseline, compared)))
    axis.axhline(0, color=seen[baselines[0]].color, lw=0.8)
    axis.set_ylabel(f"dB to {', '.join(map(report.label, baselines))}")
    axis.yaxis.set_major_locator(MaxNLocator(4))
    return pd.DataFrame(lines)


def _published(report: Report, role: str, row: str) -> Sequence[tuple[float, float]]:
    found = []
    for scale in report.scales:
        own = report.at(row, role, scale).paper("psnr")
        base = report.at(report.baseline(row), role, scale).paper("psnr")
        if own is not None and base is not None:
            found.append((scale, own - base))
    return found
