"""A small results tree with numbers that are plainly made up, for the tests of reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from harness.experiments import get
from harness.measure.rows import Measurement, UnitFile, UnitId
from harness.report import render, write_report
from harness.runs.plan import (
    MethodNote,
    PlannedUnit,
    RoleNote,
    StoredPlan,
    measurements_dir,
    plan_path,
    samples_dir,
    save_plan,
)

TABLE1 = get("table1")
# As in the main job of the README; the other rows are left out of the run.
METHODS = tuple(m for m in TABLE1.methods if m == "bicubic" or m.startswith("edsr"))
ROLE = "DIV2K_valid"
SUBSTITUTE = RoleNote(ROLE, "made-up", "photographs & 100% invented numbers", 3, True)
GENUINE = RoleNote(ROLE, ROLE, "the set itself", 3, False)
TRAINED = "12 made-up photographs."

PLAN = StoredPlan(
    experiment="table1",
    profile="quick",
    summary="A made-up run for tests.",
    reduced=True,
    training=TRAINED,
    networks="EDSR of 4 blocks and 32 features",
    schedule="300 steps of batch 8 in float32",
    created="2000-01-01T00:00:00",
    roles=[SUBSTITUTE],
    units=[],
    warnings=["Nothing of this was measured."],
    profile_settings={"steps": 300},
    methods=[MethodNote(m, TRAINED, 12, reduced=True) for m in METHODS if m != "bicubic"],
)

Edit = Callable[[Measurement], Measurement | None]
"""Changes a row, or drops it by returning None."""


def made_up_psnr(method: str, scale: float, image: int) -> float:
    """Falls with scale; a little different for each method and image."""
    place = METHODS.index(method)
    return 36 - 4 * np.log2(scale) + 0.03 * place + (3 * bool(place)) / scale + 1.7 * image


def made_up_row(method: str, scale: float, image: int, role: RoleNote, seed: int) -> Measurement:
    """A row as evaluation would write it."""
    place = METHODS.index(method)
    depths = [] if "moeisr" not in method else [2, 3, 4, 5] if "liif" in method else [2, 3, 4]
    macs = 0 if place == 0 else int(4e11 / (1 + (place - 1) % 3 * 1.4) / (1 + ("lte" in method)))
    side = int(1024 // scale)
    return Measurement(
        method=method,
        seed=seed,
        checkpoint=f"{place}beef0123456789",
        recipe=f"recipe-{place}",
        trained_steps=300 if place else 0,
        profile="quick",
        role=role.role,
        dataset=role.dataset,
        dataset_fingerprint="f00d",
        image=f"image{image}.png",
        image_sha256=f"{image}" * 8,
        scale=scale,
        hr_size=(1024, 1024),
        lr_size=(side, side),
        lr_source="official" if scale <= 4 else "pil",
        protocol="div2k",
        metrics={
            "psnr": made_up_psnr(method, scale, image),
            "ssim": 0.9 - 0.02 * scale + 0.001 * place + 0.01 * image,
        },
        reason="",
        macs={
            "decoder": macs + 1000 * image if place else 0,
            "estimator": 7_000_000_000 if "lte" in method else 0,
            "encoder": 0 if place == 0 else int(3e12 / scale**2),
        },
        parameters={"all": 0 if place == 0 else 1_200_000 + place},
        expert_depths=depths,
        expert_shares=[1 / len(depths) for _ in depths],
        seconds=0.5,
        peak_memory_bytes=10**9,
        memory_kind="process",
        device="made-up device",
        precision="float32",
        versions={"torch": "0.0.0"},
        measured_at="2000-01-01T00:00:00",
    )


def edited(row: Measurement, **fields: object) -> Measurement:
    """The row with other fields, metrics (`psnr`) and MACs (`decoder_macs`)."""
    metrics = {name: fields.pop(name) for name in row.metrics if name in fields}
    parts = {name: fields.pop(name) for name in list(fields) if name.endswith("_macs")}
    macs = {name.removesuffix("_macs"): value for name, value in parts.items()}
    return replace(row, metrics={**row.metrics, **metrics}, macs={**row.macs, **macs}, **fields)


def unit_path(row: Measurement) -> Path:
    """Of the unit that a row belongs to, below the folder of measurements."""
    fields = {name: getattr(row, name) for name in UnitId.__dataclass_fields__}
    return UnitId(**fields).relative_path


def write_results(
    root: Path,
    *,
    plan: StoredPlan = PLAN,
    scales: Sequence[float] = TABLE1.scales,
    seeds: Sequence[int] = (0,),
    edit: Edit = lambda row: row,
) -> Path:
    """Plan and rows of table1 with every unit complete, but for what `edit` changes."""
    role = plan.roles[0]
    units = []
    for method in METHODS:
        for scale in scales:
            for seed in seeds:
                unedited = made_up_row(method, scale, 0, role, seed)
                first = edit(unedited) or unedited
                file = unit_path(first)
                units.append(PlannedUnit(method, ROLE, role.dataset, scale, seed, str(file)))
                path = measurements_dir(root, plan.profile) / file
                rows = [made_up_row(method, scale, i, role, seed) for i in range(role.images)]
                _write_rows(path, [edit(row) for row in rows])
    save_plan(replace(plan, units=units), plan_path(root, plan.profile, plan.experiment))
    return root


def _write_rows(path: Path, rows: Sequence[Measurement | None]) -> None:
    """As `UnitFile.append`, without a flush to disk for each of some hundred rows."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(row), sort_keys=True) + "\n" for row in rows if row is not None]
    path.write_text("".join(lines), encoding="utf-8")
    assert len(UnitFile(path).rows()) == len(lines)


