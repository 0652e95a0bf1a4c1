"""Findings for readers and for CI: text, JSON, Markdown, JUnit XML and GitHub's annotations."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from harness.commands.check.accept import Update
from harness.commands.check.comparison import VERDICTS, Check, Finding
from harness.commands.options import table
from harness.common import escaping
from harness.profiles.description import in_brief

SHOWN = 10
"""Annotations of a kind that GitHub shows for a step; more are dropped without a word."""

# What XML 1.0 has no way to write; an escaped one is not allowed either.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def text(check: Check, everything: bool = False) -> str:
    """Write a check for the terminal: provenance in brief, what is not ok (or all), the summary."""
    unchecked = ", ".join(check.unchecked)
    return "\n".join(
        [
            *(f"{label}\n" for label in dict.fromkeys(map(in_brief, check.provenance))),
            *_tabulated(check.findings if everything else _not_ok(check.findings)),
            *([f"Stored, but never accepted: {unchecked}."] if unchecked else []),
            f"{summary(check)}.",
        ]
    )


def update_text(update: Update, file: Path) -> str:
    """Describe an update for the terminal."""
    return "\n".join(
        [
            *_tabulated(_not_ok(update.findings)),
            *(f"kept {path}" for path in update.networks),
            *(f"no longer needed: {path}" for path in update.stale),
            f"{file}: {update.done.change}.",
        ]
    )


def summary(check: Check) -> str:
    """Count the results of each verdict, as `42 results: 41 ok, 1 drop`, and say the tolerance."""
    results = [finding for finding in check.findings if finding.scale is not None]
    counts = Counter(finding.verdict for finding in results)
    listed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS if counts[verdict])
    parts = [f"{len(results)} results: {listed}" if results else "no results"]
    others = [finding.experiment for finding in check.findings if finding.scale is None]
    if others:
        parts.append(f"other settings: {', '.join(others)}")
    anew = sum(finding.anew for finding in results)
    allowed = f"tolerance {check.tolerance:g} dB"
    if anew and check.retrained_tolerance > check.tolerance:
        allowed += f", {check.retrained_tolerance:g} dB in {anew} results of networks trained anew"
    return "; ".join([*parts, allowed])


def _record(finding: Finding) -> dict[str, Any]:
    """Make a finding for JSON, with all that is in the tables."""
    return {
        **asdict(finding),
        "notes": [{"verdict": verdict, "reason": reason} for verdict, reason in finding.notes],
        "verdict": finding.verdict,
        "fails": finding.fails,
        "change": finding.change,
    }


def content(check: Check) -> dict[str, Any]:
    """Make a check for JSON."""
    return {
        "baseline": str(check.baseline),
        "profile": check.profile,
        "provenance": check.provenance,
        "tolerance": check.tolerance,
        "retrained_tolerance": check.retrained_tolerance,
        "passed": not check.failed,
        "summary": summary(check),
        "unchecked": check.unchecked,
        "findings": [_record(finding) for finding in check.findings],
    }


def update_content(update: Update, file: Path) -> dict[str, Any]:
    """Describe an update for JSON."""
    return {
        "baseline": str(file),
        **update.done.model_dump(),
        "findings": [_record(finding) for finding in _not_ok(update.findings)],
        "networks": [str(path) for path in update.networks],
        "stale": [str(path) for path in update.stale],
    }


def markdown(check: Check) -> str:
    """Write a section of a job's summary: the verdict, what is not ok, and on what data."""
    shown = _not_ok(check.findings)
    title = f"### harness check {'failed' if check.failed else 'passed'}"
    reasons = "\n".join(f"- {escaping.markdown(line)}" for line in _reasons(shown))
    labels = map(escaping.markdown, check.provenance)
    parts = [title, f"{summary(check)}.", _table(shown, "pipe"), reasons, *labels]
    return "\n\n".join(filter(None, parts)) + "\n"


