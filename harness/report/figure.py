"""Parts that all figures share: colours, type, the provenance under them, and their files."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure

from harness.common.files import replacing
from harness.experiments import Block
from harness.report import captions
from harness.report.aggregate import Report

COLUMN_WIDTH = 3.5
PAGE_WIDTH = 7.16
"""Widths in inches of one and of two columns of a conference paper."""

DPI = 240
_NOTE_SIZE = 5.5
_NOTE_LINE = 0.098
"""Height in inches of a line of the note under a figure."""

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
    # Captions and names are not mathematics, even with dollar signs in them.
    "text.parse_math": False,
}
_MARKERS = ("o", "v", "s", "D", "^", "P")


@dataclass(frozen=True)
class FigureFile:
    """Figure that was written, as PNG and PDF beside each other."""

    title: str
    caption: str
    png: Path

    @property
    def pdf(self) -> Path:
        """Path of the same figure as vectors."""
        return self.png.with_suffix(".pdf")


@dataclass(frozen=True)
class Look:
    """Colour and marker of a method, the same in every figure."""

    color: Any
    marker: str


@contextmanager
def style() -> Iterator[None]:
    """Set a paper's type and line widths for the figures made in this context."""
    with mpl.rc_context():
        mpl.rcdefaults()  # not what a user's matplotlibrc says: reports look alike everywhere
        mpl.rcParams.update(_STYLE)
        yield


def looks(common: Sequence[str], blocks: Sequence[Block]) -> dict[str, Look]:
    """Choose a hue for each block, a shade and a marker for each row; common rows are grey.

    The first is the darkest, so that it is found in a block of any length.
    """
    found = {row: Look("0.45", "x") for row in common}
    hues = sns.color_palette("colorblind", len(blocks))
    for hue, block in zip(hues, blocks, strict=True):
        ends = [tuple(0.45 * c for c in hue), hue, tuple(0.5 + 0.5 * c for c in hue)]
        shades = sns.blend_palette(ends, len(block.methods) + 1)
        for number, (shade, method) in enumerate(zip(shades, block.methods, strict=False)):
            found[method] = Look(shade, _MARKERS[number % len(_MARKERS)])
    return found


def new_figure(width: float, height: float, note: str) -> Figure:
    """Make an empty figure, `height` high without the note that is printed under it."""
    # 0.52: mean width of a character of the font, in units of its size.
    characters = int((width - 0.1) * 72 / (_NOTE_SIZE * 0.52))
    lines = textwrap.wrap(note, characters)
    below = _NOTE_LINE * len(lines) + 0.08
    figure = Figure(figsize=(width, height + below), layout="constrained")
    engine = figure.get_layout_engine()
    share = below / (height + below)
    padding = {"w_pad": 0.025, "h_pad": 0.025, "wspace": 0.02, "hspace": 0.02}
    engine.set(rect=(0, share, 1, 1 - share), **padding)  # type: ignore[union-attr,call-arg]
    figure.text(
        0.05 / width,
        0.04 / (height + below),
        "\n".join(lines),
        fontsize=_NOTE_SIZE,
        color="0.3",
        va="bottom",
        linespacing=1.2,
    )
    return figure


def save(figure: Figure, folder: Path, name: str, title: str, caption: str) -> FigureFile:
    """Write a figure as PNG and PDF, with its provenance also in their metadata."""
    file = FigureFile(title, caption, folder / f"{name}.png")
    about = f"{title}. {caption}"
    with replacing(file.png) as path:
        figure.savefig(path, dpi=DPI, metadata={"Title": title, "Description": about})
    with replacing(file.pdf) as path:
        # Without a date, so that the same numbers give the same file.
        dated = {"Title": title, "Subject": about, "CreationDate": None}
        figure.savefig(path, dpi=DPI, metadata=dated)
    return file


def note(report: Report, role: str, *more: str) -> str:
    """Write the text under a figure: the provenance, and other notes."""
    return " ".join(part for part in (captions.caption(report, role), *more) if part)
