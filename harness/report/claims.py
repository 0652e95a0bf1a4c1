"""Statements of papers as data, and whether the numbers of a report agree with them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from harness.measure.statistics import FEWEST, Difference, paired_difference
from harness.metrics import METRICS
from harness.report.data import Report
from harness.report.frame import RESAMPLES
from harness.report.model import Outcome, Verdict
from harness.report.text import counted, decimals, interval_text, scale_text, scales_text, signed

_WORST_FIRST: tuple[Outcome, ...] = ("does not hold", "not decided", "holds")


@dataclass(frozen=True)
class Claim:
    """Statement of a paper on a method, which holds if its numbers are within a bound.

    It is judged at every scale by the 95 % interval over images: it holds on a set if all intervals
    are within the bound, does not hold if one is outside, and is not decided otherwise: with fewer
    than six images, too, or where a scale is not measured that has images large enough. It holds
    if it holds on every set of at least six images, and does not hold if it fails on one.

    Attributes:
        words: the statement.
        paper: the paper's figure.
        method: row of the experiment.
        baseline: row that it is compared with, image by image; "" for none.
        of: a metric, for the least difference to the baseline; "macs", for the most MACs in percent
            of the baseline's; or a column of rows, for its least mean without a baseline.
        bound: the least or the most.
        roles: sets that it is about.
        scales: scales that it is about; those of the experiment, if empty.
        main: whether it is one of the few that the paper's abstract makes.
    """

    words: str
    paper: str
    method: str
    baseline: str = ""
    of: str = "psnr"
    bound: float = 0.0
    roles: tuple[str, ...] = ("DIV2K_valid",)
    scales: tuple[float, ...] = ()
    main: bool = False

    def judge(self, report: Report) -> Verdict | None:
        """Judge the claim on what was measured; None where the report lacks its method."""
        every = {role: self._on(report, role) for role in self.roles if role in report.roles}
        sets = {role: found for role, found in every.items() if found}
        if not sets:
            lacks = self.method not in report.experiment.rows
            verdict = Verdict(self.words, self.paper, "", "not measured", self.main)
            return None if lacks else verdict
        # A set that is too small to decide has no say beside others.
        large = {
            role: {scale: each for scale, each in found.items() if each.images >= FEWEST}
            for role, found in sets.items()
        }
        shown = {role: found for role, found in large.items() if found} or sets
        left = {role: self._lacking(report, role, found) for role, found in shown.items()}
        outcomes = {role: self._outcome(found, left[role]) for role, found in shown.items()}
        ours = [self._ours(report, role, found, left[role]) for role, found in shown.items()]
        if len(shown) > 1:
            ours = [f"{said}, {o}" for said, o in zip(ours, outcomes.values(), strict=True)]
        worst = next(each for each in _WORST_FIRST if each in outcomes.values())
        images = max(each.images for found in shown.values() for each in found.values())
        return Verdict(self.words, self.paper, "\n".join(ours), worst, self.main, images)

    def _on(self, report: Report, role: str) -> dict[float, Difference]:
        """Compute the distances from the bound on a set, by scale."""
        found = {scale: self._at(report, role, scale) for scale in self._about(report)}
        return {scale: each for scale, each in found.items() if each is not None}

    def _about(self, report: Report) -> list[float]:
        return [s for s in report.scales if not self.scales or s in self.scales]

    def _lacking(self, report: Report, role: str, found: Collection[float]) -> list[float]:
        """List the scales that are not measured on a set, though it has images large enough."""
        left = (scale for scale in self._about(report) if scale not in found)
        return [scale for scale in left if not report.at(self.method, role, scale).excluded]

    def _at(self, report: Report, role: str, scale: float) -> Difference | None:
        """Compute the distance from the bound, positive where the claim holds."""
        rows = list(filter(None, (self.method, self.baseline)))
        images = report.images(self.of, role, scale).reindex(columns=rows).dropna()
        if images.empty:
            return None
        own, base = images[self.method], images.get(self.baseline)
        if base is None:
            values = own - self.bound
        elif self.of == "macs":
            values = self.bound - 100 * own / base
        else:
            better = self.of not in METRICS or METRICS[self.of].larger_is_better
            values = (own - base if better else base - own) - self.bound
        known = values.dropna().tolist()
        return paired_difference(known, resamples=RESAMPLES) if known else None

    def _outcome(self, found: dict[float, Difference], lacking: Sequence[float] = ()) -> Outcome:
        known = [d for d in found.values() if d.images >= FEWEST]
        if any(d.high is not None and d.high < 0 for d in known):
            return "does not hold"
        inside = [d for d in known if d.low is not None and d.low >= 0]
        return "holds" if len(inside) == len(found) and not lacking else "not decided"

    def _ours(
        self, report: Report, role: str, found: dict[float, Difference], lacking: Sequence[float]
    ) -> str:
        """Quote the worst scale with its interval, and say on what data."""
        worst = min(found, key=lambda scale: found[scale].mean)
        on = f"{report.role(role).dataset} ({counted(found[worst].images, 'image')})"
        but = f" ({scales_text(lacking)} not measured)" if lacking else ""
        return f"{on}: {self._number(found[worst])} at {scale_text(worst)}{but}"

    def _number(self, found: Difference) -> str:
        """Convert the distance from the bound to the number that the claim is about."""
        if self.of == "macs":
            mean = self.bound - found.mean
            if found.low is None or found.high is None:
                return f"{decimals(mean, 1)} %"
            low, high = (decimals(self.bound - end, 1) for end in (found.high, found.low))
            return f"{decimals(mean, 1)} % [{low}, {high}]"
        unit = f" {METRICS[self.of].unit}".rstrip() if self.of in METRICS else ""
        said = ""
        if found.low is not None and found.high is not None:
            said = f" {interval_text(found.low + self.bound, found.high + self.bound)}"
        return f"{signed(found.mean + self.bound)}{unit}{said}"


def verdicts(report: Report) -> tuple[Verdict, ...]:
    """Judge the claims of the experiment."""
    judged = (claim.judge(report) for claim in report.experiment.claims)
    return tuple(verdict for verdict in judged if verdict is not None)
