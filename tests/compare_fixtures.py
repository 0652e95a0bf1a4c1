"""A small stored comparison with numbers that are plainly made up, for the tests of its report."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from report_fixtures import PLAN, ROLE, SUBSTITUTE, made_up_row, unit_path

from baselines import parse
from harness.experiments import get
from harness.measure.costs import BASELINE, CALLS, FIRST, KIND, LATENCY, LOAD, MEMORY, TURN
from harness.measure.macs import COSTS
from harness.measure.rows import Measurement, UnitFile
from harness.runs.plan import PlannedUnit, measurements_dir, plan_path, save_plan

COMPARE = get("compare")
MACHINE = {
    "cpu": "Made-up CPU",
    "cores": 2,
    "threads": 2,
    "device": "cpu: made up, 2 threads",
    "system": "Linux made_up",
    "torch": "0.0.0",
}
OTHER = {**MACHINE, "cpu": "Another CPU"}
LEFT_OUT = "edsr-metasr"
TIMED = tuple(method for method in COMPARE.methods if method != LEFT_OUT)
PLACE = {method: place for place, method in enumerate(COMPARE.methods)}

Edit = Callable[[Measurement], Measurement | None]
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


def made_up_cost(method: str, scale: float) -> Measurement:
    """A row as measuring would write it."""
    place = PLACE[method]
    middle = 0.001 * (1 + place) * scale
    return replace(
        made_up_measurement(method, scale),
        role=COSTS,
        dataset="photograph-128x96",
        image="a made-up photograph",
        lr_size=(128, 96),
        protocol=COSTS,
        precision="fp32",
        metrics={LATENCY: middle, MEMORY: float((1 + place) << 20)},
        macs={},
        facts={
            CALLS: [0.9 * middle, middle, 1.3 * middle],
            FIRST: 2 * middle,
            TURN: f"at-x{scale:g}",
            LOAD: 0.25,
            BASELINE: 200.0 * 2**20,
            KIND: "process",
        },
        machine=MACHINE,
        measured_at="2000-01-01T00:00:00+00:00",
    )


def unchanged(row: Measurement) -> Measurement:
    return row


def write_comparison(root: Path, edit: Edit = unchanged) -> Path:
    """Plan, rows and costs of every system but one; `edit` changes the costs."""
    units = []
    for method in TIMED:
        for scale in (s for s in COMPARE.scales if parse(method).can_do(s)):
            measured = made_up_measurement(method, scale)
            unit = unit_path(measured)
            units.append(PlannedUnit(method, ROLE, SUBSTITUTE.dataset, scale, 0, str(unit)))
            row = asdict(measured)
            rows = [{**row, "image": f"image{n}.png"} for n in range(SUBSTITUTE.images)]
            _write(measurements_dir(root, "quick") / unit, rows)
            made = made_up_cost(method, scale)
            found = edit(made)
            file = unit_path(found or made)
            photograph = (found or made).dataset
            units.append(PlannedUnit(method, COSTS, photograph, scale, 0, file.as_posix()))
            _write(measurements_dir(root, "quick") / file, [asdict(found)] if found else [])
    plan = replace(PLAN, experiment="compare", units=units)
    save_plan(plan, plan_path(root, "quick", "compare"))
    return root


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    assert len(UnitFile(path).rows()) == len(rows)
