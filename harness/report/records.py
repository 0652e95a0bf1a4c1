"""Numbers of a report at full precision, for programs: CSV, JSON and Parquet."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import pandas as pd

from harness.common.errors import UsageError
from harness.common.escaping import spreadsheet
from harness.measure.rows import PARTS
from harness.report import words
from harness.report.claims import verdicts
from harness.report.data import SOURCES, Report, Result
from harness.report.sections.macs import percent_of_baseline
from harness.report.text import phrase, sentences


def csv(report: Report) -> str:
    """Format one line per (method, role, scale); lists are joined by semicolons."""
    records = []
    for record in _records(report):
        records.append({key: _joined(value) for key, value in record.items()})
    text: str = pd.DataFrame(records).to_csv(index=False, lineterminator="\n")
    return text


def json_text(report: Report) -> str:
    """Format the plan's provenance and the records as strict JSON; infinity is "Infinity"."""
    plan, roles = report.plan, report.roles
    document: dict[str, Any] = {
        "experiment": plan.experiment,
        "title": report.experiment.title,
        "source": report.experiment.source,
        "profile": plan.profile,
        "summary": plan.summary,
        "notice": words.notice(report),
        "reduced_setting": plan.reduced,
        "training": plan.training,
        "networks": plan.networks,
        "schedule": plan.schedule,
        "created": plan.created,
        "provenance": {role: words.provenance(report, role) for role in roles},
        "warnings": [w for w in (words.below_common(report), *plan.warnings) if w],
        "roles": [asdict(note) for note in plan.roles],
        "profile_settings": plan.profile_settings,
        "verdicts": [asdict(verdict) for verdict in verdicts(report)],
    }
    if report.experiment.measures_costs:
        kinds = {"latency": report.costs.latency, "memory": report.costs.memory}
        document["costs"] = {
            name: of.setting and {**asdict(of.setting), "machine": dict(of.setting.machine)}
            for name, of in kinds.items()
        }
    for section in report.experiment.sections:
        document |= section.facts(report)
    document["records"] = list(_records(report))
    return json.dumps(_strict(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def parquet(report: Report) -> bytes:
    """Write the tidy frame (`harness.results`) as Parquet.

    Raises:
        UsageError: pyarrow is not installed.
    """
    stream = io.BytesIO()
    try:
        report.frame.to_parquet(stream, index=False)
    except ImportError as error:
        raise UsageError("Parquet needs pyarrow: pip install pyarrow.") from error
    return stream.getvalue()


def _records(report: Report) -> Iterator[dict[str, Any]]:
    """List the measured results, those that only the paper has, and what sections add."""
    sizes = report.experiment.sizes
    for result in (*report.results.values(), *report.printed.values()):
        if result.role not in sizes:
            yield _record(report, result)
    for section in report.experiment.sections:
        for record in section.records(report):
            yield {**record, "profile": report.plan.profile}


def _record(report: Report, result: Result) -> dict[str, Any]:
    ours = (result.method, result.role, result.scale) in report.results
    kind = "counted" if result.unscored else "measured"
    record: dict[str, Any] = {
        "method": result.method,
        "label": report.label(result.method),
        "kind": "published" if not ours else "not measured" if result.missing else kind,
        "role": result.role,
        "dataset": result.dataset,
        "scale": result.scale,
        "substitute": result.substitute,
        "reduced_setting": ours and (result.substitute or report.departs(result.method)),
        "seeds": list(result.seeds),
        "images_planned": result.images_planned,
        "images": result.images,
        "excluded": [f"{reason}: {count}" for reason, count in result.excluded],
        "missing": result.missing,
        "unscored": result.unscored,
    }
    for name in report.experiment.metrics:
        record |= _metric(report, result, name)
    for name in ("macs", "percent"):
        record[f"published_{name}"] = result.paper(name)
    record["macs"] = result.metric("macs")
    record["percent"] = percent_of_baseline(report, result) if ours else None
    record["executed_macs"] = result.metric("executed")
    for part in PARTS:
        if part != "executed":
            record[f"{part}_macs"] = result.metric(f"{part}_macs")
    parameters = result.metric("parameters")
    record["parameters"] = None if parameters is None else int(parameters)
    record["trained_steps"] = int(result.rows["trained_steps"].mean()) if len(result.rows) else None
    record["lr_pixels"] = result.metric("lr_pixels")
    record["depth_texture"] = result.metric("depth_texture")
    record["expert_depths"], record["expert_shares"] = result.expert_depths, result.expert_shares
    notes = dict.fromkeys(printed.note for printed in result.printed.values() if printed.note)
    record["published_notes"] = list(notes)
    for name in (*SOURCES, "version"):
        record[f"{name.removeprefix('dataset_')}s"] = list(result.source(name))
    return {**record, **_costs(report, result), **_provenance(report, result, ours)}


def _metric(report: Report, result: Result, name: str) -> dict[str, Any]:
    """Return mean, interval, published value and difference to the baseline of a metric."""
    value, paper = result.metric(name), result.paper(name)
    low, high = result.interval(name) or (None, None)
    found = report.to_baseline(result.method, result.role, result.scale, name) if value else None
    compared = value is not None and paper is not None
    compared = compared and report.comparable(result.role, result.method)
    return {
        name: value,
        f"{name}_low": low,
        f"{name}_high": high,
        f"{name}_images": 0 if value is None else result.means[name].images,
        f"{name}_seed_sd": result.spread(name),
        f"published_{name}": paper,
        f"{name}_difference": value - paper if compared and value and paper else None,
        f"{name}_to_baseline": found and found.mean,
        f"{name}_to_baseline_low": found and found.low,
        f"{name}_to_baseline_high": found and found.high,
        f"{name}_to_baseline_sign_test": found and found.sign,
        f"{name}_to_baseline_decided": found and found.decided,
    }


def _costs(report: Report, result: Result) -> dict[str, Any]:
    """Return latency and memory in seconds and bytes, of one LR image whatever the set."""
    if not report.experiment.measures_costs:
        return {}
    key, costs = (result.method, result.scale), report.costs
    latency, memory = costs.latency.at(*key), costs.memory.at(*key)
    setting = costs.latency.setting or costs.memory.setting
    return {
        "costs_lr_size": setting and f"{setting.lr_size[0]}x{setting.lr_size[1]}",
        "latency_s": latency and latency.median,
        "latency_quartiles_s": [] if latency is None else [latency.low, latency.high],
        "latency_missing": costs.latency.missing.get(key, ""),
        "peak_memory_bytes": memory and memory.median,
        "peak_memory_missing": costs.memory.missing.get(key, ""),
    }


def _provenance(report: Report, result: Result, ours: bool) -> dict[str, Any]:
    """Repeat the plan in every line, because a line may be copied alone."""
    plan = report.plan
    if not ours:
        text = f"Printed by {report.experiment.source}; {result.missing}."
        return {"profile": plan.profile, "provenance": text}
    text = f"Without a number: {result.missing}."
    if not result.missing:
        warnings = [words.below_common(report), *(f"{phrase(w)}." for w in plan.warnings)]
        text = sentences(words.provenance(report, result.role, result.method), *warnings)
    return {
        "profile": plan.profile,
        **words.trained_as(report, result.method),
        "provenance": text,
    }


def _joined(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        joined = ";".join(repr(v) if isinstance(v, float) else str(v) for v in value)
        numbers = all(isinstance(v, int | float) for v in value)
        return joined if numbers else spreadsheet(joined)
    return spreadsheet(value) if isinstance(value, str) else value


def _strict(value: Any) -> Any:
    """Replace values that JSON cannot express."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
