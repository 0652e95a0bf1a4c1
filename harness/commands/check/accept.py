"""Acceptance of stored numbers as the ones that later results are compared with."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness import checkpoints
from harness.commands.check.comparison import (
    Finding,
    compare,
    measured_results,
    read_stored,
    stored_names,
)
from harness.commands.check.golden import (
    Acceptance,
    Golden,
    GoldenExperiment,
    GoldenResult,
    Key,
    dump,
    load_golden,
)
from harness.common.errors import HarnessError, UsageError
from harness.common.files import check_writable, write_text
from harness.experiments import get
from harness.profiles import Profile, concerning
from harness.report import words
from harness.report.data import Report, distinct


@dataclass(frozen=True)
class Update:
    """Result of an update of the accepted numbers.

    Attributes:
        findings: the new numbers against the old ones, with no tolerance; empty the first time.
        networks: those behind the new numbers, beside the file; empty unless asked for.
        stale: others there, that no accepted number needs; whoever keeps them removes them.
    """

    done: Acceptance
    findings: Sequence[Finding]
    networks: Sequence[Path] = ()
    stale: Sequence[Path] = ()


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
        profile: whose results.
        results: folder of measurements.
        file: of the accepted numbers.
        reason: why, for the history.
        retrained: drop in dB that passes where a network is trained anew; None keeps the old one.
        networks: keep the trained networks beside the file.

    Raises:
        UsageError: no reason, an unknown experiment, or another profile's file.
        HarnessError: incomplete or damaged results, or files that cannot be written.
    """
    if not reason.strip():
        raise UsageError("Accepting numbers needs a reason: --reason TEXT.")
    old = load_golden(file, profile.name) if file.exists() else None
    known = old.names if old else stored_names(results, profile.name)
    wanted = [get(name).name for name in dict.fromkeys(names)] or known
    reports: dict[str, Report] = {}
    for name, report in read_stored(results, profile.name, wanted).items():
        if isinstance(report, str):
            raise HarnessError(
                f"Nothing to accept of {name}: {report}.",
                f"Run `harness run {name} --profile {profile.source}` first.",
            )
        reports[name] = report
    if not reports:
        raise HarnessError(
            f"Nothing to accept: nothing was measured in {results / profile.name}.",
            f"Run `harness run table1 --profile {profile.source}` first.",
        )
    new = _accept(old, reports, profile, reason.strip(), retrained)
    findings = compare(old, reports, profile) if old else []
    check_writable(file.parent)
    kept = _keep_networks(new, reports, results, file.parent) if networks else ()
    write_text(file, dump(new))
    return Update(new.history[-1], findings, *kept)


def _accept(
    old: Golden | None,
    reports: Mapping[str, Report],
    profile: Profile,
    reason: str,
    retrained: float | None,
) -> Golden:
    """Take the accepted numbers of some experiments over; the others stay."""
    old = old or Golden(profile=profile.name, summary=profile.summary)
    before = {each.key: each for each in old.accepted}
    accepted = {key: each for key, each in before.items() if each.experiment not in reports}
    entries = {entry.experiment: entry for entry in old.experiments}
    for name, report in reports.items():
        methods = report.experiment.methods
        settings = report.plan.profile_settings
        if concerning(settings, methods) != concerning(profile.numbers(), methods):
            raise HarnessError(
                f"The stored results of {name} were measured under other settings than profile "
                f"'{profile.name}' has now.",
                f"Run `harness run {name} --profile {profile.source}` first.",
            )
        accepted |= _complete(name, report, old.of(name))
        entries[name] = GoldenExperiment(
            experiment=name,
            reduced=report.plan.reduced or any(note.substitute for note in report.plan.roles),
            provenance={role: words.provenance(report, role) for role in report.roles},
            settings=settings,
        )
    named = {experiment for experiment, *_ in accepted}
    if not named & reports.keys():
        raise HarnessError(
            f"Nothing to accept: no result of {', '.join(reports)} has a number.",
            "Run the experiment first.",
        )
    found = [each for report in reports.values() for each in report.results.values()]
    done = Acceptance(
        date=datetime.now(timezone.utc).date().isoformat(),
        reason=reason,
        experiments=tuple(sorted(named & reports.keys())),
        change=_change(before, accepted),
        devices=distinct(device for each in found for device in each.source("device")),
        versions=distinct(version for each in found for version in each.source("version")),
    )
    return Golden(
        profile=profile.name,
        summary=profile.summary,
        retrained_tolerance=old.retrained_tolerance if retrained is None else retrained,
        experiments=tuple(entries[name] for name in sorted(named)),
        accepted=tuple(accepted[key] for key in sorted(accepted)),
        history=(*old.history, done),
    )


