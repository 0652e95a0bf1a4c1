"""`harness report`: tables and figures from stored rows."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import echo, profile_option, reports_option, results_option


@click.command(epilog="Example: harness report table1 --format latex --stdout > table1.tex")
@click.argument("experiment", required=False)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="markdown, latex, html, csv or json; several by repeating. Default: all.",
)
@profile_option
@results_option
@reports_option
@click.option("--no-figures", is_flag=True, help="Write tables only.")
@click.option("--stdout", is_flag=True, help="Print one format instead of writing files.")
def report(
    experiment: str | None,
    formats: tuple[str, ...],
    profile: str,
    results: Path,
    reports: Path | None,
    no_figures: bool,
    stdout: bool,
) -> None:
    """Write tables and figures from what was measured; measures nothing.

    Without EXPERIMENT, every experiment that was run under the profile is written.
    """
    from harness import experiments, profiles
    from harness import report as reporting
    from harness.common.errors import HarnessError, UsageError
    from harness.profiles import places
    from harness.runs.plan import plan_path

    settings = profiles.load(profile)
    name = settings.name
    out = reports or places.reports_of(settings)
    if experiment is not None:
        chosen = [experiments.get(experiment).name]
    else:
        chosen = [e for e in experiments.EXPERIMENTS if plan_path(results, name, e).exists()]
    if not chosen:
        raise HarnessError(
            f"Nothing has been measured in {results / name} yet.",
            f"Run `harness run table1 --profile {profile}` first.",
        )
    if stdout:
        if len(formats) != 1:
            raise UsageError("--stdout needs exactly one --format.")
        for each in chosen:
            echo(reporting.render(results, name, each, formats[0]))
        return
    for each in chosen:
        wanted = formats or reporting.ALL_FORMATS
        paths = reporting.write_report(results, name, each, out, wanted, figures=not no_figures)
        for path in paths:
            echo(path)
