"""Regression checks: stored results against accepted numbers, cell by cell.

`golden` is the file of accepted numbers, `comparison` finds what differs from it, `outputs` writes
that for readers and for CI, and `accept` takes stored numbers over.
"""

from harness.check.accept import run_update
from harness.check.comparison import run_check
from harness.check.golden import load_golden

__all__ = ["load_golden", "run_check", "run_update"]
