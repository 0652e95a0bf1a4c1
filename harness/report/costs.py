"""Latency and peak memory in a report: all of one machine and setting, or not shown.

A plan may point to costs of several machines, when methods were added on another one. Those that
most cells have are shown; the others' cells are empty and say where they were measured.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from harness.common.errors import HarnessError
from harness.measure.cost_rows import (
    OWN_MEMORY,
    Cost,
    Kind,
    costs_dir,
    identity,
    latest,
    stored_rows,
)
from harness.measure.rows import CellFile
from harness.measure.timing import Spread, spread
from harness.report.paper import LEFT_OUT, unable
from harness.report.text import EN_DASH, TIMES, counted, decimals, scales_text
from harness.runs.experiment import Experiment, method_at
from harness.runs.plan import PlannedCost, StoredPlan

_Key = tuple[str, float]
"""(row, scale)"""


@dataclass(frozen=True)
class CostSetting:
    """Setting that must be the same for costs to be compared.

    Attributes:
        machine: (name, value) pairs of `harness.measure.cost_rows.identity`.
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
        of = dict(self.machine)
        on_cpu = str(of["device"]).startswith("cpu")
        parts = [
            f"{of['cpu']}, {counted(of['cores'], 'core')}, {counted(of['threads'], 'thread')}",
            *([] if on_cpu else [str(of["device"])]),
            f"{of['system']}, torch {of['torch']}, {self.precision}",
            *([] if self.memory_mib is None else [f"bands of {self.memory_mib} MiB"]),
        ]
        return f"{', '.join(parts)}; LR image of {self.size} ({self.image})"

    @property
    def size(self) -> str:
        """Size of the LR image in print."""
        return f"{self.lr_size[0]}{TIMES}{self.lr_size[1]}"


