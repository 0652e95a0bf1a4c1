"""Comparison of stored results with accepted numbers, one by one; measures nothing.

Numbers are only compared where they are comparable: a result under another protocol, on other LR
images, data, images, seeds, precision or recipe fails by that, whatever its PSNR.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.commands.check.golden import Golden, GoldenResult, Key, load_golden
from harness.common.errors import HarnessError
from harness.experiments import EXPERIMENTS, get
from harness.profiles import Profile, concerning
from harness.report.data import Report, Result, load_report
from harness.runs.plan import plan_path

TOLERANCE = 0.02
"""Drop of PSNR in dB that passes unless another is asked for."""
MACS_TOLERANCE = 0.01
"""Relative rise of a mixture's decoder MACs that passes."""
MACS_RETRAINED = 0.5
"""The same where networks that were trained anew have a wider tolerance."""
_FLOAT_NOISE = 1e-9

# Fields of results that must be equal, the verdict where they are not, and the field in words.
_COMPARABLE = {
    "protocols": ("other protocol", "protocol"),
    "lr_sources": ("other LR source", "LR source"),
    "dataset": ("other data", "dataset"),
    "fingerprints": ("other data", "fingerprint of the images of {dataset}"),
    "lr_fingerprints": ("other data", "fingerprint of its LR images"),
    "images": ("other images", "images that have a PSNR"),
    "seeds": ("other seeds", "seeds"),
    "precisions": ("other precision", "precision"),
    "recipes": ("other settings", "recipe (network, schedule, training data)"),
}
PASSING = ("ok", "new", "other routing", "better")
"""Verdicts that are information; the check fails by every other."""
VERDICTS = (
    *PASSING,
    *("other MACs", "drop", "other precision", "other seeds", "other images"),
    *("other data", "other LR source", "other protocol", "missing", "other settings"),
)
"""All of them, the gravest last, in the words that users see."""

Notes = tuple[tuple[str, str], ...]
"""Each verdict with its reason in words, gravest first; empty if all is well."""


@dataclass(frozen=True)
class Finding:
    """Finding for one result, or for an experiment as a whole (method "", scale None).

    Attributes:
        expected, measured: PSNR in dB; None where there is none.
        tolerance: drop in dB that passes.
        anew: whether the network was trained anew, to other weights than the accepted ones.
    """

    experiment: str
    method: str = ""
    role: str = ""
    dataset: str = ""
    scale: float | None = None
    notes: Notes = ()
    expected: float | None = None
    measured: float | None = None
    tolerance: float | None = None
    anew: bool = False

    @property
    def verdict(self) -> str:
        """The gravest of its verdicts."""
        return self.notes[0][0] if self.notes else "ok"

    @property
    def fails(self) -> bool:
        """Tell whether the check fails by it."""
        return self.verdict not in PASSING

    @property
    def change(self) -> float | None:
        """Measured minus accepted PSNR in dB at full precision."""
        if self.expected is None or self.measured is None:
            return None
        # Both may be infinite.
        return 0.0 if self.expected == self.measured else self.measured - self.expected


@dataclass(frozen=True)
class Check:
    """Comparison of stored results with accepted numbers, of one profile.

    Attributes:
        baseline: file of the accepted numbers.
        provenance: on what the accepted numbers were obtained, each caption once.
        tolerance: drop in dB that passes where the weights are the accepted ones.
        retrained_tolerance: the same where a network was trained anew.
        findings: one per accepted result and per new one, and one per experiment whose settings
            are others.
        unchecked: experiments that are stored, but were never accepted.
    """

    baseline: Path
    profile: str
    provenance: Sequence[str]
    tolerance: float
    retrained_tolerance: float
    findings: Sequence[Finding]
    unchecked: Sequence[str] = ()

    @property
    def failed(self) -> list[Finding]:
        """Findings that the check fails by."""
        return [finding for finding in self.findings if finding.fails]


def run_check(
    names: Sequence[str],
    profile: Profile,
    results: Path,
    file: Path,
    tolerance: float | None = None,
) -> Check:
    """Compare what is stored in a folder of results with a file of accepted numbers.

    Args:
        names: experiments; all that were accepted if empty.
        profile: whose results.
        results: folder of measurements.
        file: accepted numbers.
        tolerance: drop in dB that passes everywhere. None: `TOLERANCE`, and what the file says
            where a network was trained anew.

    Raises:
        UsageError: unknown experiment, or another profile's file.
        HarnessError: damaged files, or nothing to compare with.
    """
    golden = load_golden(file, profile.name)
    if not names and not golden.names:
        raise HarnessError(
            "The file of accepted numbers has none: nothing would be checked.",
            "Name an experiment and accept its stored numbers with --update.",
        )
    for name in names:
        if get(name).name not in golden.names:
            raise HarnessError(
                f"There are no accepted numbers of {name}; there are of {', '.join(golden.names)}.",
                f'Accept them with `harness check {name} --update --reason "first numbers"`.',
            )
    compared = list(dict.fromkeys(names)) or golden.names
    if tolerance is None:
        tolerance, retrained = TOLERANCE, max(TOLERANCE, golden.retrained_tolerance or 0)
    else:
        retrained = tolerance
    entries = [entry for entry in golden.experiments if entry.experiment in compared]
    stored = read_stored(results, profile.name, compared)
    return Check(
        file,
        golden.profile,
        list(dict.fromkeys(text for entry in entries for text in entry.provenance.values())),
        tolerance,
        retrained,
        compare(golden, stored, profile, tolerance, retrained),
        sorted(set(stored_names(results, profile.name)) - set(golden.names)),
    )


def stored_names(results: Path, profile: str) -> list[str]:
    """List the experiments that were run under a profile."""
    return [name for name in EXPERIMENTS if plan_path(results, profile, name).exists()]


