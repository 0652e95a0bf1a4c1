"""A method, a metric and a dataset; copy this file and replace what is inside."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from harness.data.sets import Dataset, DatasetSpec
from harness.data.sets.base import memory_item
from harness.metrics import Metric


class Nearest(nn.Module):
    """Method: `model(lr, scale)` on [0, 1]. Load your weights in `__init__`.

    `scales = (2, 3, 4)` here would say that it can do no others.
    """

    def forward(self, lr: Tensor, scale: float) -> Tensor:
        """Map (1, 3, h, w) to (1, 3, round(h * scale), round(w * scale))."""
        size = [round(side * scale) for side in lr.shape[-2:]]
        return nn.functional.interpolate(lr, size, mode="nearest")


def mean_error(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Compute the mean absolute error in 8-bit levels, of whole RGB images."""
    del protocol, scale
    return (sr.clamp(0, 1) - hr).abs().mean(dim=(-3, -2, -1)) * 255


MAE = Metric(
    "mae",
    "MAE",
    mean_error,
    oracle=lambda sr, hr: float(np.abs(sr - hr).mean() * 255),
    unit="levels",
    larger_is_better=False,
)


def gradient(angle: int) -> Tensor:
    """Make a picture of waves, uint8 (3, 96, 120)."""
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(120.0), indexing="ij")
    phase = x * np.cos(np.radians(angle)) + y * np.sin(np.radians(angle))
    waves = torch.stack([torch.sin(phase / step) for step in (3, 5, 9)])
    return (waves * 100 + 128).round().to(torch.uint8)


def find_gradients(spec: DatasetSpec, root: Path | None) -> Dataset:
    """Make the dataset; one of files would look below `root`."""
    del root
    items = tuple(memory_item(f"waves-{a}", partial(gradient, a)) for a in (0, 30, 60))
    return Dataset(spec.name, spec.description, items, len(items), spec.protocol)


GRADIENTS = DatasetSpec(
    name="gradients",
    description="three pictures of waves",
    protocol="benchmark",
    how_to_get="It is made by the package harness-nearest.",
    find=find_gradients,
)
