"""A report's numbers at full precision, for programs: CSV and JSON."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

import pandas as pd

from harness.report import captions
from harness.report.aggregate import CellMean, Report


def csv(report: Report) -> str:
    """One line per (method, role, scale); lists are joined by semicolons."""
    records = []
    for cell in report.cells.values():
        record = _record(report, cell)
        record = {key: _joined(value) for key, value in record.items()}
        records.append({**record, **_plan_columns(report, cell)})
    text: str = pd.DataFrame(records).to_csv(index=False, lineterminator="\n")
    return text


def json_text(report: Report) -> str:
    """The plan's provenance and the records; strict JSON, infinity is the text "Infinity"."""
    plan = report.plan
    document = {
        "experiment": plan.experiment,
        "title": report.experiment.title,
        "source": report.experiment.source,
        "profile": plan.profile,
        "summary": plan.summary,
        "stand_in": plan.stand_in,
        "training": plan.training,
        "networks": plan.networks,
        "schedule": plan.schedule,
        "created": plan.created,
        "captions": {r: captions.page_caption(report, r) for r in report.roles},
        "warnings": [w for w in (captions.path_warning(report), *plan.warnings) if w],
        "roles": [asdict(note) for note in plan.roles],
        "profile_settings": plan.profile_settings,
        "records": [_record(report, cell) for cell in report.cells.values()],
    }
    return json.dumps(_strict(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _record(report: Report, cell: CellMean) -> dict[str, Any]:
    record = asdict(cell)
    record["published_notes"] = list(dict.fromkeys(n for _, n in cell.published_notes))
    record["excluded"] = [f"{reason}: {count}" for reason, count in cell.excluded]
    shown = report.label(cell.method)
    stand_in = captions.is_stand_in(report, cell.role)
    return {
        "method": record.pop("method"),
        "label": shown,
        **record,
        "difference": cell.difference,
        "stand_in": stand_in,
    }


def _plan_columns(report: Report, cell: CellMean) -> dict[str, Any]:
    """What JSON says once, CSV says in every line: a line may be copied alone."""
    plan = report.plan
    return {
        "profile": plan.profile,
        "training": plan.training,
        "networks": plan.networks,
        "schedule": plan.schedule,
        "provenance": captions.page_caption(report, cell.role),
    }


def _joined(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return ";".join(repr(v) if isinstance(v, float) else str(v) for v in value)
    return value


def _strict(value: Any) -> Any:
    """The value without what JSON has no word for."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
