"""`harness run`: train what is missing, measure what is missing, write the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import (
    data_root_option,
    device_option,
    json_option,
    print_json,
    profile_option,
    reports_option,
    results_option,
)

if TYPE_CHECKING:
    from harness.running import Job


@click.command(
    epilog="Example: harness run table1 --profile bsds --data-root ~/data", no_args_is_help=True
)
@click.argument("experiment")
@profile_option
@data_root_option
@device_option
@results_option
@reports_option
@click.option("--methods", "only", metavar="A,B", default="", help="Only these methods.")
@click.option("--force", is_flag=True, help="Measure finished cells again (training is kept).")
@click.option("--dry-run", is_flag=True, help="Print the plan and its cost; do nothing.")
@click.option("--no-figures", is_flag=True, help="Write tables only.")
@json_option
def run(
    experiment: str,
    profile: str,
    data_root: Path | None,
    device: str,
    results: Path,
    reports: Path,
    only: str,
    force: bool,
    dry_run: bool,
    no_figures: bool,
    as_json: bool,
) -> None:
    """Reproduce a table or figure of the paper: train, measure, report.

    EXPERIMENT is the name of one (table1). Finished training and finished cells are not
    repeated; a run that was stopped, by whatever, goes on where it was. Several processes may
    work on one results folder.
    """
    from harness import device as devices
    from harness import experiments, places, profiles, running

    settings = profiles.load(profile)
    job = running.prepare(
        experiments.get(experiment),
        settings,
        places.resolve(data_root, results, reports, settings),
        devices.resolve(device),
        [name for name in only.split(",") if name],
    )
    if dry_run:
        _dry_run(job, as_json)
        return
    _run(job, force, figures=not no_figures, as_json=as_json)


def _run(job: Job, force: bool, figures: bool, as_json: bool) -> None:
    from harness import report, running, sampling
    from harness.progress import say

    running.announce(job)
    running.train_missing(job)
    measured = running.subjects(job)
    running.store_plan(job, measured)
    rows = running.measure_missing(job, measured, force)
    if not rows:
        say("Every cell is measured already (--force measures again).")
    if figures:
        sampling.make_samples(job, measured)
    names = (job.places.results, job.profile.name, job.experiment.name)
    paths = report.write_report(*names, job.places.reports, figures=figures)
    if as_json:
        click.echo(report.render(*names, "json"))
        return
    click.echo(report.headline(*names))
    for path in paths:
        say(f"wrote {path}")


def _dry_run(job: Job, as_json: bool) -> None:
    from harness import cost, running

    speed = cost.matrix_product_speed(job.device)
    finished = {r.recipe.method for r in job.runs() if r.is_finished()}
    lines = []
    for method in job.methods:
        total = cost.method_cost(
            job.profile,
            method,
            job.training_set,
            list(job.datasets.values()),
            list(job.experiment.scales),
        )
        training = 0 if method in finished else total.training * len(job.profile.seeds)
        lines.append(
            {
                "method": method,
                "cells": len(job.tasks()) * len(job.profile.seeds),
                "trained": method in finished,
                "training_macs": training,
                "evaluation_macs": total.evaluation * len(job.profile.seeds),
                "hours_at_matrix_product_speed": (training + total.evaluation) / speed / 3600,
            }
        )
    if as_json:
        print_json({"device": str(job.device), "macs_per_second": speed, "plan": lines})
        return
    running.announce(job)
    _print_plan(lines, speed)


def _print_plan(lines: list[dict[str, object]], speed: float) -> None:
    from tabulate import tabulate

    click.echo(tabulate(lines, headers="keys", floatfmt=".3g", tablefmt="simple"))
    click.echo(
        f"\nHours are a lower bound: at the {speed / 1e9:.0f} GMAC/s that a plain matrix product "
        "reaches here now. Real training reaches a fraction of it. MoEISR's evaluation is counted "
        "with even expert shares."
    )
