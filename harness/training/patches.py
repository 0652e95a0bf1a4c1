"""Training samples: LR patches with random queries, as LIIF has them, made on the device.

A batch is a pure function of (seed, step): a run that was stopped continues with exactly the
samples it would have seen. No operation works sample by sample: crops are gathered, resized and
queried for the whole batch, and only the crops and the queried pixels are read.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harness.data.degrade import unit
from harness.profiles import Training
from harness.training.crops import CropPlaces, cut, turned
from harness.training.randomness import draw, permuted
from harness.training.resampling import resize_crops
from harness.training.source import ImageSource


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
        """Copy the batch to another device."""
        parts = (self.lr, self.coord, self.cell, self.target)
        return Batch(*(part.to(device, non_blocking=True) for part in parts))


class PatchSource(ImageSource):
    """Training samples from the images of a dataset, each with its own random scale.

    Args, Raises: as `ImageSource`.
    """

    @staticmethod
    def sides_of(settings: Training) -> range:
        """List the sides of crops of all scales; see `ImageSource`."""
        scales = (settings.scale_min, settings.scale_max)
        smallest, largest = (round(settings.patch * scale) for scale in scales)
        return range(smallest, largest + 1)

    def batch(self, step: int) -> Batch:
        """Make the own samples of the batch of a step (from 0)."""
        s = self.settings
        picked, rng = self._of_step(step)
        chosen = draw(rng, self.sizes[picked], s.patch, (s.scale_min, s.scale_max)).of(self.own)
        pixels, at = self._located(step, picked, chosen)
        return self._make(pixels, at, torch.from_numpy(chosen.tables).to(self.device))

    def _make(self, pixels: Tensor, at: CropPlaces, tables: Tensor) -> Batch:
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

    def _low(self, pixels: Tensor, at: CropPlaces) -> Tensor:
        """Make LR patches (B, 3, patch, patch) in [-1, 1], mirrored and transposed."""
        weights = self.weights[at.side.squeeze(1) - self.sides[0]]
        small = resize_crops(cut(pixels, at, self.largest), weights).float()
        return unit(turned(small, at)) * 2 - 1


def _targets(pixels: Tensor, at: CropPlaces, y: Tensor, x: Tensor) -> Tensor:
    """Read the pixels (y, x) of the mirrored and transposed crops, (B, Q, 3) uint8."""
    row = torch.where(at.transposed.bool(), x, y)
    column = torch.where(at.transposed.bool(), y, x)
    row = torch.where(at.vertical.bool(), at.side - 1 - row, row)
    column = torch.where(at.horizontal.bool(), at.side - 1 - column, column)
    first = (at.corner + row * at.line + column).unsqueeze(-1)
    colour = torch.arange(3, device=pixels.device) * at.plane.unsqueeze(-1)
    return pixels[first + colour]
