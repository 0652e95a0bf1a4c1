"""Source of the images from which a training run draws its batches."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.progress import bar
from harness.data.sets import Dataset
from harness.profiles import Training
from harness.training.crops import CropPlaces, Held, hold, places
from harness.training.randomness import Draws, Ints
from harness.training.resampling import resize_weights
from harness.training.world import ALONE, World

CPU = torch.device("cpu")
READERS = 8


class ImageSource(ABC):
    """Images for batches that are pure functions of (seed, step).

    All are held on the device, or read for each batch, in threads that also read ahead for the next
    one.

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
        self.data = images
        self.count = len(images.items)
        self.per_epoch = settings.steps_per_epoch(self.count)
        if self.per_epoch < 1:
            raise HarnessError(
                f"{images.name} has {self.count} images, too few for one batch of "
                f"{settings.batch} with repeat {settings.repeat}.",
                "Raise `repeat` or lower `batch` in the profile.",
            )
        self.own = world.samples(settings.batch)
        self.sides = self.sides_of(settings)
        self.weights = resize_weights(self.sides, settings.patch).to(device)
        # A line of a crop is read so many pixels long, beyond a small crop's own end.
        self.largest = self.sides[-1]
        sizes = self._checked_sizes()
        self.sizes = np.array(sizes, dtype=np.int64).reshape(-1, 2)
        self.order: tuple[int, Ints] | None = None
        self.held: Held | None = None
        if settings.in_memory:
            self.held = hold(sizes, self._all(), self.largest, device)
        self.readers = ThreadPoolExecutor(READERS, "images")
        self.ahead: dict[int, dict[int, Future[Tensor]]] = {}

    @staticmethod
    @abstractmethod
    def sides_of(settings: Training) -> Sequence[int]:
        """List the sides that an HR crop may have, ascending."""

    @abstractmethod
    def batch(self, step: int) -> object:
        """Make the own samples of the batch of a step (from 0)."""

    def _checked_sizes(self) -> list[tuple[int, int]]:
        """Return the sizes by the files' headers, known before the first step."""
        sizes = [item.size() for item in self.data.items]
        for item, size in zip(self.data.items, sizes, strict=True):
            if min(size) < self.largest:
                patch = self.settings.patch
                raise HarnessError(
                    f"Training image {item.name} is {size[1]}x{size[0]}; a patch of "
                    f"{patch} at x{self.largest / patch:g} needs {self.largest} pixels.",
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

    def _of_step(self, step: int) -> tuple[Ints, np.random.Generator]:
        """Return the image of each sample of a batch, own or not, and the step's random numbers."""
        return self._picked(step), np.random.default_rng([self.seed, 1, step])

    def _located(self, step: int, picked: Ints, chosen: Draws) -> tuple[Tensor, CropPlaces]:
        """Return stored pixels, and the places of the own crops in them."""
        if self.held is not None:
            return self.held.pixels, places(self.held, picked[self.own], chosen, self.device)
        reading = self.ahead.pop(step, None) or self._start(step)
        self.ahead = {step + 1: self._start(step + 1)}
        images = {index: future.result() for index, future in reading.items()}
        sizes = [(image.shape[-2], image.shape[-1]) for image in images.values()]
        held = hold(sizes, images.values(), self.largest, CPU)
        place = {index: n for n, index in enumerate(images)}
        positions = np.array([place[int(index)] for index in picked[self.own]], dtype=np.int64)
        return held.pixels.to(self.device), places(held, positions, chosen, self.device)

    def _start(self, step: int) -> dict[int, Future[Tensor]]:
        """Begin to read the own images of a step."""
        own = dict.fromkeys(self._picked(step)[self.own].tolist())
        return {index: self.readers.submit(self._load, index) for index in own}

    def _all(self) -> Iterator[Tensor]:
        with bar(f"reading {self.data.name}", self.count) as progress:
            for index in range(self.count):
                yield self._load(index)
                progress.advance()

    def _load(self, index: int) -> Tensor:
        """Read an image, which must have the (height, width) that its header told before."""
        item = self.data.items[index]
        image = item.load()
        if image.shape[-2:] != tuple(self.sizes[index]):
            raise HarnessError(f"Training image {item.name} changed while it was read.")
        return image
