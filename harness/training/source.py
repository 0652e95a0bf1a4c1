"""Source of the images from which a training run draws its batches."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch

from harness.common.errors import HarnessError
from harness.data.sets import Dataset
from harness.profiles import Training
from harness.training.holding import Held, InMemory, OnDemand
from harness.training.randomness import Ints

CPU = torch.device("cpu")


class ImageSource(ABC):
    """Images for batches that are pure functions of (seed, step).

    Args:
        images: the training set.
        settings: settings of one method.
        seed: seed of all randomness.
        device: device where images are held and batches are made.
        scale: the largest scale.

    Raises:
        HarnessError: an image is smaller than the largest HR crop, there are too few for a batch,
            or the device has no room for them.
    """

    def __init__(
        self, images: Dataset, settings: Training, seed: int, device: torch.device, scale: float
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.device = device
        self.scale = scale
        self.count = len(images.items)
        self.per_epoch = settings.steps_per_epoch(self.count)
        if self.per_epoch < 1:
            raise HarnessError(
                f"{images.name} has {self.count} images, too few for one batch of "
                f"{settings.batch} with repeat {settings.repeat}.",
                "Raise `repeat` or lower `batch` in the profile.",
            )
        self.largest = round(settings.patch * scale)
        self.order: tuple[int, Ints] | None = None
        # A line of a crop is read `largest` pixels long, beyond a small crop's own end.
        self.images: InMemory | OnDemand = (
            InMemory(images, self._check_size, self.largest, device)
            if settings.in_memory
            else OnDemand(images, self._check_size, self.largest, device, self._picked)
        )

    @abstractmethod
    def batch(self, step: int) -> object:
        """Make the batch of a step (from 0)."""

    def _check_size(self, name: str, size: tuple[int, int]) -> None:
        if min(size) < self.largest:
            raise HarnessError(
                f"Training image {name} is {size[1]}x{size[0]}; a patch of "
                f"{self.settings.patch} at x{self.scale:g} needs {self.largest} pixels.",
                "Remove the image, or lower `patch` or the largest scale in the profile.",
            )

    def _picked(self, step: int) -> Ints:
        """Return the indices (B,) of a step's images; an epoch shows each `repeat` times."""
        epoch, position = divmod(step, self.per_epoch)
        if self.order is None or self.order[0] != epoch:
            rng = np.random.default_rng([self.seed, 0, epoch])
            self.order = epoch, rng.permutation(self.count * self.settings.repeat) % self.count
        size = self.settings.batch
        return self.order[1][position * size : (position + 1) * size]

    def _of_step(self, step: int) -> tuple[Held, Ints, np.random.Generator]:
        """Return the images, the index of each sample's image, and the step's random numbers."""
        held, images = self.images.of_step(step, self._picked(step))
        return held, images, np.random.default_rng([self.seed, 1, step])