def write_sample(
    root: Path, *, name: str = "astronaut-x4", scale: int = 4, size: int = 256
) -> Path:
    """A sample made of a photograph of scikit-image, every method with its blur."""
    folder = samples_dir(root, PLAN.profile, PLAN.experiment) / name
    folder.mkdir(parents=True)
    hr = Image.fromarray(data.astronaut()).resize((size, size), Image.Resampling.LANCZOS)
    lr = hr.resize((size // scale, size // scale), Image.Resampling.BICUBIC)
    box = (size // 8, size // 3 // scale * scale, size // 4, size // 4)
    area = (box[1], box[0], box[1] + box[3], box[0] + box[2])
    hr.save(folder / "hr.png")
    hr.crop(area).save(folder / "hr_crop.png")
    lr.save(folder / "lr.png")
    lr.crop(tuple(value // scale for value in area)).save(folder / "lr_crop.png")
    methods = []
    for place, method in enumerate(METHODS):
        blurred = lr.resize(hr.size, Image.Resampling.BICUBIC)
        made = Image.blend(blurred, hr, place / 10)
        made.crop(area).save(folder / f"{method}.png")
        entry: dict[str, object] = {"method": method, "crop": f"{method}.png", "psnr": 27 + place}
        entry["expert_depths"] = []
        if "moeisr" in method:
            depths = [2, 3, 4, 5] if "liif" in method else [2, 3, 4]
            detail = np.abs(np.gradient(np.asarray(lr.convert("L"), float))).sum(0)
            ranks = np.digitize(
                detail, np.quantile(detail, np.linspace(0, 1, len(depths) + 1)[1:-1])
            )
            Image.fromarray(ranks.astype(np.uint8)).save(folder / f"{method}-map.png")
            entry |= {"expert_map": f"{method}-map.png", "expert_depths": depths}
        methods.append(entry)
    files = {key: f"{key}.png" for key in ("hr", "hr_crop", "lr", "lr_crop")}
    about = {"role": ROLE, "dataset": "made-up", "image": "astronaut.png", "protocol": "div2k"}
    sample = {**about, **files, "scale": scale, "box": box, "methods": methods}
    (folder / "sample.json").write_text(json.dumps(sample), encoding="utf-8")
    return folder


def rendered(root: Path, profile: str, experiment: str, fmt: str, **options: object) -> str:
    """One format of a report, by the name of its experiment."""
    return render(root, profile, get(experiment), fmt, **options)


def reported(
    root: Path, profile: str, experiment: str, *more: object, **options: object
) -> list[Path]:
    """Files of a report, by the name of its experiment."""
    return write_report(root, profile, get(experiment), *more, **options)
