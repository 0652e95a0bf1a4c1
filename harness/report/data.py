"""Stored plan, rows and costs of an experiment as one frame and as results.

Only stored files are read. A mean is formed only when every image of a result has its row, so that
two methods are never compared on different images; otherwise the result says what is missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from baselines import parse
from harness.common.errors import HarnessError
from harness.common.escaping import in_a_line
from harness.data.published import Printed
from harness.measure.crops import Sample, load_samples
from harness.measure.macs import is_counted
from harness.measure.rows import FAILED, flat, not_a_number
from harness.metrics import METRICS
from harness.report.costs import Costs, load_costs
from harness.report.frame import COLUMNS, PLACE, differences, means
from harness.report.paper import (
    LEFT_OUT,
    Blocks,
    blocks,
    others,
    paper_system,
    printed_values,
    row_label,
    unable,
)
from harness.runs.added import known_again
from harness.runs.experiment import Experiment, method_at, methods_of, only_methods, with_rows
from harness.runs.job import choose
from harness.runs.plan import (
    RoleNote,
    StoredPlan,
    load_plan,
    measurements_dir,
    plan_path,
    samples_dir,
    unit_rows,
)

SOURCES = (
    "lr_source",
    "protocol",
    "dataset_fingerprint",
    "lr_fingerprint",
    "checkpoint",
    "recipe",
    "precision",
    "device",
)
"""Columns of rows on the origin of numbers; `version`, a package with its number, is another."""


_FACTS = ("scale", "seed", "seconds", "peak_memory_bytes", "trained_steps", "memory_mib", "schema")
"""Numbers of rows that are no measurement of a method."""
Key = tuple[str, str, float]
"""(row, role or size, scale)"""


def distinct(values: Iterable[object]) -> tuple[str, ...]:
    """List the different non-empty values, sorted."""
    return tuple(sorted({str(value) for value in values} - {""}))


@dataclass(frozen=True)
class Result:
    """Numbers of a row on one set of the paper (or at one fixed size) at one scale.

    Attributes:
        method: name of the row.
        missing: why there is no number; "" where there is one.
        unscored: why there are MACs but no metrics; "" where there are.
        images: number of images with numbers; the others of `images_planned` are too small.
        excluded: reasons of the images that were left out, each with its count.
        expert_depths: number of layers of each expert.
        printed: what the paper prints for it, by metric, `macs` and `percent`.
        sources: different values of a column of the rows, by column.
        rows: rows of the images that have numbers, flat (`harness.measure.rows.flat`), with `macs`
            (those that the experiment is about, as the papers count), `executed` (those that the
            engine executes for them) and `lr_pixels`.
        means: line of `harness.report.frame.means` by metric.
    """

    method: str
    role: str
    dataset: str
    scale: float
    substitute: bool = False
    seeds: tuple[int, ...] = ()
    images_planned: int = 0
    missing: str = ""
    unscored: str = ""
    images: int = 0
    excluded: tuple[tuple[str, int], ...] = ()
    expert_depths: tuple[int, ...] = ()
    printed: Mapping[str, Printed] = field(default_factory=dict)
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False, compare=False)
    means: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def psnr(self) -> float | None:
        """Mean PSNR in dB."""
        return self.metric("psnr")

    def metric(self, name: str) -> float | None:
        """Mean of a metric or count; None where there is none."""
        return self.means[name].mean if name in self.means else None

    def interval(self, name: str) -> tuple[float, float] | None:
        """95 % interval of a mean; None without one, as of a single image."""
        found = self.means.get(name)
        return None if found is None or math.isnan(found.low) else (found.low, found.high)

    def spread(self, name: str) -> float | None:
        """Standard deviation between seeds; None where there are not several."""
        found = self.means.get(name)
        return None if found is None or math.isnan(found.seed_sd) else found.seed_sd

    @property
    def expert_shares(self) -> tuple[float, ...]:
        """Mean share of each expert, in the order of the depths."""
        shares = self.rows["expert_shares"].tolist() if len(self.rows) else []
        alike = len(set(map(len, shares))) == 1
        return tuple(map(float, np.mean(shares, axis=0))) if alike else ()

    def paper(self, name: str) -> float | None:
        """Return the published value."""
        return self.printed[name].value if name in self.printed else None

    def source(self, column: str) -> tuple[str, ...]:
        """Return the different values of a column of the rows; none without rows."""
        return self.sources.get(column, ())


@dataclass(frozen=True, eq=False)
class Report:
    """Data that a report is made from.

    Attributes:
        results: results by row, role and scale.
        printed: results that only the paper has, in the same way.
        counts: MACs at fixed sizes, by row, size and scale.
    """

    experiment: Experiment
    plan: StoredPlan
    results: Mapping[Key, Result]
    samples: tuple[Sample, ...] = ()
    printed: Mapping[Key, Result] = field(default_factory=dict)
    counts: Mapping[Key, Result] = field(default_factory=dict)
    costs: Costs = field(default_factory=Costs)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Every number, one a line: the frame that `harness.results.frame` describes.

        A place without a number has one line without a value, with the reason in `missing`; what
        the paper prints stands in `published` of every line of its place.
        """
        every = (*self.results.values(), *self.counts.values(), *self.printed.values())
        parts = [_lines(result) for result in every]
        if self.costs.rows:
            parts.append(pd.DataFrame(self.costs.rows).assign(role="", dataset="", missing=""))
        filled = [part for part in parts if len(part)]
        tidy = pd.concat(filled) if filled else pd.DataFrame(columns=list(COLUMNS))
        rows = {row: (self.label(row), self.baseline(row)) for row in tidy["method"].unique()}
        tidy["label"] = tidy["method"].map({row: label for row, (label, _) in rows.items()})
        tidy["baseline"] = tidy["method"].map({row: base for row, (_, base) in rows.items()})
        tidy = tidy.reindex(columns=list(COLUMNS))
        return tidy.astype({"value": float, "published": float}).reset_index(drop=True)

    def images(self, metric: str, role: str, scale: float) -> pd.DataFrame:
        """Return values by image (mean over seeds), a column for each row of the experiment."""
        key = (metric, role, scale)
        if key not in self._images:  # many claims are about the same images
            tidy = self.frame
            of = (tidy["role"] == role) & (tidy["scale"] == scale) & (tidy["metric"] == metric)
            self._images[key] = tidy[of].pivot_table("value", "image", "method", sort=False)
        return self._images[key]

    @cached_property
    def _images(self) -> dict[tuple[str, str, float], pd.DataFrame]:
        return {}

    @cached_property
    def _to_baselines(self) -> dict[tuple[object, ...], Any]:
        found = differences(self.frame, METRICS).replace({np.nan: None}).itertuples()
        return {tuple(getattr(line, name) for name in PLACE): line for line in found}

    @property
    def scales(self) -> tuple[float, ...]:
        """Scales of the experiment (of a figure, those shown), and others that the plan has."""
        declared = () if self.experiment.regions_only else self.experiment.scales
        return tuple(sorted({*declared, *(unit.scale for unit in self.plan.units)}))

    @property
    def roles(self) -> tuple[str, ...]:
        """Sets of the paper that the plan has, in the experiment's order."""
        planned = {note.role for note in self.plan.roles}
        return tuple(role for role in self.experiment.roles if role in planned)

    @property
    def shown_roles(self) -> tuple[str, ...]:
        """Sets that tables of scores are of: `roles`, and those of the paper alone."""
        return (*self.roles, *self.experiment.published_roles)

    @property
    def blocks(self) -> Blocks:
        """Rows of a table, with the paper's others; see `harness.report.paper.blocks`."""
        return blocks(self.experiment)

    def label(self, row: str) -> str:
        """Return the paper's name of a row, or of a method."""
        return row if self.is_other(row) else row_label(self.experiment, row)

    def baseline(self, row: str) -> str:
        """Return the row of the method's own baseline; "" where the experiment has none."""
        own = "" if self.is_other(row) else parse(methods_of(row)[0]).baseline
        return own if own in self.experiment.rows else ""

    def is_other(self, row: str) -> bool:
        """Tell whether a row is a system that only the paper has."""
        return row in others(self.experiment)

    def is_run(self, row: str) -> bool:
        """Tell whether a row is part of the run; the others of a table are named in one line."""
        planned = {unit.method for unit in self.plan.units}
        return self.plan.added_row(row) is not None or not planned.isdisjoint(methods_of(row))

    def role(self, name: str) -> RoleNote:
        """Return the dataset that was measured for a set of the paper.

        Raises:
            HarnessError: the plan does not say.
        """
        for note in self.plan.roles:
            if note.role == name:
                return note
        raise HarnessError(
            f"The stored plan of {self.experiment.name} does not say what is measured for {name}.",
            f"Run `harness run {self.experiment.name} --profile {self.plan.profile}` again.",
        )

    def at(self, row: str, role: str, scale: float) -> Result:
        """Return the result of a row; it may be missing, or the paper's alone."""
        key = (row, role, scale)
        found = (each[key] for each in (self.results, self.counts, self.printed) if key in each)
        return next(found)

    def measured(self, role: str, scale: float) -> list[Result]:
        """List the results of one column that have numbers."""
        column = [self.at(row, role, scale) for row in self.experiment.rows]
        return [result for result in column if not result.missing]

    def to_baseline(self, row: str, role: str, scale: float, metric: str) -> Any:
        """Compare a row with its baseline, paired by image; None where one was not measured.

        Returns:
            A line of `harness.report.frame.differences`.
        """
        return self._to_baselines.get((row, role, scale, metric))

    def comparable(self, role: str, row: str = "") -> bool:
        """Tell whether a row was measured in the paper's setting, so that numbers compare."""
        return role not in self.roles or not (self.role(role).substitute or self.departs(row))

    def departs(self, row: str = "") -> bool:
        """Tell whether networks or training of a row (of every row) are not the paper's."""
        notes = [n for n in self.plan.methods if not row or n.method in methods_of(row)]
        if row:
            return any(note.reduced for note in notes)
        return self.plan.reduced and all(note.reduced for note in notes)


