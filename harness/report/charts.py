"""Figures: their data, what all of them share, and their files.

A chart is a data frame with a line for each point, which the figure in PNG and PDF and the chart of
the page are drawn from. Its columns are `method`, `label`, `x` and `y`; and, where they apply,
`panel`, `kind` (what is of `PAPERS` is drawn hollow and dotted), `low` and `high` (an interval of
y), `detail` (a sentence), and `color` and `marker` (`harness.report.looks`; a line without a
marker has ""). `attrs` names the axes: `x` and `y`, and `axis`, which is "scale" (if left out),
"log" or "plain".
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure as Canvas
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from baselines.registry import LABELS
from harness.common.files import replacing, write_text
from harness.report import model, words
from harness.report.data import Report
from harness.report.looks import looks
from harness.report.text import UNITS, scale_text, sentences
from harness.runs.experiment import IN_SCALE, Block

COLUMN_WIDTH = 3.5
PAGE_WIDTH = 7.16
"""Widths in inches of one and of two columns of a conference paper."""
DPI = 240
COLUMNS = 3
"""Panels beside each other."""
PAPERS = PUBLISHED, COUNTED = "published", "counted as in the papers"
"""Kinds of points that are a paper's, or counted as a paper does."""
GREY = "#8c8c8c"

_STYLE: Any = {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.frameon": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    # Many conferences refuse Type 3 fonts.
    "pdf.fonttype": 42,
    # Names are not mathematics, even with dollar signs in them.
    "text.parse_math": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Set a paper's type and line widths for the figures made in this context."""
    with mpl.rc_context():
        mpl.rcdefaults()  # not what a user's matplotlibrc says: reports look alike everywhere
        mpl.rcParams.update(_STYLE)
        yield


def canvas(width: float, height: float, report: Report, role: str = "") -> Canvas:
    """Make an empty figure, with a small mark in its corner where the setting is not the paper's.

    Args:
        width: in inches.
        height: in inches.
        report: the report.
        role: set of the paper that is shown; all of them, if left out.
    """
    mark = " \N{MIDDLE DOT} ".join(words.tags(report, role))
    low = 0.1 / height if mark else 0
    figure = Canvas(figsize=(width, height), layout="constrained")
    engine = figure.get_layout_engine()
    padding = {"w_pad": 0.025, "h_pad": 0.025, "wspace": 0.02, "hspace": 0.02}
    engine.set(rect=(0, low, 1, 1 - low), **padding)  # type: ignore[union-attr,call-arg]
    if mark:
        place: dict[str, Any] = {"ha": "right", "va": "bottom", "fontsize": 5, "color": "0.4"}
        figure.text(1 - 0.03 / width, 0.02 / height, mark, **place)
    return figure


def save(
    figure: Canvas,
    path: Path,
    title: str,
    report: Report,
    role: str,
    drawn: str,
    notes: str = "",
    data: pd.DataFrame | None = None,
) -> model.Figure:
    """Write a figure as PNG and PDF; its caption with the provenance beside them and in them.

    Args:
        figure: the figure.
        path: its files, without suffix; the name is its key.
        title: heading.
        report: the report.
        role: set of the paper that is shown.
        drawn: what is drawn, in sentences.
        notes: further sentences, for the files alone.
        data: what is drawn, for the page.
    """
    # A picture is of one image, whatever number of them was measured.
    brief = sentences(drawn, words.caption(report, role, counts=data is not None))
    whole = sentences(drawn, notes, words.provenance(report, role))
    png, pdf = (path.with_name(f"{path.name}.{suffix}") for suffix in ("png", "pdf"))
    made = model.Figure(path.name, title, brief, png, pdf, data, role)
    with replacing(made.png) as file:
        figure.savefig(file, dpi=DPI, metadata={"Title": title, "Description": whole})
    with replacing(made.pdf) as file:
        # Without a date, so that the same numbers give the same file.
        dated = {"Title": title, "Subject": whole, "CreationDate": None}
        figure.savefig(file, dpi=DPI, metadata=dated)
    write_text(made.png.with_suffix(".txt"), f"{title}. {whole}\n")
    return made


@dataclass(frozen=True)
class Group:
    """Blocks that share a figure, and the rows above them.

    Attributes:
        name: suffix of the file's name; "" where the experiment has one group.
    """

    name: str
    common: tuple[str, ...]
    blocks: tuple[Block, ...]

    @property
    def own(self) -> tuple[str, ...]:
        """Rows of the blocks, in order."""
        return tuple(row for block in self.blocks for row in block.methods)

    @property
    def of(self) -> str:
        """Name of the group in a title, by the paper's name of its encoder."""
        return f" ({LABELS.get(self.name, self.name)})" if self.name else ""

    def key(self, report: Report, name: str, role: str) -> str:
        """Name of a file, unique in the report."""
        parts = (name, role if len(report.roles) > 1 else "", self.name)
        return "_".join(part for part in parts if part)


def groups(report: Report) -> list[Group]:
    """List the groups of blocks that were run: an encoder's, say."""
    experiment = report.experiment
    names = list(dict.fromkeys(block.group for block in experiment.blocks))
    found = []
    for name in names:
        own = tuple(b for b in experiment.blocks if b.group == name)
        if any(report.is_run(row) for block in own for row in block.methods):
            found.append(Group(name if len(names) > 1 else "", experiment.common, own))
    return found


def psnrs(report: Report, role: str, rows: Sequence[str]) -> pd.DataFrame:
    """List means of PSNR (y) of rows at every scale; NaN where nothing can be drawn.

    That is where nothing was measured, and where images are equal (an infinite PSNR).
    """
    found = [
        {"method": row, "label": report.label(row), "scale": scale, "y": value}
        for row in rows
        for scale in report.scales
        for value in [report.at(row, role, scale).psnr]
    ]
    made = pd.DataFrame(found, columns=["method", "label", "scale", "y"])
    return made.assign(y=made["y"].astype(float).replace(math.inf, math.nan))


def with_looks(data: pd.DataFrame, report: Report) -> pd.DataFrame:
    """Add the colour and marker of each line's method."""
    seen = looks(report.experiment.rows, report.experiment.common)
    return data.join(pd.DataFrame([asdict(seen[row]) for row in data["method"]], data.index))


def plot(axis: Any, data: pd.DataFrame, apart: float = 0, joined: bool = False) -> None:
    """Draw a panel: a line for each method and kind, with markers and intervals.

    Args:
        axis: the panel, whose x axis is logarithmic.
        data: its points.
        apart: distance of methods from each other, so that no interval hides another: the logarithm
            of a factor.
        joined: whether a thin line joins the kinds of each method.
    """
    rows = list(dict.fromkeys(data["method"]))
    for row in rows:
        of_row = data[data["method"] == row]
        x = of_row["x"] * math.exp(apart * (rows.index(row) - (len(rows) - 1) / 2))
        color, marker = of_row["color"].iloc[0], of_row["marker"].iloc[0]
        if joined and marker:
            axis.plot(x, of_row["y"], color=color, lw=0.4)
        for kind, own in of_row.groupby("kind", sort=False):
            look = _look(color, marker, str(kind))
            axis.plot(x[own.index], own["y"], zorder=2 + bool(marker), **look)
            known = own[own["low"].notna()] if "low" in own else own[:0]
            if len(known):
                axis.vlines(x[known.index], known["low"], known["high"], color=color, lw=0.7)


def _look(color: str, marker: str, kind: str) -> dict[str, Any]:
    """Return the options of a line: hollow and dotted where it is a paper's."""
    look = {"color": color, "marker": marker, "ls": "-", "markeredgewidth": 0.7}
    hollow = {"ls": ":", "lw": 0.8, "markerfacecolor": "white"}
    return look | (hollow if kind in PAPERS else {})


def legend(axis: Any, data: pd.DataFrame, **options: Any) -> Any:
    """Name the methods of some data, and its kinds where there are several."""
    named = data[data["marker"] != ""]
    methods = named[["label", "color", "marker"]].drop_duplicates("label")
    handles = [
        Line2D([], [], label=label, **_look(color, marker, ""))
        for label, color, marker in methods.itertuples(index=False)
    ]
    kinds = data["kind"].unique()
    if len(kinds) > 1:
        handles += [Line2D([], [], label=kind, **_look(GREY, "o", kind)) for kind in kinds]
    many = len(handles) > 9
    tight: dict[str, Any] = {"fontsize": 5.3, "columnspacing": 0.8, "handletextpad": 0.4}
    made = axis.legend(
        handles=handles,
        ncols=1 + many,
        **{"labelspacing": 0.35, "handlelength": 1.8, "borderaxespad": 0.2, **options},
        **(tight if many else {}),
    )
    made.set_in_layout(False)  # long names would make all panels of the column narrower
    return made


def _fit(made: Any, figure: Canvas) -> None:
    """Make a legend's letters smaller until it ends within the figure."""
    figure.draw_without_rendering()
    while made.get_window_extent().x1 > figure.bbox.x1 and made.get_texts()[0].get_fontsize() > 4:
        for text in made.get_texts():
            text.set_fontsize(text.get_fontsize() - 0.2)


def grid(report: Report, role: str, data: pd.DataFrame, height: float = 1.75) -> Canvas:
    """Draw the panels of some data beside each other, and the legend in the place behind them."""
    names = data["panel"].unique()
    lines = math.ceil((len(names) + 1) / COLUMNS)
    figure = canvas(PAGE_WIDTH, height * lines, report, role)
    axes = figure.subplots(lines, COLUMNS, squeeze=False).ravel()
    for number, (axis, name) in enumerate(zip(axes, names, strict=False)):
        plot(axis, data[data["panel"] == name], joined=data.attrs.get("joined", True))
        axis.set_title(name)
        if number % COLUMNS == 0:
            axis.set_ylabel(data.attrs.get("y", ""))
        if number + COLUMNS >= len(names):
            axis.set_xlabel(data.attrs["x"])
        if data.attrs.get("axis") == "log":
            axis.set_xscale("log")
            axis.margins(0.1)
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=5))
            axis.xaxis.set_major_formatter(in_units)
            axis.xaxis.set_minor_locator(NullLocator())
            axis.yaxis.set_major_locator(MaxNLocator(5))
            axis.tick_params(length=2, pad=1.5)
            axis.grid(color="0.93", lw=0.5)
            axis.set_axisbelow(True)
        else:
            scale_axis(axis, report)
    for axis in axes[len(names) :]:
        axis.axis("off")
    _fit(legend(axes[len(names)], data, loc="center left"), figure)
    return figure


