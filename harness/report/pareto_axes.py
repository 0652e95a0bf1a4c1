"""Cost axes of Pareto figures: MACs, and latency."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from harness.report.aggregate import Report
from harness.report.cost_tables import turns_note


@dataclass(frozen=True)
class CostAxis:
    """Cost axis that PSNR is drawn over.

    Attributes:
        costs: returns the costs of a row on a set at a scale, one for each of `counts`; empty where
            there are none.
        counts: ways of counting in words; the last is drawn filled, one before it hollow.
        explained: explanation for the note under the figure.
    """

    name: str
    title: str
    label: str
    unit: str
    counts: tuple[str, ...]
    costs: Callable[[Report, str, str, float], tuple[float, ...]]
    explained: Callable[[Report], str]


def _macs(report: Report, row: str, role: str, scale: float) -> tuple[float, ...]:
    cell = report.at(row, role, scale)
    return (cell.macs, cell.executed) if cell.macs and cell.executed else ()


def _about_macs(report: Report) -> str:
    del report
    return (
        "Every system's MACs, encoder included: as the papers count, and what our engine "
        "executes for the same pixels; of networks without queries they are the same. IGConv's "
        "kernels, made once for a scale, are in neither. s, b: MoEISR in the place of the MLP. "
        "Bicubic costs none, so what lies under it is on no front."
    )


def _latency(report: Report, row: str, role: str, scale: float) -> tuple[float, ...]:
    del role
    value = report.costs.latency.at(row, scale)
    return () if value is None else (value.median,)


def _about_latency(report: Report) -> str:
    setting = report.costs.latency.setting
    where = "" if setting is None else f" of one image on {setting.in_words()}"
    return (
        f"PSNR is the mean over the set; latency the median of warm calls{where}. "
        f"{turns_note(report.costs.latency, report.scales)} s, b: MoEISR in the place of the MLP. "
        "What lies under bicubic is on no front."
    )


AXES = (
    CostAxis(
        name="pareto",
        title="PSNR over MACs",
        label="MACs per image",
        unit="",
        counts=("papers' count", "executed"),
        costs=_macs,
        explained=_about_macs,
    ),
    CostAxis(
        name="pareto_latency",
        title="PSNR over latency",
        label="latency",
        unit="s",
        counts=("measured",),
        costs=_latency,
        explained=_about_latency,
    ),
)
