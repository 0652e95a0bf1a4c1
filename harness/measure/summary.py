"""Means of one method's rows, for `harness eval`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pandas as pd

from harness.checkpoints.cmsr_table import FOREIGN
from harness.measure.rows import not_a_number
from harness.measure.texture import FACT
from harness.published import published


def summarise(frame: pd.DataFrame, incomplete: Collection[str] = ()) -> list[dict[str, Any]]:
    """Average over the images of each (dataset, scale); images too small are counted separately.

    There is no mean of scores where one of them is NaN.

    Args:
        frame: rows as a table.
        incomplete: datasets shown without a published value, because images are missing.
    """
    lines = []
    for (dataset, scale), cell in frame.groupby(["dataset", "scale"], sort=False):
        scored, broken = cell[cell["psnr"].notna()], not_a_number(cell)
        method = str(cell["method"].iloc[0])
        known = method == "bicubic" and dataset not in incomplete
        lines.append(
            {
                "dataset": str(dataset),
                "scale": float(str(scale)),
                "images": len(scored),
                "too_small": len(cell) - len(scored) - broken,
                "not_a_number": broken,
                "psnr": None if broken else _mean(scored["psnr"]),
                "published_psnr": published(
                    "bicubic.csv", "classic", method, str(dataset), float(str(scale))
                )
                if known
                else None,
                "ssim": None if broken else _mean(scored["ssim"]),
                "lr_source": "+".join(sorted(set(scored["lr_source"]))),
                "protocol": str(cell["protocol"].iloc[0]),
                "decoder_macs": _mean(scored["decoder_macs"]),
                "rendering": _rendering(cell),
                "rendered_macs": _mean(scored["rendered_macs"]),
                "saving": _saving(scored),
                "encoder_macs": _mean(scored["encoder_macs"]),
                "depth_texture": _mean(scored[FACT]) if FACT in scored else None,
                "seconds_per_image": _mean(scored["seconds"]),
                "reasons": sorted(set(cell["reason"]) - {""}),
            }
        )
    return lines


def _rendering(cell: pd.DataFrame) -> str:
    """How the images of a cell were rendered, which is the same for all."""
    key = str(cell["rendering"].iloc[0])
    if not key:
        return "plain"
    if "cmsr_mse" not in cell:
        return key.replace("-", " ")
    mse = cell["cmsr_mse"].iloc[0]
    return f"CMSR {mse:g}" + " FOREIGN" * key.endswith(FOREIGN)


def _saving(scored: pd.DataFrame) -> float | None:
    """Compute the share of the decoder's MACs that CMSR saves; None without CMSR."""
    if not len(scored) or scored["rendered_macs"].isna().any():
        return None
    return float(1 - scored["rendered_macs"].sum() / scored["decoder_macs"].sum())


def _mean(column: pd.Series[Any]) -> float | None:
    values = column.dropna()
    return float(values.mean()) if len(values) else None
