"""IGSample (IGConv+, Lee et al., arXiv 2408.09674): resampling of the image guided by features.

It follows DySample (Liu et al., ICCV 2023): every colour of every sub-pixel is read bilinearly from
the LR image, at its own position plus a shift. A convolution of the features makes the shift: its
direction and size (offset), and how much of it is used (scope).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines.fast.banding import spans
from baselines.geometry import pixel_centers

COORDINATES = 6  # x and y of three colours
_REACH = 0.5  # largest share of an offset that a scope takes
# Floats of a sub-pixel that are in memory at once: offsets and scopes, shifts and places.
_FLOATS = 5 * COORDINATES


def offsets_and_scopes(features: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Compute offsets and scopes by convolution, float32 (B, 6*scale*scale, h, w) each.

    Args:
        features: (B, C, h, w).
        kernels: (12*scale*scale, C, 3, 3), offsets first; in each: x and y, colour, sub-pixel row,
            sub-pixel column.
    """
    found = F.conv2d(features, kernels, padding=kernels.shape[-1] // 2)
    # Half precision has no places left for a coordinate in a large image.
    offset, scope = found.float().chunk(2, dim=1)
    return offset, scope


def places(offset: Tensor, scope: Tensor, scale: int) -> Tensor:
    """Compute where sub-pixels are read, (B, 3, h*scale, w*scale, 2) as (x, y).

    In LR pixels from the top left of the grid of `offset` and `scope`, (B, 6*scale*scale, h, w).
    """
    shift = F.pixel_shuffle(_REACH * scope.sigmoid() * offset, scale)
    h, w = shift.shape[-2:]
    y = pixel_centers(h, 0, h / scale, shift.device)[:, None].expand(h, w)
    x = pixel_centers(w, 0, w / scale, shift.device).expand(h, w)
    by_axis = shift.reshape(-1, 2, COORDINATES // 2, h, w)
    return (torch.stack([x, y])[:, None] + by_axis).permute(0, 2, 3, 4, 1)


def sampled(image: Tensor, place: Tensor) -> Tensor:
    """Read (B, 3, h, w) bilinearly at (B, 3, H, W, 2) positions (x, y), separately for each colour.

    Beyond the centres of the outermost pixels, the border colour is read.
    """
    batch, colours, h, w = image.shape
    grid = 2 * place / place.new_tensor([w, h]) - 1
    single = image.float().flatten(0, 1).unsqueeze(1)
    read = F.grid_sample(
        single, grid.flatten(0, 1), mode="bilinear", padding_mode="border", align_corners=False
    )
    return read.reshape(batch, colours, *place.shape[2:4])


def resampled(image: Tensor, features: Tensor, kernels: Tensor, scale: int) -> Tensor:
    """Enlarge the image (B, 3, h, w) by reading it at moved positions: float32.

    The kernels are those of `offsets_and_scopes`.
    """
    rows, width = features.shape[-2:]
    row_bytes = _FLOATS * scale**2 * width * 4 * features.shape[0]
    halo = kernels.shape[-1] // 2
    parts = []
    for first, end in spans(features, rows, row_bytes, halo):
        low, high = max(first - halo, 0), min(end + halo, rows)
        offset, scope = offsets_and_scopes(features[:, :, low:high], kernels)
        kept = slice(first - low, end - low)
        place = places(offset[:, :, kept], scope[:, :, kept], scale)
        parts.append(sampled(image, place + place.new_tensor([0, first])))
    return torch.cat(parts, dim=2)
