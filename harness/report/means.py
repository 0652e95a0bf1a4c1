"""Mean of each cell: over the rows of one row of an experiment, on one set at one scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.experiments import Experiment
from harness.measure.macs import is_counted
from harness.measure.rows import not_a_number
from harness.metrics import METRICS


@dataclass(frozen=True)
class CellMean:
    """Row of an experiment on one set of the paper at one scale.

    Attributes:
        method: name of the row.
        missing: why there is no number; "" where there is one.
        unscored: why there are MACs but no metrics; "" where there are.
        images: number of images that the means are over; the others of `images_planned` are too
            small.
        excluded: reasons of the images that were left out, each with its count.
        metrics: mean over images (and seeds) of the value of each image, by metric.
        metric_images: number of images that have the metric; fewer than `images` where some are too
            small.
        seed_sd: standard deviation of the mean between seeds, by metric; empty for one seed.
        part_macs: mean MACs of an image, by part as in `Measurement.macs`; a part that some row
            does not have is left out.
        macs: MACs that the experiment is about: the decoder's, or all, as the paper counts them.
        executed: MACs that the engine executes for `macs` (and LTE's estimators); None where a row
            does not say.
        lr_pixels: mean number of LR pixels of an image.
        expert_shares: mean over images, in the order of `Measurement.expert_shares`.
        printed: values that the paper prints for this cell, by metric; `macs`, and `percent` of the
            MACs of the method's baseline.
        printed_notes: (key of `printed`, note on it).
        sources: different values of a column of the rows, by column (`SOURCES`).
    """

    method: str
    role: str
    dataset: str
    scale: float
    substitute: bool
    seeds: tuple[int, ...]
    images_planned: int
    missing: str = ""
    unscored: str = ""
    images: int = 0
    excluded: tuple[tuple[str, int], ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict)
    metric_images: Mapping[str, int] = field(default_factory=dict)
    seed_sd: Mapping[str, float] = field(default_factory=dict)
    part_macs: Mapping[str, float] = field(default_factory=dict)
    macs: float | None = None
    executed: float | None = None
    lr_pixels: float | None = None
    parameters: int | None = None
    trained_steps: int | None = None
    expert_depths: tuple[int, ...] = ()
    expert_shares: tuple[float, ...] = ()
    printed: Mapping[str, float] = field(default_factory=dict)
    printed_notes: tuple[tuple[str, str], ...] = ()
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def psnr(self) -> float | None:
        """Mean PSNR in dB."""
        return self.metrics.get("psnr")

    @property
    def difference(self) -> float | None:
        """Compute measured minus published PSNR at full precision."""
        published = self.printed.get("psnr")
        return None if self.psnr is None or published is None else self.psnr - published

    @property
    def too_small(self) -> int:
        """Number of images that were left out of the means."""
        return sum(count for _, count in self.excluded)

    def source(self, column: str) -> tuple[str, ...]:
        """Return the different values of a column of the rows; none without rows."""
        return self.sources.get(column, ())


def with_macs(experiment: Experiment, cell: CellMean) -> CellMean:
    """Return the cell with the MACs that the experiment is about."""
    parts = cell.part_macs
    decoder, executed = parts.get("decoder"), parts.get("executed")
    if experiment.macs_of == "decoder" or not {"decoder", "encoder", "estimator"} <= set(parts):
        return replace(cell, macs=decoder, executed=executed)
    total = parts["decoder"] + parts["encoder"] + parts["estimator"]
    return replace(
        cell, macs=total, executed=None if executed is None else executed + parts["encoder"]
    )


def means(rows: pd.DataFrame, seeds: int) -> dict[str, Any]:
    """Compute the fields of `CellMean` from the complete rows of a cell."""
    counted = all(is_counted(protocol) for protocol in rows["protocol"])
    scored = rows[rows["reason"] == ""] if counted else rows[rows["psnr"].notna()]
    broken = 0 if counted else not_a_number(rows)
    if broken:
        return {"missing": f"PSNR is not a number for {broken} images"}
    left_out = rows.drop(scored.index)
    reasons = left_out["reason"].value_counts()
    # Every seed sees the same images: count images, not rows.
    excluded = tuple(sorted((str(r), int(n) // seeds) for r, n in reasons.items()))
    facts: dict[str, Any] = {"excluded": excluded, "sources": _sources(rows)}
    if scored.empty:
        listed = "; ".join(f"{reason}: {count} images" for reason, count in excluded)
        return {**facts, "missing": f"no image is large enough ({listed})"}
    values = {name: scored[name].dropna().astype(float) for name in METRICS if name in scored}
    values = {} if counted else {name: each for name, each in values.items() if len(each)}
    by_seed = {name: each.groupby(scored["seed"]).mean() for name, each in values.items()}
    return {
        **facts,
        "images": len(scored) // seeds,
        "unscored": _why_unscored(rows) if counted else "",
        "metrics": {name: float(each.mean()) for name, each in values.items()},
        "metric_images": {name: len(each) // seeds for name, each in values.items()},
        "seed_sd": {n: float(e.std(ddof=1)) for n, e in by_seed.items()} if seeds > 1 else {},
        "part_macs": _part_macs(scored),
        "lr_pixels": float(scored["lr_size"].map(math.prod).mean()),
        "parameters": int(scored["parameters"].iloc[0]),
        "trained_steps": int(scored["trained_steps"].iloc[0]),
        "expert_depths": tuple(scored["expert_depths"].iloc[0]),
        "expert_shares": _mean_shares(scored["expert_shares"].tolist()),
    }


def _part_macs(rows: pd.DataFrame) -> dict[str, float]:
    """Average the parts that every row has."""
    names = [str(name) for name in rows if str(name).endswith("_macs")]
    columns = {name.removesuffix("_macs"): rows[name] for name in names}
    return {
        part: float(values.astype(float).mean())
        for part, values in columns.items()
        if not values.isna().any()
    }


def _why_unscored(rows: pd.DataFrame) -> str:
    """Return the reason of rows whose MACs were counted without enlarging anything."""
    if all(str(checkpoint).startswith("shapes-") for checkpoint in rows["checkpoint"]):
        return "not trained: its MACs alone are counted"
    return "MACs are counted, nothing is enlarged"


def _mean_shares(shares: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Average the share of each expert; empty where a row does not say."""
    if len({len(each) for each in shares}) != 1:
        return ()
    return tuple(float(share) for share in np.mean(np.array(shares, float), axis=0))


SOURCES = (
    "lr_source",
    "protocol",
    "dataset_fingerprint",
    "lr_fingerprint",
    "checkpoint",
    "recipe",
    "precision",
    "device",
    "version",
)
"""Columns of rows on the origin of numbers, and `version`, a package with its number."""


def _sources(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    versions = {f"{name} {number}" for row in rows["versions"] for name, number in row.items()}
    columns = {name: rows[name] for name in SOURCES[:-1]} | {SOURCES[-1]: versions}
    return {name: distinct(values) for name, values in columns.items()}


def distinct(values: Iterable[object]) -> tuple[str, ...]:
    """List the different non-empty values, sorted."""
    return tuple(sorted({str(value) for value in values} - {""}))
