"""Difference between two SR images that should be the same, as the metrics of gaps have it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

GAP: dict[str, Any] = {"unit": "levels", "larger_is_better": False, "needs": "network"}
"""What all metrics of gaps have in common; 0 is no gap."""


def gap(one: Tensor, two: Tensor) -> Tensor:
    """Compute the root mean square difference of images clamped to [0, 1], in 8-bit levels."""
    difference = one.double().clamp(0, 1) - two.double().clamp(0, 1)
    return 255 * difference.square().mean().sqrt()
