"""`harness report`: tables and figures from stored rows."""

from __future__ import annotations

from typing import Any

import click

from harness.commands import options
from harness.common.errors import HarnessError, UsageError


@click.command(
    epilog="Example: harness report table1 --format latex --table psnr --short > table1.tex"
)
@click.argument(
    "experiment", metavar="[EXPERIMENT|FILE]", required=False, type=options.named("experiment")
)
@click.option(
    "--format",
    "formats",
    multiple=True,
    metavar="FORMAT",
    help="markdown, latex, html, csv, json or parquet; several by repeating. Default: all but "
    "parquet.",
)
@options.with_setup("profile", "results", "reports")
@options.no_figures_option
@options.field_option
@click.option("--stdout", is_flag=True, help="Print one format instead of writing files.")
@click.option("--table", metavar="KEY", help="Print this table alone (psnr, psnr-Set5, macs).")
@options.methods_option(help="Rows of the printed document; patterns too: 'edsr-*'.")
@click.option("--short", is_flag=True, help="Print captions and notes of a line, as for a paper.")
@click.option("--no-published", is_flag=True, help="Print measured values alone.")
def report(
    experiment: str | None,
    formats: tuple[str, ...],
    setup: options.Setup,
    no_figures: bool,
    field: bool,
    stdout: bool,
    table: str | None,
    methods: list[str],
    short: bool,
    no_published: bool,
) -> None:
    """Write tables and figures from what was measured; measures nothing.

    Without EXPERIMENT, every experiment that was run under the profile is written. --table,
    --methods, --short and --no-published print a part of one document. `index` writes
    index.html over all reports that are there, with the training curves of the profile's runs.
    """
    from harness import experiments
    from harness import report as reporting
    from harness.report.page.index import write_index
    from harness.runs.experiment import with_field
    from harness.runs.plan import plan_path

    results, name = setup.places.results, setup.profile.name
    if experiment == "index":
        if formats or stdout:
            raise UsageError("The index is an HTML file; it takes no --format and no --stdout.")
        options.echo(write_index(results, name, setup.places.reports, experiments.EXPERIMENTS))
        return
    if experiment is not None:
        chosen = [experiment]
    else:
        chosen = [e for e in experiments.EXPERIMENTS if plan_path(results, name, e).exists()]
    if not chosen:
        raise HarnessError(
            f"Nothing has been measured in {results / name} yet.",
            f"Run `harness run table1 --profile {setup.profile.source}` first.",
        )
    part: dict[str, Any] = {
        "table": table or "",
        "methods": methods,
        "short": short,
        "published": not no_published,
    }
    printed = stdout or table or methods or short or no_published
    if printed and len(formats) != 1:
        raise UsageError(
            "--stdout, --table, --methods, --short and --no-published need exactly one --format."
        )
    found = map(experiments.get, chosen)
    for each in map(with_field, found) if field else found:
        if printed:
            options.echo(reporting.render(results, name, each, formats[0], **part))
            continue
        wanted, out = formats or reporting.ALL_FORMATS, setup.places.reports
        paths = reporting.write_report(results, name, each, out, wanted, figures=not no_figures)
        for path in paths:
            options.echo(path)