def junit(check: Check) -> str:
    """Write JUnit XML, a test case per result; new ones are skipped, information is output."""
    new = sum(finding.verdict == "new" for finding in check.findings)
    counts = {"tests": len(check.findings), "failures": len(check.failed), "errors": 0, "time": 0}
    outer = {"name": f"harness check {check.profile}", **{k: str(v) for k, v in counts.items()}}
    root = ET.Element("testsuites", outer)
    # `testsuites` has no count of skipped tests in Jenkins' schema.
    suite = ET.SubElement(root, "testsuite", outer, skipped=str(new))
    properties = ET.SubElement(suite, "properties")
    for key, value in (
        ("baseline", str(check.baseline)),
        ("summary", summary(check)),
        ("provenance", " ".join(check.provenance)),
    ):
        ET.SubElement(properties, "property", name=key, value=value)
    for finding in check.findings:
        name = _place(finding).partition(": ")[2] or "settings"
        group = f"harness.check.{check.profile}.{finding.experiment}"
        case = ET.SubElement(suite, "testcase", classname=group, name=name, time="0")
        reason = _explanation(finding)
        numbers = f"PSNR (dB): accepted {finding.expected}, measured {finding.measured}"
        if finding.fails:
            failure = ET.SubElement(case, "failure", message=reason, type=finding.verdict)
            failure.text = reason if finding.scale is None else numbers
        elif finding.verdict == "new":
            ET.SubElement(case, "skipped", message=reason)
        else:
            ET.SubElement(case, "system-out").text = f"{numbers}\n{reason}".strip()
    ET.indent(root)
    written = f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", written)


def github(findings: Sequence[Finding]) -> list[str]:
    """Write workflow commands: `::error` for what fails, `::notice` for what is better.

    A line each; where they are more than GitHub shows, the last one says how many are left.
    """
    better = [f for f in findings if f.verdict in ("better", "other routing")]
    lines = []
    for kind, found in (("error", [f for f in findings if f.fails]), ("notice", better)):
        shown = found if len(found) <= SHOWN else found[: SHOWN - 1]
        for f in shown:
            title, message = f"harness check: {f.verdict}", f"{_place(f)}\n{_explanation(f)}"
            lines.append(_command(kind, title, message))
        if left := len(found) - len(shown):
            message = f"{left} more results; see the table in the log of this step."
            lines.append(_command(kind, "harness check", message))
    return lines


def _command(kind: str, title: str, message: str) -> str:
    """Write a workflow command, escaped as the runner reads it."""
    title, message = (
        each.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        for each in (title, message)
    )
    return f"::{kind} title={title.replace(':', '%3A').replace(',', '%2C')}::{message}"


def _not_ok(findings: Sequence[Finding]) -> list[Finding]:
    """Select the findings that are printed unless all are wanted."""
    return [finding for finding in findings if finding.verdict != "ok"]


def _place(finding: Finding) -> str:
    """Name the result: never the paper's set alone where another one was measured."""
    if finding.scale is None:
        return finding.experiment
    role, dataset = finding.role, finding.dataset
    data = role if role == dataset else f"{dataset} in place of {role}"
    return f"{finding.experiment}: {finding.method} on {data} x{finding.scale:g}"


def _explanation(finding: Finding) -> str:
    """Join the reasons in one line."""
    return "; ".join(f"{verdict}: {reason}" for verdict, reason in finding.notes)


def _table(findings: Sequence[Finding], style: str) -> str:
    """Write a line per finding; empty without findings."""

    def psnr(value: float | None) -> str:
        return "" if value is None else f"{value:.4f}"

    rows = [
        {
            "experiment": f.experiment,
            "method": f.method,
            "set": f.role if f.dataset == f.role else f"{f.dataset} (as {f.role})",
            "scale": "" if f.scale is None else f"x{f.scale:g}",
            "accepted": psnr(f.expected),
            "measured": psnr(f.measured),
            "change": "" if f.change is None else f"{f.change:+.4f}",
            "tolerance": "" if f.tolerance is None else f"{f.tolerance:g}",
            "verdict": f.verdict,
        }
        for f in findings
    ]
    if style == "pipe":
        rows = [{key: escaping.markdown(text) for key, text in row.items()} for row in rows]
    align = [*["left"] * 4, *["right"] * 4, "left"]
    return table(rows, tablefmt=style, colalign=align) if rows else ""


def _tabulated(findings: Sequence[Finding]) -> list[str]:
    """Make a table with the reasons below it; empty without findings."""
    if not findings:
        return []
    return ["\n".join([_table(findings, "simple"), "", *_reasons(findings)]).rstrip() + "\n"]


def _reasons(findings: Sequence[Finding]) -> list[str]:
    """Write a line per reason; one that many results share is given once, with their number."""
    places: dict[str, list[str]] = {}
    for finding in findings:
        if finding.notes and finding.verdict != "new":
            places.setdefault(_explanation(finding), []).append(_place(finding))
    return [
        f"{found[0]}{f' and {len(found) - 1} more' if len(found) > 1 else ''}: {reason}"
        for reason, found in places.items()
    ]
