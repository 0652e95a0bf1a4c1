"""Curves of PSNR over scale and of PSNR over MACs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from baselines.registry import LABELS
from harness.experiments import Block, methods_of
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.figure import (
    COLUMN_WIDTH,
    PAGE_WIDTH,
    FigureFile,
    Look,
    looks,
    new_figure,
    note,
    save,
)
from harness.report.means import CellMean
from harness.report.text import decimals, scale_text

_MACS_SCALES = (2, 4, 12)
"""Scales to show: one in the training range, its end, and one far outside."""


@dataclass(frozen=True)
class _Group:
    """Blocks that share a figure, with the rows above them.

    Attributes:
        name: suffix of the file's name; "" where the experiment has one group.
        seen: colour and marker of every row.
    """

    name: str
    common: tuple[str, ...]
    blocks: tuple[Block, ...]
    seen: dict[str, Look]

    @property
    def rows(self) -> tuple[str, ...]:
        """Every row, in order."""
        return (*self.common, *(row for block in self.blocks for row in block.methods))


def draw_curves(report: Report, folder: Path) -> list[FigureFile]:
    """Draw every curve that there are numbers for."""
    files: list[FigureFile] = []
    if "curves" not in report.experiment.figures:
        return files
    for role in report.roles:
        for group in _groups(report):
            # Where none of the group's own methods was measured, there is nothing to compare.
            own = [c for b in group.blocks for c in _cells(report, role, b.methods)]
            if any(_psnr(c) is not None for c in own):
                files.append(_over_scale(report, role, group, folder))
                if _macs_scales(report, role, group):
                    files.append(_over_macs(report, role, group, folder))
    return files


def _groups(report: Report) -> list[_Group]:
    common, blocks = report.experiment.common, report.experiment.blocks
    names = list(dict.fromkeys(block.group for block in blocks))
    groups = []
    for name in names:
        own = tuple(block for block in blocks if block.group == name)
        groups.append(_Group(name if len(names) > 1 else "", common, own, looks(common, own)))
    return groups


def _cells(report: Report, role: str, rows: Sequence[str]) -> list[CellMean]:
    return [report.at(row, role, scale) for row in rows for scale in report.scales]


def _name(report: Report, role: str, group: _Group, name: str) -> str:
    parts = (name, role if len(report.roles) > 1 else "", group.name)
    return "_".join(part for part in parts if part)


def _of(group: _Group) -> str:
    """Name the group in a title, by the paper's name of its encoder."""
    return f" ({LABELS.get(group.name, group.name)})" if group.name else ""


def _psnr(cell: CellMean) -> float | None:
    """Return the PSNR where it can be drawn; equal images have an infinite one."""
    return cell.psnr if cell.psnr is not None and math.isfinite(cell.psnr) else None


def _over_scale(report: Report, role: str, group: _Group, folder: Path) -> FigureFile:
    """Draw the PSNR of all methods, and for each block the differences to its methods' baseline."""
    blocks = [block for block in group.blocks if any(map(report.baseline, block.methods))]
    sources = (captions.lr_note(report, role), captions.gaps_note(report, role, group.rows))
    explained = (
        "Lower panels: difference to the baseline, measured (solid) and published (dotted, hollow)."
    )
    text = note(report, role, explained if blocks else "", *sources)
    figure = new_figure(COLUMN_WIDTH, 2.3 + 1.15 * len(blocks), text)
    ratios = [2.0] + [1.0] * len(blocks)
    axes = figure.subplots(
        1 + len(blocks), 1, sharex=True, squeeze=False, height_ratios=ratios
    ).ravel()
    for row in group.rows:
        points = [(c.scale, _psnr(c)) for c in _cells(report, role, (row,))]
        if any(value is not None for _, value in points):
            _curve(axes[0], points, group.seen[row], label=report.label(row))
    axes[0].set_ylabel("PSNR (dB)")
    axes[0].legend(loc="upper right", handlelength=1.8, labelspacing=0.3)
    for axis, block in zip(axes[1:], blocks, strict=True):
        _differences(axis, report, role, block, group.seen)
    for axis in axes:
        _scale_axis(axis, report)
    axes[-1].set_xlabel("scale factor")
    _name_ranges(axes[0], report)
    title = f"PSNR over scale{_of(group)}, {captions.shown_set(report, role)}"
    return save(figure, folder, _name(report, role, group, "psnr_over_scale"), title, text)


def _curve(
    axis: Any, points: Sequence[tuple[float, float | None]], look: Look, **options: Any
) -> None:
    """Draw a line through the points that are there; gaps stay gaps."""
    x = [scale for scale, _ in points]
    y = [math.nan if value is None else value for _, value in points]
    axis.plot(x, y, color=look.color, marker=look.marker, **options)


