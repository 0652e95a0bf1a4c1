"""One mean per cell: of the rows of a row of an experiment, on one set at one scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from harness.experiments import Experiment
from harness.measure.macs import is_counted
from harness.measure.rows import not_a_number


@dataclass(frozen=True)
class CellMean:
    """One row of an experiment on one set of the paper at one scale.

    Attributes:
        method: the row's name.
        missing: why there is no number; "" where there is one.
        unscored: why there are multiply-adds but no PSNR; "" where there is one.
        images: images that the means are over; the others of `images_planned` are too small.
        excluded: reasons of the images that were left out, each with its count.
        psnr, ssim: means over images (and seeds) of the value of each image.
        ssim_images: images that have an SSIM; fewer than `images` where its window does not fit.
        psnr_seed_sd: standard deviation of the mean between seeds; None for one seed.
        decoder_macs, estimator_macs, encoder_macs: mean multiply-adds of an image.
        least_encoder_macs: with the cheapest experts, where `encoder_macs` has the dearest.
        kernel_macs: of making a network's kernels, once for all images of the scale.
        expert_shares: mean over images, in the order of `Measurement.expert_shares`.
        macs: those that the experiment is about: the decoder's, or all, as the paper counts them.
        executed_macs: what the engine executes for `macs` (and LTE's estimators); None where a
            row does not say.
        lr_pixels: mean number of LR pixels of an image.
        published, published_ssim, published_macs, published_percent: what the paper prints for
            this cell, if it does; percent are of the method's baseline.
        published_notes: (field, what must be known of it).
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
    psnr: float | None = None
    ssim: float | None = None
    ssim_images: int = 0
    psnr_seed_sd: float | None = None
    published: float | None = None
    published_ssim: float | None = None
    published_macs: float | None = None
    published_percent: float | None = None
    published_notes: tuple[tuple[str, str], ...] = ()
    macs: float | None = None
    executed_macs: float | None = None
    lr_pixels: float | None = None
    decoder_macs: float | None = None
    estimator_macs: float | None = None
    encoder_macs: float | None = None
    least_encoder_macs: float | None = None
    kernel_macs: float | None = None
    parameters: int | None = None
    trained_steps: int | None = None
    expert_depths: tuple[int, ...] = ()
    expert_shares: tuple[float, ...] = ()
    lr_sources: tuple[str, ...] = ()
    protocols: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    lr_fingerprints: tuple[str, ...] = ()
    checkpoints: tuple[str, ...] = ()
    recipes: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()

    @property
    def difference(self) -> float | None:
        """Measured minus published PSNR at full precision."""
        if self.psnr is None or self.published is None:
            return None
        return self.psnr - self.published

    @property
    def too_small(self) -> int:
        """Images that were left out of the means."""
        return sum(count for _, count in self.excluded)


def with_macs(experiment: Experiment, cell: CellMean) -> CellMean:
    parts = (cell.decoder_macs, cell.encoder_macs, cell.estimator_macs)
    if experiment.macs_of == "decoder" or any(part is None for part in parts):
        return replace(cell, macs=cell.decoder_macs)
    executed = cell.executed_macs
    if executed is not None and cell.encoder_macs is not None:
        executed += cell.encoder_macs
    total = sum(part for part in parts if part is not None)
    return replace(cell, macs=total, executed_macs=executed)


def means(rows: pd.DataFrame, seeds: int) -> dict[str, Any]:
    """Fields of `CellMean` from the complete rows of a cell."""
    counted = all(is_counted(protocol) for protocol in rows["protocol"])
    scored = rows[rows["reason"] == ""] if counted else rows[rows["psnr"].notna()]
    broken = 0 if counted else not_a_number(rows)
    if broken:
        return {"missing": f"PSNR is not a number for {broken} images"}
    left_out = rows.drop(scored.index)
    reasons = left_out["reason"].value_counts()
    # Every seed sees the same images: count images, not rows.
    excluded = tuple(sorted((str(r), int(n) // seeds) for r, n in reasons.items()))
    facts: dict[str, Any] = {"excluded": excluded, **_provenance(rows)}
    if scored.empty:
        listed = "; ".join(f"{reason}: {count} images" for reason, count in excluded)
        return {**facts, "missing": f"no image is large enough ({listed})"}
    ssim = scored["ssim"].dropna().astype(float)
    by_seed = scored.groupby("seed")["psnr"].mean().astype(float)
    return {
        **facts,
        "images": len(scored) // seeds,
        "unscored": _why_unscored(rows) if counted else "",
        "psnr": None if counted else float(scored["psnr"].astype(float).mean()),
        "lr_pixels": float((scored["lr_height"] * scored["lr_width"]).mean()),
        "ssim": float(ssim.mean()) if len(ssim) else None,
        "ssim_images": len(ssim) // seeds,
        "psnr_seed_sd": float(by_seed.std(ddof=1)) if seeds > 1 and not counted else None,
        "decoder_macs": float(scored["decoder_macs"].mean()),
        "estimator_macs": float(scored["estimator_macs"].mean()),
        "encoder_macs": float(scored["encoder_macs"].mean()),
        "least_encoder_macs": _mean_of_all(scored["least_encoder_macs"]),
        "kernel_macs": float(scored["kernel_macs"].fillna(0).mean()),
        "executed_macs": _mean_of_all(scored["executed_macs"]),
        "parameters": int(scored["parameters"].iloc[0]),
        "trained_steps": int(scored["trained_steps"].iloc[0]),
        "expert_depths": tuple(scored["expert_depths"].iloc[0]),
        "expert_shares": _mean_shares(scored["expert_shares"].tolist()),
    }


def _why_unscored(rows: pd.DataFrame) -> str:
    """Of rows whose multiply-adds were counted without enlarging anything."""
    if all(str(checkpoint).startswith("shapes-") for checkpoint in rows["checkpoint"]):
        return "not trained: its multiply-adds alone are counted"
    return "multiply-adds are counted, nothing is enlarged"


def _mean_shares(shares: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Of each expert; empty where a row does not say."""
    if len({len(each) for each in shares}) != 1:
        return ()
    return tuple(float(share) for share in np.mean(np.array(shares, float), axis=0))


def _mean_of_all(values: pd.Series[Any]) -> float | None:
    """None unless every row has a value."""
    return None if values.isna().any() else float(values.astype(float).mean())


def _provenance(rows: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    versions = {f"{name} {number}" for row in rows["versions"] for name, number in row.items()}
    return {
        "lr_sources": distinct(rows["lr_source"]),
        "protocols": distinct(rows["protocol"]),
        "fingerprints": distinct(rows["dataset_fingerprint"]),
        "lr_fingerprints": distinct(rows["lr_fingerprint"].fillna("")),
        "checkpoints": distinct(rows["checkpoint"]),
        "recipes": distinct(rows["recipe"]),
        "precisions": distinct(rows["precision"]),
        "devices": distinct(rows["device"]),
        "versions": tuple(sorted(versions)),
    }


def distinct(values: Iterable[object]) -> tuple[str, ...]:
    """Different non-empty values, sorted."""
    return tuple(sorted({str(value) for value in values} - {""}))
