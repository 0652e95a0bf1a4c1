"""Evaluation sets of the papers, called roles, and how each is scored."""

from __future__ import annotations

INPUT = "embedded-256"
"""Set of one LR image that costs are counted on; a dataset of its own, which no profile changes."""

# The role decides on the protocol, not the dataset that is measured for it: substitute data for
# DIV2K is scored as DIV2K is.
ROLES = {
    "DIV2K_valid": "div2k",
    "Set5": "benchmark",
    "Set14": "benchmark",
    "B100": "benchmark",
    "Urban100": "benchmark",
}
