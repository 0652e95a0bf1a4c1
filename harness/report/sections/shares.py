"""Share of the queries that each expert served."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.report.data import Report, Result
from harness.report.model import Section, section
from harness.report.tables import Entry, scale_table
from harness.report.text import decimals
from harness.runs.experiment import SectionMaker


@dataclass(frozen=True)
class Shares(SectionMaker):
    """Table of expert shares, the shallowest expert first."""

    def make(self, report: Report, folder: Path | None) -> Section | None:
        title = "Expert shares, % of latent-code queries"
        note = (
            "Share of each expert, the shallowest first; their depths stand in front. SeemoRe: "
            "share of the layers, the lowest rank first."
        )
        made = (
            scale_table(report, role, "shares", title, _shares, notes=[note])
            for role in report.roles
        )
        return section("shares", "Expert shares", made)


def _shares(result: Result) -> Entry:
    if not result.expert_shares:
        return Entry()
    shares = [decimals(100 * share, 1) for share in result.expert_shares]
    depths = result.expert_depths
    pairs = zip(depths, shares, strict=True)
    detail = ", ".join(f"{depth}-layer {share} %" for depth, share in pairs)
    return Entry(f"{depths[0]}-{depths[-1]}:", detail=detail, beside=" / ".join(shares))
