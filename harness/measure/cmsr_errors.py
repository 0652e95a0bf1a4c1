"""Errors of rendering an LMF network at a lower scale instead of the target scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.cmsr import code_table, intensity_of, level_size, stretch_of
from baselines.composition import CodeTable, Features
from baselines.decoders.lmf import LMDecoder
from baselines.fast.axes import nearest_codes
from baselines.fast.engine import GridDecoder, GridJob
from baselines.geometry import make_cell, pixel_centers
from baselines.systems.implicit import ImplicitSR

Size = tuple[int, int]


def intensity_bins(intensity: Tensor, width: float) -> Tensor:
    """Find the bin of each intensity; bin n is [n * width, (n + 1) * width)."""
    count = int(intensity.max() / width) + 2
    edges = torch.arange(1, count + 1, dtype=intensity.dtype, device=intensity.device) * width
    return torch.bucketize(intensity, edges, right=True)


def sum_to_lr(model: ImplicitSR, image: Tensor, lr_size: Size) -> Tensor:
    """Sum an (H, W) image over the pixels whose nearest LR pixel is the same: (h, w)."""
    for axis, n in enumerate(lr_size):
        pixels = image.shape[axis]
        coord = pixel_centers(pixels, device=image.device)
        cell = make_cell((pixels, pixels), image.device)[0]
        nearest = nearest_codes(model, coord, cell, n)
        shape = [*image.shape]
        shape[axis] = n
        image = image.new_zeros(shape).index_add_(axis, nearest, image)
    return image


@torch.inference_mode()
def level_errors(
    model: ImplicitSR,
    features: Features,
    scale: float,
    size: Size,
    levels: Sequence[float],
    memory: int | None = None,
) -> dict[float, Tensor]:
    """Compute the MSE in each bin of intensity of rendering lower and enlarging, in [-1, 1] units.

    Args:
        model: network with an LMF decoder, in evaluation mode.
        features: features of one image.
        scale: target scale.
        size: (H, W) of the SR image.
        levels: scales below the target scale.
        memory: bytes of a band, as in `GridJob`.

    Returns:
        (bins,) float64 for each level; NaN where a bin has no pixel.
    """
    cell = make_cell(size, features.latent.device) * stretch_of(scale)
    table = code_table(model, features, cell, torch.float32)
    intensity = intensity_of(model, table, features.size)
    bins = intensity_bins(intensity, cast(LMDecoder, model.decoder).intensity_bin).flatten()
    target = _decode(model, features, table, scale, size, memory)
    counts = sum_to_lr(model, torch.ones_like(target[0, 0], dtype=torch.float64), features.size)
    pixels = bins.bincount(counts.flatten())
    found = {}
    for level in levels:
        small = level_size(features.size, level)
        image = _decode(model, features, table, level, small, memory)
        enlarged = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
        errors = (enlarged - target)[0].double().square().mean(dim=0)
        sums = sum_to_lr(model, errors, features.size).flatten()
        found[level] = bins.bincount(sums) / pixels
    return found


def _decode(
    model: ImplicitSR,
    features: Features,
    table: CodeTable,
    scale: float,
    size: Size,
    memory: int | None,
) -> Tensor:
    """Decode a whole image at one scale: (1, 3, H, W) in [-1, 1], not clamped."""
    job = GridJob(size, (0, size[0]), (0, size[1]), stretch_of(scale), memory=memory)
    strips = GridDecoder(model, features, job, table).strips()
    return torch.cat(list(strips)).permute(2, 0, 1)[None]
