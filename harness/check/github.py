"""Findings as annotations of GitHub Actions.

The rules are those of the runner's workflow commands: `%`, CR and LF are escaped in messages, and
`:` and `,` in properties as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.check.findings import Finding, Verdict, failures

SHOWN = 10
"""Annotations of a kind that GitHub shows for a step; more are dropped without a word."""


def workflow_commands(findings: Sequence[Finding]) -> list[str]:
    """`::error` for what fails and `::notice` for what is better, a line each.

    Where they are more than GitHub shows, the last one says how many are left.
    """
    better = [f for f in findings if f.verdict in (Verdict.BETTER, Verdict.ROUTING)]
    return [*_of_kind("error", failures(findings)), *_of_kind("notice", better)]


def _of_kind(kind: str, findings: Sequence[Finding]) -> list[str]:
    whole = findings if len(findings) <= SHOWN else findings[: SHOWN - 1]
    lines = [
        _command(kind, f"harness check: {f.verdict.value}", f"{f.place}\n{f.explanation}")
        for f in whole
    ]
    left = len(findings) - len(whole)
    if left:
        text = f"{left} more cells; see the table in the log of this step."
        lines.append(_command(kind, "harness check", text))
    return lines


def _command(kind: str, title: str, message: str) -> str:
    escaped = escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::{kind} title={escaped}::{escape(message)}"


def escape(text: str) -> str:
    """Text as the message of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
