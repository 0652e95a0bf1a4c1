"""From a stored plan and its rows to one mean per (method, set of the paper, scale).

Nothing is read but the plan, the rows it points to and the samples. A mean is only formed when
every image of the cell has its row, so that two methods are never compared on different images;
otherwise the cell says what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from harness.counting import is_counted
from harness.errors import HarnessError
from harness.experiments import Experiment, get, method_at
from harness.plan import (
    RoleNote,
    StoredPlan,
    load_plan,
    measurements_dir,
    plan_path,
    samples_dir,
)
from harness.report.costs import Costs, load_costs
from harness.report.counts import CountedTable, load_counts
from harness.report.gaps import LEFT_OUT, unable
from harness.report.paper import (
    Blocks,
    blocks,
    others,
    paper_system,
    printed_fields,
    row_label,
)
from harness.report.stored import cell_rows
from harness.results import frame
from harness.samples import Sample, load_samples


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
            this cell, if it does; percent are of the block's baseline.
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


Key = tuple[str, str, float]


@dataclass(frozen=True)
class Report:
    """All that a report is made of.

    Attributes:
        cells: by row, role and scale.
        printed: cells that only the paper has, in the same way.
        counts: by row and scale, for each `Counts` of the experiment.
    """

    experiment: Experiment
    plan: StoredPlan
    cells: Mapping[Key, CellMean]
    samples: tuple[Sample, ...]
    printed: Mapping[Key, CellMean] = field(default_factory=dict)
    counts: tuple[CountedTable, ...] = ()
    costs: Costs = field(default_factory=Costs)

    @property
    def scales(self) -> tuple[float, ...]:
        """Scales of the experiment (of a figure, those shown), and others that the plan has."""
        declared = () if self.experiment.regions_only else self.experiment.scales
        return tuple(sorted({*declared, *(c.scale for c in self.plan.cells)}))

    @property
    def roles(self) -> tuple[str, ...]:
        """Sets of the paper that the plan has, in the experiment's order."""
        planned = {note.role for note in self.plan.roles}
        return tuple(role for role in self.experiment.roles if role in planned)

    @property
    def blocks(self) -> Blocks:
        """The rows of a table, with the paper's others; see `harness.report.paper.blocks`."""
        return blocks(self.experiment)

    def label(self, row: str) -> str:
        """The paper's name of a row, or of a method."""
        return row if self.is_other(row) else row_label(self.experiment, row)

    def is_other(self, row: str) -> bool:
        """Whether a row is a system that only the paper has."""
        return row in others(self.experiment)

    def role(self, name: str) -> RoleNote:
        """What played a set of the paper.

        Raises:
            HarnessError: when the plan does not say.
        """
        for note in self.plan.roles:
            if note.role == name:
                return note
        raise HarnessError(
            f"The stored plan of {self.experiment.name} does not say what plays {name}.",
            f"Run `harness run {self.experiment.name} --profile {self.plan.profile}` again.",
        )

    def at(self, method: str, role: str, scale: float) -> CellMean:
        """The cell of a row, which may be a missing one, or one that only the paper has."""
        key = (method, role, scale)
        return self.cells[key] if key in self.cells else self.printed[key]

    def measured(self, role: str, scale: float) -> list[CellMean]:
        """The cells of one column that have numbers."""
        column = [self.at(row, role, scale) for row in self.experiment.rows]
        return [cell for cell in column if not cell.missing]


def load_report(results: Path, profile: str, experiment: str) -> Report:
    """Read plan, rows and samples of an experiment.

    Raises:
        UsageError: for an unknown experiment.
        HarnessError: when nothing is stored, or it is damaged.
    """
    declared = get(experiment)
    plan = load_plan(plan_path(results, profile, experiment))
    stored = load_samples(samples_dir(results, profile, experiment))
    samples = tuple(sorted(stored, key=lambda s: (s.role, s.image, s.scale)))
    report = Report(declared, plan, {}, samples)
    folder = measurements_dir(results, profile)
    cells = {
        (row, role, scale): _cell_mean(report, folder, row, role, scale)
        for role in report.roles
        for row in declared.rows
        for scale in report.scales
    }
    return Report(
        declared,
        plan,
        cells,
        samples,
        printed={(c.method, c.role, c.scale): c for c in _published_alone(report)},
        counts=load_counts(declared, plan, folder, report.scales),
        costs=load_costs(results, plan, declared, report.scales),
    )


