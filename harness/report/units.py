"""Units of MACs."""

from __future__ import annotations

from collections.abc import Iterable

UNITS = ((12, "T"), (9, "G"), (6, "M"))
"""Units as exponents of ten and their letters."""


def unit_of(values: Iterable[float | None]) -> tuple[int, str]:
    """Find the largest unit in which the smallest number is at least one.

    Example:
        >>> unit_of([3e9, None, 2e12])
        (9, 'G')
    """
    least = min((v for v in values if v), default=0.0)
    return next((unit for unit in UNITS if least >= 10.0 ** unit[0]), UNITS[-1])
