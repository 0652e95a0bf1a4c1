"""Comparing stored cells with accepted ones. Reads no file and prints nothing.

Numbers are only compared where they are comparable: a cell under another protocol, on other LR
images, data, images, seeds, precision or recipe fails by that, whatever its PSNR.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from harness.check.findings import Allowed, Finding, Verdict
from harness.check.golden import CellKey, Golden, GoldenCell, golden_cell
from harness.profiles import concerning
from harness.report.aggregate import Report

MACS_TOLERANCE = 0.01
"""Relative rise of a mixture's decoder multiply-adds that is let pass."""
MACS_RETRAINED = 0.5
"""The same where networks that were trained anew are judged coarsely."""
_FLOAT_NOISE = 1e-9

Stored = Mapping[str, Report | str]
"""By experiment: its stored results, or why there are none."""
_Notes = list[tuple[Verdict, str]]


def compare(
    golden: Golden, stored: Stored, allowed: Allowed, settings: Mapping[str, Any]
) -> list[Finding]:
    """Compare stored results with accepted ones.

    Args:
        golden: the accepted numbers.
        stored: the experiments to compare.
        allowed: drops that are let pass.
        settings: of the profile as it is now; results of an earlier state are no check of it.

    Returns:
        One finding per accepted cell and per new one, and one per experiment whose settings are
        others.
    """
    findings: list[Finding] = []
    for experiment, report in stored.items():
        accepted = golden.of(experiment)
        if isinstance(report, str):
            findings += [_finding(cell, [(Verdict.MISSING, report)]) for cell in accepted.values()]
            continue
        findings += _settings_findings(golden, experiment, report, settings)
        findings += [_judged(cell, report, allowed) for cell in accepted.values()]
        findings += _new(experiment, report, accepted)
    return findings


def _settings_findings(
    golden: Golden, experiment: str, report: Report, settings: Mapping[str, Any]
) -> Iterator[Finding]:
    accepted = golden.experiment(experiment)
    measured = report.plan.profile_settings
    methods = report.experiment.methods
    notes: _Notes = []
    for was, now, what in (
        (accepted.settings if accepted else measured, measured, "{old} was accepted, {new} stored"),
        (measured, settings, "stored results have {old}, the profile now {new}"),
    ):
        found = changes(concerning(was, methods), concerning(now, methods))
        differences = [f"{key}: {what.format(old=o, new=n)}" for key, o, n in found]
        if differences:
            notes.append((Verdict.SETTINGS, "; ".join(differences)))
    if notes:
        yield Finding(experiment, notes=tuple(notes))


def changes(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """(dotted name, old, new) of every setting that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            inner = f"{name}.{key}" if name else str(key)
            yield from changes(old.get(key), new.get(key), inner)
    elif old != new:
        yield name, _shown(old), _shown(new)


def _shown(value: Any) -> str:
    return "nothing" if value is None else json.dumps(value)


def _judged(expected: GoldenCell, report: Report, allowed: Allowed) -> Finding:
    mean = report.cells.get((expected.method, expected.role, expected.scale))
    if mean is None:
        reason = f"no cell of {expected.experiment} any more"
        return _finding(expected, [(Verdict.MISSING, reason)])
    if mean.missing or mean.psnr is None:
        return _finding(expected, [(Verdict.MISSING, mean.missing or "no PSNR")])
    cell = golden_cell(expected.experiment, mean)
    others = _not_comparable(expected, cell)
    if others:
        return replace(_finding(expected, others), measured=cell.psnr)
    anew = cell.checkpoints != expected.checkpoints
    tolerance = allowed.drop(anew)
    notes = _judge_psnr(expected.psnr, cell.psnr, tolerance, anew)
    notes += _judge_macs(expected, cell, bool(mean.expert_depths), anew and allowed.coarse)
    finding = _finding(expected, notes)
    return replace(finding, measured=cell.psnr, tolerance=tolerance, anew=anew)


def _finding(expected: GoldenCell, notes: _Notes) -> Finding:
    return Finding(
        expected.experiment,
        expected.method,
        expected.role,
        expected.dataset,
        expected.scale,
        tuple(notes),
        expected=expected.psnr,
    )


def _new(
    experiment: str, report: Report, accepted: Mapping[CellKey, GoldenCell]
) -> Iterator[Finding]:
    """Cells that have a number, but no accepted one."""
    for cell in report.cells.values():
        if not cell.missing and (experiment, cell.role, cell.method, cell.scale) not in accepted:
            yield Finding(
                experiment,
                cell.method,
                cell.role,
                cell.dataset,
                cell.scale,
                ((Verdict.NEW, "measured, but not among the accepted numbers"),),
                measured=cell.psnr,
            )


def _not_comparable(expected: GoldenCell, cell: GoldenCell) -> _Notes:
    """Why two PSNRs cannot be compared."""
    data = "the images of " + expected.dataset
    pairs: tuple[tuple[Verdict, str, object, object], ...] = (
        (Verdict.PROTOCOL, "protocol", expected.protocols, cell.protocols),
        (Verdict.LR_SOURCE, "LR source", expected.lr_sources, cell.lr_sources),
        (Verdict.DATA, "dataset", expected.dataset, cell.dataset),
        (Verdict.DATA, f"fingerprint of {data}", expected.fingerprints, cell.fingerprints),
        (
            Verdict.DATA,
            "fingerprint of its LR images",
            expected.lr_fingerprints,
            cell.lr_fingerprints,
        ),
        (Verdict.IMAGES, "images that have a PSNR", expected.images, cell.images),
        (Verdict.SEEDS, "seeds", expected.seeds, cell.seeds),
        (Verdict.PRECISION, "precision", expected.precisions, cell.precisions),
        (
            Verdict.SETTINGS,
            "recipe (network, schedule, training data)",
            expected.recipes,
            cell.recipes,
        ),
    )
    return [
        (verdict, f"{what} {_listed(old)} was accepted, {_listed(new)} measured")
        for verdict, what, old, new in pairs
        if old != new
    ]


def _judge_psnr(expected: float, psnr: float, tolerance: float, anew: bool) -> _Notes:
    change = 0.0 if psnr == expected else psnr - expected
    # Written so that NaN would fail.
    if not change >= -tolerance - _FLOAT_NOISE:
        cause = "the network was trained anew" if anew else "the weights are the accepted ones"
        return [(Verdict.DROP, f"{-change:.4f} dB, {tolerance:g} dB are let pass; {cause}")]
    if change > tolerance + _FLOAT_NOISE:
        return [(Verdict.BETTER, f"{change:.4f} dB; accept it with --update")]
    return []


def _judge_macs(expected: GoldenCell, cell: GoldenCell, routed: bool, coarse: bool) -> _Notes:
    """Exact for networks without experts; with them, the count follows how they are chosen."""
    old, new = expected.decoder_macs, cell.decoder_macs
    words = f"{new:,.0f} decoder multiply-adds in place of {old:,.0f}"
    if not routed or not old:
        return [(Verdict.MACS, f"{words}; they must be equal")] if old != new else []
    allowed = MACS_RETRAINED if coarse else MACS_TOLERANCE
    words += f" ({new / old - 1:+.1%}; {allowed:.0%} more are let pass)"
    if new > old * (1 + allowed):
        return [(Verdict.MACS, words)]
    return [(Verdict.ROUTING, words)] if new < old * (1 - allowed) else []


def _listed(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(map(str, value)) or "none"
    return str(value)
