"""Work of `harness run` on its jobs: the work itself, or other processes for it, or their plan."""

from __future__ import annotations

import sys
from typing import Any

from harness import report
from harness.commands.options import as_json, echo, show, table
from harness.common.errors import UsageError
from harness.common.locks import held
from harness.common.progress import say
from harness.measure.machine import matrix_product_speed
from harness.runs import cut_crops, estimate, execute, make_plan
from harness.runs.costs import measure_costs
from harness.runs.estimate import TrainingCost, duration
from harness.runs.job import Job
from harness.runs.launchers import local, slurm


def work(job: Job, force: bool, figures: bool) -> None:
    """Train what is missing, measure what is missing, write the report and print its head.

    `force` measures finished units again.
    """
    execute.announce(job)
    execute.train_missing(job)
    measured = execute.subjects(job)
    plan = make_plan.store_plan(job, measured)
    if not job.trains:
        departing = [note.method for note in plan.methods if note.reduced]
        execute.say_setting(departing, [note.method for note in plan.methods])
    keep = job.pictures().keep if figures else None
    rows = execute.measure_missing(job, measured, force, keep)
    rows += measure_costs(job, measured, force)
    if not plan.units:
        say(
            "There is nothing to measure: none of these networks is there. `harness methods` lists "
            "those that come with the package, and --methods takes them in any table or figure."
        )
    elif not rows:
        say("Every unit is measured already (--force measures again).")
    places = (job.places.results, job.profile.name, job.experiment)
    # Processes that share the results would replace each other's figures half way.
    with held(job.plan_file.with_name("report.lock"), "writing the same report"):
        if figures:
            cut_crops.make_samples(job, measured)
            cut_crops.make_pictures(job, measured)
        report.write_report(*places, job.places.reports, figures=figures)
    if as_json():
        echo(report.render(*places, "json"))
        return
    echo(report.headline(*places))
    page = job.places.reports / f"{job.experiment.name}.html"
    say(f"Report: {page}, with the same as .md, .tex, .csv and .json and its figures beside it")


def launch(jobs: list[Job], launcher: str, workers: int | None, **asked: Any) -> None:
    """Start several processes that work together: the same command with `--launcher here`."""
    job, command = jobs[0], [*sys.argv[1:], "--launcher", "here"]
    if launcher == "local":
        echo(local.launch(job, command, local.devices_of(job.device, workers)).rstrip("\n"))
        return
    if len(jobs) > 1:
        raise UsageError("--launcher slurm takes one table or figure; give one command for each.")
    numbers = slurm.launch(job, command, **asked)
    lines = [f"{number}  {name}" for name, number in numbers.items()]
    seen = f"Their output: {job.logs}; `harness status` and `squeue` show how far"
    show(numbers, "\n".join([*lines, f"{seen} they are."]))


def show_plan(jobs: list[Job], several: bool, devices: int, timed: bool) -> None:
    """Print what is left to train and measure: of one experiment by method, of several by training.

    Args:
        jobs: experiments under one profile.
        several: whether several were asked for.
        devices: number of devices that the time is told for.
        timed: whether to time a training step of each network.
    """
    if not as_json() and not several:
        execute.announce(jobs[0])
    speed = matrix_product_speed(jobs[0].device)
    trainings = estimate.training_costs(jobs, timed)
    costs = [estimate.method_costs(job, trainings) for job in jobs]
    lines = [
        estimate.total_cost(own, job.experiment.name) for own, job in zip(costs, jobs, strict=True)
    ]
    if not several:
        lines = [*costs[0], {**lines[0], "method": "total"}]
    for line in lines:
        macs = line["training_macs"] + line["evaluation_macs"]
        line["hours_at_matrix_product_speed"] = macs / speed / 3600
    time = estimate.training_time(trainings, speed, devices)
    absent = sorted({name for job in jobs for name in job.absent()})
    content = {
        "device": str(jobs[0].device),
        "macs_per_second": speed,
        **({"experiments": lines} if several else {"plan": lines[:-1], "total": lines[-1]}),
        "trainings": trainings,
        "time": time,
        "not_here": absent,
    }
    words = [_trainings(trainings, speed)] if several else []
    words += [_work(lines, "experiment" if several else "method"), _NOTE.format(speed / 1e9)]
    words.append(_time(jobs[0], trainings, time, timed))
    if several and absent:  # of one, they are announced
        words.append(f"Not here, counted by published sizes: {', '.join(absent)}.")
    show(content, "\n\n".join(filter(None, words)))


_NOTE = (
    "Training and measuring are the multiply-adds that are left; what is finished is "
    "subtracted. Times are a lower bound: at the {:.0f} GMAC/s that a plain matrix "
    "product reaches here now. Real training reaches a fraction of it. MoEISR's evaluation is "
    "counted with even expert shares."
)


def _work(lines: list[dict[str, Any]], what: str) -> str:
    """Write the table of what is left of methods or experiments."""
    rows = []
    for line in lines:
        finished, runs = line["runs_finished"], line["runs_finished"] + line["runs_to_train"]
        hours, macs = line["hours_at_matrix_product_speed"], ("training_macs", "evaluation_macs")
        training, measuring = (f"{line[each]:.2e}" if line[each] else "" for each in macs)
        rows.append(
            {
                what: line["method"],
                "trained": f"{finished} of {runs}" if runs else "",
                "measured": f"{line['cells_finished']} of {line['cells']}",
                "training": training,
                "measuring": measuring,
                "time left, at least": duration(hours * 3600) if hours else "",
            }
        )
    return table(rows, colalign=["left", *["right"] * 5])


def _trainings(trainings: list[TrainingCost], speed: float) -> str:
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


def _time(job: Job, trainings: list[TrainingCost], time: dict[str, Any], timed: bool) -> str:
    if not (job.trains or job.profile.trains):
        return (
            f"Under the profile {job.profile.name} nothing is trained: its networks come with the "
            "package, and methods without one are left out. --retrain plans their training; "
            "--profile paper is the paper's own setting."
        )
    if not any(each.steps for each in trainings):
        return "No training is left." if job.trains else "Nothing is trained, by --no-train."
    devices, how = time["devices"], "by timed steps" if timed else "at least"
    lines = [
        f"Training on this device, {how}: {duration(time['device_hours'] * 3600)}; "
        f"on {devices} of them: {duration(time['wall_hours'] * 3600)}."
    ]
    if time["cited_device_hours"] is not None:
        lines.append(
            f"By published training times, {time['gpu']}: {time['cited_device_hours']:,.0f} hours; "
            f"on {devices} of them: {duration(time['cited_wall_hours'] * 3600)}."
        )
    memory, disk = (max(e.memory for e in trainings), sum(e.disk for e in trainings))
    lines.append(f"Memory of a training, at least: {_size(memory)}. Checkpoints: {_size(disk)}.")
    return "\n".join(lines)


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"
