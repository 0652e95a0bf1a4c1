"""Images extended by their mirror image."""

from __future__ import annotations

import torch
from torch import Tensor


def whole_windows(size: tuple[int, int], window: int) -> tuple[int, int]:
    """(h, w) rounded up to multiples of a window's side.

    Example:
        >>> whole_windows((22, 30), 22)
        (22, 44)
    """
    h, w = size
    return h + -h % window, w + -w % window


def mirrored(image: Tensor, size: tuple[int, int], repeat_edge: bool) -> Tensor:
    """(..., h, w) extended at the bottom and right to (..., H, W), mirrored as often as needed.

    `F.pad` refuses more than one reflection, which images smaller than the padding need.

    Args:
        image: any dtype.
        size: (H, W); a side that is there already stays.
        repeat_edge: whether the edge pixel stands on both sides of the edge.
    """
    for axis, side in zip((-2, -1), size, strict=True):
        n = image.shape[axis]
        if side > n:
            period = 2 * n if repeat_edge else max(2 * n - 2, 1)
            index = torch.arange(side, device=image.device) % period
            back = period - index - int(repeat_edge)
            image = image.index_select(axis, torch.where(index < n, index, back))
    return image
