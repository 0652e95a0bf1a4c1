"""Findings for readers: a table, a line that sums up, and Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from tabulate import tabulate

from harness.check.findings import Allowed, Finding, Verdict, failures
from harness.common import escaping

HEADER = (
    "experiment",
    "method",
    "set",
    "scale",
    "accepted",
    "measured",
    "change",
    "let pass",
    "verdict",
)
_ALIGN = ("left", "left", "left", "left", "right", "right", "right", "right", "left")


def shown(findings: Sequence[Finding], everything: bool = False) -> list[Finding]:
    """The findings to print: those that are not ok, unless all are wanted."""
    return [f for f in findings if everything or f.verdict is not Verdict.OK]


def text_table(findings: Sequence[Finding]) -> str:
    """A table for the terminal, with the reasons below it; "" without findings."""
    if not findings:
        return ""
    rows = [_row(finding) for finding in findings]
    table = tabulate(rows, HEADER, tablefmt="simple", disable_numparse=True, colalign=_ALIGN)
    return "\n".join([table, "", *_reasons(findings)]).rstrip()


def summary(findings: Sequence[Finding], allowed: Allowed) -> str:
    """How many cells have which verdict, as `42 cells: 41 ok, 1 drop`, and what was let pass."""
    cells = [finding for finding in findings if finding.scale is not None]
    counts = Counter(finding.verdict for finding in cells)
    listed = ", ".join(f"{counts[v]} {v.value}" for v in reversed(Verdict) if counts[v])
    parts = [f"{len(cells)} cells: {listed}" if cells else "no cells"]
    others = [finding.experiment for finding in findings if finding.scale is None]
    if others:
        parts.append(f"other settings: {', '.join(others)}")
    anew = sum(finding.anew for finding in cells)
    text = f"drops up to {allowed.tolerance:g} dB are let pass"
    if anew and allowed.coarse:
        text += f", up to {allowed.retrained:g} dB in {anew} cells of networks trained anew"
    return "; ".join([*parts, text])


def markdown(findings: Sequence[Finding], allowed: Allowed, labels: Sequence[str]) -> str:
    """A section for a job's summary: the verdict, what is not ok, and on what data.

    Args:
        findings: of a check.
        allowed: drops that were let pass.
        labels: provenance of the numbers.
    """
    failed = failures(findings)
    title = "failed" if failed else "passed"
    parts = [f"### harness check {title}", summary(findings, allowed) + "."]
    rows = [[escaping.markdown(text) for text in _row(finding)] for finding in shown(findings)]
    if rows:
        parts.append(_pipes(rows))
        parts.append(
            "\n".join(f"- {escaping.markdown(line)}" for line in _reasons(shown(findings)))
        )
    parts += [escaping.markdown(label) for label in labels]
    return "\n\n".join(part for part in parts if part) + "\n"


def _pipes(rows: Sequence[Sequence[str]]) -> str:
    table: str = tabulate(rows, HEADER, tablefmt="pipe", disable_numparse=True, colalign=_ALIGN)
    return table


def _row(finding: Finding) -> list[str]:
    played = finding.dataset == finding.role
    return [
        finding.experiment,
        finding.method,
        finding.role if played else f"{finding.dataset} (as {finding.role})",
        "" if finding.scale is None else f"x{finding.scale:g}",
        _number(finding.expected),
        _number(finding.measured),
        _number(finding.change, "+"),
        "" if finding.tolerance is None else f"{finding.tolerance:g}",
        finding.verdict.value,
    ]


def _number(value: float | None, sign: str = "") -> str:
    return "" if value is None else f"{value:{sign}.4f}"


def _reasons(findings: Iterable[Finding]) -> list[str]:
    """A line per reason; a reason that many cells share is given once, with their number."""
    places: dict[str, list[str]] = {}
    for finding in findings:
        if finding.notes and finding.verdict is not Verdict.NEW:
            places.setdefault(finding.explanation, []).append(finding.place)
    return [
        f"{found[0]}{f' and {len(found) - 1} more' if len(found) > 1 else ''}: {reason}"
        for reason, found in places.items()
    ]
