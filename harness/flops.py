"""MACs of a method by its name, without weights or images; see `baselines.base.SRModel.count`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from baselines import build
from baselines.shapes import shapes_only


def decoder_macs(
    method: str,
    lr_size: tuple[int, int],
    scale: float,
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> int:
    """Count the decoder's MACs of a method at the paper's sizes, as the paper counts them.

    Args:
        method: name of the method.
        lr_size: (h, w) of the LR image.
        scale: scale factor; the SR image has round(h * scale) x round(w * scale) pixels.
        choice: expert of each LR pixel (MoEISR).
        shares: share of each expert (MoEISR), where there is no choice to count.

    Raises:
        ValueError: the method cannot do the scale; see also `SRModel.count`.

    Example:
        >>> decoder_macs("edsr-liif", (10, 10), 2) == 4 * 400 * 345_856
        True
    """
    with shapes_only():
        model = build(method)
    reason = model.refusal(scale)
    if reason:
        raise ValueError(f"{method} {reason}")
    hr_size = (round(lr_size[0] * scale), round(lr_size[1] * scale))
    return model.count(lr_size, hr_size, choice, shares).decoder
