"""Numbers of a report at full precision, for programs: CSV and JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pandas as pd

from harness.common.escaping import spreadsheet
from harness.experiments.counts import Reference
from harness.measure.rows import PARTS
from harness.metrics import METRICS
from harness.report import captions, cost_records
from harness.report.aggregate import Report
from harness.report.claims import followed
from harness.report.counts import Count
from harness.report.means import SOURCES, CellMean


def csv(report: Report) -> str:
    """Format one line per (method, role, scale); lists are joined by semicolons."""
    records = []
    for cell in _cells(report):
        records.append({**_record(report, cell), **_plan_columns(report, cell)})
    said = {"profile": report.plan.profile, "provenance": captions.COUNTED}
    records += [{**record, **said} for record in _count_records(report)]
    records = [{key: _joined(value) for key, value in record.items()} for record in records]
    text: str = pd.DataFrame(records).to_csv(index=False, lineterminator="\n")
    return text


def json_text(report: Report) -> str:
    """Format the plan's provenance and the records as strict JSON; infinity is "Infinity"."""
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
        "captions": {
            role: captions.page_caption(report, role)
            for role in (*report.roles, *report.experiment.published_roles)
        },
        "warnings": [w for w in (captions.path_warning(report), *plan.warnings) if w],
        "roles": [asdict(note) for note in plan.roles],
        "profile_settings": plan.profile_settings,
        **cost_records.document(report),
        "records": [
            *(_record(report, cell) for cell in _cells(report)),
            *_count_records(report),
        ],
        "claims": [asdict(each) for each in followed(report)],
    }
    return json.dumps(_strict(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _cells(report: Report) -> list[CellMean]:
    """List the measured cells, then those that only the paper has."""
    return [*report.cells.values(), *report.printed.values()]


def _is_ours(report: Report, cell: CellMean) -> bool:
    return (cell.method, cell.role, cell.scale) in report.cells


def _record(report: Report, cell: CellMean) -> dict[str, Any]:
    record = _flat(cell)
    ours = _is_ours(report, cell)
    return {
        "method": record.pop("method"),
        "label": report.label(cell.method),
        "kind": _kind(cell) if ours else "published",
        **record,
        "difference": cell.difference,
        "stand_in": ours and captions.is_stand_in(report, cell.role, cell.method),
        **cost_records.record(report, cell),
    }


def _flat(cell: CellMean) -> dict[str, Any]:
    """Flatten a cell to its numbers and texts, a name for each."""
    record = {name: value for name, value in asdict(cell).items() if not isinstance(value, Mapping)}
    record["excluded"] = [f"{reason}: {count}" for reason, count in cell.excluded]
    record["published_notes"] = list(dict.fromkeys(n for _, n in record.pop("printed_notes")))
    record["executed_macs"] = record.pop("executed")
    for name in METRICS:
        record[name] = cell.metrics.get(name)
        record[f"{name}_images"] = cell.metric_images.get(name, 0)
        record[f"{name}_seed_sd"] = cell.seed_sd.get(name)
        record["published" if name == "psnr" else f"published_{name}"] = cell.printed.get(name)
    for name in ("macs", "percent"):
        record[f"published_{name}"] = cell.printed.get(name)
    for part in PARTS:
        if part != "executed":
            record[f"{part}_macs"] = cell.part_macs.get(part)
    for name in SOURCES:
        record[f"{name.removeprefix('dataset_')}s"] = list(cell.source(name))
    return record


def _kind(cell: CellMean) -> str:
    """Say what kind the numbers of one of our cells are, if it has any."""
    if cell.missing:
        return "not measured"
    return "counted" if cell.unscored else "measured"


def _count_records(report: Report) -> Iterator[dict[str, Any]]:
    """Make a record for each count of `Report.counts`, with the published figures beside it."""
    for counts, cells in zip(report.experiment.counts, report.counts, strict=True):
        for cell in cells.values():
            yield {
                "method": cell.method,
                "label": report.label(cell.method),
                "kind": "published" if report.is_other(cell.method) else "counted",
                "size": counts.size,
                "part": counts.part,
                "scale": cell.scale,
                "missing": cell.missing,
                "parameters": cell.parameters.counted,
                "macs": cell.macs.counted,
                "least_macs": cell.macs.least,
                **_beside("parameters", cell.parameters, counts.parameters),
                **_beside("macs", cell.macs, counts.macs),
                "versions": list(cell.versions),
            }


def _beside(what: str, count: Count, references: Sequence[Reference]) -> dict[str, Any]:
    """List published figures, and how the count agrees with them."""
    found: dict[str, Any] = {}
    for reference, figure in zip(references, count.beside, strict=True):
        key = f"{reference.name.replace(' ', '_')}_{what}"
        found[key] = None if figure is None else figure.value
        found[f"{key}_agreement"] = count.agreement(figure)
    return found


def _plan_columns(report: Report, cell: CellMean) -> dict[str, Any]:
    """Make the plan's columns, repeated in every CSV line, because a line may be copied alone."""
    plan = report.plan
    if not _is_ours(report, cell):
        provenance = f"Printed by {report.experiment.source}; {cell.missing}."
        return {"profile": plan.profile, "provenance": provenance}
    provenance = captions.page_caption(report, cell.role, cell.method)
    if cell.missing:
        provenance = f"Without a number: {cell.missing}."
    trained = captions.trained_as(report, cell.method)
    return {"profile": plan.profile, **trained, "provenance": provenance}


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
