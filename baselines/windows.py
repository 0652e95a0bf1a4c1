"""LR images extended to whole windows, as the official evaluation of SwinIR does.

The test scripts of SwinIR, LTE and LMF extend the LR image at the bottom and right by its mirror
image, with the edge pixel repeated, up to the next multiple of the window. A side that is already a
multiple is extended by a whole window. Queries and cells then belong to the extended image, and the
prediction is cropped. Other encoders take the image as it is. Networks for several scales do so
too: IGConv's project pads by reflection to whole windows, and only where needed, which its networks
do themselves (`baselines.systems.multiscale`).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Size = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """Sizes of the LR image that a network sees and of the SR image that belongs to it.

    Attributes:
        lr: (h, w), extended.
        hr: (H, W) of the SR image of the extended LR image.
    """

    lr: Size
    hr: Size


def grid(window: int, lr_size: Size, hr_size: Size) -> Grid:
    """Compute the sizes that a network sees and makes when an LR image (h, w) is to become (H, W).

    The extended SR image keeps the ratio of the two sizes, rounded to whole pixels: at integer
    scales the official size. A window of 1 extends nothing.

    Example:
        >>> grid(8, (13, 24), (52, 96))
        Grid(lr=(16, 32), hr=(64, 128))
    """
    if window == 1:
        return Grid(lr_size, hr_size)
    (h, w), (hr_h, hr_w) = lr_size, hr_size
    lr = ((h // window + 1) * window, (w // window + 1) * window)
    return Grid(lr, (round(lr[0] * hr_h / h), round(lr[1] * hr_w / w)))


def whole_windows(size: tuple[int, int], window: int) -> tuple[int, int]:
    """Round (h, w) up to multiples of a window's side.

    Example:
        >>> whole_windows((22, 30), 22)
        (22, 44)
    """
    h, w = size
    return h + -h % window, w + -w % window


def mirrored(image: Tensor, size: tuple[int, int], repeat_edge: bool) -> Tensor:
    """Mirror (..., h, w) at the bottom and right up to (..., H, W); a side that is larger is kept.

    `F.pad` allows only one reflection, but images smaller than the padding need more. With
    `repeat_edge` the edge pixel stands on both sides of the edge.
    """
    for axis, side in zip((-2, -1), size, strict=True):
        n = image.shape[axis]
        if side > n:
            period = 2 * n if repeat_edge else max(2 * n - 2, 1)
            index = torch.arange(side, device=image.device) % period
            back = period - index - int(repeat_edge)
            image = image.index_select(axis, torch.where(index < n, index, back))
    return image


def extend(image: Tensor, size: Size) -> Tensor:
    """Mirror (B, C, h, w) at the bottom and right up to (H, W), with the edge pixel repeated.

    Images smaller than half of that, which the official scripts cannot handle, are mirrored again.
    The encoder's own padding then finds whole windows, and does nothing.
    """
    return mirrored(image, size, repeat_edge=True)


def tile_starts(length: int, side: int, overlap: int) -> list[int]:
    """List the first pixels of tiles that cover a length; the last one ends with it.

    Example:
        >>> tile_starts(400, 192, 32)
        [0, 160, 208]
    """
    return [*range(0, length - side, max(1, side - overlap)), length - side]


def in_tiles(
    enlarge: Callable[[Tensor], Tensor], lr: Tensor, tile: Size, overlap: int, scale: int
) -> Tensor:
    """Enlarge an image (1, 3, H, W) in tiles (h, w), and average them where they overlap.

    Args:
        enlarge: maps a tile (1, 3, h, w) to (1, 3, h * scale, w * scale).
        lr: image, at least as large as a tile.
        tile: (h, w).
        overlap: LR pixels that neighbours share at least.
        scale: scale factor.
    """
    (height, width), (h, w) = lr.shape[-2:], tile
    total = torch.zeros(1, 3, height * scale, width * scale)
    weight = torch.zeros_like(total[:, :1])
    corners = itertools.product(tile_starts(height, h, overlap), tile_starts(width, w, overlap))
    for top, left in corners:
        rows = slice(top * scale, (top + h) * scale)
        columns = slice(left * scale, (left + w) * scale)
        total[..., rows, columns] += enlarge(lr[..., top : top + h, left : left + w])
        weight[..., rows, columns] += 1
    return total / weight
