"""Correlation of expert depth with texture: whether a mapper sends texture to deep experts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy
from torch import Tensor

FACT = "depth_texture"
"""Name of the correlation in the facts of rows."""
_WINDOW = 3


def depth_texture(lr: Tensor, experts: Tensor, depths: Sequence[int]) -> float | None:
    """Correlate the depth of the chosen experts with the texture of the LR image.

    Texture is the squared gradient of the grey image (Sobel), averaged over 3x3 pixels. MoEISR's
    Figures 1 and 5 show what is measured here: shallow experts in smooth regions.

    Args:
        lr: (3, h, w).
        experts: (h', w') expert of each LR pixel, from 0; pixels beyond the LR image are left out.
        depths: number of linear layers of each expert.

    Returns:
        Spearman's rank correlation over all LR pixels; None where one expert or one colour is
        everywhere.

    Example:
        >>> import torch
        >>> lr = torch.zeros(3, 8, 8)
        >>> lr[:, :, 4:] = torch.rand(8, 4, generator=torch.Generator().manual_seed(0))
        >>> experts = torch.zeros(8, 8, dtype=torch.long)
        >>> experts[:, 4:] = 1
        >>> round(depth_texture(lr, experts, (2, 5)), 2)
        0.59
    """
    grey = lr.double().mean(dim=0).cpu().numpy()
    gradient = np.hypot(*(scipy.ndimage.sobel(grey, axis=axis) for axis in (0, 1)))
    energy = scipy.ndimage.uniform_filter(gradient**2, _WINDOW)
    chosen = np.asarray(depths)[experts[: grey.shape[0], : grey.shape[1]].cpu().numpy()]
    if np.ptp(chosen) == 0 or np.ptp(energy) == 0:
        return None
    return float(scipy.stats.spearmanr(chosen.ravel(), energy.ravel()).statistic)