def _complete(name: str, report: Report, known: Collection[Key]) -> dict[Key, GoldenResult]:
    """List every result that has a number; refuses where one is half measured, or was lost."""
    measured = measured_results(name, report)
    accepted, incomplete = {}, []
    for key, found in measured.items():
        result = GoldenResult.of(name, found)
        if result is not None:
            accepted[key] = result
        elif key in known or (found.seeds and not found.excluded):
            reason = found.missing or "no PSNR"
            incomplete.append(f"{found.method} on {found.role} x{found.scale:g}: {reason}")
    for _, role, method, scale in sorted(set(known) - measured.keys()):
        incomplete.append(f"{method} on {role} x{scale:g}: gone from {name}")
    if incomplete:
        raise HarnessError(
            f"{len(incomplete)} results of {name} have no number, nothing is accepted:\n  "
            + "\n  ".join(incomplete),
            f"Run `harness run {name}`. If one is gone for good, delete its line from the file of "
            "accepted numbers.",
        )
    return accepted


def _change(old: Mapping[Key, GoldenResult], new: Mapping[Key, GoldenResult]) -> str:
    """Say how many results were added, removed and changed, and how far PSNR moved."""
    pairs = [(old[key], new[key]) for key in new if key in old]
    counts = {
        "added": len(new) - len(pairs),
        "removed": len(old) - len(pairs),
        "changed": sum(was != now for was, now in pairs),
    }
    listed = [f"{count} results {what}" for what, count in counts.items() if count]
    moves = [now.psnr - was.psnr for was, now in pairs if now.psnr != was.psnr]
    if moves:
        listed.append(f"PSNR {min(moves):+.4f} to {max(moves):+.4f} dB")
    return ", ".join(listed) or "nothing"


def _keep_networks(
    golden: Golden, names: Collection[str], results: Path, folder: Path
) -> tuple[list[Path], list[Path]]:
    """Copy the networks of accepted results; all of them, or none where one is not as accepted.

    CI can then measure instead of train: training again on another processor, or with another
    number of threads, ends at other weights (docs/check.md has numbers), measuring the same weights
    does not depend on that. They lie in the layout of a results folder, so that `harness run
    --results` that folder finds them trained; without the optimiser's state, two thirds of a file.

    Returns:
        the networks of `names` in `folder`, which may be `results` itself, and the stale ones.
    """
    trained = Path(golden.profile) / "training"
    runs: dict[Path, dict[str, Any]] = {}
    for result in golden.accepted:
        for recipe in result.recipes if result.experiment in names else ():
            found = sorted((results / trained).glob(f"{result.method}/s*-{recipe}/checkpoint.pt"))
            if not found:
                raise HarnessError(
                    f"The networks of {result.method} are not in {results / trained}.",
                    "Name the folder that they were trained in with --results.",
                )
            for path in found:
                run = path.relative_to(results)
                if run not in runs:
                    content = checkpoints.read(path)
                    # Its groups stay: resuming a finished run reads them.
                    content["optimizer"] = {**content["optimizer"], "state": {}}
                    content.pop("unaveraged", None)
                    runs[run] = content
                if checkpoints.weights_hash(runs[run]["state_dict"]) not in result.checkpoints:
                    raise HarnessError(
                        f"{path} has other weights than those whose numbers are accepted.",
                        f"Run `harness run {result.experiment}` again.",
                    )
    for run, content in runs.items():
        if (results / run).resolve() != (folder / run).resolve():
            checkpoints.save(folder / run, {k: v for k, v in content.items() if k != "format"})
    needed = {(each.method, recipe) for each in golden.accepted for recipe in each.recipes}
    stale = [
        path
        for path in sorted((folder / trained).glob("*/*/checkpoint.pt"))
        if (path.parts[-3], path.parts[-2].partition("-")[2]) not in needed
    ]
    return [folder / run for run in sorted(runs)], stale
