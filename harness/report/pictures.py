"""Pictures: expert maps as in the paper's Figure 1, and crops of every method side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray
from PIL import Image

from harness.common.errors import HarnessError
from harness.measure.crops import MethodSample, Sample
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.figure import PAGE_WIDTH, FigureFile, new_figure, note, save
from harness.report.text import decimals, scale_text

EXPERT_COLORS = ("#f2d13c", "#3fa45b", "#3b6fd4", "#d8392f", "#8c4bb8", "#3cc2c9")
"""Colours of experts, shallowest first: yellow, green, blue, red as in the paper, and two more."""

_MAP_ROWS = 3
_MAP_COLUMNS = 4
_CROP_COLUMNS = 6
_TEXT = 0.24
"""Height in inches of two lines under a crop."""


def draw_pictures(report: Report, folder: Path) -> list[FigureFile]:
    """Draw the expert maps and the crops of every sample; nothing where there are no samples."""
    files = []
    wanted = report.experiment.figures
    mapped = _mapped(report) if "maps" in wanted else []
    # Maps that take several rows for one image have a figure for each image.
    size = 1 if any(_routed(sample) > _MAP_COLUMNS for sample in mapped) else _MAP_ROWS
    pages = [mapped[first : first + size] for first in range(0, len(mapped), size)]
    for page in pages:
        name = "expert_map" if len(pages) == 1 else f"expert_map_{page[0].folder.name}"
        files.append(_expert_maps(report, page, folder, name))
    if "crops" in wanted:
        files += [_crops(report, sample, folder) for sample in report.samples]
    return files


def _mapped(report: Report) -> list[Sample]:
    """List samples with expert maps: all that a figure shows; of a table's crops, one per image."""
    found: dict[tuple[object, ...], Sample] = {}
    # The finest map is that of the smallest scale.
    for sample in sorted(report.samples, key=lambda s: s.scale):
        if any(method.expert_map for method in sample.methods):
            own = (sample.role, sample.scale) if report.experiment.regions_only else ()
            found.setdefault((sample.dataset, sample.image, *own), sample)
    return list(found.values())


def _image(sample: Sample, name: str) -> Image.Image:
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


def _expert_maps(report: Report, samples: Sequence[Sample], folder: Path, name: str) -> FigureFile:
    """Draw for each image the image and the map of every method that routes."""
    most = max(sum(bool(m.expert_map) for m in s.methods) for s in samples)
    columns = 1 + min(most, _MAP_COLUMNS)
    width = PAGE_WIDTH / columns
    lines = [(s, line) for s in samples for line in range(math.ceil(_routed(s) / (columns - 1)))]
    hrs = {id(sample): _image(sample, sample.hr).convert("RGB") for sample in samples}
    heights = [width * hrs[id(s)].height / hrs[id(s)].width + 0.5 for s, _ in lines]
    # Where several roles have samples, the first one's caption leads and titles name the rest.
    explained = (
        "Colour: which expert serves each LR pixel, enlarged to HR size without smoothing; "
        "share of the LR pixels under each map."
    )
    text = note(report, samples[0].role, *_other_roles(report, samples), explained)
    figure = new_figure(PAGE_WIDTH, sum(heights), text)
    axes = figure.subplots(len(lines), columns, squeeze=False, height_ratios=heights)
    for row, (sample, line) in zip(axes, lines, strict=True):
        hr = hrs[id(sample)]
        if line == 0:
            title = f"{sample.image}\nHR; maps from LR {_at(sample)}"
            _bare(row[0], np.asarray(hr), title, interpolation="antialiased")
        else:
            row[0].set_axis_off()
        routed = [m for m in sample.methods if m.expert_map]
        routed = routed[line * (columns - 1) : (line + 1) * (columns - 1)]
        for axis, method in zip(row[1:], routed, strict=False):
            _map_panel(report, axis, sample, method, hr)
        for axis in row[1 + len(routed) :]:
            axis.set_axis_off()
    title = f"Expert map from the mapper, {_datasets(samples)}"
    return save(figure, folder, name, title, text)


def _routed(sample: Sample) -> int:
    return sum(bool(method.expert_map) for method in sample.methods)


def _other_roles(report: Report, samples: Sequence[Sample]) -> list[str]:
    roles = dict.fromkeys(sample.role for sample in samples)
    return [captions.provenance(report, role) for role in list(roles)[1:]]


def _datasets(samples: Sequence[Sample]) -> str:
    return ", ".join(dict.fromkeys(sample.dataset for sample in samples))


def _at(sample: Sample) -> str:
    return scale_text(sample.scale)


def _bare(axis: Any, image: NDArray[np.uint8], title: str, **options: Any) -> None:
    """Draw an image without ticks, and not interpolated unless asked for."""
    axis.imshow(image, **{"interpolation": "nearest", **options})
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.set_title(title, fontsize=6.5, pad=3)


