"""Latency and peak memory in a report: all of one machine and setting, or not shown.

A plan may point to costs of several machines, when methods were added on another one. Those that
most methods have are shown; methods measured elsewhere have no number and say where.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.measure.costs import KIND, LATENCY, LOAD, MEMORY, TURN, values_of, why_not
from harness.measure.machine import in_words
from harness.measure.macs import COSTS
from harness.measure.peak_memory import OWN_MEMORY
from harness.measure.timing import Spread, spread
from harness.report.paper import LEFT_OUT, unable
from harness.report.text import EN_DASH, TIMES, counted, decimals, scales_text
from harness.runs.experiment import Experiment, method_at
from harness.runs.plan import StoredPlan, measurements_dir, unit_rows

_Key = tuple[str, float]
"""(row, scale)"""
_Found = Mapping[_Key, dict[str, Any] | None]


@dataclass(frozen=True)
class CostSetting:
    """Setting that must be the same for costs to be compared.

    Attributes:
        machine: (name, value) pairs of `harness.measure.costs.this_machine`.
        lr_size: (h, w) of the LR image.
        memory_kind: kind of peaks; "" for latency.
    """

    machine: tuple[tuple[str, Any], ...]
    lr_size: tuple[int, int]
    image: str
    precision: str
    memory_mib: int | None
    memory_kind: str

    def in_words(self) -> str:
        """Describe the machine and what else decides the costs."""
        bands = "" if self.memory_mib is None else f", bands of {self.memory_mib} MiB"
        how = f"{in_words(dict(self.machine))}, {self.precision}{bands}"
        return f"{how}; LR image of {self.size} ({self.image})"

    @property
    def size(self) -> str:
        """Size of the LR image in print."""
        return f"{self.lr_size[0]}{TIMES}{self.lr_size[1]}"


@dataclass(frozen=True)
class Measured:
    """One kind of cost of every row at every scale, all in one setting.

    Attributes:
        metric: `LATENCY` or `MEMORY` of `harness.measure.costs`.
        rows: stored rows by (row of the experiment, scale).
        missing: why there is none.
        setting: setting of the rows; None where there are none.
    """

    metric: str
    rows: Mapping[_Key, dict[str, Any]] = field(default_factory=dict)
    missing: Mapping[_Key, str] = field(default_factory=dict)
    setting: CostSetting | None = None

    def at(self, row: str, scale: float) -> Spread | None:
        """Return median and quartiles, in seconds or bytes."""
        found = self.rows.get((row, scale))
        return None if found is None else spread(values_of(found, self.metric))

    def show(self, value: float) -> str:
        """Format a latency in milliseconds, or a peak in MiB."""
        return milliseconds(value) if self.metric == LATENCY else decimals(value / 2**20, digits=1)

    @property
    def calls(self) -> str:
        """Number of calls that medians are of, as text."""
        counts = {len(values_of(row, self.metric)) for row in self.rows.values()}
        return " or ".join(map(str, sorted(counts)))

    def turns(self, scales: Collection[float]) -> str:
        """Say whether what is shown was measured in interleaved runs; "" where nothing was."""
        if not self.rows:
            return ""
        turns = {s: {r["facts"][TURN] for (_, t), r in self.rows.items() if t == s} for s in scales}
        apart = [scale for scale in scales if len(turns[scale]) > 1]
        if apart:
            return (
                f"NOT all of {scales_text(apart)} were timed in interleaved runs, but at different "
                "times."
            )
        return "Their calls are interleaved, so that other load of the machine affects all of them."

    def load(self) -> str:
        """Say how busy the machine was: a timing on a busy one is an upper bound."""
        known = [row["facts"][LOAD] for row in self.rows.values() if LOAD in row["facts"]]
        if not known or self.setting is None:
            return ""
        cores = dict(self.setting.machine)["cores"]
        return (
            f"Load of the machine before the measurements: {min(known):g} to {max(known):g}, on "
            f"{counted(cores, 'core')}."
        )


@dataclass(frozen=True)
class Costs:
    """Latency and memory of a report."""

    latency: Measured = field(default_factory=partial(Measured, LATENCY))
    memory: Measured = field(default_factory=partial(Measured, MEMORY))

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every value as a line of the tidy frame."""
        return [
            {"method": row, "scale": scale, "metric": measured.metric, "value": value}
            | {name: found[name] for name in ("image", "seed")}
            for measured in (self.latency, self.memory)
            for (row, scale), found in measured.rows.items()
            for value in values_of(found, measured.metric)
        ]


