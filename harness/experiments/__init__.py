"""Experiments: one table or figure of a paper each, as data; one file each, listed here."""

from __future__ import annotations

from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.experiments.base import (
    ROLES,
    Block,
    Experiment,
    method_at,
    methods_of,
    scales_of_row,
)
from harness.experiments.budget import BUDGET
from harness.experiments.compare import COMPARE
from harness.experiments.figures import FIGURES
from harness.experiments.igconv import IGCONV_COSTS, IGCONV_TABLES
from harness.experiments.lmf import LMF_COSTS
from harness.experiments.seemore import SEEMORE_TABLE1
from harness.experiments.table1 import TABLE1
from harness.experiments.table2 import TABLE2, TABLE2_EDSR
from harness.experiments.table3 import TABLE3
from harness.experiments.table4 import TABLE4
from harness.experiments.table5 import TABLE5

_MOEISR = (TABLE1, TABLE2, TABLE2_EDSR, TABLE3, TABLE4, TABLE5, *FIGURES)
_NEIGHBOURS = (LMF_COSTS, SEEMORE_TABLE1, *IGCONV_TABLES, IGCONV_COSTS)
EXPERIMENTS = {e.name: e for e in (*_MOEISR, *_NEIGHBOURS, COMPARE, BUDGET)}


def get(name: str) -> Experiment:
    """Return the experiment of this name.

    Raises:
        UsageError: the name is unknown.
    """
    if name not in EXPERIMENTS:
        raise UsageError(unknown("experiment", name, EXPERIMENTS))
    return EXPERIMENTS[name]


__all__ = [
    "EXPERIMENTS",
    "ROLES",
    "Block",
    "Experiment",
    "get",
    "method_at",
    "methods_of",
    "scales_of_row",
]
