"""Definition of a metric, and the registry of metrics."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

Value = Callable[..., Tensor]
Oracle = Callable[[np.ndarray, np.ndarray], float]
NOT_HERE = "not measured here: "
"""Beginning of the reason of a value that this installation lacks something for; it is tried again
the next time."""


class NotHereError(ValueError):
    """Error for a metric that lacks a package or weights here."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{NOT_HERE}{what}")


@dataclass(frozen=True)
class Given:
    """Input of a metric beside SR and HR.

    Attributes:
        lr: LR image (3, h, w) in [0, 1], of the protocol.
        shrink: makes an LR image of an image in [0, 1] as that LR image was made of HR, in 8 bits.
        enlarge: runs the network that made SR again, in the same way, on (3, h, w) in [0, 1], and
            returns (3, H, W), not clamped; None where there are stored SR images only. It takes
            another `scale`; `size`, (H, W), by default LR sides times the scale, rounded; `tile`,
            side and overlap of square tiles to enlarge one by one; and `memory`, bytes that a band
            of LR rows may take. ValueError where the network cannot do the scale.
    """

    lr: Tensor
    shrink: Callable[[Tensor], Tensor]
    enlarge: Callable[..., Tensor] | None


@dataclass(frozen=True)
class Metric:
    """Number that judges an SR image, most often against its HR image.

    Attributes:
        name: name in rows.
        label: label in tables.
        value: computes one number per image from (SR image, HR image, protocol, scale), as
            `harness.metrics.psnr`, and `Given` behind them where `needs` says so; raises ValueError
            where there is none: an image is too small, or the network cannot do what is needed.
        oracle: an independent implementation that tests compare `value` with: two float64 arrays
            (H, W, 3) in [0, 1], everything of which is compared. None: a test of its own.
        digits: number of decimals in print.
        needs: what it needs beside SR and HR: "lr", the LR image; or "network", also what made SR.
        about: facts of what computes it that a row keeps, by name (licence and hash of weights).
    """

    name: str
    label: str
    value: Value
    oracle: Oracle | None = None
    unit: str = ""
    digits: int = 2
    larger_is_better: bool = True
    needs: Literal["", "lr", "network"] = ""
    about: Callable[[], Mapping[str, str]] = dict

    @property
    def title(self) -> str:
        """Label and unit, as in the heading of a table.

        Example:
            >>> from harness.metrics import METRICS
            >>> METRICS["psnr"].title, METRICS["ssim"].title
            ('PSNR (dB)', 'SSIM')
        """
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def measure(self, sr: Tensor, hr: Tensor, protocol: str, scale: float, given: Given) -> float:
        """Compute the value of an SR image (3, H, W); ValueError says why there is none."""
        if self.needs == "network" and given.enlarge is None:
            raise ValueError("not measured: needs the network")
        more = (given,) if self.needs else ()
        return self.value(sr, hr, protocol, scale, *more).item()


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
