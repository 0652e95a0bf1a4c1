"""Training samples: LR patches with random queries (LIIF, sec. 5.1), made on the device.

A batch is a pure function of (seed, step): a run that was stopped goes on with exactly the
samples it would have seen. No step works sample by sample: crops are gathered, resized and
queried for the whole batch, and only the crops and the queried pixels are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.data.degrade import unit
from harness.data.drawing import Draws, Ints, draw, permuted
from harness.data.holding import Everything, OneByOne
from harness.data.resampling import resize_crops, resize_weights
from harness.data.sets import Dataset
from harness.errors import HarnessError
from harness.profiles import Training

_CPU = torch.device("cpu")


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


class PatchSource:
    """Training samples from the images of a dataset.

    Args:
        images: the training set.
        settings: patch size, scales, queries, batch.
        seed: of all randomness.
        device: where images are held and samples are made.

    Raises:
        HarnessError: when an image is smaller than the largest HR crop, there are too few for a
            batch, or the device has no room for them.
    """

    def __init__(
        self, images: Dataset, settings: Training, seed: int, device: torch.device = _CPU
    ) -> None:
        self.settings = settings
        self.seed = seed
        self.device = device
        self.count = len(images.items)
        self.per_epoch = settings.steps_per_epoch(self.count)
        if self.per_epoch < 1:
            raise HarnessError(
                f"{images.name} has {self.count} images, too few for one batch of "
                f"{settings.batch} with repeat {settings.repeat}.",
                "Raise `repeat` or lower `batch` in the profile.",
            )
        self.smallest = round(settings.patch * settings.scale_min)
        self.largest = round(settings.patch * settings.scale_max)
        sides = range(self.smallest, self.largest + 1)
        self.weights = resize_weights(sides, settings.patch).to(device)
        self.order: tuple[int, Ints] | None = None
        # A line of a crop is read `largest` pixels long, beyond a small crop's own end.
        self.images: Everything | OneByOne = (
            Everything(images, self._check_size, self.largest, device)
            if settings.in_memory
            else OneByOne(images, self._check_size, self.largest, device, self._picked)
        )

    def _check_size(self, name: str, size: tuple[int, int]) -> None:
        if min(size) < self.largest:
            raise HarnessError(
                f"Training image {name} is {size[1]}x{size[0]}; a patch of "
                f"{self.settings.patch} at x{self.settings.scale_max:g} needs {self.largest} "
                "pixels.",
                "Remove the image, or lower `patch` or `scale_max` in the profile.",
            )

    def _picked(self, step: int) -> Ints:
        """Numbers (B,) of a step's images. Each epoch shows every image `repeat` times."""
        epoch, position = divmod(step, self.per_epoch)
        if self.order is None or self.order[0] != epoch:
            rng = np.random.default_rng([self.seed, 0, epoch])
            self.order = epoch, rng.permutation(self.count * self.settings.repeat) % self.count
        size = self.settings.batch
        return self.order[1][position * size : (position + 1) * size]

    def batch(self, step: int) -> Batch:
        """The batch of a step (from 0)."""
        s = self.settings
        held, place = self.images.of_step(step, self._picked(step))
        rng = np.random.default_rng([self.seed, 1, step])
        chosen = draw(rng, held.sizes[place], s.patch, (s.scale_min, s.scale_max))
        height, width = held.sizes[place].T
        corner = held.offsets[place] + chosen.top * width + chosen.left
        numbers = np.stack([corner, width, height * width, chosen.side, *chosen.flips.T])
        # Pageable and small: the copy waits for nothing on the device.
        columns = torch.from_numpy(numbers).to(self.device).unsqueeze(-1).unbind(0)
        return self._make(held.pixels, _Places(*columns), self._to_device(chosen))

    def _to_device(self, chosen: Draws) -> Tensor:
        return torch.from_numpy(chosen.tables).to(self.device)

    def _make(self, pixels: Tensor, at: _Places, tables: Tensor) -> Batch:
        y, x = permuted(self.settings.queries, at.side, tables)
        side = at.side.unsqueeze(-1)
        # As in `pixel_centers`: the step is rounded to float32, then the sum.
        centre = torch.stack([y, x], dim=-1).float() * (2 / side.double()).float()
        coord = centre + (1 / side.double() - 1).float()
        return Batch(
            lr=self._low(pixels, at),
            coord=coord,
            cell=(2 / side.double()).float().expand_as(coord),
            target=unit(_targets(pixels, at, y, x)) * 2 - 1,
        )

    def _low(self, pixels: Tensor, at: _Places) -> Tensor:
        """LR patches (B, 3, patch, patch) in [-1, 1], mirrored and transposed."""
        weights = self.weights[at.side.squeeze(1) - self.smallest]
        small = resize_crops(_crops(pixels, at, self.largest), weights).float()
        for flip, axis in ((at.horizontal, 3), (at.vertical, 2), (at.transposed, 0)):
            turned = small.flip(axis) if axis else small.mT
            small = torch.where(flip[..., None, None].bool(), turned, small)
        return unit(small) * 2 - 1


@dataclass(frozen=True)
class _Places:
    """Where the crops of a batch lie in the pixels of all images, (B, 1) int64 each.

    Attributes:
        corner: position of the crop's first value.
        line: values from one row to the next.
        plane: values from one colour to the next.
        side: of the crop.
        horizontal, vertical, transposed: whether it is turned so, in this order.
    """

    corner: Tensor
    line: Tensor
    plane: Tensor
    side: Tensor
    horizontal: Tensor
    vertical: Tensor
    transposed: Tensor


def _crops(pixels: Tensor, at: _Places, largest: int) -> Tensor:
    """(B, 3, largest, largest) uint8; rows below a crop repeat its last, columns run on."""
    row = torch.arange(largest, device=pixels.device).unsqueeze(0).minimum(at.side - 1)
    colour = torch.arange(3, device=pixels.device).unsqueeze(0) * at.plane
    starts = (at.corner + row * at.line).unsqueeze(1) + colour.unsqueeze(2)
    # Every line of `largest` values that there is, as a view: a row of a crop is one of them.
    lines = pixels.unfold(0, largest, 1)
    return lines[starts.flatten()].reshape(*starts.shape, largest)


def _targets(pixels: Tensor, at: _Places, y: Tensor, x: Tensor) -> Tensor:
    """(B, Q, 3) uint8 of the pixels (y, x) of the turned crops."""
    row = torch.where(at.transposed.bool(), x, y)
    column = torch.where(at.transposed.bool(), y, x)
    row = torch.where(at.vertical.bool(), at.side - 1 - row, row)
    column = torch.where(at.horizontal.bool(), at.side - 1 - column, column)
    first = (at.corner + row * at.line + column).unsqueeze(-1)
    colour = torch.arange(3, device=pixels.device) * at.plane.unsqueeze(-1)
    return pixels[first + colour]
