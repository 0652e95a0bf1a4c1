"""Expert maps, as in MoEISR's Figure 1: which expert serves each LR pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.patches import Patch
from PIL import Image

from harness.common.errors import HarnessError
from harness.measure.crops import MethodSample, Sample
from harness.report import charts
from harness.report.charts import PAGE_WIDTH
from harness.report.data import Report
from harness.report.looks import expert_colors
from harness.report.model import Figure, Section, section
from harness.report.sections.pictures import picture, show, without_samples
from harness.report.text import scale_text
from harness.runs.experiment import SectionMaker

_MOST = 4
"""Largest number of maps beside each other."""


@dataclass(frozen=True)
class ExpertMaps(SectionMaker):
    """Figure of the expert map of every method with experts, one for each image."""

    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        title = "Expert maps"
        if not report.samples:
            return Section("maps", title, without_samples(report))
        if folder is None:
            return None
        found: dict[tuple[object, ...], Sample] = {}
        for sample in sorted(report.samples, key=lambda s: s.scale):
            if any(method.expert_map for method in sample.methods):
                own = (sample.role, sample.scale) if report.experiment.regions_only else ()
                found.setdefault((sample.dataset, sample.image, *own), sample)
        figures = (_draw(report, sample, folder) for sample in found.values())
        return section("maps", title, figures=figures)


def _draw(report: Report, sample: Sample, folder: Path) -> Figure:
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
