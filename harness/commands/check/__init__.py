"""`harness check`: stored results against accepted numbers, one by one.

`golden` is the file of accepted numbers, `comparison` finds what differs from it, `outputs` writes
that for readers and for CI, and `accept` takes stored numbers over.
"""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path

import click

from harness.commands.options import FILE, Setup, as_json, echo, json_option, show, with_setup
from harness.common.errors import HarnessError, UsageError
from harness.common.files import write_text


def _decibels(value: str) -> float:
    """A drop of PSNR: a number from 0."""
    try:
        drop = float(value)
    except ValueError:
        raise click.BadParameter(f"'{value}' is no number.") from None
    if not 0 <= drop < math.inf:
        raise click.BadParameter(f"{value} is no drop in dB; it is a number from 0.")
    return drop


@click.command(epilog="Example: harness check table1 --tolerance 0.01 --github --junit check.xml")
@click.argument("names", metavar="[EXPERIMENT]...", nargs=-1)
@with_setup("profile", "results")
@click.option(
    "--baseline",
    type=FILE,
    metavar="FILE",
    help="Accepted numbers.  [default: results/golden/PROFILE.json]",
)
@click.option(
    "--tolerance",
    type=_decibels,
    metavar="DB",
    help="Drop of a result's PSNR that passes.  [default: 0.02; where a network was trained anew, "
    "what the accepted numbers say]",
)
@click.option("--all", "-v", "everything", is_flag=True, help="List also the results that are ok.")
@click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML, a test case per result.")
@click.option(
    "--github", is_flag=True, help="Print annotations for GitHub Actions; add to the job's summary."
)
@click.option("--update", is_flag=True, help="Accept the stored numbers; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why the numbers change, for the file's history.")
@click.option(
    "--retrained",
    type=_decibels,
    metavar="DB",
    help="With --update: the tolerance where a network is trained anew; kept in the file.",
)
@click.option(
    "--keep-networks",
    is_flag=True,
    help="With --update: keep the trained networks beside the file, for checks without training.",
)
@json_option
def check(
    names: tuple[str, ...],
    setup: Setup,
    baseline: Path | None,
    tolerance: float | None,
    everything: bool,
    junit: Path | None,
    github: bool,
    update: bool,
    reason: str | None,
    retrained: float | None,
    keep_networks: bool,
) -> None:
    """Compare stored results with accepted numbers, one by one; measures nothing.

    Ends with status 1 when a result's PSNR dropped beyond the tolerance, is missing, or was
    obtained under another protocol, on other LR images or data, or by another recipe. Without
    EXPERIMENT, every experiment that the accepted numbers have is compared. docs/check.md says
    what is compared, and how to accept new numbers.
    """
    from harness.commands.check import accept, comparison, outputs
    from harness.profiles import places

    given = {"--tolerance": tolerance, "--junit": junit, "--github": github}
    belongs = {"--reason": reason, "--retrained": retrained, "--keep-networks": keep_networks}
    for name, value in (given if update else belongs).items():
        if value is not None and value is not False:
            accepts = "a check; --update accepts what is stored" if update else "--update"
            raise UsageError(f"{name} belongs to {accepts}.")
    profile, results = setup.profile, setup.places.results
    file = baseline or places.RESULTS / "golden" / f"{profile.name}.json"
    if update:
        why = os.fsencode(reason or "").decode(errors="backslashreplace")  # on any terminal
        made = accept.run_update(names, profile, results, file, why, retrained, keep_networks)
        show(outputs.update_content(made, file), outputs.update_text(made, file))
        return
    found = comparison.run_check(names, profile, results, file, tolerance)
    show(outputs.content(found), outputs.text(found, everything))
    if junit:
        write_text(junit, outputs.junit(found))
    if github:
        for line in outputs.github(found.findings):
            echo(line, err=as_json())  # beside JSON on stderr; the runner reads both
        if job_summary := os.environ.get("GITHUB_STEP_SUMMARY"):
            with Path(job_summary).open("a", encoding="utf-8") as written:
                written.write(outputs.markdown(found))
    if found.failed:
        again = ["--profile", profile.source, "--results", results, "--baseline", file]
        command = ["harness", "check", *names, *again, "--update", "--reason", "WHY"]
        raise HarnessError(
            f"The check failed: {len(found.failed)} of {len(found.findings)} comparisons with "
            f"{file}.",
            "`harness run` measures what is missing. If the new numbers are right, accept them:\n"
            f"  {shlex.join(map(str, command))}",
        )