def read_stored(results: Path, profile: str, names: Iterable[str]) -> dict[str, Report | str]:
    """Read the stored results of experiments; where there are none, say why."""
    found: dict[str, Report | str] = {}
    for name in names:
        path = plan_path(results, profile, name)
        if name not in EXPERIMENTS:
            found[name] = f"this version has no experiment {name}"
        elif not path.exists():
            found[name] = f"nothing was measured, {path} is not there"
        else:
            found[name] = load_report(results, profile, get(name))
    return found


def measured_results(name: str, report: Report) -> dict[Key, Result]:
    """List what was measured of an experiment by the keys of accepted results."""
    return {(name, r.role, r.method, r.scale): r for r in report.results.values()}


def compare(
    golden: Golden,
    stored: Mapping[str, Report | str],
    profile: Profile,
    tolerance: float = 0,
    retrained: float = 0,
) -> list[Finding]:
    """Make the findings of a `Check` from what `read_stored` found of experiments."""
    findings: list[Finding] = []
    for name, report in stored.items():
        accepted = golden.of(name)
        if isinstance(report, str):
            findings += [_missing(old, report) for old in accepted.values()]
            continue
        notes = tuple(_other_settings(golden, name, report, profile))
        findings += [Finding(name, notes=notes)] if notes else []
        measured = measured_results(name, report)
        for key, old in accepted.items():
            found = measured.get(key)
            new = GoldenResult.of(name, found) if found else None
            if found is None:
                findings.append(_missing(old, f"no result of {name} any more"))
            elif new is None:
                findings.append(_missing(old, found.missing or "no PSNR"))
            else:
                mixture = bool(found.expert_depths)
                findings.append(_judge(old, new, mixture, tolerance, retrained))
        note = (("new", "measured, but not among the accepted numbers"),)
        findings += [
            Finding(name, r.method, r.role, r.dataset, r.scale, note, measured=r.psnr)
            for key, r in measured.items()
            if key not in accepted and not r.missing
        ]
    return findings


def _other_settings(
    golden: Golden, name: str, report: Report, profile: Profile
) -> Iterator[tuple[str, str]]:
    """List settings that differ: stored ones from the accepted, then today's from the stored."""
    entry, stored = golden.experiment(name), report.plan.profile_settings
    for old, new, words in (
        (entry.settings if entry else stored, stored, "{} was accepted, {} stored"),
        # Results of an earlier state of the profile are no check of it.
        (stored, profile.numbers(), "stored results have {}, the profile now {}"),
    ):
        was, now = (concerning(each, report.experiment.methods) for each in (old, new))
        found = [f"{key}: {words.format(*values)}" for key, *values in _changes(was, now)]
        if found:
            yield "other settings", "; ".join(found)


def _changes(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, str, str]]:
    """List (dotted name, old, new) of every setting that differs."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in sorted({*old, *new}):
            yield from _changes(old.get(key), new.get(key), f"{name}.{key}" if name else str(key))
    elif old != new:
        was, now = ("nothing" if value is None else json.dumps(value) for value in (old, new))
        yield name, was, now


def _finding(old: GoldenResult, notes: Iterable[tuple[str, str]], **found: Any) -> Finding:
    key = (old.experiment, old.method, old.role, old.dataset, old.scale)
    return Finding(*key, tuple(notes), old.psnr, **found)


def _missing(old: GoldenResult, reason: str) -> Finding:
    return _finding(old, [("missing", reason)])


def _judge(
    old: GoldenResult, new: GoldenResult, mixture: bool, tolerance: float, retrained: float
) -> Finding:
    if others := list(_not_comparable(old, new)):
        return _finding(old, others, measured=new.psnr)
    anew = new.checkpoints != old.checkpoints
    allowed = retrained if anew else tolerance
    # With experts, the count follows how they are chosen.
    coarse = MACS_RETRAINED if anew and retrained > tolerance else MACS_TOLERANCE
    notes = [
        *_judge_psnr(old.psnr, new.psnr, allowed, anew),
        *_judge_macs(old.decoder_macs, new.decoder_macs, coarse if mixture else 0),
    ]
    return _finding(old, notes, measured=new.psnr, tolerance=allowed, anew=anew)


def _not_comparable(old: GoldenResult, new: GoldenResult) -> Iterator[tuple[str, str]]:
    for field, (verdict, what) in _COMPARABLE.items():
        values = [getattr(result, field) for result in (old, new)]
        if values[0] != values[1]:
            was, now = (
                "+".join(map(str, value)) or "none" if isinstance(value, tuple) else value
                for value in values
            )
            name = what.format(dataset=old.dataset)
            yield verdict, f"{name} {was} was accepted, {now} measured"


def _judge_psnr(old: float, new: float, tolerance: float, anew: bool) -> Iterator[tuple[str, str]]:
    change = 0.0 if old == new else new - old
    # Written so that NaN would fail.
    if not change >= -tolerance - _FLOAT_NOISE:
        cause = "the network was trained anew" if anew else "the weights are the accepted ones"
        yield "drop", f"{-change:.4f} dB, tolerance {tolerance:g} dB; {cause}"
    elif change > tolerance + _FLOAT_NOISE:
        yield "better", f"{change:.4f} dB; accept it with --update"


def _judge_macs(old: float, new: float, tolerance: float) -> Iterator[tuple[str, str]]:
    words = f"{new:,.0f} decoder MACs in place of {old:,.0f}"
    if not tolerance or not old:
        if old != new:
            yield "other MACs", f"{words}; they must be equal"
        return
    words += f" ({new / old - 1:+.1%}; tolerance {tolerance:.0%})"
    if new > old * (1 + tolerance):
        yield "other MACs", words
    elif new < old * (1 - tolerance):
        yield "other routing", words
