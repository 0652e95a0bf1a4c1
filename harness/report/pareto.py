"""Pareto figure: PSNR over cost, every system, a panel for each scale.

Over MACs each system has two points: the papers' count is hollow, what the engine executes is
filled, and a thin line joins them. Over latency it has one.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, FixedLocator, MaxNLocator, NullLocator

from baselines import parse
from harness.experiments import Block, methods_of
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.figure import PAGE_WIDTH, FigureFile, Look, new_figure, note, save
from harness.report.front import pareto_front
from harness.report.labels import Rectangle, around, place
from harness.report.pareto_axes import AXES, CostAxis
from harness.report.text import decimals, scale_text

_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "p", "h", "*")
_SIZE = 4.0
"""Size of a marker, in points."""
_COLUMNS = 3
_PANEL_HEIGHT = 1.75
_LABEL_SIZE = 5.5
_FRONT = "0.55"
_TICK_STEP = 0.2
"""Smallest distance between two labels of an axis, as a share of the axis."""


@dataclass(frozen=True)
class _Point:
    """System at a scale.

    Attributes:
        tag: text printed beside it.
        costs: costs by way of counting; the last one is labelled.
    """

    tag: str
    look: Look
    psnr: float
    costs: tuple[float, ...]


def draw_pareto(report: Report, folder: Path) -> list[FigureFile]:
    """Draw PSNR over MACs and over latency, where there is something to draw."""
    if "pareto" not in report.experiment.figures:
        return []
    drawn = [_draw(report, role, axis, folder) for role in report.roles for axis in AXES]
    return [figure for figure in drawn if figure is not None]


def panel_scales(report: Report) -> list[float]:
    """Choose the last three scales that training covers, the first beyond and the last."""
    inside = [s for s in report.scales if s <= report.experiment.in_scale_up_to]
    outside = [s for s in report.scales if s > report.experiment.in_scale_up_to]
    return [*inside[-3:], *dict.fromkeys([*outside[:1], *outside[-1:]])]


def family_looks(report: Report) -> dict[str, Look]:
    """Choose marker and colour of each family, by the name of its block.

    The colours can be told apart by colour-blind readers, and the markers without colours.
    """
    names = [_family(report, block) for block in report.experiment.blocks]
    colors = sns.color_palette("colorblind", len(names))
    return {
        name: Look(color, _MARKERS[number % len(_MARKERS)])
        for number, (name, color) in enumerate(zip(names, colors, strict=True))
    }


def _family(report: Report, block: Block) -> str:
    return block.name or report.label(block.methods[0])


def _tag(report: Report, block: Block, row: str) -> str:
    """Return what tells a row from its family's first: a variant's letter, or its name."""
    if row == block.methods[0]:
        return ""
    method = parse(methods_of(row)[0])
    return method.suffix or method.variant or report.label(row)


def _draw(report: Report, role: str, axis: CostAxis, folder: Path) -> FigureFile | None:
    scales = [s for s in panel_scales(report) if _points(report, role, s, axis)]
    if not scales:
        return None
    gaps = captions.gaps_note(report, role, report.experiment.rows)
    others = [scale_text(s) for s in report.scales if s not in scales]
    left = f"{', '.join(others)}: in the tables." if others else ""
    explained = " ".join(filter(None, (axis.explained(report), left)))
    text = note(report, role, explained, captions.lr_note(report, role), gaps)
    heads = (captions.brief(report, role), captions.path_warning(report), explained)
    printed = " ".join(filter(None, heads))
    lines = math.ceil((len(scales) + 1) / _COLUMNS)  # one place is for the legend
    figure = new_figure(PAGE_WIDTH, _PANEL_HEIGHT * lines, printed)
    panels = figure.subplots(lines, _COLUMNS, squeeze=False).ravel()
    for number, (panel, scale) in enumerate(zip(panels, scales, strict=False)):
        _panel(panel, report, role, scale, axis)
        if number % _COLUMNS == 0:
            panel.set_ylabel("PSNR (dB)")
        if number + _COLUMNS >= len(scales):
            panel.set_xlabel(axis.label)
    for panel in panels[len(scales) :]:
        panel.axis("off")
    drawn = {point.look for scale in scales for point in _points(report, role, scale, axis)}
    _legend(panels[len(scales)], report, axis, drawn)
    figure.draw_without_rendering()  # gives the panels their places, which labels depend on
    for panel, scale in zip(panels, scales, strict=False):
        _write_tags(figure, panel, _points(report, role, scale, axis))
    title = f"{axis.title}, {captions.shown_set(report, role)}"
    name = axis.name if len(report.roles) == 1 else f"{axis.name}_{role}"
    return save(figure, folder, name, title, text)


def _points(report: Report, role: str, scale: float, axis: CostAxis) -> list[_Point]:
    """List the systems that have a PSNR and a cost at a scale."""
    seen, found = family_looks(report), []
    for block in report.experiment.blocks:
        look = seen[_family(report, block)]
        for row in block.methods:
            psnr, costs = report.at(row, role, scale).psnr, axis.costs(report, row, role, scale)
            if psnr is not None and math.isfinite(psnr) and costs:
                found.append(_Point(_tag(report, block, row), look, psnr, costs))
    return found


def _panel(panel: Any, report: Report, role: str, scale: float, axis: CostAxis) -> None:
    points = _points(report, role, scale, axis)
    floors = _floors(report, role, scale)
    for number in range(len(points[0].costs) if points else 0):
        last = number == len(points[0].costs) - 1
        _front(panel, [(p.costs[number], p.psnr) for p in points], floors.values(), last)
    for point in points:
        panel.plot(point.costs, [point.psnr] * len(point.costs), color=point.look.color, lw=0.4)
        for number, cost in enumerate(point.costs):
            last = number == len(point.costs) - 1
            panel.plot(cost, point.psnr, zorder=3 + last, **_marker(point.look, last))
    listed = [f"{name} {decimals(value)} dB" for name, value in floors.items()]
    panel.set_title(" \N{MIDDLE DOT} ".join([scale_text(scale), *listed]))
    _style(panel, axis)


def _marker(look: Look, filled: bool) -> dict[str, Any]:
    """Return the options of `plot`."""
    return {
        "color": look.color,
        "marker": look.marker,
        "ms": _SIZE,
        "markerfacecolor": look.color if filled else "white",
        "markeredgewidth": 0.6,
    }


def _floors(report: Report, role: str, scale: float) -> dict[str, float]:
    """Draw what costs nothing that is counted here: bicubic."""
    cells = [report.at(row, role, scale) for row in report.experiment.common]
    return {report.label(c.method): c.psnr for c in cells if c.psnr is not None}


def _front(
    panel: Any, points: Sequence[tuple[float, float]], floors: Iterable[float], last: bool
) -> None:
    """Draw the front as a line through its points, rising from the cheapest."""
    floor = max(floors, default=-math.inf)
    above = [point for point in points if point[1] > floor]
    front = [above[i] for i in pareto_front(above)]
    style = "-" if last else ":"
    panel.plot([p[0] for p in front], [p[1] for p in front], style, color=_FRONT, lw=0.9, zorder=1)


def _style(panel: Any, axis: CostAxis) -> None:
    panel.set_xscale("log")
    panel.margins(0.1)
    panel.xaxis.set_major_locator(FixedLocator(round_ticks(*panel.get_xlim())))
    panel.xaxis.set_major_formatter(EngFormatter(unit=axis.unit, sep=""))
    panel.xaxis.set_minor_locator(NullLocator())
    panel.yaxis.set_major_locator(MaxNLocator(5))
    panel.tick_params(length=2, pad=1.5)
    panel.grid(color="0.93", lw=0.5)
    panel.set_axisbelow(True)


def round_ticks(low: float, high: float) -> list[float]:
    """List round numbers of a logarithmic axis, as many as fit beside each other.

    Example:
        >>> round_ticks(8, 600)
        [10.0, 30.0, 100.0, 300.0]
    """
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for digits in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7)):
        ticks = [d * 10.0**n for n in decades for d in digits if low <= d * 10.0**n <= high]
        steps = [math.log(b / a) / math.log(high / low) for a, b in pairwise(ticks)]
        if len(ticks) > len(found) and min(steps, default=1.0) > _TICK_STEP:
            found = ticks
    return found


def _legend(panel: Any, report: Report, axis: CostAxis, drawn: Collection[Look]) -> None:
    """Draw the families that occur, and the meaning of hollow and filled points and their lines."""
    seen = family_looks(report)
    handles = [
        Line2D([], [], ls="", label=_entry(report, block), **_marker(seen[name], filled=True))
        for block in report.experiment.blocks
        for name in [_family(report, block)]
        if seen[name] in drawn
    ]
    for number, count in enumerate(axis.counts):
        last = number == len(axis.counts) - 1
        look = Look(_FRONT, "o")
        label = f"{count}, with its front"
        handles.append(Line2D([], [], ls="-" if last else ":", label=label, **_marker(look, last)))
    legend = panel.legend(handles=handles, loc="center left", labelspacing=0.45, borderaxespad=0)
    legend.set_in_layout(False)  # long names would make all panels of the column narrower


def _entry(report: Report, block: Block) -> str:
    """Return a family's name, and which of its rows has no tag where that is not plain."""
    name, first = _family(report, block), report.label(block.methods[0])
    spelt = any(len(_tag(report, block, row)) > 1 for row in block.methods)
    return f"{name} ({first})" if spelt and first != name else name


