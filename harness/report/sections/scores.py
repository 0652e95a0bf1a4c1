"""Means of a metric beside the published ones, and differences to each method's baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from harness.measure.rows import no_value
from harness.metrics import METRICS, Metric
from harness.report import words
from harness.report.data import Report, Result
from harness.report.model import Section, Table, section
from harness.report.tables import Entry, number, scale_table
from harness.report.text import decimals, grouped, interval_text, scale_text, sentences, signed
from harness.report.words import CONFIDENCE_TEXT
from harness.runs.experiment import SectionMaker

_PAIRED = (
    "Mean difference of each image to the method's own baseline, with its "
    f"{CONFIDENCE_TEXT} interval (paired BCa bootstrap over images; that another training seed "
    "ends elsewhere is not in it)."
)


@dataclass(frozen=True)
class ScoreTable(SectionMaker):
    """Table of a metric, and one of differences.

    Attributes:
        name: name of the metric.
        notes: notes that a comparison with published values needs, by role.
    """

    name: str
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metric must be measured."""
        return (self.name,)

    def make(self, report: Report, folder: Path | None) -> Section | None:
        metric = METRICS[self.name]
        made = (
            of(report, role, metric)
            for role in report.shown_roles
            for of in (self._scores, _differences)
        )
        return section(self.name, metric.title, made)

    def _scores(self, report: Report, role: str, metric: Metric) -> Table | None:
        best = max if metric.larger_is_better else min
        return scale_table(
            report,
            role,
            metric.name,
            metric.title,
            partial(_score, report, metric),
            best,
            notes=list(self._notes(report, role, metric)),
        )

    def _notes(self, report: Report, role: str, metric: Metric) -> Iterator[str]:
        shown = (*report.results.values(), *report.printed.values())
        printed = any(metric.name in result.printed for result in shown if result.role == role)
        if printed and role in report.roles:
            yield words.IN_PARENTHESES
        elif report.experiment.reproduces and metric.name != "psnr":
            yield f"The paper prints no {metric.label} here."
        yield words.protocol_note(report, role)
        yield words.lr_note(report, role)
        yield from words.column_notes(report, role) if role in report.roles else ()
        yield _interval_note(report, role, metric)
        yield from _too_few(report, role, metric)
        yield self.notes.get(role, "")
        yield words.field_note(report, role)
        yield from words.published_notes(report, role, metric.name)


def _score(report: Report, metric: Metric, result: Result) -> Entry:
    show = partial(decimals, digits=metric.digits)
    value, paper = result.metric(metric.name), result.paper(metric.name)
    published = "" if paper is None else show(paper)
    if value is None:
        known = result.missing or _without(result, metric)
        return number(replace(result, missing=known), None, "", published)
    spread = result.spread(metric.name)
    parts = [f"{show(value)}{f' {metric.unit}' if metric.unit else ''} over {result.images} images"]
    if interval := result.interval(metric.name):
        parts.append(f"{CONFIDENCE_TEXT} interval {' to '.join(map(show, interval))}")
    if spread is not None:
        parts.append(f"sd of {len(result.seeds)} seeds {show(spread)}")
    if paper is not None and report.comparable(result.role, result.method):
        parts.append(f"{signed(float(f'{value:.{metric.digits}f}') - paper)} to published")
    found = report.to_baseline(result.method, result.role, result.scale, metric.name)
    if found is not None:
        base = report.label(report.baseline(result.method))
        between = interval_text(found.low, found.high, metric.digits + 1)
        decided = "" if found.decided else ", not decided"
        parts.append(f"{signed(found.mean, metric.digits + 1)} {between} to {base}{decided}")
    seeds = "" if spread is None else f"\N{PLUS-MINUS SIGN} {show(spread)}"
    return number(result, value, show(value), published, "; ".join(parts), seeds)


def _without(result: Result, metric: Metric) -> str:
    """Say why images that have a PSNR have no value of a metric; "" where nothing is known."""
    reasons = result.rows.get("reason", ())
    parts = (part for reason in reasons for part in str(reason).split("; "))
    start = no_value(metric.name)
    return "; ".join(dict.fromkeys(p.removeprefix(start) for p in parts if p.startswith(start)))


def _interval_note(report: Report, role: str, metric: Metric) -> str:
    """Say how wide the intervals of the means are, which tooltips and the CSV file list."""
    results = [result for result in report.results.values() if result.role == role]
    found = filter(None, (result.interval(metric.name) for result in results))
    halves = [(high - low) / 2 for low, high in found]
    if not halves:
        return ""
    least, most = (decimals(value, metric.digits) for value in (min(halves), max(halves)))
    seeds = any(len(result.seeds) > 1 for result in results)
    return sentences(
        f"{CONFIDENCE_TEXT} intervals of the means over images are \N{PLUS-MINUS SIGN}{least} to "
        f"\N{PLUS-MINUS SIGN}{most}{f' {metric.unit}' if metric.unit else ''}; each is in the CSV "
        "file.",
        "Behind \N{PLUS-MINUS SIGN}: standard deviation between seeds." if seeds else "",
    )


def _too_few(report: Report, role: str, metric: Metric) -> list[str]:
    """Name the columns where images have a PSNR and no value of a metric, and why."""
    counts = dict.fromkeys(
        (
            scale,
            result.means[metric.name].images if metric.name in result.means else 0,
            result.images,
            _without(result, metric),
        )
        for scale in report.scales
        for result in (report.measured(role, scale) if role in report.roles else ())
        if not result.unscored
    )
    return [
        f"At {scale_text(scale)}, {metric.label} is over {few} of {images} images; "
        f"{why or 'its window does not fit into the others'}."
        for scale, few, images, why in counts
        if few != images
    ]


def _differences(report: Report, role: str, metric: Metric) -> Table | None:
    """Make the table of differences to baselines; None where no pair was measured."""
    if role not in report.roles:
        return None

    def entry(result: Result) -> Entry:
        found = report.to_baseline(result.method, result.role, result.scale, metric.name)
        if found is None:
            return Entry()
        better = found.better if metric.larger_is_better else found.worse
        detail = f"better on {better} of {found.images} images, sign test p = {found.sign:.2g}"
        return Entry(
            signed(found.mean, metric.digits),
            detail=detail if found.decided else f"{detail}; not decided",
            mark="" if found.decided else "undecided",
            beside=interval_text(found.low, found.high, metric.digits),
        )

    rows = (r for r in report.experiment.rows if report.baseline(r) and report.is_run(r))
    pairs = grouped((report.label(report.baseline(row)), report.label(row)) for row in rows)
    listed = "; ".join(f"{base} for {', '.join(own)}" for base, own in pairs.items())
    key, title = f"{metric.name}-difference", f"{metric.title}, difference to the baseline"
    notes = [f"Baselines: {listed}.", _PAIRED]
    return scale_table(report, role, key, title, entry, notes=notes)
