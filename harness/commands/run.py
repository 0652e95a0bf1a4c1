"""`harness run`: train what is missing, measure what is missing, write the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import (
    PROFILES,
    data_root_option,
    device_option,
    json_option,
    parts,
    print_json,
    reports_option,
    results_option,
)

if TYPE_CHECKING:
    from harness.experiments import Experiment
    from harness.jobs import Job


@click.command(
    epilog="Example: harness run table1 --profile bsds --data-root ~/data", no_args_is_help=True
)
@click.argument("experiment")
@click.option(
    "--profile",
    metavar="NAME|FILE",
    help=f"{PROFILES} Default: quick; paper where nothing is trained and a data root is given; "
    "sizes where no images are needed.",
)
@data_root_option
@device_option
@results_option
@reports_option
@click.option(
    "--methods", "only", metavar="A,B", default="", help="Only these; patterns too: 'edsr-*'."
)
@click.option(
    "--no-train",
    is_flag=True,
    help="Use the networks that there are. Multiply-adds that need no weights are still counted.",
)
@click.option("--force", is_flag=True, help="Measure finished cells again (training is kept).")
@click.option("--dry-run", is_flag=True, help="Print the plan and its cost; do nothing.")
@click.option("--no-figures", is_flag=True, help="Write tables only.")
@json_option
def run(
    experiment: str,
    profile: str | None,
    data_root: Path | None,
    device: str,
    results: Path,
    reports: Path | None,
    only: str,
    no_train: bool,
    force: bool,
    dry_run: bool,
    no_figures: bool,
    as_json: bool,
) -> None:
    """Reproduce a table or figure of a paper: train, measure, report.

    \b
    EXPERIMENT is one of
      table1 to table5, figure1, figure3, figure4, figure5, controllable (MoEISR)
      lmf-costs, seemore-table1, igconv-table2, igconv-table3, igconv-costs
        (its neighbours)
      compare (of no paper: every system at every scale, with its costs)

    Finished training and finished cells are not repeated; a run that was stopped, by whatever,
    goes on where it was. Several processes may work on one results folder.
    """
    from harness import device as devices
    from harness import experiments, jobs, places, profiles

    declared = experiments.get(experiment)
    chosen = parts(only)
    trains = not no_train and any(
        jobs.needs_weights(declared, method) for method in jobs.choose(declared, chosen)
    )
    settings = profiles.load(profile or _default_profile(declared, trains, data_root))
    job = jobs.prepare(
        declared,
        settings,
        places.resolve(data_root, results, reports, settings),
        devices.resolve(device),
        chosen,
        trains=not no_train,
    )
    if dry_run:
        _dry_run(job, as_json)
        return
    _run(job, force, figures=not no_figures, as_json=as_json)


def _default_profile(experiment: Experiment, trains: bool, data_root: Path | None) -> str:
    """The paper's sets where they were pointed at and nothing has to be trained for hours."""
    from harness.places import DEFAULT_PROFILE

    if not experiment.roles:
        return "sizes"
    return DEFAULT_PROFILE if trains or data_root is None else "paper"


def _run(job: Job, force: bool, figures: bool, as_json: bool) -> None:
    from harness import planning, report, running, sampling
    from harness.costs.measuring import measure_costs
    from harness.files import check_writable
    from harness.locks import held
    from harness.plan import plan_path
    from harness.progress import say

    for folder in (job.places.results, job.places.reports):
        check_writable(folder)
    running.announce(job)
    running.train_missing(job)
    measured = running.subjects(job)
    plan = planning.store_plan(job, measured)
    if plan.stand_in and not job.trains:
        say(running.STAND_IN)
    rows = running.measure_missing(job, measured, force) + measure_costs(job, measured, force)
    if not plan.cells:
        say("There is nothing to measure.")
    elif not rows:
        say("Every cell is measured already (--force measures again).")
    names = (job.places.results, job.profile.name, job.experiment.name)
    # Processes that share the results would replace each other's figures half way.
    with held(plan_path(*names).with_name("report.lock"), "writing the same report"):
        if figures:
            sampling.make_samples(job, measured)
        paths = report.write_report(*names, job.places.reports, figures=figures)
    if as_json:
        click.echo(report.render(*names, "json"))
        return
    click.echo(report.headline(*names))
    for path in paths:
        say(f"wrote {path}")


def _dry_run(job: Job, as_json: bool) -> None:
    from baselines import parse
    from harness import cost, running
    from harness.jobs import needs_weights

    speed = cost.matrix_product_speed(job.device)
    left = [run.recipe.method for run in job.runs() if not run.is_finished()]
    lines = []
    for method in job.methods:
        seeds = len(job.profile.seeds) if parse(method).encoder else 1
        total = cost.method_cost(job, method)
        counted = parse(method).encoder and not needs_weights(job.experiment, method)
        if not job.trains and not counted and parse(method).encoder:
            seeds = len(running.existing_networks(job, method))
            counted = not seeds and running.shapes_suffice(job, method)
            if not seeds and not counted and not job.counts(method):
                continue  # left out of the run
        seeds = 1 if counted else seeds
        training = total.training * left.count(method)
        evaluation = 0 if counted else total.evaluation * seeds
        lines.append(
            {
                "method": method,
                "cells": len(job.cells(method)) * seeds + len(job.counts(method)),
                "runs_to_train": left.count(method),
                "training_macs": training,
                "evaluation_macs": evaluation,
                "hours_at_matrix_product_speed": (training + evaluation) / speed / 3600,
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
