"""PSNR while training: shown and logged, never used to choose a checkpoint."""

from __future__ import annotations

from pathlib import Path

from baselines.base import SRModel
from harness.common.errors import HarnessError
from harness.data.degrade import Pair, TooSmallError, make_pair, unit
from harness.data.sets import Dataset, ImageItem
from harness.metrics import psnr, too_small
from harness.profiles import Validation
from harness.upscale.network import upscale


class Validator:
    """PSNR on a few images of a dataset."""

    def __init__(self, settings: Validation, dataset: Dataset, cache: Path | None) -> None:
        self.settings = settings
        self.protocol = dataset.protocol
        self.pairs = [self._pair(item, cache) for item in dataset.items[: settings.images]]

    def _pair(self, item: ImageItem, cache: Path | None) -> Pair:
        scale = self.settings.scale
        try:
            pair = make_pair(item, item.load(), scale, cache)
            if not too_small((pair.hr.shape[-2], pair.hr.shape[-1]), self.protocol, scale):
                return pair
        except TooSmallError:
            pass
        raise HarnessError(
            f"Validation image {item.name} is too small for x{scale:g}.",
            "Remove the image, or lower the scale of `validation` in the profile.",
        )

    def __call__(self, model: SRModel) -> float:
        """Compute the mean PSNR in dB."""
        was_training = model.training
        model.eval()
        values = []
        for pair in self.pairs:
            size = (pair.hr.shape[-2], pair.hr.shape[-1])
            sr = upscale(model, unit(pair.lr)[None], self.settings.scale, size).image
            values.append(psnr(sr[0], unit(pair.hr), self.protocol, self.settings.scale).item())
        model.train(was_training)
        return sum(values) / len(values)
