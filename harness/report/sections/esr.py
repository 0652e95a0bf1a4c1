"""Scores of the NTIRE challenges on efficient super-resolution, and costs per output megapixel.

A challenge's score is a weighted sum of exp(2 x / baseline) for runtime, multiply-adds and
parameters; the baseline has 7.39, and less is better. Runtimes compare on one machine only, so the
baselines are run here too. A score of many times the baseline's cost is too large for a float, so
its logarithm is what is computed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import scipy
from matplotlib.ticker import LogLocator, NullLocator

from harness.data.roles import INPUT
from harness.measure.costs import FIRST, LATENCY, values_of
from harness.measure.macs import ACTIVATIONS_AT
from harness.measure.timing import spread
from harness.report import charts, words
from harness.report.costs import milliseconds
from harness.report.data import Report
from harness.report.model import Figure, Section, Table, section
from harness.report.sections.costs import cost_at
from harness.report.tables import Column, Entry, by_scale, number, table
from harness.report.text import EN_DASH, TIMES, decimals, scale_text
from harness.runs.experiment import SectionMaker

SCALE = 4
"""Scale of the challenges."""
LEVEL = 0.05
"""Probability of calling any two equal networks different, over all pairs of a challenge."""


@dataclass(frozen=True)
class Challenge:
    """Rules of one year.

    Attributes:
        year: year of the challenge.
        row: the baseline's row.
        runtime, macs, parameters: weights of the parts of the score; their sum is 1.
        device: what the challenge measures runtimes on.
        source: where the rules are from.
    """

    year: int
    row: str
    runtime: float
    macs: float
    parameters: float
    device: str
    source: str


CHALLENGES = (
    Challenge(2024, "rlfn-xN", 0.7, 0.15, 0.15, "RTX 3090", "NTIRE2024_ESR, README"),
    Challenge(2025, "efdn-xN", 0.7, 0.15, 0.15, "RTX A6000", "NTIRE2025_ESR, README"),
    Challenge(2026, "span-xN", 0.8, 0.1, 0.1, "RTX A6000", "NTIRE2026_ESR, README"),
)


@dataclass(frozen=True)
class Candidate:
    """Costs of a row at the scale of the challenges.

    Attributes:
        parameters: number of trainable parameters.
        macs: multiply-adds of a 256x256 input.
        seconds: seconds of each warm call.
    """

    row: str
    parameters: float
    macs: float
    seconds: tuple[float, ...]


def candidates(report: Report) -> list[Candidate]:
    """List the rows of which everything that a score needs was measured."""
    found = []
    for row in report.experiment.rows:
        result = report.at(row, INPUT, SCALE)
        macs, parameters = result.metric("macs"), result.metric("parameters")
        timed = report.costs.latency.rows.get((row, SCALE))
        if macs and parameters and timed is not None:
            found.append(Candidate(row, parameters, macs, values_of(timed, LATENCY)))
    return found


@dataclass(frozen=True)
class Ranking:
    """Scores of a year.

    Attributes:
        challenge: the year's rules.
        scores: natural logarithm of the score at the median runtime, by row.
        places: as `places` returns.
    """

    challenge: Challenge
    scores: Mapping[str, float]
    places: Mapping[str, tuple[int, int]]


def log_scores(challenge: Challenge, own: Candidate, base: Candidate) -> np.ndarray:
    """Compute the natural logarithm of the score of each call, against the baseline's median.

    Example:
        >>> base = Candidate("span-xN", 151e3, 9.83e9, (0.00774,))
        >>> np.exp(log_scores(CHALLENGES[2], base, base)).round(4).tolist()
        [7.3891]
    """
    runtime = 2 * np.array(own.seconds) / spread(base.seconds).median
    macs, parameters = 2 * own.macs / base.macs, 2 * own.parameters / base.parameters
    fixed = np.logaddexp(
        math.log(challenge.macs) + macs, math.log(challenge.parameters) + parameters
    )
    return np.asarray(np.logaddexp(math.log(challenge.runtime) + runtime, fixed))


def places(scores: Mapping[str, np.ndarray]) -> dict[str, tuple[int, int]]:
    """Rank names by scores, the smallest first, as far as their calls tell them apart.

    Two names are in order if a two-sided Mann-Whitney test over their calls says so, with Holm's
    correction for all pairs at `LEVEL`.

    Returns:
        The first and the last place that each may have.

    Example:
        >>> low, high = np.arange(9.0), np.arange(9.0) + 100
        >>> places({"slow": high, "fast": low, "as fast": low})
        {'slow': (3, 3), 'fast': (1, 2), 'as fast': (1, 2)}
    """
    pairs = list(itertools.combinations(scores, 2))
    values = [float(scipy.stats.mannwhitneyu(scores[a], scores[b]).pvalue) for a, b in pairs]
    better = dict.fromkeys(scores, 0)
    worse = dict.fromkeys(scores, 0)
    for rank, index in enumerate(sorted(range(len(pairs)), key=values.__getitem__)):
        if not values[index] <= LEVEL / (len(pairs) - rank):
            break
        first, second = sorted(pairs[index], key=lambda name: np.median(scores[name]))
        better[second] += 1
        worse[first] += 1
    return {name: (1 + better[name], len(scores) - worse[name]) for name in scores}


def score_text(log: float) -> str:
    """Format a score by its logarithm: two decimals, or a power of ten.

    Example:
        >>> score_text(2), score_text(400)
        ('7.39', '5.2e173')
    """
    if log < math.log(1e4):
        return decimals(math.exp(log))
    exponent = math.floor(log / math.log(10))
    return f"{math.exp(log - exponent * math.log(10)):.1f}e{exponent}"


@dataclass(frozen=True)
class Efficiency(SectionMaker):
    """Tables of costs at x4, and of the challenges' scores with the places that are certain."""

    macs: ClassVar[bool] = True
    costs: ClassVar[bool] = True
    untrained: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        title = f"Efficiency at {scale_text(SCALE)}"
        return section("efficiency", title, [_costs(report), _scores(report)])

    def facts(self, report: Report) -> dict[str, Any]:
        """Return score and places of each year, by row."""
        return {
            "esr": {
                str(ranking.challenge.year): {
                    row: {"log_score": log, "places": list(ranking.places[row])}
                    for row, log in ranking.scores.items()
                }
                for ranking in rankings(report)
            }
        }


