"""HR and LR images of a sweep, read and made once for all its methods.

A store lives as long as one sweep, and so do the datasets that its images belong to. What changes
on disk between two sweeps of a process is read again by the second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor

from harness.data.degrade import PAIRED, LrRule, Pair, make_pair
from harness.data.images import pixel_hash
from harness.data.sets import ImageItem

# DIV2K's 100 validation images and their LR images at the eight scales of Table 1 take 1.2 GiB.
KEPT_BYTES = 3 << 29


@dataclass(frozen=True)
class HrImage:
    """HR image, uint8 (3, H, W), and the hash of its pixels."""

    pixels: Tensor
    sha256: str


class PairStore:
    """Images that were read and LR images that were made, up to a number of bytes.

    Images beyond the budget are read and made again each time, and stored ones stay: a sweep goes
    through the same images in the same order for every method, so a full store that drops the
    oldest image would drop each image before its next use.
    """

    def __init__(self, budget: int = KEPT_BYTES) -> None:
        """Create an empty store of at most `budget` bytes of pixels."""
        self.budget = budget
        self.bytes = 0
        self._images: dict[ImageItem, HrImage] = {}
        self._pairs: dict[tuple[ImageItem, float, LrRule], Pair] = {}

    def image(self, item: ImageItem) -> HrImage:
        """Return the HR image of an item; HarnessError where it cannot be read."""
        if item in self._images:
            return self._images[item]
        pixels = item.load()
        image = HrImage(pixels, pixel_hash(pixels))
        if self._fits(pixels):
            self._images[item] = image
        return image

    def pair(
        self,
        item: ImageItem,
        image: HrImage,
        scale: float,
        cache: Path | None,
        rule: LrRule = PAIRED,
    ) -> Pair:
        """Return LR and HR of an item, as `make_pair` does; `image` is the item's."""
        if (item, scale, rule) in self._pairs:
            return self._pairs[item, scale, rule]
        pair = make_pair(item, image.pixels, scale, cache, rule)
        if item in self._images and self._fits(pair.lr):
            # Every LR image stands for the top left of its HR image: no need to keep a copy.
            h, w = pair.hr.shape[-2:]
            pair = replace(pair, hr=image.pixels[:, :h, :w])
            self._pairs[item, scale, rule] = pair
        return pair

    def _fits(self, pixels: Tensor) -> bool:
        """Take the bytes of an image from the budget, if enough are left."""
        fits = self.bytes + pixels.nbytes <= self.budget
        self.bytes += pixels.nbytes * fits
        return fits