def load_report(
    results: Path, profile: str, experiment: Experiment, only: Sequence[str] = ()
) -> Report:
    """Read plan, rows, samples and costs of an experiment, with the rows that were added to it.

    Args:
        results: folder that was measured to.
        profile: name of the profile.
        experiment: the experiment.
        only: methods or patterns of the rows that are wanted; all if empty.

    Raises:
        UsageError: no method fits one of `only`.
        HarnessError: nothing is stored, or it is damaged.
    """
    plan = load_plan(plan_path(results, profile, experiment.name))
    known_again(in_a_line(plan.added))
    experiment = with_rows(experiment, [row.method for row in plan.added])
    if only:
        experiment = only_methods(experiment, choose(experiment, only))
    stored = load_samples(samples_dir(results, profile, experiment.name))
    samples = tuple(sorted(stored, key=lambda s: (s.role, s.image, s.scale)))
    report = Report(experiment, plan, {}, samples)
    folder = measurements_dir(results, profile)
    measured, counts = (
        {
            (row, place, scale): _result(report, folder, row, place, scale)
            for place in places
            for row in experiment.rows
            for scale in report.scales
        }
        for places in (report.roles, experiment.sizes)
    )
    # Every text that others wrote comes in here: names of images, profiles, machines.
    whole = Report(
        experiment,
        in_a_line(plan),
        in_a_line(measured),
        in_a_line(samples),
        printed={(r.method, r.role, r.scale): r for r in _of_the_paper(report)},
        counts=in_a_line(counts),
        costs=in_a_line(load_costs(results, plan, experiment, report.scales)),
    )
    found: dict[tuple[object, ...], dict[str, Any]] = {}
    for line in means(whole.frame).itertuples():
        found.setdefault((line.method, line.role, line.scale), {})[str(line.metric)] = line
    for each in (whole.results, whole.counts):
        for key, result in each.items():
            result.means.update(found.get(key, {}))
    return whole