def rankings(report: Report) -> Iterator[Ranking]:
    """Yield the ranking of each year whose baseline was run."""
    found = {each.row: each for each in candidates(report)}
    for challenge in CHALLENGES:
        base = found.get(challenge.row)
        if base is not None:
            calls = {row: log_scores(challenge, own, base) for row, own in found.items()}
            medians = {
                row: replace(own, seconds=(spread(own.seconds).median,))
                for row, own in found.items()
            }
            scores = {row: log_scores(challenge, m, base).item() for row, m in medians.items()}
            yield Ranking(challenge, scores, places(calls))


def _why(report: Report, row: str) -> str:
    """Say why a row has no score or cost at the scale."""
    missing = report.at(row, INPUT, SCALE).missing
    return missing or report.costs.latency.missing.get((row, SCALE), "")


def _counted(report: Report, name: str, unit: float, digits: int, row: str) -> Entry:
    result = report.at(row, INPUT, SCALE)
    value = result.metric(name)
    if value is None and not result.missing:
        return Entry(why="it depends on the experts that layers choose")
    return number(result, value, "" if value is None else decimals(value / unit, digits))


def _weights(report: Report, row: str) -> Entry:
    timed = report.costs.latency.rows.get((row, SCALE))
    if timed is None:
        return Entry(why=_why(report, row))
    return Entry("random" if timed["checkpoint"].startswith("shapes-") else "trained")


def _first(report: Report, row: str) -> Entry:
    timed = report.costs.latency.rows.get((row, SCALE))
    first = timed and timed["facts"][FIRST]
    return Entry(milliseconds(first), value=first) if first else Entry(why=_why(report, row))


def _costs(report: Report) -> Table | None:
    size = TIMES.join(map(str, ACTIVATIONS_AT))
    measured, memory = report.costs.latency, report.costs.memory
    lr = f"{measured.setting.size} input" if measured.setting else "not measured"
    counted = partial(partial, _counted, report)
    notes = [
        "MACs (printed as FLOPs by the challenges): convolutions and linear layers of the whole "
        "network, every query through its MLP; fvcore, which the challenges use, adds four for "
        "each pixel that is interpolated, 0.1 % of RLFN and EFDN. Kernels that IGConv makes once "
        "for a scale are left out.",
        "Activations: values that 2D convolutions put out, as the challenges count them. Linear "
        "layers that answer queries are not in them, nor IGConv's upsampler: those networks have "
        "many more values than is counted.",
        f"Latency: median of {measured.calls} warm calls, in brackets the quartiles. "
        "First call: of the network in this process, before it is warm; the challenges' script, "
        "which does not warm up, has it in its mean.",
        measured.turns((SCALE,)),
        measured.load(),
        "Weights: a plain network with random ones costs the same; which experts a mixture with "
        "random ones chooses means nothing.",
    ]
    columns = [
        Column("network", "weights", partial(_weights, report)),
        Column("network", "parameters (K)", counted("parameters", 1e3, 1), min, SCALE),
        Column(f"{size} input", "GMACs", counted("macs", 1e9, 2), min, SCALE),
        Column(f"{size} input", "activations (M)", counted("activations", 1e6, 2), min, SCALE),
        Column(lr, "latency (ms)", lambda row: cost_at(measured, row, SCALE), min, SCALE),
        Column(lr, "first call (ms)", partial(_first, report), min, SCALE),
        Column(lr, "peak memory (MiB)", lambda row: cost_at(memory, row, SCALE), min, SCALE),
    ]
    caption = words.setting_of_costs(report, measured)
    title = f"Costs at {scale_text(SCALE)}"
    return table(report, "costs", title, columns, notes, caption=caption, own=True)


