"""One tidy frame of every number of a report; means and differences are operations on it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from harness.measure.statistics import CONFIDENCE, paired_difference
from harness.report.data import RESAMPLES, Cell, Report

COLUMNS = (
    *("method", "label", "baseline", "role", "dataset", "image", "scale", "seed", "metric"),
    *("value", "published", "missing", "cell"),
)
_CELL = ["method", "label", "baseline", "role", "dataset", "scale", "metric"]
_FACTS = ("scale", "seed", "seconds", "peak_memory_bytes", "trained_steps", "memory_mib", "schema")


def frame(report: Report) -> pd.DataFrame:
    """Make the frame: a line for each number of each image, seed and metric.

    A place without a number has one line without a value, with the reason in `missing`; what the
    paper prints stands in `published` of every line of its place.
    """
    every = (*report.cells.values(), *report.counts.values(), *report.printed.values())
    parts = [_lines(report, cell) for cell in every]
    parts += [pd.DataFrame(_costs(report), columns=list(COLUMNS))]
    filled = [part for part in parts if len(part)]
    made = pd.concat(filled) if filled else pd.DataFrame(columns=list(COLUMNS))
    return made.astype({"value": float, "published": float}).reset_index(drop=True)


def _lines(report: Report, cell: Cell) -> pd.DataFrame:
    about: dict[str, Any] = {
        "method": cell.method,
        "label": report.label(cell.method),
        "baseline": report.baseline(cell.method),
        "role": cell.role,
        "dataset": cell.dataset,
        "scale": cell.scale,
    }
    published = {name: printed.value for name, printed in cell.printed.items()}
    rows = cell.rows
    if len(rows):
        names = [name for name in rows.select_dtypes("number") if name not in _FACTS]
        shares = pd.DataFrame(rows["expert_shares"].tolist(), index=rows.index)
        shares.columns = [f"share_{depth}" for depth in cell.expert_depths][: shares.shape[1]]
        wide = pd.concat([rows[["image", "seed", "cell", *names]], shares], axis=1)
        long = wide.melt(["image", "seed", "cell"], var_name="metric")
        long = long.dropna(subset="value").assign(missing=cell.unscored)
    else:
        metrics = list(cell.printed) or ["psnr"]
        long = pd.DataFrame({"metric": metrics, "value": np.nan, "missing": cell.missing})
    long = long.assign(**about, published=long["metric"].map(published))
    return long.reindex(columns=list(COLUMNS))


def _costs(report: Report) -> Iterator[dict[str, Any]]:
    kinds = {"latency_s": report.costs.latency, "peak_memory_bytes": report.costs.memory}
    for metric, measured in kinds.items():
        for (row, scale), found in measured.rows.items():
            for value in found["values"]:
                yield {
                    "method": row,
                    "label": report.label(row),
                    "baseline": report.baseline(row),
                    "role": "",
                    "dataset": "",
                    "image": found["image"],
                    "scale": scale,
                    "seed": found["seed"],
                    "metric": metric,
                    "value": value,
                    "missing": "",
                }


def means(tidy: pd.DataFrame) -> pd.DataFrame:
    """Average over images and seeds: a line for each method, set, scale and metric that has values.

    Columns: `mean`; `low` and `high`, its 95 % interval (Student's t over images; the spread of
    seeds is added where there are several); `images`, `seeds`, `seed_sd`, `published`.

    Example:
        >>> two = pd.DataFrame({"method": "a", "label": "A", "baseline": "", "role": "Set5",
        ...     "dataset": "Set5", "scale": 2, "metric": "psnr", "image": ["x", "y"], "seed": 0,
        ...     "value": [30.0, 32.0], "published": 31.0})
        >>> means(two)[["mean", "low", "images"]].round(1).values.tolist()
        [[31.0, 18.3, 2.0]]
    """
    known = tidy[tidy["value"].notna()]
    seeds = known.groupby([*_CELL, "seed"])["value"].mean().groupby(_CELL).agg(["std", "count"])
    images = known.groupby([*_CELL, "image"])["value"].mean().groupby(_CELL)
    found = images.agg(mean="mean", sd="std", images="count").join(
        known.groupby(_CELL)["published"].first()
    )
    found = found.assign(seeds=seeds["count"], seed_sd=seeds["std"])
    by_image = found["sd"] ** 2 / found["images"]
    by_seed = (found["seed_sd"] ** 2 / found["seeds"]).fillna(0)
    wide = stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(found["images"] - 1, 1))
    half = wide * np.sqrt(by_image + by_seed)
    found = found.assign(low=found["mean"] - half, high=found["mean"] + half)
    order = ["mean", "low", "high", "images", "seeds", "seed_sd", "published"]
    made: pd.DataFrame = found[order].reset_index()
    return made


def differences(tidy: pd.DataFrame, metrics: Iterable[str] = ("psnr",)) -> pd.DataFrame:
    """Compare each method with its baseline, paired by image.

    Columns: `mean` difference; `low` and `high`, its 95 % interval (BCa bootstrap over images);
    `images`, how many are `better` and `worse`, the p-value of the `sign` test, and `decided`:
    whether the interval excludes zero on enough images.
    """
    known = tidy[tidy["value"].notna() & tidy["metric"].isin(list(metrics))]
    images = known.groupby([*_CELL, "image"])["value"].mean().reset_index()
    base = images.rename(columns={"value": "base"}).assign(baseline=images["method"])
    places = ["baseline", "role", "scale", "metric", "image"]
    paired = images.merge(base[[*places, "base"]], on=places)
    lines = []
    for cell, own in paired.groupby(_CELL):
        found = paired_difference((own["value"] - own["base"]).tolist(), resamples=RESAMPLES)
        about = dict(zip(_CELL, cell, strict=True))
        lines.append({**about, **asdict(found), "decided": found.decided})
    return pd.DataFrame(lines)
