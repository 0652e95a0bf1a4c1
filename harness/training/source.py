"""Source of the images from which a training run draws its batches."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from harness.common.errors import HarnessError
from harness.data.sets import Dataset
from harness.profiles import Training
from harness.training.holding import InMemory, OnDemand
from harness.training.randomness import Ints
from harness.training.world import ALONE, World

CPU = torch.device("cpu")


class ImageSource(ABC):
    """Images for batches that are pure functions of (seed, step).

    Args:
        images: the training set.
        settings: settings of one method.
        seed: seed of all randomness.
        device: device where images are held and batches are made.
        world: processes that share out the samples of each batch.

    Raises:
        HarnessError: an image is smaller than the largest HR crop, there are too few for a batch,
            or the device has no room for them.
    """

    def __init__(
        self,
        images: Dataset,
        settings: Training,
        seed: int,
        device: torch.device = CPU,
        world: World = ALONE,
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.device = device
        self.scale = self.largest_scale(settings)
        self.count = len(images.items)
        self.per_epoch = settings.steps_per_epoch(self.count)
        if self.per_epoch < 1:
            raise HarnessError(
                f"{images.name} has {self.count} images, too few for one batch of "
                f"{settings.batch} with repeat {settings.repeat}.",
                "Raise `repeat` or lower `batch` in the profile.",
            )
        self.own = world.samples(settings.batch)
        self.largest = round(settings.patch * self.scale)
        sizes = self._checked_sizes(images)
        self.sizes = np.array(sizes, dtype=np.int64).reshape(-1, 2)
        self.order: tuple[int, Ints] | None = None
        # A line of a crop is read `largest` pixels long, beyond a small crop's own end.
        self.images: InMemory | OnDemand = (
            InMemory(images, sizes, self.largest, device)
            if settings.in_memory
            else OnDemand(images, sizes, self.largest, device, self._own_picked)
        )

    @staticmethod
    @abstractmethod
    def largest_scale(settings: Training) -> float:
        """Return the largest scale of a sample."""

    @abstractmethod
    def batch(self, step: int) -> object:
        """Make the own samples of the batch of a step (from 0)."""

    def _checked_sizes(self, images: Dataset) -> list[tuple[int, int]]:
        """Return the sizes by the files' headers, known before the first step."""
        sizes = [item.size() for item in images.items]
        for item, size in zip(images.items, sizes, strict=True):
            if min(size) < self.largest:
                raise HarnessError(
                    f"Training image {item.name} is {size[1]}x{size[0]}; a patch of "
                    f"{self.settings.patch} at x{self.scale:g} needs {self.largest} pixels.",
                    "Remove the image, or lower `patch` or the largest scale in the profile.",
                )
        return sizes

    def _picked(self, step: int) -> Ints:
        """Return the indices (B,) of a step's images; an epoch shows each `repeat` times."""
        epoch, position = divmod(step, self.per_epoch)
        if self.order is None or self.order[0] != epoch:
            rng = np.random.default_rng([self.seed, 0, epoch])
            self.order = epoch, rng.permutation(self.count * self.settings.repeat) % self.count
        size = self.settings.batch
        return self.order[1][position * size : (position + 1) * size]

    def _own_picked(self, step: int) -> Ints:
        return self._picked(step)[self.own]

    def _of_step(self, step: int) -> tuple[Ints, np.random.Generator]:
        """Return the image of each sample of a batch, own or not, and the step's random numbers."""
        return self._picked(step), np.random.default_rng([self.seed, 1, step])
