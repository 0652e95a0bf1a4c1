"""Storage of training images: all on the device as 8 bits, or read when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


Check = Callable[[str, tuple[int, int]], None]


def hold(
    items: Sequence[ImageItem], check: Check, margin: int, device: torch.device, label: str
) -> Held:
    """Read images onto a device.

    Args:
        items: the images.
        check: refuses an image by name and (height, width).
        margin: number of zeros behind the last image.
        device: target device.
        label: description of the images, for the progress bar.

    Raises:
        HarnessError: `check` refuses an image, or the device has no room for them.
    """
    sizes = [item.size() for item in items]
    for item, size in zip(items, sizes, strict=True):
        check(item.name, size)
    held = _empty(sizes, margin, device)
    with bar(f"reading {label}", len(items)) as progress:
        for item, size, offset in zip(items, sizes, held.offsets, strict=True):
            _put(held.pixels, int(offset), item, size)
            progress.advance()
    return held


def _empty(sizes: Sequence[tuple[int, int]], margin: int, device: torch.device) -> Held:
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
    return Held(pixels, np.concatenate([[0], ends[:-1]]), shapes)


def _put(pixels: Tensor, offset: int, item: ImageItem, size: tuple[int, int]) -> None:
    image = item.load()
    if (image.shape[-2], image.shape[-1]) != size:
        raise HarnessError(f"Training image {item.name} changed while it was read.")
    pixels[offset : offset + image.numel()] = image.flatten()


class InMemory:
    """Storage of all images of a set on the device, read once."""

    def __init__(self, images: Dataset, check: Check, margin: int, device: torch.device) -> None:
        self.held = hold(images.items, check, margin, device, images.name)

    def of_step(self, step: int, picked: Ints) -> tuple[Held, Ints]:
        """Return the images, and the index of each picked one in them."""
        del step
        return self.held, picked


class OnDemand:
    """Storage that reads images for each batch, in threads that also read ahead for the next batch.

    Args:
        images: the training set.
        check, margin, device: as `hold`.
        picks: returns the images (B,) of a step.
    """

    def __init__(
        self,
        images: Dataset,
        check: Check,
        margin: int,
        device: torch.device,
        picks: Callable[[int], Ints],
    ) -> None:
        self.items = images.items
        self.check = check
        for item in self.items:
            check(item.name, item.size())  # by the file's header: known before the first step
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
        held = _empty(sizes, self.margin, torch.device("cpu"))
        for image, offset in zip(images.values(), held.offsets, strict=True):
            held.pixels[int(offset) : int(offset) + image.numel()] = image.flatten()
        place = {index: n for n, index in enumerate(images)}
        positions = np.array([place[int(index)] for index in picked], dtype=np.int64)
        return Held(held.pixels.to(self.device), held.offsets, held.sizes), positions

    def _start(self, picked: Ints) -> dict[int, Future[Tensor]]:
        return {
            i: self.readers.submit(self._read, self.items[i])
            for i in dict.fromkeys(picked.tolist())
        }

    def _read(self, item: ImageItem) -> Tensor:
        image = item.load()
        self.check(item.name, (image.shape[-2], image.shape[-1]))
        return image
