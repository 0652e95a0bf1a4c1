"""Regression checks: stored results against accepted numbers, cell by cell.

`golden` is the file of accepted numbers, `comparison` finds what differs from it, `outputs` writes
that for readers and for CI, and `accept` takes stored numbers over.
"""

from __future__ import annotations

from harness.check.accept import Update, run_update
from harness.check.comparison import TOLERANCE, Check, Finding, run_check
from harness.check.golden import Golden, load_golden

__all__ = [
    "TOLERANCE",
    "Check",
    "Finding",
    "Golden",
    "Update",
    "load_golden",
    "run_check",
    "run_update",
]
