"""What every section of a report does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from harness.report.data import Report
from harness.report.model import Section
from harness.runs.experiment import Experiment


class SectionMaker(ABC):
    """Part of a report; its fields are its settings in an experiment's declaration.

    The attributes say what a run must measure for it; see `harness.runs.experiment.SectionMaker`.
    """

    macs: ClassVar[bool] = False
    costs: ClassVar[bool] = False
    draws: ClassVar[bool] = False
    """Whether it makes figures."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that must be measured."""
        return ()

    @property
    def sizes(self) -> tuple[str, ...]:
        """Fixed sizes that MACs must be counted at."""
        return ()

    @abstractmethod
    def make(self, report: Report, folder: Path | None) -> Section | None:
        """Make the tables and figures.

        Args:
            report: what was measured.
            folder: receives the files of figures; None to draw none.

        Returns:
            None where there is nothing to show.
        """

    def records(self, report: Report) -> Iterable[dict[str, Any]]:
        """List what the section adds to the lines of CSV and JSON."""
        del report
        return ()

    def facts(self, report: Report) -> dict[str, Any]:
        """Return what the section adds to JSON, by name."""
        del report
        return {}


def makers(experiment: Experiment) -> list[SectionMaker]:
    """List the sections of an experiment."""
    return [section for section in experiment.sections if isinstance(section, SectionMaker)]
