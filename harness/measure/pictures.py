"""Pixels of measured images, kept for the viewer of a report.

What is kept lies beside the rows, under the same names, so that pixels are shared by experiments,
found by the unit that they belong to, and made only once:

    pictures/<dataset>/x4/<unit>/<image>.webp           SR image, or its window
    pictures/<dataset>/x4/<unit>/<image>.experts.png    expert of each LR pixel, from 0
    pictures/<dataset>/x4/lr.<data>/<image>.webp        LR image
    pictures/<dataset>/hr.<data>/<image>.webp           HR image
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.base import Box, cut
from harness.checkpoints.cmsr_table import prepared
from harness.checkpoints.subject import Subject
from harness.common.errors import HarnessError
from harness.common.files import plain_name
from harness.data.degrade import Pair, make_pair, quantise, unit
from harness.data.images import save_png, save_webp
from harness.data.sets import ImageItem
from harness.measure.evaluate import Task
from harness.measure.macs import is_counted
from harness.upscale.network import Made, upscale

IMAGES = 3
"""Images of a dataset that are kept."""

SIDE = 512
"""Longest side of a window in HR pixels; of a larger image, its middle is kept."""


_LONGEST = 200
"""Longest name of an image in bytes; file systems take 255, and suffixes are added."""


def window(size: tuple[int, int]) -> Box:
    """Return the part of an HR image of (height, width) that is kept: all of a small one."""
    (top, height), (left, width) = [(max(0, (n - SIDE) // 2), min(n, SIDE)) for n in size]
    return Box(top, left, height, width)


def lr_box(box: Box, scale: float, size: tuple[int, int]) -> Box:
    """Find the pixels of an LR image of (height, width) that cover a part of the HR image."""
    top, left = math.floor(box.top / scale), math.floor(box.left / scale)
    bottom = min(math.ceil((box.top + box.height) / scale), size[0])
    right = min(math.ceil((box.left + box.width) / scale), size[1])
    return Box(top, left, bottom - top, right - left)


def shown(
    subject: Subject, pair: Pair, sr: Tensor, choice: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Return SR as uint8, and the expert of each pixel of the LR image, uint8 (1, h, w), if any."""
    h, w = pair.lr.shape[-2:]
    routed = choice if subject.expert_depths else None
    experts = None if routed is None else routed[None, :h, :w].to(torch.uint8).cpu()
    return quantise(sr), experts


def made_region(
    subject: Subject, task: Task, image: str, pair: Pair, box: Box
) -> tuple[Tensor, Tensor | None]:
    """Make a region of the SR image of a data set's image; see `shown`."""
    made = upscale(
        prepared(subject, task.scale, task.rendering).for_image(image),
        unit(pair.lr)[None],
        task.scale,
        (pair.hr.shape[-2], pair.hr.shape[-1]),
        box=box,
        precision=task.settings.precision,
        memory=task.settings.memory,
    )
    return shown(subject, pair, made.image[0], made.choice)


@dataclass(frozen=True)
class PicturePaths:
    """Files of one image of a unit; those of a network without experts have no map."""

    sr: Path
    experts: Path
    lr: Path
    hr: Path


def picture_paths(folder: Path, unit_file: str, row: Mapping[str, Any]) -> PicturePaths:
    """Name the files of an image.

    Args:
        folder: the profile's folder of pictures.
        unit_file: path of the unit's rows below the folder of measurements.
        row: the image's row, or what of it decides the names: image, dataset_fingerprint,
            lr_fingerprint, lr_source.

    Raises:
        ValueError: the row has a name that is no file name.
    """
    file = Path(unit_file)
    image = plain_name(row["image"], longest=_LONGEST)
    data = plain_name(row["dataset_fingerprint"])
    lr = plain_name(row["lr_fingerprint"] or row["lr_source"])
    own, scale = folder / file.with_suffix(""), folder / file.parent
    return PicturePaths(
        sr=own / f"{image}.webp",
        experts=own / f"{image}.experts.png",
        lr=scale / f"lr.{data}.{lr}" / f"{image}.webp",
        hr=scale.parent / f"hr.{data}" / f"{image}.webp",
    )


@dataclass(frozen=True)
class PictureStore:
    """Pictures of a profile.

    Attributes:
        folder: the profile's folder of pictures.
        named: images that go before others, if their dataset has them.
        seed: the one seed of trained networks that is kept.
    """

    folder: Path
    named: frozenset[str]
    seed: int

    def wanted(self, subject: Subject, task: Task) -> list[ImageItem]:
        """List the images of a unit that are kept."""
        if is_counted(task.protocol) or (subject.weights and subject.seed != self.seed):
            return []
        # Of the whole set, whichever images an experiment measures of it.
        named_first = sorted(task.dataset.items, key=lambda item: item.name not in self.named)
        kept = []
        for item in (item for item in named_first[:IMAGES] if item in task.items):
            with suppress(ValueError):
                plain_name(item.name, longest=_LONGEST)
                kept.append(item)
        return kept

    def keep(self, subject: Subject, task: Task, item: ImageItem, pair: Pair, made: Made) -> None:
        """Write the files of an image that is wanted; does nothing for others."""
        if item not in self.wanted(subject, task):
            return
        identity = task.unit(subject)
        row = {
            "image": item.name,
            "dataset_fingerprint": identity.dataset_fingerprint,
            "lr_fingerprint": identity.lr_fingerprint,
            "lr_source": "unknown" if subject.model.made == "stored" else pair.source,
        }
        paths = picture_paths(self.folder, str(identity.relative_path), row)
        box = window((pair.hr.shape[-2], pair.hr.shape[-1]))
        _save(paths, item, pair, *shown(subject, pair, cut(made.image, box), made.choice))

    def make_missing(
        self, subject: Subject, task: Task, rows: Mapping[str, Mapping[str, Any]]
    ) -> int:
        """Make what was not kept when the unit was measured, and return the number of images.

        `rows` are the unit's, by image; images without a PSNR are passed over.

        Raises:
            HarnessError: a row is damaged, an image cannot be read, or a file cannot be written.
        """
        file, made = str(task.unit(subject).relative_path), 0
        for item in self.wanted(subject, task):
            row = rows.get(item.name)
            if row is None or row["metrics"].get("psnr") is None:
                continue
            try:
                paths = picture_paths(self.folder, file, row)
            except ValueError as error:
                raise HarnessError(
                    f"A row of {file} does not say what it was measured on: {error}",
                    "Delete that file to measure the unit again.",
                ) from error
            if paths.sr.exists():
                continue
            pair = make_pair(item, item.load(), task.scale, task.cache)
            box = window((pair.hr.shape[-2], pair.hr.shape[-1]))
            _save(paths, item, pair, *made_region(subject, task, item.name, pair, box))
            made += 1
        return made


def _save(
    paths: PicturePaths, item: ImageItem, pair: Pair, sr: Tensor, experts: Tensor | None
) -> None:
    """Write the files, the SR image last: where it is, the others are."""
    if not paths.hr.exists():
        save_webp(item.load(), paths.hr)
    if not paths.lr.exists():
        save_webp(pair.lr, paths.lr)
    if experts is not None:
        save_png(experts, paths.experts)
    save_webp(sr, paths.sr)
