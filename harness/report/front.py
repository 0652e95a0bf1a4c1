"""Pareto fronts: the points that no other point dominates."""

from __future__ import annotations

import math
from collections.abc import Sequence


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Find the points that no other one dominates, from the least to the greatest cost.

    A point dominates another if it costs no more, gives no less, and is better in one of them. All
    of several equal points are on the front.

    Args:
        points: (cost, gain) of each point.

    Example:
        >>> pareto_front([(3, 30.0), (1, 28.0), (2, 27.0), (5, 30.0)])
        [1, 0]
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    front: list[int] = []
    best, last = -math.inf, None
    for place in order:
        gain = points[place][1]
        if gain > best or points[place] == last:
            front.append(place)
            best, last = gain, points[place]
    return front
