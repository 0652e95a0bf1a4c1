"""Summary of a report in one table: what every method loses to its baseline, and what it saves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pandas as pd

from baselines import parse
from baselines.registry import heads
from harness.measure.statistics import FEWEST, paired_difference
from harness.report import words
from harness.report.data import Report, distinct
from harness.report.frame import RESAMPLES
from harness.report.model import Section, section
from harness.report.tables import Column, Entry, table
from harness.report.text import grouped, interval_text, listing, scale_text, scales_text, signed
from harness.runs.experiment import IN_SCALE

Place = tuple[str, float]
"""(role, scale)"""


def brief(report: Report) -> Section | None:
    """Make the table of mean PSNR differences and shares of MACs; None where no pair was measured.

    A mean is over the same sets and scales for every method, and over images that are large enough
    at all of them; a method that lacks one has none. What training covers and what it does not
    stand apart, and so do protocols.
    """
    rows = [row for row in report.experiment.rows if report.baseline(row) and report.is_run(row)]
    groups = {} if report.experiment.regions_only else _groups(report, rows)
    columns: list[Column] = []
    over: list[tuple[str, str]] = []  # (what a mean is over, its heading)
    for (covered, protocol), places in groups.items():
        scales = sorted({scale for _, scale in places})
        between = [s for s in report.scales if scales[0] <= s <= scales[-1]]
        head = scales_text(scales)
        if len(scales) > 2 and scales == between:
            head = f"{scale_text(scales[0])} to {scale_text(scales[-1])}"
        if (covered, protocol) != next(key for key in groups if key[0] == covered):
            head = f"{head}, {protocol}"
        pairs = {row: _entries(report, row, places) for row in rows}
        for number, name in enumerate(("PSNR", "MACs")):
            entries = defaultdict(Entry, {row: pair[number] for row, pair in pairs.items()})
            columns.append(Column(head, name, entries.__getitem__))
        over.append((_over(report, places), head))
    means = grouped(over)
    part = "MACs" if report.experiment.macs_of == "all" else "decoder MACs"
    said = f"PSNR (dB) minus that of the method's baseline; {part} as share of the baseline's"
    shown = [column.entry(row) for column in columns for row in rows]
    notes = [
        *(f"{listing(at)}: {mean}" if len(means) > 1 else mean for mean, at in means.items()),
        f"In brackets: {words.CONFIDENCE_TEXT} interval over images, paired by image."
        if any(entry.beside for entry in shown)
        else f"Without intervals, which take at least {FEWEST} images.",
        words.IN_PARENTHESES if any(entry.published for entry in shown) else "",
        *dict.fromkeys(filter(None, map(_variant, rows))),
    ]
    made = table(
        report,
        "brief",
        "What is lost and saved",
        columns,
        notes,
        caption=f"{'; '.join(filter(None, [said, ', '.join(words.tags(report))]))}.",
        own=True,
    )
    return section("brief", "In brief", [made])


def _groups(report: Report, rows: Iterable[str]) -> dict[tuple[bool, str], list[Place]]:
    """Collect where something was measured, by whether training covers it and by protocol.

    Of several roles that one dataset stands for under one protocol, the first is taken.
    """
    systems = {system for row in rows for system in (row, report.baseline(row))}
    groups: dict[tuple[bool, str], list[Place]] = {}
    taken = set()
    for scale in report.scales:
        for role in report.roles:
            results = [report.at(system, role, scale) for system in systems]
            scored = [result for result in results if result.psnr is not None]
            protocol = ", ".join(distinct(p for each in scored for p in each.source("protocol")))
            place = (report.role(role).dataset, scale, protocol)
            if scored and place not in taken:
                taken.add(place)
                groups.setdefault((scale <= IN_SCALE, protocol), []).append((role, scale))
    return dict(sorted(groups.items(), key=lambda group: not group[0][0]))


def _over(report: Report, places: Iterable[Place]) -> str:
    """Say what a mean is over."""
    scales = grouped((report.role(role).dataset, scale_text(scale)) for role, scale in places)
    alike = len({*map(tuple, scales.values())}) == 1
    sets = [name if alike else f"{name} ({', '.join(at)})" for name, at in scales.items()]
    same = ", each of which weighs the same" * (len(sets) > 1)
    many = ", and over scales" * (len({at for every in scales.values() for at in every}) > 1)
    return f"Mean over the images of {listing(sets)}{same}{many}."


def _variant(row: str) -> str:
    """Say what a variant of a head is; "" for other methods."""
    method = parse(row)
    family = heads().get(method.head)
    about = family.variants.get(method.variant, "") if family else ""
    return about and f"-{method.variant}: {about}."


@dataclass(frozen=True)
class _OnSet:
    """Numbers of a row against its baseline on a set, as means over scales.

    Attributes:
        gaps: difference in PSNR of each image.
        share: MACs in percent of the baseline's.
        published: the paper's difference; None too where the set stands for several.
        published_share: the paper's percentage.
    """

    gaps: list[float]
    share: float | None
    published: float | None
    published_share: float | None


def _entries(report: Report, row: str, places: Sequence[Place]) -> tuple[Entry, Entry]:
    """Make the entries of a row: its difference to the baseline, and its share of MACs."""
    lacking = _lacking(report, row, places)
    scales = {} if lacking else grouped(places)
    sets = [_on_set(report, row, role, at) for role, at in scales.items()]
    if any(not each.gaps for each in sets):
        lacking = "no image is large enough at all scales"
    if lacking:
        return Entry(why=lacking), Entry(why=lacking)
    found = paired_difference(*(each.gaps for each in sets), resamples=RESAMPLES)
    published = _mean(each.published for each in sets)
    return (
        Entry(
            signed(found.mean),
            "" if published is None else signed(published),
            detail=f"{found.images} images",
            beside=interval_text(found.low, found.high) if found.images >= FEWEST else "",
        ),
        Entry(
            _percent(_mean(each.share for each in sets)),
            _percent(_mean(each.published_share for each in sets)),
        ),
    )


def _on_set(report: Report, row: str, role: str, scales: Iterable[float]) -> _OnSet:
    base = report.baseline(row)
    psnr, macs = ([report.images(name, role, s) for s in scales] for name in ("psnr", "macs"))
    gaps = pd.concat([by[row] - by[base] for by in psnr], axis=1).dropna()
    macs = [by.reindex(index=gaps.index, columns=[row, base]) for by in macs]
    results, bases = ([report.at(system, role, s) for s in scales] for system in (row, base))
    alone = sum(note.dataset == report.role(role).dataset for note in report.plan.roles) == 1
    own, other = (_mean(r.paper("psnr") for r in found if alone) for found in (results, bases))
    return _OnSet(
        gaps.mean(axis=1).tolist(),
        _mean(100 * by[row].mean() / by[base].mean() for by in macs),
        None if own is None or other is None else own - other,
        _mean(result.paper("percent") for result in results if alone),
    )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f} %"


def _lacking(report: Report, row: str, places: Iterable[Place]) -> str:
    """Say what a row or its baseline lacks at some place; "" where nothing is lacking."""
    base = report.baseline(row)
    for role, scale in places:
        psnr = report.images("psnr", role, scale)
        for system, whose in ((row, ""), (base, f"its baseline {report.label(base)}, ")):
            result = report.at(system, role, scale)
            where = f"{whose}{report.role(role).dataset} at {scale_text(scale)}: "
            if system not in psnr:
                return where + (result.missing or result.unscored or "no PSNR")
            if np.isinf(psnr[system]).any():
                return f"{where}an image is met exactly, its PSNR is infinite"
    return ""


def _mean(values: Iterable[float | None]) -> float | None:
    """Average values; None where one is missing, or all are."""
    known = [*values]
    lacks = any(value is None or np.isnan(value) for value in known)
    return None if lacks or not known else fmean(value for value in known if value is not None)
