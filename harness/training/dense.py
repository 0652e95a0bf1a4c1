"""Training samples for networks that make whole images: LR patches with their whole HR crops.

SeemoRe and IGConv are trained this way. All samples of a batch have the same integer scale, drawn
for each batch. As in `harness.training.patches`, a batch is a pure function of (seed, step), made
on the device for all samples at once, and its LR patches are Pillow's bicubic of the 8-bit HR
patches, bit for bit.

IGConv's code does the same (torchvision's resize of Pillow images, after mirroring them). SeemoRe's
code reads LR images that were made before, by MATLAB's bicubic from whole images: inside a patch
they differ from ours by rounding, and in the outermost pixels by what lies beyond the crop.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from harness.data.degrade import unit
from harness.profiles import Training
from harness.training.crops import cut, turned
from harness.training.randomness import draw_dense
from harness.training.resampling import resize_crops
from harness.training.source import ImageSource


@dataclass(frozen=True)
class DenseBatch:
    """Training samples of one scale, values in [0, 1].

    Attributes:
        lr: (B, 3, patch, patch).
        hr: (B, 3, patch * scale, patch * scale).
        scale: scale of all samples.
    """

    lr: Tensor
    hr: Tensor
    scale: int


class DenseSource(ImageSource):
    """Training samples from the images of a dataset, with the scale drawn for each batch.

    Args, Raises: as `ImageSource`; the settings are those of a dense method.
    """

    @staticmethod
    def sides_of(settings: Training) -> list[int]:
        """List the sides of crops of the scales; see `ImageSource`."""
        return [settings.patch * scale for scale in settings.scales]

    def batch(self, step: int) -> DenseBatch:
        """Make the own samples of the batch of a step (from 0)."""
        patch, scales = self.settings.patch, self.settings.scales
        picked, rng = self._of_step(step)
        scale, chosen = draw_dense(rng, self.sizes[picked], patch, scales)
        pixels, at = self._located(step, picked, chosen.of(self.own))
        side = patch * scale
        hr = turned(cut(pixels, at, side), at)
        weights = self.weights[self.sides.index(side), :, :side]
        lr = resize_crops(hr, weights.expand(len(hr), -1, -1)).float()
        return DenseBatch(unit(lr), unit(hr), scale)
