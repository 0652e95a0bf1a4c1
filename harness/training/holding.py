"""Storage of training images: all on the device as 8 bits, or read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.progress import bar
from harness.data.sets import Dataset, ImageItem
from harness.training.randomness import Ints

READERS = 8


@dataclass(frozen=True)
class Held:
    """Images stored one after the other.

    Attributes:
        pixels: uint8 values of all images, each as (3, H, W), followed by some zeros.
        offsets: (n,) position at which each image begins.
        sizes: (n, 2) height and width.
    """

    pixels: Tensor
    offsets: Ints
    sizes: Ints


Sizes = Sequence[tuple[int, int]]


def hold(sizes: Sizes, images: Iterable[Tensor], margin: int, device: torch.device) -> Held:
    """Store images, uint8 (3, H, W) each, on a device, with `margin` zeros behind the last.

    Raises:
        HarnessError: the device has no room for them.
    """
    shapes = np.array(sizes, dtype=np.int64).reshape(-1, 2)
    ends = np.cumsum(3 * shapes.prod(axis=1))
    total = int(ends[-1]) + margin
    try:
        pixels = torch.zeros(total, dtype=torch.uint8, device=device)
    except (RuntimeError, MemoryError) as error:
        raise HarnessError(
            f"{len(sizes)} training images need {total / 1e9:.1f} GB of memory on {device}.",
            "Set `in_memory: false` in the profile: images are then read when they are needed.",
        ) from error
    held = Held(pixels, np.concatenate([[0], ends[:-1]]), shapes)
    for image, offset in zip(images, held.offsets, strict=True):
        pixels[int(offset) : int(offset) + image.numel()] = image.flatten()
    return held


class InMemory:
    """Storage of all images of a set on the device, read once. Args: as `OnDemand`."""

    def __init__(self, images: Dataset, sizes: Sizes, margin: int, device: torch.device) -> None:
        def read() -> Iterator[Tensor]:
            with bar(f"reading {images.name}", len(sizes)) as progress:
                for item, size in zip(images.items, sizes, strict=True):
                    yield _load(item, size)
                    progress.advance()

        self.held = hold(sizes, read(), margin, device)

    def of_step(self, step: int, picked: Ints) -> tuple[Held, Ints]:
        """Return the images, and the index of each picked one in them."""
        del step
        return self.held, picked


class OnDemand:
    """Storage that reads images for each batch, in threads that also read ahead for the next batch.

    `sizes` are those of all images, `picks` returns the images (B,) of a step.
    """

    def __init__(
        self,
        images: Dataset,
        sizes: Sizes,
        margin: int,
        device: torch.device,
        picks: Callable[[int], Ints],
    ) -> None:
        self.items = images.items
        self.sizes = sizes
        self.margin = margin
        self.device = device
        self.picks = picks
        self.readers = ThreadPoolExecutor(READERS, "images")
        self.ahead: dict[int, dict[int, Future[Tensor]]] = {}

    def of_step(self, step: int, picked: Ints) -> tuple[Held, Ints]:
        """Return the images, and the index of each picked one in them."""
        reading = self.ahead.pop(step, None) or self._start(picked)
        self.ahead = {step + 1: self._start(self.picks(step + 1))}
        images = {index: future.result() for index, future in reading.items()}
        sizes = [(image.shape[-2], image.shape[-1]) for image in images.values()]
        held = hold(sizes, images.values(), self.margin, torch.device("cpu"))
        place = {index: n for n, index in enumerate(images)}
        positions = np.array([place[int(index)] for index in picked], dtype=np.int64)
        return Held(held.pixels.to(self.device), held.offsets, held.sizes), positions

    def _start(self, picked: Ints) -> dict[int, Future[Tensor]]:
        return {
            i: self.readers.submit(_load, self.items[i], self.sizes[i])
            for i in dict.fromkeys(picked.tolist())
        }


def _load(item: ImageItem, size: tuple[int, int]) -> Tensor:
    """Read an image, which must have the (height, width) that its header told before."""
    image = item.load()
    if (image.shape[-2], image.shape[-1]) != size:
        raise HarnessError(f"Training image {item.name} changed while it was read.")
    return image
