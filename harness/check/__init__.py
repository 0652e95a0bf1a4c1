"""Regression checks: stored results against accepted ones, cell by cell.

`golden` is the file of accepted numbers, `stored` reads what it is compared with, `compare` finds
what differs; `accept` takes numbers over, and `networks` keeps the weights behind them. `table`,
`junit` and `github` write findings for readers and for CI. `checking` and `updating` are what the
command calls.
"""

from __future__ import annotations

from harness.check.checking import TOLERANCE, Check, run_check
from harness.check.findings import Finding, Verdict, record
from harness.check.github import workflow_commands
from harness.check.golden import Golden, load_golden, save_golden
from harness.check.table import shown, text_table
from harness.check.updating import Update, run_update

__all__ = [
    "TOLERANCE",
    "Check",
    "Finding",
    "Golden",
    "Update",
    "Verdict",
    "load_golden",
    "record",
    "run_check",
    "run_update",
    "save_golden",
    "shown",
    "text_table",
    "workflow_commands",
]
