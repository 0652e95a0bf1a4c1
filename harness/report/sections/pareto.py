"""PSNR over cost, a panel for each scale, with the front that nothing dominates.

Over MACs a system has two points: as the papers count it is hollow, as the engine executes it
filled, and a thin line joins them. Over latency it has one. Or a curve joins those of each block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pandas as pd

from harness.report import charts, words
from harness.report.charts import GREY, Group, psnrs, with_looks
from harness.report.data import Report
from harness.report.model import Figure, Section, section
from harness.report.text import decimals, scale_text, scales_text, sentences
from harness.runs.experiment import IN_SCALE, SectionMaker

_FRONT = {"method": "front", "label": "nothing is better and cheaper", "color": GREY, "marker": ""}


@dataclass(frozen=True)
class Pareto(SectionMaker):
    """Figures of PSNR over MACs, and over latency where it was measured.

    Attributes:
        by_block: whether a curve joins the points of each block, instead of the front those of all.
    """

    by_block: bool = False
    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        if folder is None:
            return None
        drawn = (
            _draw(report, role, group, name, folder, self.by_block)
            for role in report.roles
            for group in charts.groups(report)
            for name in ("macs", "latency")
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


def _costs(report: Report, name: str, row: str, role: str, scale: float) -> dict[str, float | None]:
    """Return a system's MACs by the way of counting, or its latency in ms, which has one."""
    if name == "macs":
        result = report.at(row, role, scale)
        return {charts.COUNTED: result.metric("macs"), "executed": result.metric("executed")}
    found = report.costs.latency.at(row, scale)
    return {"": None if found is None else 1e3 * found.median}


def _explained(report: Report, name: str) -> str:
    if name == "latency":
        setting = report.costs.latency.setting
        where = "" if setting is None else f" of one image on {setting.in_words()}"
        turns = report.costs.latency.turns(report.scales)
        load = report.costs.latency.load()
        return sentences(f"Latency: the median of warm calls{where}.", turns, load)
    part = "Decoder MACs" if report.experiment.macs_of == "decoder" else "MACs of whole networks"
    return (
        f"{part} of an image: as the papers count (hollow), and what our engine executes for the "
        "same pixels (filled); of networks without queries they are the same."
    )


def _draw(
    report: Report, role: str, group: Group, name: str, folder: Path, by_block: bool
) -> Figure | None:
    data = _points(report, role, group, name, by_block)
    if data.empty:
        return None
    what = "latency" if name == "latency" else "MACs"
    label = "latency of an image (ms)" if name == "latency" else "MACs per image"
    data.attrs = {"x": label, "y": "PSNR (dB)", "axis": "log", "joined": not by_block}
    shown = data[data["scale"].isin(panel_scales(report))]
    shown.attrs = data.attrs
    others = sorted({*report.scales} - {*shown["scale"]})
    explained = sentences(
        _explained(report, name),
        _on_curves(shown)
        if by_block
        else "Grey lines: what nothing is better and cheaper than; nothing below bicubic is on "
        "them.",
        _on_front(shown),
    )
    return charts.save(
        charts.grid(report, role, shown),
        folder / group.key(report, f"pareto_{name}", role),
        f"PSNR over {what}{group.of}, {words.shown_set(report, role)}",
        report,
        role,
        explained,
        f"{scales_text(others)}: on the page and in the tables." if others else "",
        data=data,
    )


def _first_panel(shown: pd.DataFrame) -> tuple[pd.DataFrame, str, str]:
    """Select the points of the first panel by the papers' count; name its scale and that count."""
    at = shown["scale"].min()
    first = shown[(shown["scale"] == at) & shown["kind"].isin(["", charts.COUNTED])]
    by = f"by MACs {charts.COUNTED}" if charts.COUNTED in set(first["kind"]) else ""
    return first, f"at {scale_text(at)}", by


def _on_front(shown: pd.DataFrame) -> str:
    """Name the systems on the front of the first panel, from the least cost to the greatest."""
    front, at, by = _first_panel(shown[shown["method"] == _FRONT["method"]])
    if front.empty:
        return ""
    points = zip(front["system"], front["y"], strict=True)
    named = [f"{system} ({decimals(psnr)} dB)" for system, psnr in points]
    return f"{at.capitalize()} these are, {f'{by}, ' if by else ''}{', '.join(named)}."


def _on_curves(shown: pd.DataFrame) -> str:
    """Name the systems that each curve of the first panel joins."""
    first, at, by = _first_panel(shown)
    if first.empty:
        return ""
    curves = (
        f"{name} ({', '.join(_shortened(list(own['system'])))})"
        for name, own in first.groupby("label", sort=False)
    )
    where = ", ".join(filter(None, [at, by]))
    return f"Curves join, from the least cost on ({where}): {'; '.join(curves)}."


def _shortened(names: list[str]) -> list[str]:
    """Leave out what a name has in common with the one that all begin with.

    Example:
        >>> _shortened(["LIIF-2layer", "LIIF-3layer", "LIIF"])
        ['LIIF-2layer', '-3layer', 'LIIF']
    """
    whole = min(names, key=len)
    first, *others = names
    return [first, *(name if name == whole else name.removeprefix(whole) for name in others)]


def _as_blocks(points: pd.DataFrame, group: Group) -> pd.DataFrame:
    """Give the points of each block its name and the look of its first row that is there."""
    of = {row: block.name for block in group.blocks for row in block.methods}
    blocks = points["method"].map(of)
    look = points.groupby(blocks, sort=False)[["color", "marker"]].transform("first")
    named = {"method": blocks, "label": blocks, "detail": points["system"]}
    return points.assign(**named, **look).sort_values("x", kind="stable")


def _points(report: Report, role: str, group: Group, name: str, by_block: bool) -> pd.DataFrame:
    """List the systems that have a PSNR and a cost, a line for each way of counting.

    Behind them are the fronts, unless the points are joined by block.
    """
    floors = psnrs(report, role, group.common).dropna()
    points = psnrs(report, role, group.own).dropna()
    found = [
        {**point, "kind": kind, "x": cost}
        for point in points.to_dict("records")
        for kind, cost in _costs(report, name, point["method"], role, point["scale"]).items()
        if cost
    ]
    if not found:
        return pd.DataFrame()
    parts = []
    drawn = with_looks(pd.DataFrame(found), report)
    drawn = drawn.assign(system=drawn["label"])
    drawn = _as_blocks(drawn, group) if by_block else drawn
    for scale, own in drawn.groupby("scale", sort=False):
        below = floors[floors["scale"] == scale]
        named = (f"{f['label']} {decimals(f['y'])} dB" for f in below.to_dict("records"))
        panel = " \N{MIDDLE DOT} ".join([scale_text(float(str(scale))), *named])
        above = own[~(own["y"] <= below["y"].max())]
        fronts = [
            of_kind.iloc[pareto_front(list(zip(of_kind["x"], of_kind["y"], strict=True)))]
            for _, of_kind in above.groupby("kind", sort=False)
            if not by_block
        ]
        parts += [each.assign(panel=panel) for each in (own, *(f.assign(**_FRONT) for f in fronts))]
    made: pd.DataFrame = pd.concat(parts, ignore_index=True)
    return made.sort_values("scale", kind="stable")