def _lines(of: Result) -> pd.DataFrame:
    """List the numbers of a result; the mean of a metric may leave out images, no other number."""
    place: dict[str, Any] = {
        "method": of.method,
        "role": of.role,
        "dataset": of.dataset,
        "scale": of.scale,
    }
    published = {name: printed.value for name, printed in of.printed.items()}
    if not len(rows := of.rows):
        lacking = {"value": np.nan, "missing": of.missing}
        known = published or {"psnr": np.nan}
        return pd.DataFrame(
            {"metric": [*known], "published": [*known.values()], **lacking, **place}
        )
    names = [name for name in rows.select_dtypes("number") if name not in _FACTS]
    shares = pd.DataFrame(rows["expert_shares"].tolist(), index=rows.index)
    shares.columns = [f"share_{depth}" for depth in of.expert_depths][: shares.shape[1]]
    wide = pd.concat([rows[names], shares], axis=1)
    partly = wide.isna().any() & ~wide.columns.isin([*METRICS])
    wide = rows[["image", "seed", "cell"]].join(wide.loc[:, ~partly])
    long = wide.melt(["image", "seed", "cell"], var_name="metric").dropna(subset="value")
    long["published"] = long["metric"].map(published)
    return long.assign(missing=of.unscored, **place)


def _of_the_paper(report: Report) -> Iterator[Result]:
    """List the paper's results that cannot be measured here: other systems, other sets."""
    experiment, unknown = report.experiment, others(report.experiment)
    named = {row: paper_system(row) for row in experiment.rows} | dict(unknown)
    for role in (*report.roles, *experiment.published_roles, *experiment.sizes):
        lacking = role in experiment.published_roles
        why = f"{role} is not part of this experiment" if lacking else "not a system of ours"
        for row in named if lacking else unknown:
            for scale in report.scales:
                printed = printed_values(experiment, named[row], role, scale)
                yield Result(row, role, "", scale, missing=f"not measured: {why}", printed=printed)


