"""What a metric is, and the metrics that are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

Value = Callable[[Tensor, Tensor, str, float], Tensor]
Oracle = Callable[[np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Metric:
    """A number that compares an SR image with its HR image.

    Attributes:
        name: of its column in rows.
        label: of its tables.
        value: (SR image, HR image, protocol, scale) to one number per image, as
            `harness.metrics.psnr`; ValueError where an image is too small for it.
        oracle: an independent implementation that tests compare `value` with: two float64 arrays
            (H, W, 3) in [0, 1], everything of which is compared.
        unit: behind its numbers; "" for none.
        digits: printed behind the point.
        larger_is_better: its direction.
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
        """Label and unit, as over a table.

        Example:
            >>> from harness.metrics import METRICS
            >>> [metric.title for metric in METRICS.values()]
            ['PSNR (dB)', 'SSIM']
        """
        return f"{self.label} ({self.unit})" if self.unit else self.label


METRICS: dict[str, Metric] = {}
"""Every metric by name."""


def register(metric: Metric) -> None:
    """Make a metric known: experiments may then have a table of its name.

    Raises:
        ValueError: another metric has the name.
    """
    if METRICS.setdefault(metric.name, metric) is not metric:
        raise ValueError(f"there is a metric {metric.name} already")


def unregister(name: str) -> None:
    """Forget a metric."""
    METRICS.pop(name, None)
