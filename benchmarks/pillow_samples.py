"""Training samples made the plain way: Pillow, one sample after the other, in a DataLoader.

This is how the LIIF project makes them. It is kept to compare speed with; batches have the same
meaning as those of `harness.training.patches`, but other random numbers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from baselines.geometry import make_coord
from harness.data.degrade import pil_resize, unit
from harness.profiles import Training
from harness.training.patches import Batch


def augment(image: Tensor, horizontal: bool, vertical: bool, transpose: bool) -> Tensor:
    """Mirror and transpose an image (C, H, W), in this order."""
    axes = [2] * horizontal + [1] * vertical
    image = image.flip(axes) if axes else image
    return image.transpose(1, 2) if transpose else image


class PlainSamples(Dataset[Batch]):
    """Batches by step, of images, uint8 (3, H, W) each, no smaller than the largest HR crop."""

    def __init__(self, images: list[Tensor], settings: Training, seed: int, steps: int) -> None:
        self.images = images
        self.settings = settings
        self.seed = seed
        self.steps = steps

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, step: int) -> Batch:
        picked = np.random.default_rng([self.seed, 0, step]).integers(
            0, len(self.images), self.settings.batch
        )
        samples = [
            self._sample(self.images[i], np.random.default_rng([self.seed, 1, step, n]))
            for n, i in enumerate(picked)
        ]
        return Batch(*(torch.stack(parts) for parts in zip(*samples, strict=True)))

    def _sample(self, image: Tensor, rng: np.random.Generator) -> tuple[Tensor, ...]:
        s = self.settings
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


def plain_loader(samples: PlainSamples, workers: int) -> DataLoader[Batch]:
    """Load batches in order, made in this process or in `workers` others."""
    return DataLoader(
        samples,
        batch_size=None,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
