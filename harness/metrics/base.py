"""Definition of a metric, and the registry of metrics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

Value = Callable[[Tensor, Tensor, str, float], Tensor]
Oracle = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """Number that compares an SR image with its HR image.

    Attributes:
        name: name in rows.
        label: label in tables.
        value: computes one number per image from (SR image, HR image, protocol, scale), as
            `harness.metrics.psnr`; raises ValueError where an image is too small.
        oracle: an independent implementation that tests compare `value` with: two float64 arrays
            (H, W, 3) in [0, 1], everything of which is compared.
        unit: unit printed behind its numbers; "" for none.
        digits: number of decimals in print.
        larger_is_better: whether a larger value is better.
    """

    name: str
    label: str
    value: Value
    oracle: Oracle
    unit: str = ""
    digits: int = 2
    larger_is_better: bool = True

    @property
    def title(self) -> str:
        """Label and unit, as in the heading of a table.

        Example:
            >>> from harness.metrics import METRICS
            >>> [metric.title for metric in METRICS.values()]
            ['PSNR (dB)', 'SSIM']
        """
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRICS: dict[str, Metric] = {}
"""All metrics by name."""


def register(metric: Metric) -> None:
    """Register a metric: experiments may then have a table of its name.

    Raises:
        ValueError: another metric has the name.
    """
    if METRICS.setdefault(metric.name, metric) is not metric:
        raise ValueError(f"there is a metric {metric.name} already")


def unregister(name: str) -> None:
    """Remove a metric that was registered."""
    METRICS.pop(name, None)