def _differences(axis: Any, report: Report, role: str, block: Block, seen: dict[str, Look]) -> None:
    """Draw measured and published differences of a block's methods to their baselines."""
    compared = [row for row in block.methods if report.baseline(row)]
    for method in compared:
        baseline = report.baseline(method)
        measured: list[tuple[float, float | None]] = []
        printed: list[tuple[float, float | None]] = []
        for scale in report.scales:
            ours, base = report.at(method, role, scale), report.at(baseline, role, scale)
            measured.append((scale, _minus(_psnr(ours), _psnr(base))))
            printed.append((scale, _minus(ours.printed.get("psnr"), base.printed.get("psnr"))))
        look = seen[method]
        _curve(axis, printed, look, ls=":", markerfacecolor="white", markeredgewidth=0.7, lw=0.8)
        _curve(axis, measured, look)
    baselines = dict.fromkeys(map(report.baseline, compared))
    axis.axhline(0, color=seen[next(iter(baselines))].color, lw=0.8)
    axis.set_ylabel(f"dB to {', '.join(map(report.label, baselines))}")
    axis.yaxis.set_major_locator(MaxNLocator(4))


def _decoder(cell: CellMean) -> float:
    return cell.part_macs.get("decoder", 0.0)


def _minus(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _scale_axis(axis: Any, report: Report) -> None:
    """Set up a logarithmic axis, with the scales as ticks and a rule behind the trained ones."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(report.scales)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: scale_text(value)))
    axis.grid(axis="y", color="0.9", lw=0.5)
    axis.set_axisbelow(True)
    divider = _divider(report)
    if divider is not None:
        axis.axvline(divider, color="0.6", lw=0.6, ls=(0, (4, 3)))


def _divider(report: Report) -> float | None:
    """Compute the middle, on the log axis, between the last trained scale and the first beyond."""
    inside = [s for s in report.scales if s <= report.experiment.in_scale_up_to]
    outside = [s for s in report.scales if s > report.experiment.in_scale_up_to]
    return math.sqrt(inside[-1] * outside[0]) if inside and outside else None


def _name_ranges(axis: Any, report: Report) -> None:
    divider = _divider(report)
    if divider is None:
        return
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    style = {"fontsize": 6, "color": "0.4", "va": "bottom", **place}
    axis.annotate("in-scale", (divider, 0.01), (-3, 0), ha="right", **style)
    axis.annotate("out-of-scale", (divider, 0.01), (3, 0), ha="left", **style)


def _over_macs(report: Report, role: str, group: _Group, folder: Path) -> FigureFile:
    """Draw one panel per selected scale, a block's methods joined by falling cost."""
    scales = _macs_scales(report, role, group)
    sources = (captions.lr_note(report, role), captions.gaps_note(report, role, group.rows))
    fixed = any(row != name for row in group.rows for name in methods_of(row))
    without = "Fixed-scale networks have no decoder and are not drawn." if fixed else ""
    text = note(report, role, without, *sources)
    figure = new_figure(PAGE_WIDTH, 2.35, text)
    axes = figure.subplots(1, len(scales), squeeze=False).ravel()
    for axis, scale in zip(axes, scales, strict=True):
        _macs_panel(axis, report, role, scale, group)
    axes[0].set_ylabel("PSNR (dB)")
    legends = [axis.get_legend_handles_labels() for axis in axes]
    named = {name: handle for pair in legends for handle, name in zip(*pair, strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside right upper", labelspacing=0.7)
    title = f"PSNR over decoder MACs{_of(group)}, {captions.shown_set(report, role)}"
    return save(figure, folder, _name(report, role, group, "psnr_over_macs"), title, text)


def _macs_scales(report: Report, role: str, group: _Group) -> list[float]:
    """Find the measured scales nearest to the wanted ones; none if no network has a decoder."""
    cells = [c for b in group.blocks for c in _cells(report, role, b.methods)]
    known = sorted({c.scale for c in cells if _decoder(c) and _psnr(c) is not None})
    wanted = [min(known, key=lambda s: abs(math.log(s / near))) for near in _MACS_SCALES if known]
    return sorted(set(wanted))


def _macs_panel(axis: Any, report: Report, role: str, scale: float, group: _Group) -> None:
    for block in group.blocks:
        cells = [report.at(method, role, scale) for method in block.methods]
        drawn = [
            (_decoder(c), p, c.method) for c in cells if _decoder(c) and (p := _psnr(c)) is not None
        ]
        path = sorted(drawn, reverse=True) if block.joined else []
        axis.plot([p[0] for p in path], [p[1] for p in path], color="0.75", lw=0.8, zorder=1)
        for macs, value, row in drawn:
            look, name = group.seen[row], report.label(row)
            axis.plot(macs, value, look.marker, color=look.color, ms=5, label=name, zorder=2)
    common = [report.at(row, role, scale) for row in group.common]
    floors = [f"{report.label(c.method)} {decimals(p)} dB" for c in common if (p := _psnr(c))]
    axis.set_title(" \N{MIDDLE DOT} ".join([scale_text(scale), *floors]))
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("decoder MACs per image")
    axis.grid(color="0.92", lw=0.5)
    axis.margins(0.12)
