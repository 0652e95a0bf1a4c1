"""`harness run`: train what is missing, measure what is missing, write the report."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.common.errors import UsageError
from harness.common.files import check_writable

if TYPE_CHECKING:
    from harness.runs.job import Job


_number = partial(click.option, type=click.IntRange(min=1), metavar="N")
_launcher_options = options.together(
    click.option(
        "--launcher",
        type=click.Choice(["here", "local", "slurm"]),
        default="here",
        show_default=True,
        help="In this process; by one process for each GPU, or --workers N on a CPU; or as "
        "jobs of Slurm. See docs/clusters.md.",
    ),
    _number("--workers", help="Processes of --launcher local."),
    click.option("--partition", help="Slurm's partition."),
    click.option("--account", help="Slurm's account."),
    _number(
        "--time",
        "minutes",
        default=1440,
        show_default=True,
        metavar="MINUTES",
        help="Time limit of a Slurm job, which goes on in another one.",
    ),
    _number("--gpus", help="GPUs of a training in Slurm."),
    _number("--concurrency", help="Slurm jobs that run at once, at most."),
)


@click.command(
    epilog="Example: harness run table1 --profile bsds --data-root ~/data", no_args_is_help=True
)
@click.argument("experiment", metavar="EXPERIMENT|FILE", type=options.named("experiment"))
@options.with_setup("profile", "data_root", "device", "results", "reports")
@options.methods_option(
    help="Only these; patterns too: 'edsr-*'. Methods that the experiment does not list are added."
)
@click.option(
    "--with",
    "beside",
    multiple=True,
    metavar="[NAME=]WHAT",
    help="Measure WHAT beside them: a method, an ONNX file, a folder of SR images, or a command "
    "with {lr} and {sr}. Several by repeating; see docs/outside.md.",
)
@options.field_option
@click.option(
    "--no-train",
    is_flag=True,
    help="Use the networks that there are. MACs that need no weights are still counted, but not "
    "under the profile reference.",
)
@click.option(
    "--retrain",
    is_flag=True,
    help="Train what is missing also where networks come with the package (profile reference).",
)
@click.option("--force", is_flag=True, help="Measure finished units again (training is kept).")
@click.option("--dry-run", is_flag=True, help="Print the plan and its cost; do nothing.")
@_number("--devices", help="With --dry-run: time of the plan on N devices.")
@click.option(
    "--time-steps",
    is_flag=True,
    help="With --dry-run: time a training step of each network on this device.",
)
@_launcher_options
@options.no_figures_option
@options.json_option
def run(
    experiment: str,
    setup: options.Setup,
    methods: list[str],
    beside: tuple[str, ...],
    field: bool,
    no_train: bool,
    retrain: bool,
    force: bool,
    dry_run: bool,
    devices: int | None,
    time_steps: bool,
    launcher: str,
    no_figures: bool,
    **launched: Any,
) -> None:
    """Reproduce a table or figure of a paper: train, measure, report.

    \b
    EXPERIMENT is one of
      claims (what the MoEISR paper says of its method, with a verdict each)
      table1 to table5, figure1, figure3, figure4, figure5, controllable (MoEISR)
      paper (all of these, one after the other)
      table2-edsr (Table 2's sets over EDSR, for the networks that come with the package)
      lmf-costs, seemore-table1, igconv-table2, igconv-table3, igconv-costs
        (its neighbours)
      compare, budget, esr (of no paper: every system at every scale, with its costs; one
        checkpoint of MoEISR at many costs; efficiency as the NTIRE challenges rank it)
    or a table of your own, in a YAML FILE with its methods, benchmarks, scales and sections
    (docs/outside.md).

    Under the profile `reference` nothing is trained without --retrain: its networks come with the
    package, and methods without one are left out.

    Finished training and finished units are not repeated; a run that was stopped, by whatever,
    goes on where it was. Several processes may work on one results folder; --launcher starts them.
    """
    from harness import experiments
    from harness.commands.jobs import launch, show_plan, work
    from harness.common.progress import say
    from harness.outside.entries import read_entry
    from harness.runs.experiment import with_field
    from harness.runs.job import prepare

    if no_train and retrain:
        raise UsageError("--no-train and --retrain contradict each other; name one of them.")
    if not dry_run and (devices or time_steps):
        raise UsageError("--devices and --time-steps are of the plan: they go with --dry-run.")
    if force and launcher != "here":
        raise UsageError(
            "--force would measure again in every process that --launcher starts.",
            "Delete the rows that should be measured again, or leave --launcher out.",
        )
    chosen = [with_field(each) if field else each for each in experiments.targets(experiment)]
    if options.as_json() and not dry_run and len(chosen) > 1:
        raise UsageError("--json takes one table or figure; give one command for each.")
    entries = [read_entry(text, f"--with {text}") for text in beside]
    jobs: list[Job] = []
    for each in chosen:
        experiments.check_regions(setup.profile, each.name)
        try:
            job = prepare(
                each,
                setup.profile,
                setup.places,
                setup.device,
                methods,
                trains=retrain or (setup.profile.trains and not no_train),
                sizes_suffice=dry_run,
                beside=entries,
            )
        except UsageError as error:  # of several experiments, those that can be made count
            if each is chosen[-1] and not jobs:
                raise
            say(f"Left out: {each.name} ({error})")
            continue
        jobs.append(job)
    if dry_run:
        show_plan(jobs, len(chosen) > 1, devices or 1, time_steps)
        return
    for folder in (setup.places.results, setup.places.reports):
        check_writable(folder)
    if launcher != "here":
        launch(jobs, launcher, **launched)
        return
    for job in jobs:
        work(job, force, figures=not no_figures)
