"""A check from files: accepted numbers, stored results, findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.check.compare import compare
from harness.check.findings import Allowed, Finding, failures, record
from harness.check.golden import Golden, load_golden
from harness.check.junit import junit
from harness.check.stored import chosen, read_stored, stored_names
from harness.check.table import markdown, summary
from harness.common.errors import UsageError
from harness.profiles import Profile

TOLERANCE = 0.02
"""Drop in dB that is let pass unless another is asked for."""


@dataclass(frozen=True)
class Check:
    """What was compared with what, and what was found.

    Attributes:
        file: of the accepted numbers.
        names: experiments that were compared.
        unchecked: experiments that are stored, but were never accepted.
    """

    golden: Golden
    file: Path
    names: Sequence[str]
    allowed: Allowed
    findings: Sequence[Finding]
    unchecked: Sequence[str]

    @property
    def failed(self) -> list[Finding]:
        """What the check fails by."""
        return failures(self.findings)

    @property
    def labels(self) -> list[str]:
        """On what the accepted numbers were obtained, each caption once."""
        entries = [e for e in self.golden.experiments if e.experiment in self.names]
        return list(dict.fromkeys(text for e in entries for text in e.provenance.values()))

    @property
    def summary(self) -> str:
        """Counts of verdicts, and what was let pass."""
        return summary(self.findings, self.allowed)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "baseline": str(self.file),
            "profile": self.golden.profile,
            "provenance": self.labels,
            "tolerance": self.allowed.tolerance,
            "retrained_tolerance": self.allowed.retrained,
            "passed": not self.failed,
            "summary": self.summary,
            "unchecked": list(self.unchecked),
            "findings": [record(finding) for finding in self.findings],
        }

    def junit(self) -> str:
        """As JUnit XML."""
        properties = {
            "baseline": str(self.file),
            "summary": self.summary,
            "provenance": " ".join(self.labels),
        }
        return junit(self.findings, self.golden.profile, properties)

    def markdown(self) -> str:
        """As a section of a job's summary."""
        return markdown(self.findings, self.allowed, self.labels)


def open_golden(file: Path, profile: Profile) -> Golden:
    """The accepted numbers of a profile.

    Raises:
        UsageError: when they are another profile's.
        HarnessError: no file, or a damaged one.
    """
    golden = load_golden(file)
    if golden.profile != profile.name:
        raise UsageError(
            f"{file} has numbers of profile '{golden.profile}', not of '{profile.name}'.\n"
            "Name the profile with --profile."
        )
    return golden


def run_check(
    names: Sequence[str],
    profile: Profile,
    results: Path,
    file: Path,
    tolerance: float | None = None,
) -> Check:
    """Compare what is stored with what was accepted; measures nothing.

    Args:
        names: experiments; all that were accepted if empty.
        profile: whose results.
        results: folder of measurements.
        file: of the accepted numbers.
        tolerance: drop in dB that is let pass in every cell. None: `TOLERANCE`, and what the file
            says where a network was trained anew.

    Raises:
        UsageError: unknown experiment, or another profile's file.
        HarnessError: damaged files, or nothing to compare with.
    """
    golden = open_golden(file, profile)
    if tolerance is None:
        allowed = Allowed(TOLERANCE, max(TOLERANCE, golden.retrained_tolerance or 0))
    else:
        allowed = Allowed(tolerance, tolerance)
    compared = chosen(golden, names)
    stored = read_stored(results, profile.name, compared)
    findings = compare(golden, stored, allowed, profile.numbers())
    others = set(stored_names(results, profile.name)) - set(golden.names)
    return Check(golden, file, compared, allowed, findings, sorted(others))
