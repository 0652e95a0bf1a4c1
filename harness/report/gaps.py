"""Reasons in words why a cell of a table is empty."""

from __future__ import annotations

from harness.experiments import methods_of, scales_of_row
from harness.report.text import scale_text

LEFT_OUT = "left out of this run, or not trained"


def unable(row: str) -> str:
    """Say why a row has nothing at a scale that it has no method for."""
    listed = ", ".join(map(scale_text, scales_of_row(row) or ()))
    if len(methods_of(row)) > 1:
        return f"fixed-scale networks, one for each scale, trained for {listed} only"
    return f"trained for {listed} only"
