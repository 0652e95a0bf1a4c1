"""Which experiments are compared, and what is stored of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.check.golden import Golden
from harness.common.errors import HarnessError
from harness.experiments import EXPERIMENTS, get
from harness.report.aggregate import Report, load_report
from harness.runs.plan import plan_path


def chosen(golden: Golden, names: Sequence[str]) -> list[str]:
    """The experiments to compare: those named, else all that the accepted numbers have.

    Raises:
        UsageError: for an unknown experiment.
        HarnessError: when an experiment has no accepted numbers.
    """
    if not names and not golden.names:
        raise HarnessError(
            "The file of accepted numbers has no cells: nothing would be checked.",
            "Name an experiment and accept its stored numbers with --update.",
        )
    for name in names:
        if get(name).name not in golden.names:
            raise HarnessError(
                f"There are no accepted numbers of {name}; there are of {', '.join(golden.names)}.",
                f'Accept them with `harness check {name} --update --reason "first numbers"`.',
            )
    return list(dict.fromkeys(names)) or golden.names


def stored_names(results: Path, profile: str) -> list[str]:
    """Experiments that were run under a profile."""
    return [name for name in EXPERIMENTS if plan_path(results, profile, name).exists()]


def read_stored(results: Path, profile: str, names: Sequence[str]) -> dict[str, Report | str]:
    """The stored results of experiments; where there are none, why.

    Raises:
        HarnessError: when what is stored is damaged.
    """
    found: dict[str, Report | str] = {}
    for name in names:
        path = plan_path(results, profile, name)
        if name not in EXPERIMENTS:
            found[name] = f"this version has no experiment {name}"
        elif not path.exists():
            found[name] = f"nothing was measured, {path} is not there"
        else:
            found[name] = load_report(results, profile, name)
    return found