def _lines(
    spots: Sequence[Sequence[tuple[float, ...]]],
) -> Iterator[tuple[tuple[float, ...], float]]:
    """List the lines that join a system's points: their ends, and their height."""
    for spot in spots:
        yield tuple(x for x, _ in spot), spot[0][1]


def _write_tags(figure: Figure, panel: Any, points: Sequence[_Point]) -> None:
    """Write tags beside the filled points, where they cover nothing."""
    inch = 72 / figure.dpi
    frame = panel.get_window_extent()
    inside = Rectangle(frame.x0 * inch, frame.y0 * inch, frame.x1 * inch, frame.y1 * inch)
    spots = [
        [tuple(inch * v for v in panel.transData.transform((cost, p.psnr))) for cost in p.costs]
        for p in points
    ]
    taken = [around((x, y), _SIZE, _SIZE) for spot in spots for x, y in spot]
    taken += [Rectangle(min(xs), y - 0.5, max(xs), y + 0.5) for xs, y in _lines(spots)]
    tagged = [i for i, point in enumerate(points) if point.tag]
    sizes = [(0.6 * _LABEL_SIZE * len(points[i].tag), _LABEL_SIZE) for i in tagged]
    anchors = [(spots[i][-1][0], spots[i][-1][1]) for i in tagged]
    boxes = place(anchors, sizes, taken, inside, least=_SIZE / 2 + 0.8)
    for i, anchor, box in zip(tagged, anchors, boxes, strict=True):
        x, y = box.centre
        panel.annotate(
            points[i].tag,
            (points[i].costs[-1], points[i].psnr),
            (x - anchor[0], y - anchor[1]),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_LABEL_SIZE,
            color=points[i].look.color,
            path_effects=[withStroke(linewidth=1.2, foreground="white")],
            zorder=5,
            in_layout=False,
            annotation_clip=False,
        )
