"""Pictures of stored samples: expert maps, as in MoEISR's Figure 1, and crops side by side."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray
from PIL import Image

from harness.common.errors import HarnessError
from harness.measure.crops import MethodSample, Sample
from harness.report import charts
from harness.report.charts import PAGE_WIDTH
from harness.report.data import Report
from harness.report.looks import expert_colors
from harness.report.model import Figure, Section, section
from harness.report.text import decimals, scale_text
from harness.runs.experiment import SectionMaker

_MOST = 4
"""Largest number of maps beside each other."""
_COLUMNS = 6
_TEXT = 0.24
"""Height in inches of two lines under a crop."""


@dataclass(frozen=True)
class ExpertMaps(SectionMaker):
    """Figure of the expert map of every method with experts, one for each image."""

    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        if not report.samples:
            return without_samples(report)
        if folder is None:
            return None
        found: dict[tuple[object, ...], Sample] = {}
        for sample in sorted(report.samples, key=lambda s: s.scale):
            if any(method.expert_map for method in sample.methods):
                own = (sample.role, sample.scale) if report.experiment.regions_only else ()
                found.setdefault((sample.dataset, sample.image, *own), sample)
        figures = (_draw_maps(report, sample, folder) for sample in found.values())
        return section("maps", "Expert maps", figures=figures)


def _draw_maps(report: Report, sample: Sample, folder: Path) -> Figure:
    """Draw the HR image and the map of every method that routes."""
    routed = [method for method in sample.methods if method.expert_map]
    columns = 1 + min(len(routed), _MOST)
    lines = math.ceil(len(routed) / _MOST)
    hr = picture(sample, sample.hr).convert("RGB")
    width = PAGE_WIDTH / max(columns, 4)
    height = width * hr.height / hr.width + 0.62
    figure = charts.canvas(width * columns, lines * height, report, sample.role)
    axes = figure.subplots(lines, columns, squeeze=False)
    show(axes[0][0], np.asarray(hr), f"{sample.image}\nHR", interpolation="antialiased")
    places = [axis for row in axes for axis in row[1:]]
    for axis, method in zip(places, routed, strict=False):
        _map(report, axis, sample, method, hr.size)
    for axis in (*places[len(routed) :], *(row[0] for row in axes[1:])):
        axis.set_axis_off()
    explained = (
        f"Depth of the expert that serves each pixel of the LR image ({scale_text(sample.scale)}), "
        "darker is deeper; enlarged to HR size without smoothing. Under each map: share of the LR "
        "pixels by depth."
    )
    return charts.save(
        figure,
        folder / f"expert_map_{sample.folder.name}",
        f"Expert map from the mapper, {sample.image} ({sample.dataset})",
        report,
        sample.role,
        explained,
    )


def _map(
    report: Report, axis: Any, sample: Sample, method: MethodSample, size: tuple[int, int]
) -> None:
    """Draw a map in the experts' colours, with their shares as legend."""
    experts = np.asarray(picture(sample, method.expert_map).convert("L"))
    depths = method.expert_depths
    if experts.max() >= len(depths):
        raise HarnessError(
            f"{sample.folder / method.expert_map} names an expert that {method.method} lacks.",
            f"Delete {sample.folder} and run the experiment again.",
        )
    palette = np.array([to_rgb(color) for color in expert_colors(depths)])
    painted = Image.fromarray((palette[experts] * 255).round().astype(np.uint8))
    enlarged = painted.resize(size, Image.Resampling.NEAREST)
    show(axis, np.asarray(enlarged), f"\n{report.label(method.method)}")
    shares = np.bincount(experts.ravel(), minlength=len(depths)) / experts.size
    handles = [
        Patch(facecolor=color, edgecolor="0.6", lw=0.3, label=f"{depth}-layer {100 * share:.0f}%")
        for color, depth, share in zip(expert_colors(depths), depths, shares, strict=True)
    ]
    axis.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.01),
        ncols=2,
        fontsize=5.8,
        handlelength=0.9,
        handleheight=0.9,
        columnspacing=0.7,
        handletextpad=0.35,
        labelspacing=0.3,
    )


@dataclass(frozen=True)
class Crops(SectionMaker):
    """Figure of each region: the image with the region's box, LR, every method and HR."""

    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        if not report.samples:
            return without_samples(report)
        if folder is None:
            return None
        figures = (_draw_crops(report, sample, folder) for sample in report.samples)
        return section("crops", "Crops", figures=figures)


def _draw_crops(report: Report, sample: Sample, folder: Path) -> Figure:
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


def picture(sample: Sample, name: str) -> Image.Image:
    """Read a picture of a sample.

    Raises:
        HarnessError: it cannot be read.
    """
    path = sample.folder / name
    try:
        with Image.open(path) as image:
            image.load()
            return image
    except OSError as error:
        raise HarnessError(
            f"Cannot read {path}, which the figures are made of: {error}",
            f"Delete {sample.folder} and run the experiment again.",
        ) from error


def show(axis: Any, image: NDArray[np.uint8], title: str = "", **options: Any) -> None:
    """Draw an image without ticks, and not interpolated unless asked for."""
    axis.imshow(image, **{"interpolation": "nearest", **options})
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
    if title:
        axis.set_title(title, fontsize=6.5, pad=3)


def without_samples(report: Report) -> Section:
    """Say how to get pictures, where none are stored: the same for all of them."""
    profile = report.plan.profile.replace("`", "'")  # which ends the code span
    said = (
        "Left out, because no samples are stored: "
        f"`harness run {report.experiment.name} --profile {profile}` stores them while it measures."
    )
    return Section("pictures", "Pictures", said)
