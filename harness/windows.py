"""Extending LR images to whole windows, as the official evaluation of SwinIR does.

The test scripts of SwinIR, LTE and LMF extend the LR image at the bottom and right by its mirror
image, the edge pixel repeated, up to the next multiple of the window; a side that is a multiple
already gains a whole window. Queries and cells then belong to the extended image, and the
prediction is cut back. Other encoders take the image as it is. So do networks for several scales:
IGConv's project pads by reflection to whole windows, and only where there are none, which its
networks do themselves (`baselines.multiscale`).
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from baselines.composition import FixedScaleLookup, FixedScaleSR, ImplicitSR
from baselines.mirror import mirrored

Size = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """The LR image that a network sees, and the SR image that belongs to it.

    Attributes:
        lr: (h, w), extended.
        hr: (H, W) of the SR image of the extended LR image.
    """

    lr: Size
    hr: Size


def window_of(model: nn.Module) -> int:
    """Side of the windows that a network's evaluation extends images to; 1 for none."""
    if isinstance(model, ImplicitSR):
        return int(model.encoder.window)  # type: ignore[arg-type]
    if isinstance(model, FixedScaleSR | FixedScaleLookup):
        return int(model.network.window)  # type: ignore[arg-type]
    return 1


def grid(model: nn.Module, lr_size: Size, hr_size: Size) -> Grid:
    """What a network sees and makes of an LR image of (h, w) that is to become (H, W).

    The extended SR image keeps the ratio of the two sizes, rounded to whole pixels: at integer
    scales it is the official one.

    Example:
        >>> from baselines import build
        >>> grid(build("swinir-lte", encoder={"depths": [1], "channels": 6}), (13, 24), (52, 96))
        Grid(lr=(16, 32), hr=(64, 128))
    """
    window = window_of(model)
    if window == 1:
        return Grid(lr_size, hr_size)
    (h, w), (hr_h, hr_w) = lr_size, hr_size
    lr = ((h // window + 1) * window, (w // window + 1) * window)
    return Grid(lr, (round(lr[0] * hr_h / h), round(lr[1] * hr_w / w)))


def extend(image: Tensor, size: Size) -> Tensor:
    """(B, C, h, w) mirrored at the bottom and right, edge pixel repeated, up to (H, W).

    Images smaller than half of that, which the official scripts cannot do, are mirrored again.
    The encoder's own padding finds whole windows then, and does nothing.
    """
    return mirrored(image, size, repeat_edge=True)