def milliseconds(seconds: float) -> str:
    """Format with three digits, or more where they stand before the point."""
    value = 1000 * seconds
    return decimals(value, digits=2 if value < 9.995 else 1 if value < 99.95 else 0)


def quartiles(value: Spread) -> str:
    """Format as `[11.9-12.8]`; empty where there is one value."""
    low, high = milliseconds(value.low), milliseconds(value.high)
    return "" if value.low == value.high else f"[{low}{EN_DASH}{high}]"


def memory_in_words(kind: str) -> str:
    """Say which kind of peak it is, as a sentence; `kind` as in stored rows."""
    imported = "above that of a process that has only imported the program"
    return {
        OWN_MEMORY: f"Resident memory of the process without that of files (libraries), at its "
        f"peak while the image is enlarged, {imported}.",
        "process": f"Resident memory at its peak while the image is enlarged, {imported}.",
        "process since start": f"Resident memory at its peak since the process began, {imported}.",
        "cuda allocator": "Peak of the CUDA allocator while the image is enlarged.",
    }.get(kind, "Peak memory.")


def load_costs(
    results: Path, plan: StoredPlan, experiment: Experiment, scales: Sequence[float]
) -> Costs:
    """Read the costs that a plan points to. Raises: as `harness.runs.plan.unit_rows`."""
    if not experiment.measures_costs:
        return Costs()
    folder = measurements_dir(results, plan.profile)
    stored = {
        (unit.method, unit.scale): next(iter(unit_rows(folder, unit)), None)
        for unit in plan.units
        if unit.role == COSTS
    }
    found = {
        (row, scale): stored.get((method_at(row, scale) or "", scale))
        for row in experiment.rows
        for scale in scales
    }
    # One setting for both, as they stand side by side.
    both = [*_settings(found, LATENCY).values(), *_settings(found, MEMORY).values()]
    setting = _commonest((replace(own, memory_kind=""), when) for own, when in both)
    why = {row.method: row.missing for row in plan.added if row.missing}

    def absent(row: str, scale: float) -> str:
        method = method_at(row, scale)
        if method is None:
            return unable(row)
        return "not measured" if (method, scale) in stored else why.get(method, LEFT_OUT)

    return Costs(*(_of_setting(metric, found, setting, absent) for metric in (LATENCY, MEMORY)))


def _settings(found: _Found, metric: str) -> dict[_Key, tuple[CostSetting, str]]:
    """Find where, how and when each cost was measured."""
    return {
        key: (setting_of(row, metric), row["measured_at"])
        for key, row in found.items()
        if row is not None and values_of(row, metric)
    }


def setting_of(row: Mapping[str, Any], metric: str) -> CostSetting:
    """Return where and how a cost of a stored row was measured."""
    return CostSetting(
        machine=tuple(row["machine"].items()),
        lr_size=tuple(row["lr_size"]),
        image=row["image"],
        precision=row["precision"],
        memory_mib=row["memory_mib"],
        memory_kind=row["facts"][KIND] if metric == MEMORY else "",
    )


def _of_setting(
    metric: str, found: _Found, setting: CostSetting | None, absent: Callable[[str, float], str]
) -> Measured:
    """Select what was measured in a setting; other rows are missing, with the reason."""
    own = _settings(found, metric)
    shown = _commonest(each for each in own.values() if replace(each[0], memory_kind="") == setting)
    rows: dict[_Key, dict[str, Any]] = {}
    missing: dict[_Key, str] = {}
    for key, row in found.items():
        if row is None:
            missing[key] = absent(*key)
        elif key not in own:
            why = why_not(row, metric)
            missing[key] = f"not measured: {why}" if why else "not measured"
        elif own[key][0] == shown:
            rows[key] = row
        else:
            missing[key] = _why_apart(own[key][0], shown or setting)
    return Measured(metric, rows, missing, shown)


def _why_apart(other: CostSetting, shown: CostSetting | None) -> str:
    """Say why a value is not shown beside those of the setting that is shown."""
    device = dict(other.machine)["device"]
    if shown:
        here = tuple({**dict(shown.machine), "device": device}.items())
        if replace(shown, machine=here, memory_kind=other.memory_kind) == other:
            return f"measured on another device than the others, {device}"
    return f"measured elsewhere, and not comparable: {other.in_words()}"


def _commonest(settings: Iterable[tuple[CostSetting, str]]) -> CostSetting | None:
    """Find the setting of most costs; among equals, the one that was measured last."""
    found: dict[CostSetting, list[str]] = {}
    for setting, when in settings:
        found.setdefault(setting, []).append(when)
    return max(found, key=lambda s: (len(found[s]), max(found[s])), default=None)
