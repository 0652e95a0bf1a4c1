"""Printed form of numbers."""

from __future__ import annotations

import math

TIMES = "\N{MULTIPLICATION SIGN}"
MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"
MISSING = EN_DASH
INFINITY = "\N{INFINITY}"
DAGGER = "\N{DAGGER}"
DOUBLE_DAGGER = "\N{DOUBLE DAGGER}"


def scale_text(scale: float) -> str:
    """Format a scale factor, as 2 or 3.7 behind a multiplication sign."""
    return f"{TIMES}{scale:g}"


def decimals(value: float, digits: int = 2) -> str:
    """Format a number at printed precision; zero has no sign."""
    if math.isinf(value):
        return INFINITY if value > 0 else MINUS + INFINITY
    text = f"{value:.{digits}f}"
    return text.lstrip("-") if float(text) == 0 else text.replace("-", MINUS)


def signed(value: float) -> str:
    """Format a difference at printed precision, with its sign unless it is zero."""
    text = decimals(value)
    return f"+{text}" if value > 0 and text != "0.00" else text