def _result(report: Report, folder: Path, row: str, place: str, scale: float) -> Result:
    """Read what is stored of a result, or say why there is nothing."""
    method, experiment = method_at(row, scale), report.experiment
    size = place in experiment.sizes
    note = RoleNote(place, place, "", 1, False) if size else report.role(place)
    at = (method, place, scale)
    planned = [u for u in report.plan.units if (u.method, u.role, u.scale) == at]
    result = Result(
        method=row,
        role=place,
        dataset=note.dataset,
        scale=scale,
        substitute=note.substitute,
        seeds=tuple(sorted(unit.seed for unit in planned)),
        images_planned=note.images,
        printed={} if size else printed_values(experiment, paper_system(row), place, scale),
    )
    if method is None:
        return replace(result, missing=unable(row))
    if not planned:
        shown = any((u.role, u.scale) == (place, scale) for u in report.plan.units)
        elsewhere = experiment.regions_only and not shown
        added = report.plan.added_row(row)
        why = (added.missing if added else "") or LEFT_OUT
        return replace(result, missing="not shown at this scale" if elsewhere else why)
    by_seed = [unit_rows(folder, each, note.only) for each in planned]
    rows = [
        _line(experiment, in_a_line(row), each.file)
        for each, found in zip(planned, by_seed, strict=True)
        for row in found
    ]
    if any(len(found) != note.images for found in by_seed):
        wanted = note.images * len(planned)
        seeds = f", {len(planned)} seeds" if len(planned) > 1 else ""
        return replace(result, missing=f"not measured ({len(rows)} of {wanted} images{seeds})")
    return replace(result, **_summary(pd.DataFrame(rows), len(planned)))


def _line(experiment: Experiment, row: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Flatten a row, with its file, the MACs that the experiment is about, and its LR pixels."""
    line = {**dict.fromkeys(METRICS), **flat(row)}
    beside = ("encoder_macs", "estimator_macs") if experiment.macs_of == "all" else ()
    executed, counted = line.get("executed_macs"), line.get("decoder_macs")
    if not beside and not counted and line.get("encoder_macs"):
        counted = executed = None  # a network that has no decoder apart
    return {
        **line,
        "cell": file,
        "macs": None if counted is None else counted + sum(line[part] for part in beside),
        "executed": None if executed is None else executed + sum(line[p] for p in beside[:1]),
        "lr_pixels": math.prod(line["lr_size"]),
    }


def _summary(rows: pd.DataFrame, seeds: int) -> dict[str, Any]:
    """Compute the fields of `Result` from the complete rows of a result."""
    counted = all(map(is_counted, rows["protocol"]))
    broken = 0 if counted else not_a_number(rows)
    if broken:
        return {"missing": f"PSNR is not a number for {broken} images"}
    failures = rows[rows["reason"].str.startswith(FAILED)]
    if len(failures):
        reason = str(failures["reason"].iloc[0]).removeprefix(FAILED)
        return {"missing": f"failed on {len(failures)} of {len(rows)} images: {reason}"}
    scored = rows[rows["reason"] == ""] if counted else rows[rows["psnr"].notna()]
    reasons = rows.drop(scored.index)["reason"].value_counts()
    # Every seed sees the same images: count images, not rows.
    excluded = tuple(sorted((str(r), int(n) // seeds) for r, n in reasons.items()))
    versions = {f"{name} {number}" for row in rows["versions"] for name, number in row.items()}
    sources = {name: distinct(rows[name]) for name in SOURCES} | {"version": distinct(versions)}
    facts: dict[str, Any] = {"excluded": excluded, "sources": sources}
    unscored = "MACs are counted, nothing is enlarged"
    if rows["checkpoint"].astype(str).str.startswith("shapes-").all():
        unscored = "not trained: its MACs alone are counted"
    if scored.empty:
        listed = "; ".join(f"{reason}: {count} images" for reason, count in excluded)
        return {**facts, "missing": f"no image is large enough ({listed})"}
    return {
        **facts,
        "images": len(scored) // seeds,
        "unscored": unscored if counted else "",
        "expert_depths": tuple(scored["expert_depths"].iloc[0]),
        "rows": scored,
    }
