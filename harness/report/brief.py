"""Result of a report in one table: what every method loses to its baseline, and what it saves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from statistics import fmean

import pandas as pd

from baselines import parse
from baselines.registry import heads
from harness.measure.statistics import FEWEST, paired_difference
from harness.report import words
from harness.report.data import Report, Result
from harness.report.frame import RESAMPLES
from harness.report.model import Section, section
from harness.report.sections.macs import percent_of_baseline
from harness.report.tables import Column, Entry, table
from harness.report.text import grouped, interval_text, listing, scale_text, signed
from harness.runs.experiment import IN_SCALE

Places = Sequence[tuple[str, float]]
"""(role, scale) that a mean is over."""


def brief(report: Report) -> Section | None:
    """Make the table of mean PSNR differences and shares of MACs; None where no pair was measured.

    A mean is over the same sets and scales for every method; one that lacks a place has none. What
    training covers and what it does not stand apart.
    """
    rows = [row for row in report.experiment.rows if report.baseline(row) and report.is_run(row)]
    part = "MACs" if report.experiment.macs_of == "all" else "decoder MACs"
    said = f"PSNR (dB) minus that of the method's baseline; {part} as share of the baseline's"
    caption = f"{'; '.join(filter(None, [said, ', '.join(words.tags(report))]))}."
    columns: list[Column] = []
    over: list[tuple[str, str]] = []  # (what a mean is over, its scales)
    for covered in (True, False):
        places = [
            (role, scale)
            for role in _roles(report)
            for scale in report.scales
            if (scale <= IN_SCALE) == covered
            and any(report.to_baseline(row, role, scale, "psnr") for row in rows)
        ]
        if places:
            ends = sorted({scale for _, scale in places})
            group = " to ".join(map(scale_text, dict.fromkeys((ends[0], ends[-1]))))
            sets = list(dict.fromkeys(report.role(role).dataset for role, _ in places))
            same = " (each weighs the same)" * (len(sets) > 1)
            over.append((f"Mean over the images of {listing(sets)}{same} and over scales.", group))
            columns += [
                Column(group, "PSNR", partial(_loss, report, places)),
                Column(group, "MACs", partial(_share, report, places)),
            ]
    means = grouped(over)
    notes = [
        *(f"{listing(at)}: {mean}" if len(means) > 1 else mean for mean, at in means.items()),
        f"In brackets: {words.CONFIDENCE_TEXT} interval over images, paired by image; none of "
        f"fewer than {FEWEST} images.",
        words.IN_PARENTHESES,
        *dict.fromkeys(filter(None, map(_variant, rows))),
    ]
    made = table(
        report, "brief", "What is lost and saved", columns, notes, caption=caption, own=True
    )
    if made and not any(entry.published for _, row in made.rows for entry in row):
        made = replace(made, notes=tuple(n for n in made.notes if n != words.IN_PARENTHESES))
    return section("brief", "In brief", [made])


def _roles(report: Report) -> Iterable[str]:
    """List a role for each dataset that was measured."""
    found: dict[str, str] = {}
    for role in report.roles:
        found.setdefault(report.role(role).dataset, role)
    return found.values()


def _variant(row: str) -> str:
    """Say what a variant of a head is; "" for other methods."""
    method = parse(row)
    about = heads()[method.head].variants[method.variant] if method.head else ""
    return about and f"-{method.variant}: {about}."


def _pairs(report: Report, places: Places, row: str) -> list[tuple[Result, Result]]:
    """List the results of a row and of its baseline at every place."""
    base = report.baseline(row)
    return [(report.at(row, *place), report.at(base, *place)) for place in places if base]


def _loss(report: Report, places: Places, row: str) -> Entry:
    pairs = _pairs(report, places, row)
    if not pairs:
        return Entry()
    sets: dict[str, list[pd.Series]] = {}
    for own, base in pairs:
        values = report.images("psnr", own.role, own.scale)
        if not {own.method, base.method} <= {*values}:
            lacks = own.missing or base.missing or "without PSNR"
            return Entry(why=f"{own.dataset} at {scale_text(own.scale)}: {lacks}")
        sets.setdefault(own.role, []).append(values[own.method] - values[base.method])
    by_image = [pd.concat(gaps, axis=1).mean(axis=1).dropna().tolist() for gaps in sets.values()]
    if not all(by_image):
        return Entry(why="all images are equal")
    found = paired_difference(*by_image, resamples=RESAMPLES)
    enough = found.images >= FEWEST
    printed = [(own.paper("psnr"), base.paper("psnr")) for own, base in pairs]
    known = [a - b for a, b in printed if a is not None and b is not None]
    return Entry(
        signed(found.mean),
        signed(fmean(known)) if len(known) == len(pairs) else "",
        detail=f"{found.images} images",
        beside=interval_text(found.low, found.high) if enough else "",
    )


def _share(report: Report, places: Places, row: str) -> Entry:
    results = [own for own, _ in _pairs(report, places, row)]
    shares = [percent_of_baseline(report, result) for result in results]
    known = [share for share in shares if share is not None]
    printed = [paper for result in results if (paper := result.paper("percent")) is not None]
    return Entry(
        f"{fmean(known):.0f} %" if known and len(known) == len(results) else "",
        f"{fmean(printed):.0f} %" if printed and len(printed) == len(results) else "",
    )
