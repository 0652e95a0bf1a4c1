"""Accepting stored numbers as the ones that later results are compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone

from harness.check.golden import (
    Acceptance,
    CellKey,
    Golden,
    GoldenCell,
    GoldenExperiment,
    golden_cell,
)
from harness.common.errors import HarnessError, UsageError
from harness.profiles import Profile, concerning
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.means import distinct


def accept(
    golden: Golden | None,
    reports: Mapping[str, Report],
    profile: Profile,
    reason: str,
    retrained: float | None = None,
) -> Golden:
    """The accepted numbers after taking over those of some experiments.

    Args:
        golden: what was accepted so far; None for the first time.
        reports: stored results of the experiments to take over; other experiments stay.
        profile: that they must have been measured under.
        reason: why, for the history.
        retrained: drop in dB to let pass where a network is trained anew; None keeps the old one.

    Raises:
        UsageError: without a reason.
        HarnessError: when cells are incomplete, or were measured under other settings.
    """
    if not reason.strip():
        raise UsageError("Accepting numbers needs a reason: --reason TEXT.")
    if golden and retrained is None:
        retrained = golden.retrained_tolerance
    old = golden.cells if golden else ()
    cells = {cell.key: cell for cell in old if cell.experiment not in reports}
    for name, report in reports.items():
        _check_settings(report, profile)
        cells |= {cell.key: cell for cell in _complete(golden, name, report)}
    if not any(key[0] in reports for key in cells):
        raise HarnessError(
            f"Nothing to accept: no cell of {', '.join(reports)} has a number.",
            "Run the experiment first.",
        )
    entries = {e.experiment: e for e in golden.experiments} if golden else {}
    entries |= {name: _entry(name, report) for name, report in reports.items()}
    done = Acceptance(
        date=datetime.now(timezone.utc).date().isoformat(),
        reason=reason.strip(),
        experiments=tuple(sorted(reports)),
        change=_change({cell.key: cell for cell in old}, cells),
        devices=_seen(reports, "device"),
        versions=_seen(reports, "version"),
    )
    return Golden(
        profile=profile.name,
        summary=profile.summary,
        retrained_tolerance=retrained,
        experiments=tuple(entries[name] for name in sorted(entries)),
        cells=tuple(cells[key] for key in sorted(cells)),
        history=(*(golden.history if golden else ()), done),
    )


def _check_settings(report: Report, profile: Profile) -> None:
    stored, now = report.plan.profile_settings, profile.numbers()
    methods = report.experiment.methods
    if concerning(stored, methods) != concerning(now, methods):
        name = report.experiment.name
        raise HarnessError(
            f"The stored results of {name} were measured under other settings than profile "
            f"'{profile.name}' has now.",
            f"Run `harness run {name} --profile {profile.source}` first.",
        )


def _complete(golden: Golden | None, name: str, report: Report) -> Iterator[GoldenCell]:
    """Every cell that has a number; refuses where one is only half measured, or was lost."""
    known = golden.of(name) if golden else {}
    incomplete = []
    for cell in report.cells.values():
        key = (name, cell.role, cell.method, cell.scale)
        if not cell.missing and cell.psnr is not None:
            yield golden_cell(name, cell)
        elif key in known or (cell.seeds and not cell.excluded):
            reason = cell.missing or "no PSNR"
            incomplete.append(f"{cell.method} on {cell.role} x{cell.scale:g}: {reason}")
    lost = known.keys() - {(name, c.role, c.method, c.scale) for c in report.cells.values()}
    incomplete += [f"{key[2]} on {key[1]} x{key[3]:g}: gone from {name}" for key in sorted(lost)]
    if incomplete:
        raise HarnessError(
            f"{len(incomplete)} cells of {name} have no number, nothing is accepted:\n  "
            + "\n  ".join(incomplete),
            f"Run `harness run {name}`. If a cell is gone for good, delete its line from the file "
            "of accepted numbers.",
        )


def _entry(name: str, report: Report) -> GoldenExperiment:
    return GoldenExperiment(
        experiment=name,
        stand_in=report.plan.stand_in or any(note.substitute for note in report.plan.roles),
        provenance={role: captions.provenance(report, role) for role in report.roles},
        settings=report.plan.profile_settings,
    )


def _seen(reports: Mapping[str, Report], column: str) -> tuple[str, ...]:
    cells = [cell for report in reports.values() for cell in report.cells.values()]
    return distinct(value for cell in cells for value in cell.source(column))


def _change(old: Mapping[CellKey, GoldenCell], new: Mapping[CellKey, GoldenCell]) -> str:
    """How many cells were added, and how far the others moved."""
    both = [key for key in new if key in old]
    parts = {
        "added": len(new.keys() - old.keys()),
        "removed": len(old.keys() - new.keys()),
        "changed": sum(old[key] != new[key] for key in both),
    }
    listed = [f"{count} cells {what}" for what, count in parts.items() if count]
    moves = [new[key].psnr - old[key].psnr for key in both if new[key].psnr != old[key].psnr]
    if moves:
        listed.append(f"PSNR {min(moves):+.4f} to {max(moves):+.4f} dB")
    return ", ".join(listed) or "nothing"
