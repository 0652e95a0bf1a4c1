"""PSNR over cost, a panel for each scale, with the front that nothing dominates.

Over MACs a system has two points: as the papers count it is hollow, as the engine executes it
filled, and a thin line joins them. Over latency it has one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from harness.report import charts, words
from harness.report.charts import PAGE_WIDTH, Group, with_looks
from harness.report.data import Report
from harness.report.looks import Look, looks
from harness.report.model import Figure, Section, section
from harness.report.text import decimals, scale_text, scales_text, sentences
from harness.runs.experiment import IN_SCALE, SectionMaker

_COLUMNS = 3
_PANEL_HEIGHT = 1.75
_FRONT = "0.55"
_MACS, _EXECUTED, _LATENCY = "counted as in the papers", "executed", "measured"


@dataclass(frozen=True)
class Pareto(SectionMaker):
    """Figures of PSNR over MACs, and over latency where it was measured."""

    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        if folder is None:
            return None
        drawn = (
            _draw(report, role, group, name, folder)
            for role in report.roles
            for group in charts.groups(report)
            for name in _COSTS
        )
        return section("pareto", "PSNR over cost", figures=drawn)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Find the points that no other one dominates, from the least to the greatest cost.

    A point dominates another if it costs no more, gives no less, and is better in one of them. All
    of several equal points are on the front.

    Args:
        points: (cost, gain) of each point.

    Example:
        >>> pareto_front([(3, 30.0), (1, 28.0), (2, 27.0), (5, 30.0)])
        [1, 0]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    front: list[int] = []
    best, last = -math.inf, None
    for place in order:
        gain = points[place][1]
        if gain > best or points[place] == last:
            front.append(place)
            best, last = gain, points[place]
    return front


def panel_scales(report: Report) -> list[float]:
    """Choose the last three scales that training covers, the first beyond and the last."""
    inside = [s for s in report.scales if s <= IN_SCALE]
    outside = [s for s in report.scales if s > IN_SCALE]
    return [*inside[-3:], *dict.fromkeys([*outside[:1], *outside[-1:]])]


def _macs(report: Report, row: str, role: str, scale: float) -> dict[str, float]:
    cell = report.at(row, role, scale)
    found = {_MACS: cell.metric("macs"), _EXECUTED: cell.metric("executed")}
    return {count: value for count, value in found.items() if value}


def _latency(report: Report, row: str, role: str, scale: float) -> dict[str, float]:
    del role
    found = report.costs.latency.at(row, scale)
    return {} if found is None else {_LATENCY: found.median}


_COSTS: dict[str, Callable[[Report, str, str, float], dict[str, float]]] = {
    "macs": _macs,
    "latency": _latency,
}


def _explained(report: Report, name: str) -> str:
    if name == "latency":
        setting = report.costs.latency.setting
        where = "" if setting is None else f" of one image on {setting.in_words()}"
        turns = report.costs.latency.turns(report.scales)
        return sentences(f"Latency: the median of warm calls{where}.", turns)
    part = "Decoder MACs" if report.experiment.macs_of == "decoder" else "MACs of whole networks"
    return (
        f"{part} of an image: as the papers count (hollow), and what our engine executes for the "
        "same pixels (filled); of networks without queries they are the same."
    )


def _draw(report: Report, role: str, group: Group, name: str, folder: Path) -> Figure | None:
    found = _points(report, role, group, name)
    if found.empty:
        return None
    scales = [scale for scale in panel_scales(report) if (found["scale"] == scale).any()]
    lines = math.ceil((len(scales) + 1) / _COLUMNS)  # one place is for the legend
    figure = charts.canvas(PAGE_WIDTH, _PANEL_HEIGHT * lines, report, role)
    panels = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    seen = looks(report.experiment.rows, report.experiment.common)
    for number, (panel, scale) in enumerate(zip(panels, scales, strict=False)):
        _panel(panel, report, role, group, found[found["scale"] == scale], seen)
        if number % _COLUMNS == 0:
            panel.set_ylabel("PSNR (dB)")
        if number + _COLUMNS >= len(scales):
            panel.set_xlabel("latency (s)" if name == "latency" else "MACs per image")
    for panel in panels[len(scales) :]:
        panel.axis("off")
    _legend(panels[len(scales)], report, found, seen)
    others = [scale for scale in report.scales if scale not in scales]
    explained = sentences(
        _explained(report, name),
        "In PNG and PDF, grey lines: what nothing is better and cheaper than; nothing below "
        "bicubic is on them.",
        f"{scales_text(others)}: on the page and in the tables." if others else "",
    )
    what = "latency" if name == "latency" else "MACs"
    panel_of = {s: _title(report, role, group, s) for s in found["scale"].unique()}
    named = found.assign(panel=found["scale"].map(panel_of)).rename(columns={"cost": "x"})
    data = with_looks(named, report)
    if name == "latency":
        data.attrs = {"x": "latency of an image (s)", "axis": "log"}
    return charts.save(
        figure,
        folder / group.key(report, f"pareto_{name}", role),
        f"PSNR over {what}{group.of}, {words.shown_set(report, role)}",
        report,
        role,
        explained,
        data=data,
    )


def _points(report: Report, role: str, group: Group, name: str) -> pd.DataFrame:
    """List the systems that have a PSNR and a cost, a line for each way of counting."""
    rows = [row for block in group.blocks for row in block.methods]
    found = charts.points(report, role, rows)
    lines = [
        {**point, "count": count, "cost": cost}
        for point in found.to_dict("records")
        for count, cost in _COSTS[name](report, point["method"], role, point["scale"]).items()
    ]
    return pd.DataFrame(lines, columns=[*found.columns, "count", "cost"])


def _panel(
    panel: Any,
    report: Report,
    role: str,
    group: Group,
    found: pd.DataFrame,
    seen: dict[str, Look],
) -> None:
    scale = float(found["scale"].iloc[0])
    floors = _floors(report, role, group, scale)
    floor = max(floors.values(), default=-math.inf)
    for count, own in found.groupby("count", sort=False):
        above = own[own["y"] > floor]
        line = above.iloc[pareto_front(list(zip(above["cost"], above["y"], strict=True)))]
        dotted = ":" if count == _MACS else "-"
        panel.plot(line["cost"], line["y"], dotted, color=_FRONT, lw=0.9, zorder=1)
    for row, own in found.groupby("method", sort=False):
        look = seen[str(row)]
        panel.plot(own["cost"], own["y"], color=look.color, lw=0.4)
        for point in own.to_dict("records"):
            hollow = point["count"] == _MACS
            panel.plot(point["cost"], point["y"], zorder=4 - hollow, **_marker(look, hollow))
    panel.set_title(_title(report, role, group, scale))
    panel.set_xscale("log")
    panel.margins(0.1)
    panel.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
    panel.xaxis.set_major_formatter(EngFormatter(sep=""))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.tick_params(length=2, pad=1.5)
    panel.grid(color="0.93", lw=0.5)
    panel.set_axisbelow(True)


def _floors(report: Report, role: str, group: Group, scale: float) -> dict[str, float]:
    """Return the PSNR of each common method by its label."""
    found = charts.points(report, role, group.common)
    own = found[found["scale"] == scale]
    return dict(zip(own["label"], own["y"], strict=True))


def _title(report: Report, role: str, group: Group, scale: float) -> str:
    floors = _floors(report, role, group, scale).items()
    listed = [f"{label} {decimals(psnr)} dB" for label, psnr in floors]
    return " \N{MIDDLE DOT} ".join([scale_text(scale), *listed])


def _marker(look: Look, hollow: bool) -> dict[str, Any]:
    """Return the options of `plot`."""
    face = "white" if hollow else look.color
    width = {"markerfacecolor": face, "markeredgewidth": 0.7}
    return {"color": look.color, "marker": look.marker, "ms": 4.2, **width}


def _legend(panel: Any, report: Report, found: pd.DataFrame, seen: dict[str, Look]) -> None:
    """Draw the methods that occur, and the meaning of hollow and filled points."""
    drawn = list(dict.fromkeys(found["method"]))
    handles = [
        Line2D([], [], ls="", label=report.label(row), **_marker(seen[row], False)) for row in drawn
    ]
    for count in dict.fromkeys(found["count"]):
        hollow = count == _MACS
        look = Look(_FRONT, "o")
        handles.append(
            Line2D([], [], ls=":" if hollow else "-", label=count, **_marker(look, hollow))
        )
    many = len(handles) > 9
    tight: dict[str, Any] = {"fontsize": 5.3, "columnspacing": 0.8, "handletextpad": 0.4}
    legend = panel.legend(
        handles=handles,
        loc="center left",
        labelspacing=0.35,
        borderaxespad=0,
        handlelength=1.5,
        ncols=1 + many,
        **(tight if many else {}),
    )
    legend.set_in_layout(False)  # long names would make all panels of the column narrower