def in_units(value: float, _: object = None) -> str:
    """Format a tick: 200 as it is, 2e10 as 20G."""
    power, letter = next((unit for unit in UNITS if value >= 10.0 ** unit[0]), (0, ""))
    return f"{value / 10.0**power:g}{letter}"


def scale_axis(axis: Any, report: Report) -> None:
    """Set up a logarithmic axis, with the scales as ticks and a rule behind the trained ones."""
    axis.set_xscale("log", base=2)
    axis.set_xticks(report.scales)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: scale_text(value)))
    axis.grid(axis="y", color="0.9", lw=0.5)
    axis.set_axisbelow(True)
    if (divider := _divider(report)) is not None:
        axis.axvline(divider, color="0.6", lw=0.6, ls=(0, (4, 3)))


def name_ranges(axis: Any, report: Report) -> None:
    """Write beside the rule which scales training covers."""
    divider = _divider(report)
    if divider is None:
        return
    place = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    options = {"fontsize": 6, "color": "0.4", "va": "bottom", **place}
    axis.annotate("in-scale", (divider, 0.01), (-3, 0), ha="right", **options)
    axis.annotate("out-of-scale", (divider, 0.01), (3, 0), ha="left", **options)


def _divider(report: Report) -> float | None:
    """Compute the middle, on the log axis, between the last trained scale and the first beyond."""
    inside = [s for s in report.scales if s <= IN_SCALE]
    outside = [s for s in report.scales if s > IN_SCALE]
    return math.sqrt(inside[-1] * outside[0]) if inside and outside else None
