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
    lines = []
    for (dataset, scale, protocol), cell in frame.groupby(
        ["dataset", "scale", "protocol"], sort=False
    ):
        scored, broken = cell[cell["psnr"].notna()], not_a_number(cell)
        failures = cell[cell["reason"].str.startswith(FAILED)]
        whole = not broken and not len(failures)
        method = str(cell["method"].iloc[0])
        rendering = _rendering(cell)
        usual = rendering == "plain" and find(str(protocol)).family == "liif"
        published_one = method == "bicubic" and usual
        known = published_one and dataset not in incomplete
        lines.append(
            {
                "dataset": str(dataset),
                "scale": float(str(scale)),
                "images": len(scored),
                "too_small": len(cell) - len(scored) - broken - len(failures),
                "not_a_number": broken,
                "failed": {
                    str(row["image"]): str(row["reason"]).removeprefix(FAILED)
                    for _, row in failures.iterrows()
                },
                "psnr": _mean(scored["psnr"]) if whole else None,
                "published_psnr": published(
                    "bicubic.csv", "classic", method, str(dataset), float(str(scale))
                )
                if known
                else None,
                "ssim": _mean(scored["ssim"]) if whole else None,
                "others": {
                    name: _mean(scored[name]) if whole else None
                    for name in METRICS
                    if name not in ("psnr", "ssim") and name in scored
                },
                "lr_source": "+".join(sorted(set(scored["lr_source"]))),
                "protocol": str(protocol),
                "decoder_macs": _mean(scored["decoder_macs"]),
                "rendering": rendering,
                "rendered_macs": _mean(scored["rendered_macs"]),
                "saving": _saving(scored),
                "encoder_macs": _mean(scored["encoder_macs"]),
                "depth_texture": _mean(scored[FACT]) if FACT in scored else None,
                "seconds_per_image": _mean(scored["seconds"]),
                "no_value": _no_value(scored),
                "reasons": sorted(set(cell["reason"]) - {""} - set(failures["reason"])),
            }
        )
    return lines


def _rendering(cell: pd.DataFrame) -> str:
    """Say how the images of a cell were rendered, which is the same for all."""
    key = str(cell["rendering"].iloc[0])
    if not key:
        return "plain"
    if "cmsr_mse" not in cell:
        return key.replace("-", " ")
    mse = cell["cmsr_mse"].iloc[0]
    return f"CMSR {mse:g}" + " FOREIGN" * key.endswith(FOREIGN)


def _no_value(scored: pd.DataFrame) -> dict[str, int]:
    """Count the images that lack a metric, by reason."""
    parts = Counter(part for reason in scored["reason"] for part in str(reason).split("; "))
    return {part: count for part, count in parts.items() if part.startswith(NO_VALUE)}


def _saving(scored: pd.DataFrame) -> float | None:
    """Compute the share of the decoder's MACs that CMSR saves; None without CMSR."""
    if not len(scored) or scored["rendered_macs"].isna().any():
        return None
    return float(1 - scored["rendered_macs"].sum() / scored["decoder_macs"].sum())


def _mean(column: pd.Series[Any]) -> float | None:
    values = column.dropna()
    return float(values.mean()) if len(values) else None
