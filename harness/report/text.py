"""Printed form of numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")

TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"
MISSING = EN_DASH
INFINITY = "\N{INFINITY}"
DAGGER = "\N{DAGGER}"
DOUBLE_DAGGER = "\N{DOUBLE DAGGER}"

UNITS = ((12, "T"), (9, "G"), (6, "M"))
"""Units of MACs as exponents of ten and their letters."""


def scale_text(scale: float) -> str:
    """Format a scale factor, as 2 or 3.7 behind a multiplication sign."""
    return f"{TIMES}{scale:g}"


def scales_text(scales: Iterable[float]) -> str:
    """Format several scale factors."""
    return ", ".join(map(scale_text, scales))


def decimals(value: float, digits: int = 2) -> str:
    """Format a number at printed precision; zero has no sign."""
    if math.isinf(value):
        return INFINITY if value > 0 else MINUS + INFINITY
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: float, digits: int = 2) -> str:
    """Format a difference at printed precision, with its sign unless it is zero."""
    text = decimals(value, digits)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def interval_text(low: float | None, high: float | None, digits: int = 2) -> str:
    """Format an interval with signs: [+0.02, +0.15]; empty where there is none."""
    return "" if low is None or high is None else f"[{signed(low, digits)}, {signed(high, digits)}]"


def counted(number: int, name: str) -> str:
    """Format a number of things: 1 thread, 2 threads."""
    return f"{number} {name}{'s' * (number != 1)}"


def singular(text: str) -> str:
    """Mend the plural of one thing, which rows have of a machine ("1 threads")."""
    return re.sub(r"\b1 (core|thread)s\b", r"1 \1", text)


def unit_of(values: Iterable[float | None]) -> tuple[int, str]:
    """Find the largest unit in which the smallest number is at least one.

    Example:
        >>> unit_of([3e9, None, 2e12])
        (9, 'G')
    """
    least = min((v for v in values if v), default=0.0)
    return next((unit for unit in UNITS if least >= 10.0 ** unit[0]), UNITS[-1])


def grouped(pairs: Iterable[tuple[str, T]]) -> dict[str, list[T]]:
    """Collect the second parts of pairs by the first, each once and in order."""
    found: dict[str, dict[T, None]] = {}
    for key, value in pairs:
        found.setdefault(key, {})[value] = None
    return {key: list(values) for key, values in found.items()}


def listing(names: Sequence[str]) -> str:
    """Join names as in a sentence: a, b and c."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def sentences(*parts: str) -> str:
    """Join sentences, without the empty ones."""
    return " ".join(filter(None, parts))


def phrase(text: str) -> str:
    """Make a part of a sentence: without its own full stop."""
    return text.strip().rstrip(".") or "not stated"
