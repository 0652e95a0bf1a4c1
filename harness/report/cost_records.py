"""Latency, peak memory and limits at full precision, for CSV and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.report.aggregate import Report
from harness.report.costs import Measured
from harness.report.limits import limits
from harness.report.means import CellMean
from harness.report.systems import system


def document(report: Report) -> dict[str, Any]:
    """Return what is said once: machines, and limits of each system; empty without costs."""
    if not report.experiment.measures_costs:
        return {}
    return {
        "limits": limits(report),
        "systems": [
            {**asdict(found), "parameters_in_sum": found.parameters_in_sum}
            for found in (system(report, row) for row in report.experiment.rows)
        ],
        "costs": {
            "latency": _setting(report.costs.latency),
            "memory": _setting(report.costs.memory),
        },
    }


def _setting(measured: Measured) -> dict[str, Any] | None:
    setting = measured.setting
    return None if setting is None else {**asdict(setting), "machine": dict(setting.machine)}


def record(report: Report, cell: CellMean) -> dict[str, Any]:
    """Return the columns of a row at a scale, in seconds and bytes; empty without costs.

    They are for one LR image, whatever the set of the record.
    """
    if not report.experiment.measures_costs:
        return {}
    key, costs = (cell.method, cell.scale), report.costs
    latency, memory = costs.latency.at(*key), costs.memory.at(*key)
    setting = costs.latency.setting or costs.memory.setting
    size = None if setting is None else f"{setting.lr_size[0]}x{setting.lr_size[1]}"
    return {
        "costs_lr_size": size,
        "latency_s": None if latency is None else latency.median,
        "latency_quartiles_s": [] if latency is None else [latency.low, latency.high],
        "latency_missing": costs.latency.missing.get(key, ""),
        "peak_memory_bytes": None if memory is None else memory.median,
        "peak_memory_missing": costs.memory.missing.get(key, ""),
    }
