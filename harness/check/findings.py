"""What comparing a stored cell with the accepted one can find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Verdict(str, Enum):
    """One thing that was found, gravest first; the values are shown to users."""

    SETTINGS = "other settings"
    MISSING = "missing"
    PROTOCOL = "other protocol"
    LR_SOURCE = "other LR source"
    DATA = "other data"
    IMAGES = "other images"
    SEEDS = "other seeds"
    PRECISION = "other precision"
    DROP = "drop"
    MACS = "other MACs"
    BETTER = "better"
    ROUTING = "other routing"
    NEW = "new"
    OK = "ok"

    @property
    def fails(self) -> bool:
        """Whether the check fails by it; the others are information."""
        return self not in (Verdict.BETTER, Verdict.ROUTING, Verdict.NEW, Verdict.OK)


@dataclass(frozen=True)
class Finding:
    """What was found for one cell, or for an experiment as a whole.

    Attributes:
        method, role, dataset: "" where the finding is about the experiment.
        scale: None likewise.
        notes: each verdict with its reason in words, gravest first; empty if all is well.
        expected, measured: PSNR in dB; None where there is none.
        tolerance: drop in dB that is let pass.
        anew: whether the network was trained anew, to other weights than the accepted ones.
    """

    experiment: str
    method: str = ""
    role: str = ""
    dataset: str = ""
    scale: float | None = None
    notes: tuple[tuple[Verdict, str], ...] = ()
    expected: float | None = None
    measured: float | None = None
    tolerance: float | None = None
    anew: bool = False

    @property
    def verdict(self) -> Verdict:
        """The gravest of its verdicts."""
        return self.notes[0][0] if self.notes else Verdict.OK

    @property
    def fails(self) -> bool:
        """Whether the check fails by it."""
        return self.verdict.fails

    @property
    def change(self) -> float | None:
        """Measured minus accepted PSNR in dB at full precision."""
        if self.expected is None or self.measured is None:
            return None
        return 0.0 if self.expected == self.measured else self.measured - self.expected

    @property
    def place(self) -> str:
        """Which cell, in words: never the paper's set alone where another one plays it."""
        if self.scale is None:
            return self.experiment
        data = self.role if self.role == self.dataset else f"{self.dataset} in place of {self.role}"
        return f"{self.experiment}: {self.method} on {data} x{self.scale:g}"

    @property
    def explanation(self) -> str:
        """The reasons in one line."""
        return "; ".join(f"{verdict.value}: {reason}" for verdict, reason in self.notes)


@dataclass(frozen=True)
class Allowed:
    """Drops in dB that are let pass.

    Attributes:
        tolerance: where the weights are the accepted ones.
        retrained: where the network was trained anew; wider only if the accepted numbers say so.
    """

    tolerance: float
    retrained: float

    def drop(self, anew: bool) -> float:
        """What is let pass for a cell."""
        return self.retrained if anew else self.tolerance

    @property
    def coarse(self) -> bool:
        """Whether new weights are judged more coarsely than old ones."""
        return self.retrained > self.tolerance


def record(finding: Finding) -> dict[str, Any]:
    """A finding for JSON, with all that is in the tables."""
    fields = asdict(finding)
    fields["notes"] = [{"verdict": v.value, "reason": reason} for v, reason in finding.notes]
    return {
        **fields,
        "verdict": finding.verdict.value,
        "fails": finding.fails,
        "change": finding.change,
    }


def failures(findings: Sequence[Finding]) -> list[Finding]:
    """Those by which the check fails."""
    return [finding for finding in findings if finding.fails]
