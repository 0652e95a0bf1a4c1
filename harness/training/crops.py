"""Images stored one after the other, and square HR crops of them: their places and pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from harness.common.errors import HarnessError
from harness.training.randomness import Draws, Ints


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


def hold(
    sizes: Sequence[tuple[int, int]], images: Iterable[Tensor], margin: int, device: torch.device
) -> Held:
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


@dataclass(frozen=True)
class CropPlaces:
    """Places of a batch's crops in the pixels of all images, (B, 1) int64 each.

    Attributes:
        corner: position of the crop's first value.
        line: number of values from one row to the next.
        plane: number of values from one colour to the next.
        side: side of the crop in pixels.
        horizontal, vertical, transposed: whether it is mirrored left-right, mirrored up-down,
            transposed; in this order.
    """

    corner: Tensor
    line: Tensor
    plane: Tensor
    side: Tensor
    horizontal: Tensor
    vertical: Tensor
    transposed: Tensor


def places(held: Held, images: Ints, chosen: Draws, device: torch.device) -> CropPlaces:
    """Compute the places of crops, of which each is `chosen` in the image of its index (B,)."""
    height, width = held.sizes[images].T
    corner = held.offsets[images] + chosen.top * width + chosen.left
    numbers = np.stack([corner, width, height * width, chosen.side, *chosen.flips.T])
    # Pageable and small: the copy waits for nothing on the device.
    return CropPlaces(*torch.from_numpy(numbers).to(device).unsqueeze(-1).unbind(0))


def cut(pixels: Tensor, at: CropPlaces, largest: int) -> Tensor:
    """Cut crops as they are in the images, without mirroring.

    There are `largest` values behind the last of `pixels`, and no crop is larger.

    Returns:
        (B, 3, largest, largest) uint8. Rows below a crop repeat its last row; columns to its right
        are whatever pixels follow.
    """
    row = torch.arange(largest, device=pixels.device).unsqueeze(0).minimum(at.side - 1)
    colour = torch.arange(3, device=pixels.device).unsqueeze(0) * at.plane
    starts = (at.corner + row * at.line).unsqueeze(1) + colour.unsqueeze(2)
    # Every line of `largest` values that there is, as a view: a row of a crop is one of them.
    lines = pixels.unfold(0, largest, 1)
    return lines[starts.flatten()].reshape(*starts.shape, largest)


def turned(images: Tensor, at: CropPlaces) -> Tensor:
    """Mirror and transpose square images (B, C, S, S), each as its place says."""
    for flip, axis in ((at.horizontal, 3), (at.vertical, 2), (at.transposed, 0)):
        other = images.flip(axis) if axis else images.mT
        images = torch.where(flip[..., None, None].bool(), other, images)
    return images
