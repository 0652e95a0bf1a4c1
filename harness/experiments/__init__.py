"""Experiments: one table or figure of a paper each, as data. One file each; listed here."""

from __future__ import annotations

from baselines.registry import unknown
from harness.errors import UsageError
from harness.experiments.base import ROLES, Block, Experiment
from harness.experiments.table1 import TABLE1

EXPERIMENTS = {e.name: e for e in (TABLE1,)}


def get(name: str) -> Experiment:
    """The experiment of this name.

    Raises:
        UsageError: for an unknown name.
    """
    if name not in EXPERIMENTS:
        raise UsageError(unknown("experiment", name, EXPERIMENTS))
    return EXPERIMENTS[name]


__all__ = ["EXPERIMENTS", "ROLES", "Block", "Experiment", "get"]