def _published_alone(report: Report) -> Iterator[CellMean]:
    """What the paper has that nothing can be measured for here: other systems, other sets."""
    experiment, unknown = report.experiment, others(report.experiment)
    named = {row: paper_system(experiment, row) for row in experiment.rows} | dict(unknown)
    for role in (*report.roles, *experiment.published_roles):
        lacking = role in experiment.published_roles
        for row in named if lacking else unknown:
            why = f"there are no images of {role} here" if lacking else "not a system of ours"
            for scale in report.scales:
                printed = printed_fields(experiment, named[row], role, scale)
                yield CellMean(
                    row, role, "", scale, False, (), 0, f"not measured: {why}", **printed
                )


def _cell_mean(report: Report, folder: Path, row: str, role: str, scale: float) -> CellMean:
    method = method_at(row, scale)
    planned = [
        cell
        for cell in report.plan.cells
        if (cell.method, cell.role, cell.scale) == (method, role, scale)
    ]
    note = report.role(role)
    cell = CellMean(
        method=row,
        role=role,
        dataset=note.dataset,
        scale=scale,
        substitute=note.substitute,
        seeds=tuple(sorted(cell.seed for cell in planned)),
        images_planned=note.images,
        **printed_fields(report.experiment, paper_system(report.experiment, row), role, scale),
    )
    if method is None:
        return replace(cell, missing=unable(row))
    if not planned:
        shown = any((c.role, c.scale) == (role, scale) for c in report.plan.cells)
        elsewhere = report.experiment.regions_only and not shown
        return replace(cell, missing="not shown at this scale" if elsewhere else LEFT_OUT)
    by_seed = [cell_rows(folder, cell, note.only) for cell in planned]
    rows = [row for found in by_seed for row in found]
    if any(len(found) != note.images for found in by_seed):
        wanted = note.images * len(planned)
        seeds = f", {len(planned)} seeds" if len(planned) > 1 else ""
        return replace(cell, missing=f"not measured ({len(rows)} of {wanted} images{seeds})")
    return _with_macs(report.experiment, replace(cell, **_means(frame(rows), len(planned))))


def _with_macs(experiment: Experiment, cell: CellMean) -> CellMean:
    parts = (cell.decoder_macs, cell.encoder_macs, cell.estimator_macs)
    if experiment.macs_of == "decoder" or any(part is None for part in parts):
        return replace(cell, macs=cell.decoder_macs)
    executed = cell.executed_macs
    if executed is not None and cell.encoder_macs is not None:
        executed += cell.encoder_macs
    total = sum(part for part in parts if part is not None)
    return replace(cell, macs=total, executed_macs=executed)


def _means(rows: pd.DataFrame, seeds: int) -> dict[str, Any]:
    """Fields of `CellMean` from the complete rows of a cell."""
    counted = all(is_counted(protocol) for protocol in rows["protocol"])
    scored = rows[rows["reason"] == ""] if counted else rows[rows["psnr"].notna()]
    left_out = rows.drop(scored.index)
    if (left_out["reason"] == "").any():
        broken = int((left_out["reason"] == "").sum())
        return {"missing": f"PSNR is not a number for {broken} images"}
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
        "unscored": "multiply-adds are counted, nothing is enlarged" if counted else "",
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


def under_common(report: Report) -> tuple[int, int]:
    """How many cells of trained methods lie under a common method (bicubic), and of how many."""
    compared = under = 0
    for role in report.roles:
        for scale in report.scales:
            cells = [c for c in report.measured(role, scale) if not c.unscored]
            common = [c.psnr for c in cells if c.method in report.experiment.common]
            floor = max((p for p in common if p is not None), default=None)
            trained = [c.psnr for c in cells if c.method not in report.experiment.common]
            if floor is not None:
                compared += len(trained)
                under += sum(p is not None and p < floor for p in trained)
    return under, compared
