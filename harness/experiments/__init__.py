"""Experiments: one table or figure of a paper each, as data; a file here is found by itself.

A file names its experiment `EXPERIMENT`, or several `EXPERIMENTS`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from baselines.discovery import offered
from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.common.yaml_files import SUFFIXES
from harness.experiments.own import read_experiment
from harness.profiles import Profile
from harness.runs.experiment import Experiment


def discover() -> dict[str, Experiment]:
    """Import every file of this package, and collect its experiments by name."""
    own = offered(sys.modules[__name__], "EXPERIMENT", "EXPERIMENTS")
    listed = (each if isinstance(each, tuple) else (each,) for each in own)
    return {experiment.name: experiment for each in listed for experiment in each}


EXPERIMENTS = discover()


def get(name: str) -> Experiment:
    """Return the experiment of this name, or of a YAML file.

    Raises:
        UsageError: the name is unknown, or the file has wrong keys or values.
        HarnessError: the file cannot be read.
    """
    if name.endswith(SUFFIXES):
        return read_experiment(Path(name), EXPERIMENTS)
    if name not in EXPERIMENTS:
        known = unknown("experiment", name, EXPERIMENTS)
        raise UsageError(f"{known}, or the path of a .yaml file.")
    return EXPERIMENTS[name]


# Every table and figure of the MoEISR paper, in the order in which they train least twice.
PAPER = (
    *("table1", "table2", "table3", "table4", "table5"),
    *("figure1", "figure3", "figure4", "figure5", "controllable"),
)


def targets(name: str) -> list[Experiment]:
    """Return the experiments of a target: one, or all of the paper for `paper`.

    Raises:
        UsageError, HarnessError: as `get`.
    """
    return [get(each) for each in (PAPER if name == "paper" else (name,))]


def check_regions(profile: Profile, own: str = "") -> None:
    """Refuse a profile that shows regions in an unknown experiment.

    Args:
        profile: the profile.
        own: name of an experiment of one's own.

    Raises:
        UsageError: the message suggests the nearest name.
    """
    for name in profile.regions:
        if name not in (*EXPERIMENTS, own):
            known = unknown("experiment", name, EXPERIMENTS)
            raise UsageError(f"Profile {profile.source} is wrong:\n  regions: {known}")