@dataclass(frozen=True)
class Measured:
    """One kind of cost of every row at every scale, all in one setting.

    Attributes:
        rows: stored rows by (row of the experiment, scale).
        missing: why there is none.
        setting: setting of the rows; None where there are none.
    """

    rows: Mapping[_Key, dict[str, Any]] = field(default_factory=dict)
    missing: Mapping[_Key, str] = field(default_factory=dict)
    setting: CostSetting | None = None

    def at(self, row: str, scale: float) -> Spread | None:
        """Return median and quartiles, in seconds or bytes."""
        found = self.rows.get((row, scale))
        return None if found is None else spread(found["values"])

    @property
    def calls(self) -> str:
        """Number of calls that medians are of, as text."""
        return " or ".join(map(str, sorted({len(row["values"]) for row in self.rows.values()})))

    def turns(self, scales: Collection[float]) -> str:
        """Say whether what is shown was measured in interleaved runs; "" where nothing was."""
        if not self.rows:
            return ""
        timings = {s: {r["timing"] for (_, t), r in self.rows.items() if t == s} for s in scales}
        apart = [scale for scale in scales if len(timings[scale]) > 1]
        if apart:
            return (
                f"NOT all of {scales_text(apart)} were timed in interleaved runs, but at different "
                "times."
            )
        return "Their calls are interleaved, so that other load of the machine affects all of them."

    def load(self) -> str:
        """Say how busy the machine was: a timing on a busy one is an upper bound."""
        known = [row["machine"]["load"] for row in self.rows.values()]
        known = [load for load in known if load is not None]
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

    latency: Measured = field(default_factory=Measured)
    memory: Measured = field(default_factory=Measured)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every value as a line of the tidy frame."""
        kinds = {"latency_s": self.latency, "peak_memory_bytes": self.memory}
        return [
            {"method": row, "scale": scale, "metric": metric, "value": value}
            | {name: found[name] for name in ("image", "seed")}
            for metric, measured in kinds.items()
            for (row, scale), found in measured.rows.items()
            for value in found["values"]
        ]


def milliseconds(seconds: float) -> str:
    """Format with three digits, or more where they stand before the point."""
    value = 1000 * seconds
    return decimals(value, digits=2 if value < 9.995 else 1 if value < 99.95 else 0)


def mebibytes(count: float) -> str:
    """Format bytes in MiB."""
    return decimals(count / 2**20, digits=1)


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
    """Read the costs that a plan points to.

    Raises:
        HarnessError: a file is damaged, or has rows of another method or scale.
    """
    if not experiment.measures_costs:
        return Costs()
    folder = costs_dir(results, plan.profile)
    stored = {(cost.method, cost.scale): _rows(folder, cost) for cost in plan.costs}
    kinds: tuple[Kind, Kind] = ("latency", "memory")
    why = {row.method: row.missing for row in plan.added if row.missing}
    newest = {
        kind: {
            (row, scale): latest(stored.get((method_at(row, scale) or "", scale), []), kind)
            for row in experiment.rows
            for scale in scales
        }
        for kind in kinds
    }
    # One setting for both, as they stand side by side.
    every = [row for found in newest.values() for row in found.values()]
    setting = _commonest(every, _without_kind)
    return Costs(*(_of_setting(newest[kind], setting, stored, why) for kind in kinds))


def _rows(folder: Path, cost: PlannedCost) -> list[dict[str, Any]]:
    path = folder / cost.file
    rows = stored_rows(CellFile(path, Cost))
    if any((row.get("method"), row.get("scale")) != (cost.method, cost.scale) for row in rows):
        raise HarnessError(
            f"{path} has costs of another cell than {cost.method} at x{cost.scale:g}.",
            "Delete the file and run the experiment again.",
        )
    return rows


def _of_setting(
    found: Mapping[_Key, dict[str, Any] | None],
    setting: CostSetting | None,
    stored: Container[_Key],
    why: Mapping[str, str],
) -> Measured:
    """Select what was measured in a setting; other rows are missing, with the reason."""
    own = [row for row in found.values() if row is None or _without_kind(row) == setting]
    shown = _commonest(own, setting_of)
    rows: dict[_Key, dict[str, Any]] = {}
    missing: dict[_Key, str] = {}
    for (name, scale), row in found.items():
        method = method_at(name, scale)
        if row is not None and row["reason"]:
            missing[name, scale] = f"not measured: {row['reason']}"
        elif row is not None and setting_of(row) == shown:
            rows[name, scale] = row
        elif row is not None:
            missing[name, scale] = _why_apart(setting_of(row), shown or setting)
        elif method is None:
            missing[name, scale] = unable(name)
        else:
            absent = why.get(method, LEFT_OUT)
            missing[name, scale] = "not measured" if (method, scale) in stored else absent
    return Measured(rows, missing, shown)


def _why_apart(other: CostSetting, shown: CostSetting | None) -> str:
    """Say why a value is not shown beside those of the setting that is shown."""
    device = dict(other.machine)["device"]
    if shown:
        here = tuple({**dict(shown.machine), "device": device}.items())
        if replace(shown, machine=here, memory_kind=other.memory_kind) == other:
            return f"measured on another device than the others, {device}"
    return f"measured elsewhere, and not comparable: {other.in_words()}"


def setting_of(row: Mapping[str, Any]) -> CostSetting:
    """Return where and how a stored row was measured."""
    kept = ("image", "precision", "memory_mib", "memory_kind")
    machine = tuple(identity(row["machine"]).items())
    size = (row["lr_height"], row["lr_width"])
    return CostSetting(machine, size, **{name: row[name] for name in kept})


def _without_kind(row: Mapping[str, Any]) -> CostSetting:
    """Return `setting_of` without the kind, alike for latency and memory."""
    return replace(setting_of(row), memory_kind="")


def _commonest(
    rows: Iterable[dict[str, Any] | None], setting: Callable[[Mapping[str, Any]], CostSetting]
) -> CostSetting | None:
    """Find the setting of most measured rows; among equals, the one that was measured last."""
    found: dict[CostSetting, list[str]] = {}
    for row in rows:
        if row is not None and not row["reason"]:
            found.setdefault(setting(row), []).append(row["measured_at"])
    return max(found, key=lambda s: (len(found[s]), max(found[s])), default=None)
