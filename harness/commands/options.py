"""Options that several commands share."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.common.escaping import printable

F = TypeVar("F", bound=Callable[..., Any])


def scale_factor(value: str) -> float:
    """A scale factor: a number from 1 to 1000; `x4` is 4."""
    try:
        scale = float(str(value).removeprefix("x"))
    except ValueError:
        raise click.BadParameter(f"'{value}' is no number.") from None
    if not 1 <= scale <= 1000:
        raise click.BadParameter(f"{value} is out of range; a scale is a number from 1 to 1000.")
    return scale


def parse_size(text: str, option: str) -> tuple[int, int]:
    """(h, w) of `HEIGHTxWIDTH`.

    Raises:
        UsageError: anything else; `option` is named in it.
    """
    from harness.common.errors import UsageError

    try:
        h, w = (int(part) for part in text.lower().split("x"))
    except ValueError:
        raise UsageError(f"{option} takes HEIGHTxWIDTH, not '{text}'.") from None
    if min(h, w) < 1:
        raise UsageError(f"{option} needs at least one pixel per side.")
    return h, w


def parts(text: str) -> list[str]:
    """What commas separate in `A,B`; none of an empty text.

    Raises:
        click.BadParameter: commas and nothing else.

    Example:
        >>> parts("edsr-liif, edsr-lte,")
        ['edsr-liif', 'edsr-lte']
    """
    found = [part.strip() for part in text.split(",") if part.strip()]
    if text and not found:
        raise click.BadParameter(f"'{text}' lists nothing.")
    return found


PROFILES = "quick, bsds, paper, sizes, or the path of a .yaml file."


def checkpoint_option(function: F) -> F:
    """`--checkpoint`: another network than the method's own."""
    return click.option(
        "--checkpoint",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Ours or an official one (see import-checkpoint). Default: METHOD's under the "
        "profile.",
    )(function)


def profile_option(function: F) -> F:
    """`--profile`."""
    return click.option(
        "--profile", default="quick", show_default=True, metavar="NAME|FILE", help=PROFILES
    )(function)


def data_root_option(function: F, required: bool = False) -> F:
    """`--data-root`."""
    return click.option(
        "--data-root",
        required=required,
        type=click.Path(path_type=Path, file_okay=False),
        envvar="HARNESS_DATA",
        metavar="DIR",
        help="Folder that holds benchmark/, DIV2K/ and train/ (also: HARNESS_DATA).",
    )(function)


def device_option(function: F) -> F:
    """`--device`."""
    return click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto, cpu, cuda or cuda:N; auto takes CUDA where there is one.",
    )(function)


def precision_option(function: F) -> F:
    """`--precision`."""
    return click.option(
        "--precision",
        type=click.Choice(["fp32", "bf16", "fp16"]),
        help="Of the network's products; not fp32 is another measurement. Default: the profile's.",
    )(function)


def cmsr_options(function: F) -> F:
    """`--cmsr` and `--foreign-tables`."""
    tables = click.option(
        "--cmsr",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="TABLES",
        help="Render the weakly modulated pixels of an LMF network at lower scales, by the tables "
        "of `harness cmsr`; above x4, and another measurement.",
    )
    foreign = click.option(
        "--foreign-tables",
        is_flag=True,
        help="Take TABLES that were made for other weights; said wherever numbers are.",
    )
    return tables(foreign(function))


def results_option(function: F) -> F:
    """`--results`."""
    return click.option(
        "--results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        metavar="DIR",
        help="Folder of checkpoints and measurements.",
    )(function)


def reports_option(function: F) -> F:
    """`--reports`."""
    return click.option(
        "--reports",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder of tables and figures.  [default: reports, or reports/PROFILE if not quick]",
    )(function)


def json_option(function: F) -> F:
    """`--json`."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print JSON on standard output instead of a table."
    )(function)


def force_option(function: F) -> F:
    """`--force`, of commands that write one file (`harness.common.files.check_output`)."""
    return click.option("--force", is_flag=True, help="Replace OUT if it is there.")(function)


def echo(text: object, err: bool = False) -> None:
    """Print a line or more on standard output (`err`: standard error), control characters escaped.

    Names, origins and reasons come from files that others made.
    """
    click.echo(printable(str(text)), err=err)  # noqa: TID251


def print_json(content: Any) -> None:
    """Print JSON on standard output; infinite PSNR, which JSON has no number for, as text."""
    echo(json.dumps(_finite(content), indent=1, allow_nan=False))


def show(content: Any, text: str, as_json: bool) -> None:
    """Print a result: as JSON, or in words."""
    if as_json:
        print_json(content)
    else:
        echo(text)


def _finite(content: Any) -> Any:
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return str(content)
    return content
