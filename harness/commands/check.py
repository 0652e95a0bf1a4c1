"""`harness check`: stored results against accepted numbers."""

from __future__ import annotations

import math
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import echo, json_option, print_json, profile_option, results_option

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.check import Check, Update


def _decibels(value: str) -> float:
    """A drop of PSNR: a number from 0."""
    try:
        drop = float(value)
    except ValueError:
        raise click.BadParameter(f"'{value}' is no number.") from None
    if not 0 <= drop < math.inf:
        raise click.BadParameter(f"{value} is no drop in dB; it is a number from 0.")
    return drop


@click.command(
    epilog="Example: harness check table1 --tolerance 0.01 --github --junit check.xml",
)
@click.argument("names", metavar="[EXPERIMENT]...", nargs=-1)
@profile_option
@results_option
@click.option(
    "--baseline",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Accepted numbers.  [default: results/golden/PROFILE.json]",
)
@click.option(
    "--tolerance",
    type=_decibels,
    metavar="DB",
    help="Drop of a cell's PSNR that is let pass.  [default: 0.02; where a network was trained "
    "anew, what the accepted numbers say]",
)
@click.option("--all", "-v", "everything", is_flag=True, help="List also the cells that are ok.")
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write JUnit XML, a test case per cell.",
)
@click.option(
    "--github",
    is_flag=True,
    help="Print annotations for GitHub Actions; add to the job's summary.",
)
@click.option("--update", is_flag=True, help="Accept the stored numbers; needs --reason.")
@click.option("--reason", metavar="TEXT", help="Why the numbers change, for the file's history.")
@click.option(
    "--retrained",
    type=_decibels,
    metavar="DB",
    help="With --update: the drop to let pass where a network is trained anew; kept in the file.",
)
@click.option(
    "--keep-networks",
    is_flag=True,
    help="With --update: keep the trained networks beside the file, for checks without training.",
)
@json_option
def check(
    names: tuple[str, ...],
    profile: str,
    results: Path,
    baseline: Path | None,
    tolerance: float | None,
    everything: bool,
    junit: Path | None,
    github: bool,
    update: bool,
    reason: str | None,
    retrained: float | None,
    keep_networks: bool,
    as_json: bool,
) -> None:
    """Compare stored results with accepted numbers, cell by cell; measures nothing.

    Ends with status 1 when a cell's PSNR dropped beyond the tolerance, is missing, or was
    obtained under another protocol, on other LR images or data, or by another recipe. Without
    EXPERIMENT, every experiment that the accepted numbers have is compared. docs/check.md says
    what is compared, and how to accept new numbers.
    """
    from harness import check, profiles
    from harness.common.errors import HarnessError
    from harness.common.files import write_text
    from harness.profiles import places

    given = {"--tolerance": tolerance, "--junit": junit, "--github": github}
    belongs = {"--reason": reason, "--retrained": retrained, "--keep-networks": keep_networks}
    _refuse(given if update else belongs, update)
    settings = profiles.load(profile)
    file = baseline or places.RESULTS / "golden" / f"{settings.name}.json"
    if update:
        why = os.fsencode(reason or "").decode(errors="backslashreplace")  # on any terminal
        asked = (names, settings, results, file, why, retrained, keep_networks)
        _show_update(check.run_update(*asked), file, as_json)
        return
    outcome = check.run_check(names, settings, results, file, tolerance)
    if as_json:
        print_json(outcome.record())
    else:
        _show_check(outcome, everything)
    if junit:
        write_text(junit, outcome.junit())
    if github:
        _annotate(outcome, as_json)
    if outcome.failed:
        again = ["--profile", settings.source, "--results", results, "--baseline", file]
        raise HarnessError(
            f"The check failed: {len(outcome.failed)} of {len(outcome.findings)} comparisons with "
            f"{file}.",
            "`harness run` measures what is missing. If the new numbers are right, accept them:\n"
            f"  {_command(['harness', 'check', *names, *again, '--update', '--reason', 'WHY'])}",
        )


def _command(words: Iterable[object]) -> str:
    """A command line that may be copied."""
    return shlex.join(map(str, words))


def _refuse(options: Mapping[str, object], update: bool) -> None:
    """Options that mean nothing to what is asked for are mistakes, not wishes."""
    from harness.common.errors import UsageError

    for name, value in options.items():
        if value is not None and value is not False:
            raise UsageError(
                f"{name} belongs to a check; --update accepts what is stored."
                if update
                else f"{name} belongs to --update."
            )


def _show_check(outcome: Check, everything: bool) -> None:
    from harness.check import shown, text_table

    for label in outcome.labels:
        echo(f"{label}\n")
    table = text_table(shown(outcome.findings, everything))
    if table:
        echo(f"{table}\n")
    if outcome.unchecked:
        echo(f"Stored, but never accepted: {', '.join(outcome.unchecked)}.")
    echo(f"{outcome.summary}.")


def _annotate(outcome: Check, as_json: bool) -> None:
    """Annotations, beside JSON on stderr (the runner reads both), and the job's summary."""
    from harness.check import workflow_commands

    for line in workflow_commands(outcome.findings):
        echo(line, err=as_json)
    summary_file = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary_file:
        with Path(summary_file).open("a", encoding="utf-8") as file:
            file.write(outcome.markdown())


def _show_update(update: Update, file: Path, as_json: bool) -> None:
    from harness.check import record, shown, text_table

    changed = shown(update.findings)
    if as_json:
        content = {"baseline": str(file), **update.done.model_dump()}
        findings = [record(finding) for finding in changed]
        kept = {key: list(map(str, paths)) for key, paths in vars(update.kept).items()}
        print_json({**content, "findings": findings, **kept})
        return
    table = text_table(changed)
    if table:
        echo(f"{table}\n")
    for path in update.kept.networks:
        echo(f"kept {path}")
    for path in update.kept.stale:
        echo(f"no longer needed: {path}")
    echo(f"{file}: {update.done.change}.")
