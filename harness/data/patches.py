"""Training samples: LR patches with random queries (LIIF, sec. 5.1).

A batch is a pure function of (seed, step): a run that was stopped goes on with exactly the
samples it would have seen, whatever the number of loader processes.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from baselines.implicit import make_coord
from harness.data.degrade import pil_resize, unit
from harness.data.sets import Dataset as ImageSet
from harness.errors import HarnessError
from harness.profiles import Training
from harness.progress import bar


@dataclass(frozen=True)
class Batch:
    """Training samples, values in [-1, 1].

    Attributes:
        lr: (B, 3, patch, patch).
        coord: (B, Q, 2) queries.
        cell: (B, Q, 2) size of a query pixel.
        target: (B, Q, 3) RGB at the queries.
    """

    lr: Tensor
    coord: Tensor
    cell: Tensor
    target: Tensor

    def to(self, device: torch.device) -> Batch:
        """The batch on another device."""
        parts = (self.lr, self.coord, self.cell, self.target)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


def augment(image: Tensor, horizontal: bool, vertical: bool, transpose: bool) -> Tensor:
    """Mirrored and transposed image (C, H, W), in this order."""
    axes = [2] * horizontal + [1] * vertical
    image = image.flip(axes) if axes else image
    return image.transpose(1, 2) if transpose else image


class PatchSource:
    """Training samples from the images of a dataset.

    Args:
        images: the training set.
        settings: patch size, scales, queries, batch.
        seed: of all randomness.

    Raises:
        HarnessError: when an image is smaller than the largest HR crop.
    """

    def __init__(self, images: ImageSet, settings: Training, seed: int) -> None:
        self.items = images.items
        self.settings = settings
        self.seed = seed
        self.loaded = _load(images) if settings.in_memory else None
        self.per_epoch = settings.steps_per_epoch(len(images.items))
        if self.per_epoch < 1:
            raise HarnessError(
                f"{images.name} has {len(images.items)} images, too few for one batch of "
                f"{settings.batch} with repeat {settings.repeat}.",
                "Raise `repeat` or lower `batch` in the profile.",
            )
        if self.loaded is not None:
            for item, image in zip(self.items, self.loaded, strict=True):
                self._check_size(item.name, image)

    def _check_size(self, name: str, image: Tensor) -> None:
        side = round(self.settings.patch * self.settings.scale_max)
        if min(image.shape[-2:]) < side:
            raise HarnessError(
                f"Training image {name} is {image.shape[-1]}x{image.shape[-2]}; a patch of "
                f"{self.settings.patch} at x{self.settings.scale_max:g} needs {side} pixels.",
                "Remove the image, or lower `patch` or `scale_max` in the profile.",
            )

    def batch(self, step: int) -> Batch:
        """The batch of a step (from 0). Each epoch shows every image `repeat` times."""
        epoch, position = divmod(step, self.per_epoch)
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(
            len(self.items) * self.settings.repeat
        )
        size = self.settings.batch
        picked = order[position * size : (position + 1) * size] % len(self.items)
        samples = [
            self._sample(int(i), np.random.default_rng([self.seed, 1, step, n]))
            for n, i in enumerate(picked)
        ]
        return Batch(*(torch.stack(parts) for parts in zip(*samples, strict=True)))

    def _image(self, index: int) -> Tensor:
        if self.loaded is not None:
            return self.loaded[index]
        image = self.items[index].load()
        self._check_size(self.items[index].name, image)
        return image

    def _sample(self, index: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        s = self.settings
        image = self._image(index)
        side = round(s.patch * rng.uniform(s.scale_min, s.scale_max))
        top, left = (int(rng.integers(0, n - side + 1)) for n in image.shape[-2:])
        hr = image[:, top : top + side, left : left + side]
        lr = pil_resize(hr, (s.patch, s.patch))
        flips = [bool(x) for x in rng.integers(0, 2, 3)]
        hr, lr = augment(hr, *flips), augment(lr, *flips)
        chosen = torch.from_numpy(rng.choice(side * side, s.queries, replace=False))
        pixels = hr.reshape(3, -1)[:, chosen].T
        coord = make_coord((side, side))[chosen]
        return unit(lr) * 2 - 1, coord, torch.full_like(coord, 2 / side), unit(pixels) * 2 - 1


def _load(images: ImageSet) -> list[Tensor]:
    """Every image as uint8, kept in memory."""
    with bar(f"reading {images.name}", len(images.items)) as progress:
        loaded = []
        for item in images.items:
            loaded.append(item.load())
            progress.advance()
        return loaded


class _Steps(Dataset[Batch]):
    """Batches by step, for loader processes."""

    def __init__(self, source: PatchSource, first: int, last: int) -> None:
        self.source = source
        self.first = first
        self.length = last - first

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Batch:
        return self.source.batch(self.first + index)


def _same(batch: Any) -> Any:
    return batch


def loader(source: PatchSource, first: int, last: int) -> DataLoader[Batch]:
    """Batches of the steps [first, last), made in `workers` processes (at most one per CPU)."""
    workers = min(source.settings.workers, os.cpu_count() or 1)
    return DataLoader(
        _Steps(source, first, last),
        batch_size=None,
        num_workers=workers,
        collate_fn=_same,
        prefetch_factor=4 if workers else None,
    )
