"""`harness report`: tables and figures from stored rows."""

from __future__ import annotations

import click

from harness.commands.options import Setup, echo, no_figures_option, with_setup


@click.command(epilog="Example: harness report table1 --format latex --stdout > table1.tex")
@click.argument("experiment", required=False)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="markdown, latex, html, csv or json; several by repeating. Default: all.",
)
@with_setup("profile", "results", "reports")
@no_figures_option
@click.option("--stdout", is_flag=True, help="Print one format instead of writing files.")
def report(
    experiment: str | None,
    formats: tuple[str, ...],
    setup: Setup,
    no_figures: bool,
    stdout: bool,
) -> None:
    """Write tables and figures from what was measured; measures nothing.

    Without EXPERIMENT, every experiment that was run under the profile is written. `index` writes
    index.html over all reports that are there, with the training curves of the profile's runs.
    """
    from harness import experiments
    from harness import report as reporting
    from harness.common.errors import HarnessError, UsageError
    from harness.report.page.index import write_index
    from harness.runs.plan import plan_path

    results, name = setup.places.results, setup.profile.name
    if experiment == "index":
        if formats or stdout:
            raise UsageError("The index is an HTML file; it takes no --format and no --stdout.")
        echo(write_index(results, name, setup.places.reports))
        return
    if experiment is not None:
        chosen = [experiments.get(experiment).name]
    else:
        chosen = [e for e in experiments.EXPERIMENTS if plan_path(results, name, e).exists()]
    if not chosen:
        raise HarnessError(
            f"Nothing has been measured in {results / name} yet.",
            f"Run `harness run table1 --profile {setup.profile.source}` first.",
        )
    if stdout and len(formats) != 1:
        raise UsageError("--stdout needs exactly one --format.")
    for each in chosen:
        if stdout:
            echo(reporting.render(results, name, each, formats[0]))
            continue
        wanted, out = formats or reporting.ALL_FORMATS, setup.places.reports
        paths = reporting.write_report(results, name, each, out, wanted, figures=not no_figures)
        for path in paths:
            echo(path)
