"""Launchers: how several processes are started for one plan, on this machine or by Slurm.

Each of them is an ordinary `harness run` or `harness train` of the same results folder, where locks
share out trainings and cells. So launchers only start commands, and have no state of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.runs.plan import plan_path

if TYPE_CHECKING:
    from harness.runs.job import Job


def logs_dir(job: Job) -> Path:
    """Return the folder of the output of a job's processes."""
    own = plan_path(job.places.results, job.profile.name, job.experiment.name)
    return own.with_name("launched")
