"""Curves: PSNR over scale and PSNR over multiply-adds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from harness.experiments import Block
from harness.published import label
from harness.report import captions
from harness.report.aggregate import CellMean, Report
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
from harness.report.text import decimals, scale_text

_MACS_SCALES = (2, 4, 12)
"""A scale in training's range, its end, and one far outside."""


def draw_curves(report: Report, folder: Path) -> list[FigureFile]:
    """Every curve that there are numbers for."""
    files = []
    for role in report.experiment.roles:
        if any(_psnr(c) is not None for c in report.cells.values() if c.role == role):
            files.append(_over_scale(report, role, folder))
            if _macs_scales(report, role):
                files.append(_over_macs(report, role, folder))
    return files


def _name(report: Report, role: str, name: str) -> str:
    return name if len(report.experiment.roles) == 1 else f"{name}_{role}"


def _psnr(cell: CellMean) -> float | None:
    """The PSNR where it can be drawn; equal images have an infinite one."""
    return cell.psnr if cell.psnr is not None and math.isfinite(cell.psnr) else None


def _over_scale(report: Report, role: str, folder: Path) -> FigureFile:
    """PSNR of all methods, and for each block the difference to its baseline."""
    blocks = [block for block in report.experiment.blocks if len(block.methods) > 1]
    sources = (captions.lr_note(report, role), captions.gaps_note(report, role))
    explained = (
        "Lower panels: difference to the block's baseline, measured (solid) and published "
        "(dotted, hollow)."
    )
    text = note(report, role, explained if blocks else "", *sources)
    figure = new_figure(COLUMN_WIDTH, 2.3 + 1.15 * len(blocks), text)
    ratios = [2.0] + [1.0] * len(blocks)
    axes = figure.subplots(
        1 + len(blocks), 1, sharex=True, squeeze=False, height_ratios=ratios
    ).ravel()
    seen = looks(report.experiment)
    for method in report.experiment.methods:
        cells = [report.at(method, role, scale) for scale in report.scales]
        _curve(axes[0], [(c.scale, _psnr(c)) for c in cells], seen[method], label=label(method))
    axes[0].set_ylabel("PSNR (dB)")
    axes[0].legend(loc="upper right", handlelength=1.8, labelspacing=0.3)
    for axis, block in zip(axes[1:], blocks, strict=True):
        _differences(axis, report, role, block, seen)
    for axis in axes:
        _scale_axis(axis, report)
    axes[-1].set_xlabel("scale factor")
    _name_ranges(axes[0], report)
    title = f"PSNR over scale, {captions.shown_set(report, role)}"
    return save(figure, folder, _name(report, role, "psnr_over_scale"), title, text)


def _curve(
    axis: Any, points: Sequence[tuple[float, float | None]], look: Look, **options: Any
) -> None:
    """A line through the points that are there; gaps stay gaps."""
    x = [scale for scale, _ in points]
    y = [math.nan if value is None else value for _, value in points]
    axis.plot(x, y, color=look.color, marker=look.marker, **options)


def _differences(axis: Any, report: Report, role: str, block: Block, seen: dict[str, Look]) -> None:
    """Measured and published difference of a block's methods to its first."""
    baseline = block.methods[0]
    for method in block.methods[1:]:
        measured: list[tuple[float, float | None]] = []
        printed: list[tuple[float, float | None]] = []
        for scale in report.scales:
            ours, base = report.at(method, role, scale), report.at(baseline, role, scale)
            measured.append((scale, _minus(_psnr(ours), _psnr(base))))
            printed.append((scale, _minus(ours.published, base.published)))
        look = seen[method]
        _curve(axis, printed, look, ls=":", markerfacecolor="white", markeredgewidth=0.7, lw=0.8)
        _curve(axis, measured, look)
    axis.axhline(0, color=seen[baseline].color, lw=0.8)
    axis.set_ylabel(f"dB to {label(baseline)}")
    axis.yaxis.set_major_locator(MaxNLocator(4))


def _minus(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _scale_axis(axis: Any, report: Report) -> None:
    """Logarithmic, with the scales themselves as ticks and a rule behind the trained ones."""
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
    """Between the last trained scale and the first beyond, in the middle of the log axis."""
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


def _over_macs(report: Report, role: str, folder: Path) -> FigureFile:
    """One panel per selected scale; a block's methods joined from the costliest to the least."""
    scales = _macs_scales(report, role)
    sources = (captions.lr_note(report, role), captions.gaps_note(report, role))
    text = note(report, role, *sources)
    figure = new_figure(PAGE_WIDTH, 2.35, text)
    axes = figure.subplots(1, len(scales), squeeze=False).ravel()
    seen = looks(report.experiment)
    for axis, scale in zip(axes, scales, strict=True):
        _macs_panel(axis, report, role, scale, seen)
    axes[0].set_ylabel("PSNR (dB)")
    legends = [axis.get_legend_handles_labels() for axis in axes]
    named = {name: handle for pair in legends for handle, name in zip(*pair, strict=True)}
    figure.legend(named.values(), named.keys(), loc="outside right upper", labelspacing=0.7)
    title = f"PSNR over decoder multiply-adds, {captions.shown_set(report, role)}"
    return save(figure, folder, _name(report, role, "psnr_over_macs"), title, text)


def _macs_scales(report: Report, role: str) -> list[float]:
    """The measured scales nearest to the wanted ones; none without a trained method."""
    trained = {m for block in report.experiment.blocks for m in block.methods}
    known = [
        scale
        for scale in report.scales
        if any(c.method in trained and _psnr(c) for c in report.measured(role, scale))
    ]
    wanted = [min(known, key=lambda s: abs(math.log(s / near))) for near in _MACS_SCALES if known]
    return sorted(set(wanted))


def _macs_panel(axis: Any, report: Report, role: str, scale: float, seen: dict[str, Look]) -> None:
    for block in report.experiment.blocks:
        cells = [report.at(method, role, scale) for method in block.methods]
        drawn = [
            (c.decoder_macs, p, c.method)
            for c in cells
            if c.decoder_macs and (p := _psnr(c)) is not None
        ]
        path = sorted(drawn, reverse=True)
        axis.plot([p[0] for p in path], [p[1] for p in path], color="0.75", lw=0.8, zorder=1)
        for macs, value, method in drawn:
            look = seen[method]
            axis.plot(
                macs, value, look.marker, color=look.color, ms=5, label=label(method), zorder=2
            )
    common = [report.at(method, role, scale) for method in report.experiment.common]
    floors = [f"{label(c.method)} {decimals(c.psnr)} dB" for c in common if c.psnr is not None]
    axis.set_title(" \N{MIDDLE DOT} ".join([scale_text(scale), *floors]))
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("decoder MACs per image")
    axis.grid(color="0.92", lw=0.5)
    axis.margins(0.12)