def _map_panel(
    report: Report, axis: Any, sample: Sample, method: MethodSample, hr: Image.Image
) -> None:
    """Draw a map in the experts' colours, with their shares as legend."""
    experts = np.asarray(_image(sample, method.expert_map).convert("L"))
    depths = method.expert_depths
    if experts.max() >= len(depths):
        raise HarnessError(
            f"{sample.folder / method.expert_map} names an expert that {method.method} lacks.",
            f"Delete {sample.folder} and run the experiment again.",
        )
    palette = np.array([to_rgb(c) for c in _colors(len(depths))])
    painted = Image.fromarray((palette[experts] * 255).round().astype(np.uint8))
    enlarged = painted.resize(hr.size, Image.Resampling.NEAREST)
    _bare(axis, np.asarray(enlarged), f"\n{report.label(method.method)}")
    shares = np.bincount(experts.ravel(), minlength=len(depths)) / experts.size
    handles = [
        Patch(color=color, label=f"{depth}-layer {100 * share:.0f}%")
        for color, depth, share in zip(_colors(len(depths)), depths, shares, strict=True)
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


def _colors(count: int) -> list[str]:
    return [EXPERT_COLORS[number % len(EXPERT_COLORS)] for number in range(count)]


def _crops(report: Report, sample: Sample, folder: Path) -> FigureFile:
    """Draw the whole image with the region's box, then the region of LR, every method and HR."""
    panels = _panels(report, sample)
    rows = max(2, math.ceil(len(panels) / _CROP_COLUMNS))
    columns = math.ceil(len(panels) / rows)
    hr = _image(sample, sample.hr).convert("RGB")
    explained = (
        f"PSNR of the whole image, protocol {sample.protocol}; best of the trained methods bold. "
        "LR is enlarged without smoothing."
    )
    text = note(report, sample.role, explained)
    side, high = _crop_layout(sample, hr, rows, columns)
    figure = new_figure(PAGE_WIDTH, high, text)
    parts = figure.subfigures(1, 2, squeeze=False, width_ratios=[side, PAGE_WIDTH - side])
    whole, right = parts.ravel()
    _whole_image(whole, sample, hr)
    axes = right.subplots(rows, columns, squeeze=False).ravel()
    longest = max(len(line) for name, _, _ in panels for line in name.splitlines())
    # 0.64: mean width of a bold character, in units of its size; no name touches the next.
    size = min(6, 72 * (PAGE_WIDTH - side) / columns / (0.64 * longest))
    for axis, (name, image, bold) in zip(axes, panels, strict=False):
        _bare(axis, image, "")
        weight = "bold" if bold else "normal"
        axis.set_xlabel(name, fontsize=size, labelpad=2, fontweight=weight, linespacing=1.15)
    for axis in axes[len(panels) :]:
        axis.set_axis_off()
    title = f"{sample.image} ({sample.dataset}) at {_at(sample)}"
    name = f"crops_{sample.folder.name}"
    return save(figure, folder, name, title, text)


def _crop_layout(sample: Sample, hr: Image.Image, rows: int, columns: int) -> tuple[float, float]:
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
    hr = _image(sample, sample.hr_crop).convert("RGB")
    lr = _image(sample, sample.lr_crop).convert("RGB")
    lr = lr.resize(hr.size, Image.Resampling.NEAREST)
    trained = [m.psnr for m in sample.methods if m.method not in report.experiment.common]
    known = [value for value in trained if value is not None]
    # As in the tables: with a value missing, which one is best is not known.
    best = decimals(max(known)) if known and len(known) == len(trained) else ""
    panels = [(f"LR ({_at(sample)})\n", np.asarray(lr), False)]
    for method in sample.methods:
        shown = "not measured" if method.psnr is None else f"{decimals(method.psnr)} dB"
        common = method.method in report.experiment.common
        bold = not common and shown == f"{best} dB"
        image = _image(sample, method.crop).convert("RGB")
        panels.append((f"{report.label(method.method)}\n{shown}", np.asarray(image), bold))
    return [*panels, ("HR\n", np.asarray(hr), False)]


def _whole_image(figure: Figure | Any, sample: Sample, hr: Image.Image) -> None:
    axis = figure.subplots()
    _bare(axis, np.asarray(hr), "", interpolation="antialiased")
    axis.set_xlabel(f"{sample.image}\n{sample.dataset}, {_at(sample)}", fontsize=6.5, labelpad=2)
    top, left, height, width = sample.box
    for color, thickness in (("black", 1.6), ("#ffd400", 1.0)):
        axis.add_patch(
            Rectangle((left, top), width, height, fill=False, edgecolor=color, lw=thickness)
        )
