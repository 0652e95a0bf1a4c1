"""SR images made in several passes of a network: rotations and flips averaged, or tiles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from baselines.base import Spent, SRModel
from baselines.macs import MacCount
from baselines.windows import Size, in_tiles
from harness.upscale.network import Made, Pass, upscale

Enlarge = Callable[..., Made]


def make(
    model: SRModel,
    lr: Tensor,
    scale: float,
    size: Size,
    *,
    ensemble: int = 1,
    tile: tuple[int, int] | None = None,
    precision: str = "fp32",
    memory: int | None = None,
) -> Made:
    """Make an SR image.

    Args:
        model: network in evaluation mode.
        lr: (1, 3, h, w) in [0, 1].
        scale: scale factor.
        size: (H, W) of the result.
        ensemble: number of SR images that are averaged, turned back: 1 of the image as it is, 4 of
            its rotations, 8 with these of its mirror image (Timofte et al., CVPR 2016; Lim et al.,
            CVPRW 2017).
        tile: side and overlap of square tiles of the LR image; where they overlap, SR is averaged.
            Needs a whole scale. A side that is longer than the image's shorter side becomes that.
        precision: as in `harness.upscale.network.upscale`.
        memory: as there.
    """
    whole = partial(upscale, model, scale=scale, precision=precision, memory=memory)
    enlarge: Enlarge = whole if tile is None else partial(_tiled, whole, int(scale), *tile)
    return enlarge(lr, size=size) if ensemble == 1 else _averaged(enlarge, lr, size, ensemble)


def turned(image: Tensor, n: int) -> Tensor:
    """Turn an image by n quarters; from 4 on, its mirror image."""
    return torch.rot90(image.flip(-1) if n >= 4 else image, n % 4, (-2, -1))


def turned_back(image: Tensor, n: int) -> Tensor:
    """Undo `turned`."""
    upright = torch.rot90(image, -(n % 4), (-2, -1))
    return upright.flip(-1) if n >= 4 else upright


def _averaged(enlarge: Enlarge, lr: Tensor, size: Size, ensemble: int) -> Made:
    parts = []
    total = torch.zeros(1, 3, *size)
    for n in range(ensemble):
        part = enlarge(turned(lr, n), size=size if n % 2 == 0 else (size[1], size[0]))
        total += turned_back(part.image, n)
        parts.append(part)
    return _joined(total / ensemble, parts)


def _tiled(whole: Enlarge, scale: int, side: int, overlap: int, lr: Tensor, size: Size) -> Made:
    side = min(side, *lr.shape[-2:])
    parts = []

    def enlarge(tile: Tensor) -> Tensor:
        parts.append(whole(tile, size=(side * scale, side * scale)))
        return parts[-1].image

    image = in_tiles(enlarge, lr, (side, side), overlap, scale)[..., : size[0], : size[1]]
    return _joined(image, parts)


def _joined(image: Tensor, parts: Sequence[Made]) -> Made:
    """Make an image of several; seconds are added, and the largest peak counts, where known."""
    known = [part.spent for part in parts if part.spent is not None]
    peak = max(known, key=lambda spent: spent.memory, default=None)
    seconds = sum(spent.seconds for spent in known)
    spent = peak and Spent(seconds, peak.memory, peak.kind)
    return Made(image, tuple(each for part in parts for each in part.passes), spent)


def macs_of(model: SRModel, passes: Sequence[Pass]) -> MacCount | None:
    """Count the MACs of all passes; kernels are made once for all; None where they are unknown."""
    if not model.counted:
        return None
    counts = [model.count(part.lr, part.hr, part.choice) for part in passes]
    if len(counts) == 1:
        return counts[0]
    rendered = [count.rendered for count in counts if count.rendered is not None]
    shares = zip(*(count.shares for count in counts), strict=True)
    added = ("encoder", "estimator", "mapper", "head", "executed", "latent")
    return MacCount(
        **{part: sum(getattr(count, part) for count in counts) for part in added},
        shares=tuple(sum(part) / len(counts) for part in shares),
        kernels=counts[0].kernels,
        rendered=sum(rendered) if rendered else None,
    )