def _scores(report: Report) -> Table | None:
    columns = []
    ranked = list(rankings(report))
    for ranking in ranked:

        def score(row: str, scores: Mapping[str, float] = ranking.scores) -> Entry:
            if row not in scores:
                return Entry(why=_why(report, row))
            return Entry(score_text(scores[row]), value=scores[row])

        def place(row: str, found: Mapping[str, tuple[int, int]] = ranking.places) -> Entry:
            ends = dict.fromkeys(found.get(row, ()))
            return Entry(EN_DASH.join(map(str, ends)))

        group = f"{ranking.challenge.year}, {report.label(ranking.challenge.row)}"
        columns += [
            Column(group, "score", score, min, SCALE),
            Column(group, "places", place),
        ]
    if not columns:
        return None
    notes = [
        f"{c.year}: {c.runtime:g} exp(2 runtime / baseline) + {c.macs:g} exp(2 MACs / baseline) + "
        f"{c.parameters:g} exp(2 parameters / baseline), baseline {report.label(c.row)} "
        f"({c.source})."
        for c in (ranking.challenge for ranking in ranked)
    ]
    devices = " and ".join(dict.fromkeys(ranking.challenge.device for ranking in ranked))
    notes += [
        f"All runtimes are of this machine, those of the baselines too; the challenges measure on "
        f"{devices}, so these scores are not theirs.",
        "Places: what a Mann-Whitney test over the calls' scores (two-sided, Holm's correction for "
        f"all pairs, {100 * LEVEL:g} %) does not rule out. It takes calls for independent.",
        "The challenges leave out networks below 26.90 dB on DIV2K and LSDIR's validation images; "
        "here no image is scored.",
    ]
    caption = words.setting_of_costs(report, report.costs.latency)
    title = "Scores of the NTIRE challenges (less is better)"
    return table(report, "scores", title, columns, notes, caption=caption, own=True)


@dataclass(frozen=True)
class PerMegapixel(SectionMaker):
    """Tables and a figure of what a megapixel of the SR image costs at every scale."""

    macs: ClassVar[bool] = True
    costs: ClassVar[bool] = True
    untrained: ClassVar[bool] = True
    draws: ClassVar[bool] = True

    def make(self, report: Report, folder: Path | None) -> Section | None:
        measured = report.costs.latency
        caption = words.setting_of_costs(report, measured)
        of_macs = (
            "MACs of the whole network for the 256x256 input, over the pixels of the SR image."
        )
        of_time = "Median latency over the pixels of the SR image."
        tables = [
            _table(report, "macs", _GMACS, words.caption(report, INPUT), [of_macs]),
            _table(report, "latency", _MS, caption, [of_time, measured.turns(report.scales)]),
        ]
        figures = [] if folder is None else [_draw(report, folder)]
        return section("megapixel", "Cost per output megapixel", tables, figures)


_GMACS, _MS = "GMACs per output megapixel", "Latency per output megapixel (ms)"


def _per_megapixel(report: Report, what: str, row: str, scale: float) -> tuple[float | None, str]:
    """Compute GMACs or milliseconds for a megapixel; or say why there is no number."""
    result, measured = report.at(row, INPUT, scale), report.costs.latency
    found = measured.at(row, scale)
    if what == _GMACS:
        macs = result.metric("macs")
        pixels = math.prod(ACTIVATIONS_AT) * scale**2
        return None if macs is None else macs / 1e9 / (pixels / 1e6), result.missing
    if found is None or measured.setting is None:
        return None, measured.missing[row, scale]
    pixels = math.prod(measured.setting.lr_size) * scale**2
    return found.median * 1e3 / (pixels / 1e6), ""


def _table(report: Report, key: str, what: str, caption: str, notes: list[str]) -> Table | None:
    def entry(row: str, scale: float) -> Entry:
        value, why = _per_megapixel(report, what, row, scale)
        if value is None:
            return Entry(why=why)
        text = decimals(value) if what == _GMACS else milliseconds(value / 1e3)
        return Entry(text, value=value)

    columns = by_scale(report.scales, entry, min)
    return table(report, f"megapixel-{key}", what, columns, notes, caption=caption, own=True)


def _draw(report: Report, folder: Path) -> Figure | None:
    about = {"kind": "measured"}
    lines = [
        {"method": row, "label": report.label(row), "panel": what, "x": scale, "y": value, **about}
        for what in (_GMACS, _MS)
        for row in report.experiment.rows
        for scale in report.scales
        for value in [_per_megapixel(report, what, row, scale)[0]]
        if value is not None
    ]
    if not lines:
        return None
    data = charts.with_looks(pd.DataFrame(lines), report)
    data.attrs = {"x": "scale factor"}
    figure = charts.grid(report, INPUT, data, height=2.6)
    for panel in figure.axes[: data["panel"].nunique()]:
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter(charts.in_units)
        panel.yaxis.set_minor_locator(NullLocator())
    setting = report.costs.latency.setting
    where = f" Latency: median of warm calls on {setting.in_words()}." if setting else ""
    return charts.save(
        figure,
        folder / "cost_per_megapixel",
        "Cost per output megapixel over scale",
        report,
        INPUT,
        f"What a megapixel of the SR image costs.{where}",
        data=data,
    )
