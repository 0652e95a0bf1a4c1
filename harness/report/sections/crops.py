"""Crops of every method side by side: the profile's regions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from PIL import Image

from harness.measure.crops import Sample
from harness.report import charts
from harness.report.charts import PAGE_WIDTH
from harness.report.data import Report
from harness.report.model import Figure, Section, section
from harness.report.sections.pictures import picture, show, without_samples
from harness.report.text import decimals, scale_text
from harness.runs.experiment import SectionMaker

_COLUMNS = 6
_TEXT = 0.24
"""Height in inches of two lines under a crop."""


@dataclass(frozen=True)
class Crops(SectionMaker):
    """Figure of each region: the image with the region's box, LR, every method and HR."""

    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        title = "Crops"
        if not report.samples:
            return Section("crops", title, without_samples(report))
        if folder is None:
            return None
        figures = (_draw(report, sample, folder) for sample in report.samples)
        return section("crops", title, figures=figures)


def _draw(report: Report, sample: Sample, folder: Path) -> Figure:
    panels = _panels(report, sample)
    rows = max(2, math.ceil(len(panels) / _COLUMNS))
    columns = math.ceil(len(panels) / rows)
    hr = picture(sample, sample.hr).convert("RGB")
    side, high = _layout(sample, hr, rows, columns)
    figure = charts.canvas(PAGE_WIDTH, high, report, sample.role)
    parts = figure.subfigures(1, 2, squeeze=False, width_ratios=[side, PAGE_WIDTH - side])
    whole, right = parts.ravel()
    _whole_image(whole, sample, hr)
    axes = right.subplots(rows, columns, squeeze=False).ravel()
    longest = max(len(line) for name, _, _ in panels for line in name.splitlines())
    # 0.64: mean width of a bold character, in units of its size; no name touches the next.
    size = min(6, 72 * (PAGE_WIDTH - side) / columns / (0.64 * longest))
    for axis, (name, image, bold) in zip(axes, panels, strict=False):
        show(axis, image)
        weight = "bold" if bold else "normal"
        axis.set_xlabel(name, fontsize=size, labelpad=2, fontweight=weight, linespacing=1.15)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    explained = (
        f"PSNR of the whole image, protocol {sample.protocol}; best of the trained methods bold. "
        "LR is enlarged without smoothing."
    )
    return charts.save(
        figure,
        folder / f"crops_{sample.folder.name}",
        f"{sample.image} ({sample.dataset}) at {scale_text(sample.scale)}",
        report,
        sample.role,
        explained,
    )


def _layout(sample: Sample, hr: Image.Image, rows: int, columns: int) -> tuple[float, float]:
    """Compute in inches the width of the whole image's part and the height of the figure."""
    crop = sample.box[2] / sample.box[3]
    whole = hr.width / hr.height
    # The whole image is as high as the crops and the text between: solved for its width.
    side = whole * (rows * crop * PAGE_WIDTH / columns + _TEXT)
    side /= 1 + rows * crop * whole / columns
    side = min(side, 0.36 * PAGE_WIDTH)
    return side, rows * ((PAGE_WIDTH - side) / columns * crop + _TEXT)


def _panels(report: Report, sample: Sample) -> list[tuple[str, NDArray[np.uint8], bool]]:
    """List (text, image, bold) of the region in the order they are shown."""
    hr = picture(sample, sample.hr_crop).convert("RGB")
    lr = picture(sample, sample.lr_crop).convert("RGB")
    lr = lr.resize(hr.size, Image.Resampling.NEAREST)
    trained = [m.psnr for m in sample.methods if m.method not in report.experiment.common]
    known = [value for value in trained if value is not None]
    # As in the tables: with a value missing, which one is best is not known.
    best = decimals(max(known)) if known and len(known) == len(trained) else ""
    panels = [(f"LR ({scale_text(sample.scale)})\n", np.asarray(lr), False)]
    for method in sample.methods:
        shown = "not measured" if method.psnr is None else f"{decimals(method.psnr)} dB"
        common = method.method in report.experiment.common
        bold = not common and shown == f"{best} dB"
        image = picture(sample, method.crop).convert("RGB")
        panels.append((f"{report.label(method.method)}\n{shown}", np.asarray(image), bold))
    return [*panels, ("HR\n", np.asarray(hr), False)]


def _whole_image(figure: Any, sample: Sample, hr: Image.Image) -> None:
    axis = figure.subplots()
    show(axis, np.asarray(hr), interpolation="antialiased")
    name = f"{sample.image}\n{sample.dataset}, {scale_text(sample.scale)}"
    axis.set_xlabel(name, fontsize=6.5, labelpad=2)
    top, left, height, width = sample.box
    for color, thickness in (("black", 1.6), ("#ffd400", 1.0)):
        axis.add_patch(
            Rectangle((left, top), width, height, fill=False, edgecolor=color, lw=thickness)
        )
