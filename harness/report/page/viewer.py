"""Pixels and numbers of a page's viewer, read from the plan, the rows and the stored pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from baselines.base import Box
from harness.common.errors import HarnessError
from harness.common.escaping import in_a_line
from harness.measure.pictures import IMAGES, SIDE, PicturePaths, lr_box, picture_paths, window
from harness.measure.rows import UnitFile, is_of
from harness.metrics import shaved_border
from harness.metrics.protocols import channels
from harness.report.text import scale_text
from harness.runs.plan import (
    StoredPlan,
    load_plan,
    measurements_dir,
    pictures_dir,
    plan_path,
)

BICUBIC = "bicubic"

BUDGET = 16 << 20
"""Bytes of pixels in a page, which takes a third more for them: 22 MB of its 25."""


@dataclass(frozen=True)
class Shown:
    """SR image of a method.

    Attributes:
        psnr: PSNR of the whole image, from its row; None where it has none.
        sr: its number in `Viewer.pixels`.
        experts: the same for the expert of each LR pixel; None without experts.
        depths: number of layers of each expert, shallowest first.
    """

    method: str
    label: str
    psnr: float | None
    sr: int
    experts: int | None = None
    depths: tuple[int, ...] = ()


@dataclass(frozen=True)
class View:
    """Image at a scale, by every method whose pixels were kept.

    Attributes:
        box: (top, left, height, width) of what is kept, in HR pixels.
        size: (height, width) of the whole HR image.
        border: pixels that the protocol leaves out on each side of the whole image.
        weights: channels that the protocol compares, each the weights of (R, G, B).
        lr: number of the LR image in `Viewer.pixels`, and (top, left) of its first pixel.
        hr: the same of the HR image, which may be larger than the box.
    """

    role: str
    dataset: str
    image: str
    scale: float
    protocol: str
    box: tuple[int, int, int, int]
    size: tuple[int, int]
    border: int
    weights: list[list[float]]
    lr: tuple[int, int, int]
    hr: tuple[int, int, int]
    methods: tuple[Shown, ...]


@dataclass(frozen=True)
class Viewer:
    """Images that a page's viewer shows.

    Attributes:
        views: images and scales, in order.
        pixels: PNG and WebP files.
        left_out: what is not shown and why, in sentences.
    """

    views: tuple[View, ...]
    pixels: tuple[bytes, ...]
    left_out: tuple[str, ...] = ()


def load_viewer(
    results: Path,
    profile: str,
    experiment: str,
    label: Callable[[str], str] = str,
    budget: int = BUDGET,
) -> Viewer | None:
    """Read the pictures of an experiment.

    Args:
        results: folder of plans, rows and pictures.
        profile: name of the profile.
        experiment: name of the experiment.
        label: returns the name of a method in tables.
        budget: bytes of pixels; views beyond it are left out.

    Returns:
        None where no pictures are stored.

    Raises:
        HarnessError: nothing is stored, or it is damaged.
    """
    plan = load_plan(plan_path(results, profile, experiment))
    found = list(_found(plan, results, label))
    if not found:
        return None
    pixels: dict[str, bytes] = {}
    views: list[View] = []
    beyond: list[str] = []
    for each in found:
        more = dict(pixels)
        view = _view(each, more)
        if not beyond and sum(map(len, more.values())) <= budget:
            pixels = more
            views.append(view)
        else:
            beyond.append(f"{view.image} {scale_text(view.scale)}")
    left_out = tuple(_left_out(plan, found, beyond))
    return Viewer(tuple(in_a_line(views)), tuple(pixels.values()), in_a_line(left_out))


@dataclass(frozen=True)
class _Kept:
    """SR image of a method, with the row of its image and its files."""

    method: str
    label: str
    row: Mapping[str, Any]
    files: PicturePaths


@dataclass(frozen=True)
class _Found:
    """Image at a scale.

    Attributes:
        whole: smallest box that has the boxes of the image at all scales.
        kept: methods that have pictures of it, at least one.
        absent: labels of the methods that were measured and have none.
    """

    role: str
    whole: Box
    kept: Sequence[_Kept]
    absent: tuple[str, ...]


def _view(found: _Found, pixels: dict[str, bytes]) -> View:
    """Make a view; adds the files that it needs and that are not at hand to `pixels`."""
    row, lr = found.kept[0].row, found.kept[0].files.lr
    (height, width), lr_size, scale = row["hr_size"], tuple(row["lr_size"]), row["scale"]
    box = window((height, width))
    of_lr = lr_box(box, scale, lr_size)

    def number(key: str, read: Callable[[], bytes]) -> int:
        if key not in pixels:
            pixels[key] = read()
        return list(pixels).index(key)

    def part(path: Path, size: tuple[int, int] | None, cut: Box) -> int:
        return number(f"{path} {cut}", lambda: _read(path, size, cut))

    shown = [
        Shown(
            each.method,
            each.label,
            each.row["metrics"].get("psnr"),
            part(each.files.sr, (box.height, box.width), Box(0, 0, box.height, box.width)),
            part(each.files.experts, lr_size, of_lr) if each.files.experts.exists() else None,
            tuple(each.row["expert_depths"]),
        )
        for each in found.kept
    ]
    if BICUBIC not in [each.method for each in shown]:
        key = f"{BICUBIC} {lr} {height}x{width} {box}"
        made = number(key, lambda: _bicubic(lr, (height, width), box))
        shown.insert(0, Shown(BICUBIC, "LR (bicubic)", None, made))
    return View(
        role=found.role,
        dataset=row["dataset"],
        image=row["image"],
        scale=scale,
        protocol=row["protocol"],
        box=(box.top, box.left, box.height, box.width),
        size=(height, width),
        border=shaved_border(row["protocol"], scale),
        weights=channels(torch.eye(3)[:, None], row["protocol"])[:, 0].tolist(),
        lr=(part(lr, lr_size, of_lr), of_lr.top, of_lr.left),
        hr=(part(found.kept[0].files.hr, None, found.whole), found.whole.top, found.whole.left),
        methods=tuple(shown),
    )


def _bicubic(path: Path, size: tuple[int, int], box: Box) -> bytes:
    """Enlarge an LR image where bicubic is no method of the run."""
    enlarged, file = io.BytesIO(), _read(path, None, None)
    with Image.open(io.BytesIO(file)) as image:
        whole = image.resize((size[1], size[0]), Image.Resampling.BICUBIC)
    bottom, right = box.top + box.height, box.left + box.width
    whole.crop((box.left, box.top, right, bottom)).save(enlarged, "WEBP", lossless=True)
    return enlarged.getvalue()


def _found(plan: StoredPlan, results: Path, label: Callable[[str], str]) -> Iterator[_Found]:
    """List every image and scale that has pictures: one image at all its scales, then the next."""
    measurements = measurements_dir(results, plan.profile)
    folder = pictures_dir(results, plan.profile)
    by_image: dict[tuple[str, str], dict[float, list[_Kept]]] = {}
    for unit in plan.units:
        if unit.seed != min(u.seed for u in plan.units if u.method == unit.method):
            continue
        only = next((note.only for note in plan.roles if note.role == unit.role), ())
        for image, row in UnitFile(measurements / unit.file).by_image().items():
            scored = row["metrics"].get("psnr") is not None and row["lr_source"]
            if not scored or (only and image not in only) or not is_of(row, Path(unit.file).name):
                continue
            # There are images whose pictures can't be kept under their name.
            with suppress(ValueError):
                files = picture_paths(folder, unit.file, row)
                own = by_image.setdefault((unit.role, image), {}).setdefault(unit.scale, [])
                own.append(_Kept(unit.method, label(unit.method), row, files))
    for (role, _), scales in by_image.items():
        kept = {scale: [k for k in own if k.files.sr.exists()] for scale, own in scales.items()}
        boxes = [window(tuple(own[0].row["hr_size"])) for own in kept.values() if own]
        for scale, own in sorted(kept.items()):
            absent = tuple(each.label for each in scales[scale] if each not in own)
            if own:
                yield _Found(role, _union(boxes), own, absent)


def _union(boxes: Sequence[Box]) -> Box:
    top, left = min(box.top for box in boxes), min(box.left for box in boxes)
    bottom = max(box.top + box.height for box in boxes)
    right = max(box.left + box.width for box in boxes)
    return Box(top, left, bottom - top, right - left)


def _left_out(plan: StoredPlan, found: list[_Found], beyond: list[str]) -> Iterator[str]:
    """Say which images are not shown."""
    rows = [each.kept[0].row for each in found]
    shown = {(row["dataset"], row["image"]) for row in rows}
    for dataset, images in dict.fromkeys((note.dataset, note.images) for note in plan.roles):
        count = sum(name == dataset for name, _ in shown)
        if count < images:
            yield (
                f"{count} of the {images} images of {dataset} are here: pixels are kept of the "
                f"first {IMAGES} of a set (those that the profile names go first)."
            )
    if any(max(row["hr_size"]) > SIDE for row in rows):
        yield f"Of images larger than {SIDE} pixels, the middle is kept."
    absent = list(dict.fromkeys(name for each in found for name in each.absent))
    if absent:
        yield (
            f"Without pixels for some images: {', '.join(absent)}. "
            f"`harness run {plan.experiment}` makes them."
        )
    if beyond:
        yield f"Left out, so that the page stays below 25 MB: {', '.join(beyond)}."


def _read(path: Path, size: tuple[int, int] | None, cut: Box | None) -> bytes:
    """Read a picture that has this size (any, if None), or a part of it; checks that it decodes."""
    try:
        content = path.read_bytes()
        with Image.open(io.BytesIO(content), formats=("WEBP", "PNG")) as image:
            image.load()
            if size not in (None, (image.height, image.width)):
                raise OSError(f"it is {image.height}x{image.width} pixels, not {size}")
            if cut is None or (cut.height, cut.width) == (image.height, image.width):
                return content
            bottom, right = cut.top + cut.height, cut.left + cut.width
            if bottom > image.height or right > image.width:
                raise OSError(f"it has {image.height}x{image.width} pixels, too few")
            part = io.BytesIO()
            image.crop((cut.left, cut.top, right, bottom)).save(
                part, image.format, **({"lossless": True} if image.format == "WEBP" else {})
            )
            return part.getvalue()
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise HarnessError(
            f"{path} is not a picture of this measurement: {error}",
            "Delete it and run the experiment again; what is missing is made anew.",
        ) from error
