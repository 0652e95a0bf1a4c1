"""A small stored comparison with numbers that are plainly made up, for the tests of its report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from report_fixtures import PLAN, ROLE, SUBSTITUTE, cell_path, made_up_row

from baselines import parse
from harness.experiments import get
from harness.measure.cost_rows import Cost, Kind, cell_of, costs_dir
from harness.measure.rows import CellFile, Measurement
from harness.runs.plan import PlannedCell, PlannedCost, measurements_dir, plan_path, save_plan

COMPARE = get("compare")
MACHINE = {
    "cpu": "Made-up CPU",
    "cores": 2,
    "threads": 2,
    "device": "cpu: made up, 2 threads",
    "system": "Linux made_up",
    "python": "3.11.0",
    "torch": "0.0.0",
    "load": 0.25,
}
OTHER = {**MACHINE, "cpu": "Another CPU"}
LEFT_OUT = "edsr-metasr"
TIMED = tuple(method for method in COMPARE.methods if method != LEFT_OUT)
PLACE = {method: place for place, method in enumerate(COMPARE.methods)}

Edit = Callable[[Cost], Cost | None]
"""Changes a row, or drops it by returning None."""


def made_up_measurement(method: str, scale: float) -> Measurement:
    """As `made_up_row`, of any method: the later in the list, the better and the dearer."""
    place = PLACE[method]
    row = made_up_row("edsr-liif", scale, 0, SUBSTITUTE, 0)
    fixed = not method.startswith("bicubic") and not parse(method).can_do(7)
    decoder = 0 if fixed or not place else round(1e10 * 1.3**place)
    return replace(
        row,
        method=method,
        checkpoint=f"{place:02}beef" if place else "",
        metrics={**row.metrics, "psnr": 36 - 4 * math.log2(scale) + 0.1 * place},
        macs={
            "decoder": decoder,
            "estimator": 0,
            "encoder": round(1e10 * (1 + place / 10)) if place else 0,
            "executed": decoder // 3,
        },
        parameters={"all": 1000 * place},
    )


def made_up_cost(kind: Kind, method: str, scale: float) -> Cost:
    """A row as measuring would write it."""
    place = PLACE[method]
    latency = kind == "latency"
    middle = 0.001 * (1 + place) * scale
    return Cost(
        kind=kind,
        method=method,
        seed=0,
        checkpoint=f"{place:02}beef" if place else "",
        profile="quick",
        scale=scale,
        lr_height=128,
        lr_width=96,
        image="a made-up photograph",
        precision="fp32",
        memory_mib=None,
        values=[0.9 * middle, middle, 1.3 * middle] if latency else [float((1 + place) << 20)],
        machine=MACHINE,
        timing=f"at-x{scale:g}" if latency else "",
        baseline_bytes=0 if latency else 200 << 20,
        memory_kind="" if latency else "process",
        versions={"torch": "0.0.0"},
        measured_at="2000-01-01T00:00:00+00:00",
    )


def unchanged(row: Cost) -> Cost:
    return row


def cost_path(row: Cost) -> Path:
    """Of the cell that a row of costs belongs to, below the folder of costs."""
    return cell_of({**asdict(row), "scale": float(row.scale)}).relative_path


def write_comparison(root: Path, edit: Edit = unchanged) -> Path:
    """Plan, rows and costs of every system but one; `edit` changes the costs."""
    cells, costs = [], []
    for method in TIMED:
        for scale in (s for s in COMPARE.scales if parse(method).can_do(s)):
            measured = made_up_measurement(method, scale)
            cell = cell_path(measured)
            cells.append(PlannedCell(method, ROLE, SUBSTITUTE.dataset, scale, 0, str(cell)))
            row = asdict(measured)
            rows = [{**row, "image": f"image{n}.png"} for n in range(SUBSTITUTE.images)]
            _write(measurements_dir(root, "quick") / cell, rows)
            kinds: tuple[Kind, Kind] = ("latency", "memory")
            made = [made_up_cost(kind, method, scale) for kind in kinds]
            found = [row for row in map(edit, made) if row is not None]
            file = cost_path((found or made)[0])
            costs.append(PlannedCost(method, scale, 0, file.as_posix(), [128, 96]))
            _write(costs_dir(root, "quick") / file, [asdict(row) for row in found], Cost)
    plan = replace(PLAN, experiment="compare", cells=cells, costs=costs)
    save_plan(plan, plan_path(root, "quick", "compare"))
    return root


def _write(path: Path, rows: list[dict[str, Any]], kind: type[Any] = Measurement) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert len(CellFile(path, kind).rows()) == len(rows)
