"""State of a results folder: which trainings and experiments run, wait, stopped or are done."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from pathlib import Path
from typing import Any

from harness import checkpoints
from harness.checkpoints import reference
from harness.common.errors import HarnessError, UsageError
from harness.common.locks import holder, is_held
from harness.measure.costs import LATENCY, values_of
from harness.measure.macs import COSTS
from harness.measure.rows import UnitFile
from harness.runs.plan import COSTS_LOCK, StoredPlan, load_plan, measurements_dir
from harness.training.log import read_log
from harness.training.loop import FAILURE

State = dict[str, Any]


def trainings(results: Path, profile: str) -> list[State]:
    """Find out how far each training of a profile is, by method and seed.

    Returns:
        For each `method`, `seed` and `folder`:
        `state`: running, stopped (the same command goes on), waiting (not begun), done, failed
        (with an error that is not of a signal) or damaged;
        `step`: newest step that its log or its checkpoint has;
        `total`: number of steps; None before the first checkpoint;
        `speed`: steps per second between the newest lines of its log; None where there are not two;
        `l1`, `validation`: newest L1 loss, and PSNR of validation in dB; None without one;
        `seconds_left`: of one that runs; None where that is unknown;
        `note`: process that holds its lock, why it failed, or what is damaged; "" if neither;
        `shipped`: whether its network comes with the package, so that it may not be of this
        machine.
    """
    folders = sorted((results / profile / "training").glob("*/s*-*"))
    shipped = {reference.about(name).shipped.original_weights for name in reference.names()}
    return [_training(folder, shipped) for folder in folders if folder.is_dir()]


def _training(folder: Path, shipped: Container[str]) -> State:
    lines = read_log(folder / "log.jsonl")
    steps = [line for line in lines if "seconds" in line]
    content: dict[str, Any] = {}
    note = ""
    if (folder / "checkpoint.pt").exists():
        try:
            content = checkpoints.read(folder / "checkpoint.pt")
        except HarnessError as error:
            note = str(error)
    if note:
        state = "damaged"
    elif content.get("finished"):
        state = "done"
    elif is_held(folder / "lock"):
        state, note = "running", holder(folder / "lock")
    elif (folder / FAILURE).exists():
        state, note = "failed", _reason(folder / FAILURE)
    else:
        state = "stopped" if content or steps else "waiting"
    # A run that was stopped goes on from its checkpoint, whatever its log has behind it.
    step, total, speed = int(content.get("step", 0)), content.get("total_steps"), _speed(steps)
    if state == "running" and steps:
        step = max(step, int(steps[-1]["step"]))
    left = None
    if state == "running" and speed and total is not None:
        left = (total - step) / speed
    validated = [line["validation_psnr"] for line in lines if "validation_psnr" in line]
    return {
        "method": folder.parent.name,
        "seed": int(folder.name[1:].partition("-")[0]),
        "state": state,
        "step": step,
        "total": total,
        "speed": speed,
        "l1": steps[-1].get("l1") if steps else None,
        "validation": validated[-1] if validated else None,
        "note": note,
        "folder": folder,
        "seconds_left": left,
        "shipped": state == "done" and checkpoints.weights_hash(content["state_dict"]) in shipped,
    }


def _reason(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        return f"{path}: {error.strerror or error}"


def _speed(steps: list[dict[str, float]]) -> float | None:
    """Compute steps per second over the last lines of a log, at most five."""
    if len(steps) < 2:
        return None
    first, last = steps[-5:][0], steps[-1]
    seconds = last["seconds"] - first["seconds"]
    return (last["step"] - first["step"]) / seconds if seconds > 0 else None


def experiments(results: Path, profile: str) -> list[State]:
    """Find out how far the measuring of each experiment of a profile is.

    Returns:
        For each `experiment` its `state`: running (a process writes one of its units), waiting,
        done or damaged; `cells` and `images`: number of planned units, and of images in them;
        `measured_cells` and `measured_images`; `note`: what is damaged, "" if nothing is.
    """
    plans = sorted((results / profile).glob("*/plan.json"))
    return [_experiment(results, path) for path in plans]


def _experiment(results: Path, path: Path) -> State:
    state, note, units = "waiting", "", []
    try:
        plan = load_plan(path)
        units = list(_units(plan, measurements_dir(results, plan.profile)))
    except HarnessError as error:
        state, note = "damaged", str(error)
    done = sum(measured >= planned for measured, planned, _ in units)
    if any(held for *_, held in units):
        state = "running"
    elif done == len(units) and not note:
        state = "done"
    return {
        "experiment": path.parent.name,
        "state": state,
        "cells": len(units),
        "measured_cells": done,
        "images": sum(planned for _, planned, _ in units),
        "measured_images": sum(min(measured, planned) for measured, planned, _ in units),
        "note": note,
    }


def _units(plan: StoredPlan, folder: Path) -> Iterator[tuple[int, int, bool]]:
    """List for each unit its measured images, its planned images, and whether it is written."""
    images = {note.role: note.images for note in plan.roles}
    for unit in plan.units:
        file = UnitFile(folder / unit.file)
        rows = file.by_image()
        if unit.role == COSTS:
            timed = sum(bool(values_of(row, LATENCY)) for row in rows.values())
            yield timed, 1, is_held(folder / COSTS_LOCK)
            continue
        # Of a fixed size, which is no set of the paper, there is one image.
        yield len(rows), images.get(unit.role, 1), is_held(file.lock)


def write_tensorboard(found: Sequence[State], folder: Path) -> int:
    """Write the curves of trainings as TensorBoard reads them, a folder METHOD/RUN for each.

    Curves that were written there before are replaced.

    Returns:
        The number of trainings that have a log.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            f"TensorBoard's writer is not installed ({error}).",
            "pip install 'moeisr-harness[tensorboard]'",
        ) from error
    written = 0
    for training in found:
        lines = read_log(training["folder"] / "log.jsonl")
        target = folder / training["method"] / training["folder"].name
        for old in target.glob("events.out.tfevents.*"):
            old.unlink()
        if not lines:
            continue
        with SummaryWriter(str(target)) as writer:
            for line in lines:
                for name, value in line.items():
                    if name not in ("step", "run", "epoch") and isinstance(value, int | float):
                        writer.add_scalar(name, value, line["step"])
        written += 1
    return written
