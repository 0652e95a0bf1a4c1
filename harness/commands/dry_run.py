"""Printing of plans, for `harness run --dry-run`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.commands.options import show, table

if TYPE_CHECKING:
    from harness.runs.estimate import MethodCost
    from harness.runs.job import Job
    from harness.runs.reproduction import TrainingCost


def show_plan(jobs: list[Job], several: bool, devices: int, timed: bool, as_json: bool) -> None:
    """Print what is left to train and measure: of one experiment by method, of several by training.

    Args:
        jobs: experiments under one profile.
        several: whether several were asked for.
        devices: number of devices that the time is told for.
        timed: whether to time a training step of each network.
        as_json: whether to print JSON.
    """
    from harness.measure.machine import matrix_product_speed
    from harness.runs import estimate, execute
    from harness.runs.reproduction import training_costs

    if not as_json and not several:
        execute.announce(jobs[0])
    speed = matrix_product_speed(jobs[0].device)
    trainings = training_costs(jobs, timed)
    time = _time(trainings, speed, devices)
    told = {"device": str(jobs[0].device), "macs_per_second": speed}
    absent = sorted({name for job in jobs for name in job.absent()})
    more = {"trainings": [asdict(each) for each in trainings], "time": time, "not_here": absent}
    if not several:
        found = estimate.method_costs(jobs[0])
        found.append(sum(found, estimate.MethodCost("total")))
        *plan, total = (_plan_line(each, speed) for each in found)
        words = [_plan_in_words(found, speed), _time_in_words(jobs[0], trainings, time, timed)]
        show({**told, "plan": plan, "total": total, **more}, "\n".join(words), as_json)
        return
    whole = [
        sum(estimate.method_costs(job), estimate.MethodCost(job.experiment.name)) for job in jobs
    ]
    lines = [_plan_line(each, speed) for each in whole]
    words = [_trainings_in_words(trainings, speed), _experiments_in_words(whole, trainings)]
    words.append(_time_in_words(jobs[0], trainings, time, timed))
    if absent:
        words.append(f"Not here, counted by published sizes: {', '.join(absent)}.")
    show({**told, "experiments": lines, **more}, "\n\n".join(filter(None, words)), as_json)


def _time(trainings: list[TrainingCost], speed: float, devices: int) -> dict[str, Any]:
    """Compute device-hours and wall time of all trainings, here and by published times."""
    from harness.runs.reproduction import wall_hours

    left = [each for each in trainings if each.steps]
    here = [each.hours(speed) for each in left]
    cited = [each.cited_hours for each in left if each.cited_hours is not None]
    whole = bool(cited) and len(cited) == len(left)
    return {
        "devices": devices,
        "device_hours": sum(here),
        "wall_hours": wall_hours(here, devices),
        "gpu": next((each.gpu for each in left if each.cited_hours is not None), ""),
        "cited_device_hours": sum(cited) if whole else None,
        "cited_wall_hours": wall_hours(cited, devices) if whole else None,
    }


def _time_in_words(
    job: Job, trainings: list[TrainingCost], time: dict[str, Any], timed: bool
) -> str:
    from harness.runs.estimate import duration

    if not (job.trains or job.profile.trains):
        return (
            f"Under the profile {job.profile.name} nothing is trained: its networks come with the "
            "package, and methods without one are left out. --retrain plans their training; "
            "--profile paper is the paper's own setting."
        )
    if not any(each.steps for each in trainings):
        return "No training is left." if job.trains else "Nothing is trained, by --no-train."
    devices, (here, wall) = time["devices"], (time["device_hours"], time["wall_hours"])
    how = "by timed steps" if timed else "at least"
    lines = [
        f"Training on this device, {how}: {duration(here * 3600)}; "
        f"on {devices} of them: {duration(wall * 3600)}."
    ]
    if time["cited_device_hours"] is not None:
        lines.append(
            f"By published training times, {time['gpu']}: {time['cited_device_hours']:,.0f} hours; "
            f"on {devices} of them: {duration(time['cited_wall_hours'] * 3600)}."
        )
    memory, disk = (max(e.memory for e in trainings), sum(e.disk for e in trainings))
    lines.append(f"Memory of a training, at least: {_size(memory)}. Checkpoints: {_size(disk)}.")
    return "\n".join(lines)


def _trainings_in_words(trainings: list[TrainingCost], speed: float) -> str:
    from harness.runs.estimate import duration

    rows = [
        {
            "training": each.method,
            "seed": str(each.seed),
            "first for": each.experiments[0],
            "steps left": f"{each.steps:,}",
            "MACs": f"{each.macs:.2e}",
            "s/step": "" if each.step_seconds is None else f"{each.step_seconds:.2f}",
            "hours here": duration(each.hours(speed) * 3600) if each.steps else "done",
            "GPU-hours, cited": "" if each.cited_hours is None else f"{each.cited_hours:,.0f}",
            "memory": _size(each.memory),
            "disk": _size(each.disk),
        }
        for each in trainings
    ]
    return table(rows, colalign=["left", "right", "left", *["right"] * 7])


def _experiments_in_words(costs: list[MethodCost], trainings: list[TrainingCost]) -> str:
    rows = [
        {
            "experiment": cost.method,
            "networks": str(cost.networks),
            "first trained for it": str(sum(t.experiments[0] == cost.method for t in trainings)),
            "measured": f"{cost.measured} of {cost.cells}",
            "measuring": f"{cost.evaluation:.2e}" if cost.evaluation else "",
        }
        for cost in costs
    ]
    return table(rows, colalign=["left", *["right"] * 4])


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


def _plan_line(cost: MethodCost, speed: float) -> dict[str, object]:
    return {
        "method": cost.method,
        "cells": cost.cells,
        "cells_finished": cost.measured,
        "runs_to_train": cost.networks - cost.trained,
        "runs_finished": cost.trained,
        "training_macs": cost.training,
        "evaluation_macs": cost.evaluation,
        "hours_at_matrix_product_speed": (cost.training + cost.evaluation) / speed / 3600,
    }


def _plan_in_words(costs: list[MethodCost], speed: float) -> str:
    from harness.runs.estimate import duration

    rows = [
        {
            "method": cost.method,
            "trained": f"{cost.trained} of {cost.networks}" if cost.networks else "",
            "measured": f"{cost.measured} of {cost.cells}",
            "training": f"{cost.training:.2e}" if cost.training else "",
            "measuring": f"{cost.evaluation:.2e}" if cost.evaluation else "",
            "time left, at least": duration(macs / speed)
            if (macs := cost.training + cost.evaluation)
            else "",
        }
        for cost in costs
    ]
    return (
        f"{table(rows, colalign=['left', *['right'] * 5])}\n"
        "\nTraining and measuring are the multiply-adds that are left; what is finished is "
        f"subtracted. Times are a lower bound: at the {speed / 1e9:.0f} GMAC/s that a plain matrix "
        "product reaches here now. Real training reaches a fraction of it. MoEISR's evaluation is "
        "counted with even expert shares."
    )
