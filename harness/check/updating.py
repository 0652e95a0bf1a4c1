"""Taking stored numbers over into the file of accepted ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.check.accept import accept
from harness.check.checking import open_golden
from harness.check.compare import compare
from harness.check.findings import Allowed, Finding
from harness.check.golden import Acceptance, Golden, save_golden
from harness.check.networks import Kept, keep_networks
from harness.check.stored import read_stored, stored_names
from harness.common.errors import HarnessError
from harness.common.files import check_writable
from harness.experiments import get
from harness.profiles import Profile
from harness.report.aggregate import Report


@dataclass(frozen=True)
class Update:
    """What became of the accepted numbers.

    Attributes:
        findings: the new numbers against the old ones, without tolerance; empty the first time.
        kept: networks beside the file; none unless asked for.
    """

    done: Acceptance
    findings: Sequence[Finding]
    kept: Kept


def run_update(
    names: Sequence[str],
    profile: Profile,
    results: Path,
    file: Path,
    reason: str,
    retrained: float | None = None,
    networks: bool = False,
) -> Update:
    """Accept what is stored; the file is replaced as a whole, or stays as it was.

    Args:
        names: experiments; if empty those already accepted, or all stored ones the first time.
        profile, results, file: as for a check.
        reason: why, for the history.
        retrained: drop in dB to let pass where a network is trained anew; None keeps the old one.
        networks: keep the trained networks beside the file.

    Raises:
        UsageError: no reason, an unknown experiment, or another profile's file.
        HarnessError: incomplete or damaged results, or files that cannot be written.
    """
    golden = open_golden(file, profile) if file.exists() else None
    reports = _reports(names, profile, results, golden)
    new = accept(golden, reports, profile, reason, retrained)
    findings: list[Finding] = []
    if golden:
        findings = compare(golden, reports, Allowed(0, 0), profile.numbers())
    check_writable(file.parent)
    kept = keep_networks(new, reports.keys(), results, file.parent) if networks else Kept()
    save_golden(new, file)
    return Update(new.history[-1], findings, kept)


def _reports(
    names: Sequence[str], profile: Profile, results: Path, golden: Golden | None
) -> dict[str, Report]:
    known = golden.names if golden else stored_names(results, profile.name)
    wanted = [get(name).name for name in dict.fromkeys(names)] or known
    found: dict[str, Report] = {}
    for name, report in read_stored(results, profile.name, wanted).items():
        if isinstance(report, str):
            raise HarnessError(
                f"Nothing to accept of {name}: {report}.",
                f"Run `harness run {name} --profile {profile.source}` first.",
            )
        found[name] = report
    if not found:
        raise HarnessError(
            f"Nothing to accept: nothing was measured in {results / profile.name}.",
            f"Run `harness run table1 --profile {profile.source}` first.",
        )
    return found
