"""The tidy frame of a report: means and differences of every table are operations on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import numpy as np
import pandas as pd
import scipy

from harness.measure.statistics import CONFIDENCE, paired_difference

COLUMNS = (
    *("method", "label", "baseline", "role", "dataset", "image", "scale", "seed", "metric"),
    *("value", "published", "missing", "cell"),
)
PLACE = ["method", "role", "scale", "metric"]
RESAMPLES = 1999
"""Number of times that images are drawn again for an interval."""
_RESULT = ["method", "label", "baseline", "role", "dataset", "scale", "metric"]


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
    seeds = known.groupby([*_RESULT, "seed"])["value"].mean().groupby(_RESULT).agg(["std", "count"])
    images = known.groupby([*_RESULT, "image"])["value"].mean().groupby(_RESULT)
    found = images.agg(sd="std", images="count").join(known.groupby(_RESULT)["published"].first())
    # By NumPy's sum, as ever: another order of adding moves a last digit that is halfway.
    found["mean"] = known.groupby(_RESULT)["value"].agg(lambda values: values.to_numpy().mean())
    found = found.assign(seeds=seeds["count"], seed_sd=seeds["std"])
    by_image = found["sd"] ** 2 / found["images"]
    by_seed = (found["seed_sd"] ** 2 / found["seeds"]).fillna(0)
    wide = scipy.stats.t.ppf((1 + CONFIDENCE) / 2, np.maximum(found["images"] - 1, 1))
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
    images = known.groupby([*_RESULT, "image"])["value"].mean().reset_index()
    base = images.rename(columns={"value": "base"}).assign(baseline=images["method"])
    places = ["baseline", "role", "scale", "metric", "image"]
    paired = images.merge(base[[*places, "base"]], on=places)
    with np.errstate(invalid="ignore"):  # equal images have an infinite PSNR
        paired["gap"] = paired["value"] - paired["base"]
    lines = []
    for key, own in paired.dropna(subset="gap").groupby(_RESULT):
        found = paired_difference(own["gap"].tolist(), resamples=RESAMPLES)
        about = dict(zip(_RESULT, key, strict=True))
        lines.append({**about, **asdict(found), "decided": found.decided})
    return pd.DataFrame(lines)
