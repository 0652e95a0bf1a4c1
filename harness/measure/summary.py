"""Means of one method's rows, for `harness eval`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import pandas as pd

from harness.checkpoints.cmsr_table import FOREIGN
from harness.data.published import published
from harness.measure.rows import FAILED, NO_VALUE, not_a_number
from harness.measure.texture import FACT
from harness.metrics import METRICS, find


def summarise(frame: pd.DataFrame, incomplete: Collection[str] = ()) -> list[dict[str, Any]]:
    """Average over the images of each (dataset, scale, protocol) of a table of rows.

    Images too small are counted separately. There is no mean of scores where one of them is NaN, or
    where the method failed on an image: a mean without the difficult ones says nothing. Datasets
    that are `incomplete` have no published value.
    """
    groups = frame.groupby(["dataset", "scale", "protocol"], sort=False)
    return [_line(group, incomplete) for _, group in groups]


def _line(rows: pd.DataFrame, incomplete: Collection[str]) -> dict[str, Any]:
    method, dataset, protocol = (str(rows[c].iloc[0]) for c in ("method", "dataset", "protocol"))
    scale = float(str(rows["scale"].iloc[0]))
    scored, broken = rows[rows["psnr"].notna()], not_a_number(rows)
    failures = rows[rows["reason"].str.startswith(FAILED)].set_index("image")["reason"]
    means = scored.mean(numeric_only=True).dropna().to_dict()
    rendered = len(scored) and scored["rendered_macs"].notna().all()
    scores = means if not broken and failures.empty else {}
    rendering = _rendering(rows)
    usual = rendering == "plain" and find(protocol).family == "liif"
    known = method == "bicubic" and usual and dataset not in incomplete
    printed = published("bicubic.csv", "classic", method, dataset, scale) if known else None
    reasons = Counter(part for reason in scored["reason"] for part in str(reason).split("; "))
    return {
        "dataset": dataset,
        "scale": scale,
        "images": len(scored),
        "too_small": len(rows) - len(scored) - broken - len(failures),
        "not_a_number": broken,
        "failed": failures.str.removeprefix(FAILED).to_dict(),
        "psnr": scores.get("psnr"),
        "published_psnr": printed,
        "ssim": scores.get("ssim"),
        "others": {n: scores.get(n) for n in METRICS if n in scored and n not in ("psnr", "ssim")},
        "lr_source": "+".join(sorted(set(scored["lr_source"]))),
        "protocol": protocol,
        "decoder_macs": means.get("decoder_macs"),
        "rendering": rendering,
        "rendered_macs": means.get("rendered_macs"),
        # Share of the decoder's MACs that CMSR saves.
        "saving": 1 - means["rendered_macs"] / means["decoder_macs"] if rendered else None,
        "encoder_macs": means.get("encoder_macs"),
        "depth_texture": means.get(FACT),
        "seconds_per_image": means.get("seconds"),
        "no_value": {part: n for part, n in reasons.items() if part.startswith(NO_VALUE)},
        "reasons": sorted(set(rows["reason"]) - {""} - set(failures)),
    }


def _rendering(unit: pd.DataFrame) -> str:
    """Say how the images of a unit were rendered, which is the same for all."""
    key = str(unit["rendering"].iloc[0])
    if not key:
        return "plain"
    if "cmsr_mse" not in unit:
        return key.replace("-", " ")
    mse = unit["cmsr_mse"].iloc[0]
    return f"CMSR {mse:g}" + " FOREIGN" * key.endswith(FOREIGN)
