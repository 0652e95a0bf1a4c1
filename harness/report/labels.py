"""Placement of labels beside points, so that they cover neither points nor each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import cos, hypot, pi, sin

_DIRECTIONS = 16
_DISTANCES = (1.0, 2.0, 3.5, 5.5, 8.0, 11.0)
"""Distances of a label's edge from its point, in units of the smallest."""
_COVERED = 1000.0
"""Cost of covering as much as a whole label, in the unit of distances."""


@dataclass(frozen=True)
class Rectangle:
    """Rectangle, in any unit."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def area(self) -> float:
        """Width times height."""
        return (self.right - self.left) * (self.top - self.bottom)

    @property
    def centre(self) -> tuple[float, float]:
        """Centre of the rectangle, (x, y)."""
        return (self.left + self.right) / 2, (self.bottom + self.top) / 2

    def common(self, other: Rectangle) -> float:
        """Compute the area that both cover."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.top, other.top) - max(self.bottom, other.bottom)
        return max(0.0, width) * max(0.0, height)


def around(centre: tuple[float, float], width: float, height: float) -> Rectangle:
    """Return the rectangle of this size around a centre."""
    x, y = centre
    return Rectangle(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def place(
    anchors: Sequence[tuple[float, float]],
    sizes: Sequence[tuple[float, float]],
    taken: Sequence[Rectangle],
    frame: Rectangle,
    least: float,
) -> list[Rectangle]:
    """Place labels, each as near to its point as there is room.

    Those in the densest places choose first. Where nothing is free, the place is taken that covers
    the least.

    Args:
        anchors: (x, y) of the points.
        sizes: (width, height) of the labels.
        taken: rectangles that must not be covered.
        frame: rectangle that must not be left.
        least: smallest distance of a label's edge from its point.
    """
    near = 12 * least
    crowd = [sum(hypot(x - u, y - v) < near for u, v in anchors) for x, y in anchors]
    placed: dict[int, Rectangle] = {}
    for i in sorted(range(len(anchors)), key=lambda i: (-crowd[i], i)):
        blocked = [*taken, *placed.values()]
        options = [
            (_COVERED * _spoiled(box, blocked, frame) + distance, number, box)
            for number, (distance, box) in enumerate(_candidates(anchors[i], sizes[i], least))
        ]
        placed[i] = min(options)[2]
    return [placed[i] for i in range(len(anchors))]


def _candidates(
    anchor: tuple[float, float], size: tuple[float, float], least: float
) -> Iterator[tuple[float, Rectangle]]:
    """List places around a point with their distance from it, nearest first."""
    width, height = size
    for distance in _DISTANCES:
        for turn in range(_DIRECTIONS):
            angle = 2 * pi * turn / _DIRECTIONS
            x = anchor[0] + cos(angle) * (width / 2 + distance * least)
            y = anchor[1] + sin(angle) * (height / 2 + distance * least)
            yield distance, around((x, y), width, height)


def _spoiled(box: Rectangle, blocked: Sequence[Rectangle], frame: Rectangle) -> float:
    """Compute the share of a label that covers something or is outside."""
    covered = sum(box.common(other) for other in blocked)
    return (covered + box.area - box.common(frame)) / box.area
