"""`harness cmsr`: tables for controllable multi-scale rendering."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import (
    checkpoint_option,
    data_root_option,
    device_option,
    echo,
    force_option,
    json_option,
    parts,
    print_json,
    profile_option,
    results_option,
    scale_factor,
)

if TYPE_CHECKING:
    from harness.checkpoints.cmsr_table import CmsrTables

TARGETS = "6,8,12,18,24,30"


@click.command(
    "cmsr",
    epilog="Example: harness cmsr edsr-lmliif --mse 2e-5 -o tables.json",
    no_args_is_help=True,
)
@click.argument("method", required=False)
@checkpoint_option
@click.option(
    "--mse",
    type=click.FloatRange(min=0),
    default=2e-5,
    show_default=True,
    help="Bound of the error, of values in [-1, 1]; the default is the authors'.",
)
@click.option(
    "--scales",
    default=TARGETS,
    show_default=True,
    metavar="A,B,...",
    help="Target scales, above x4. Others use the table of the next larger one.",
)
@click.option("--dataset", help="Made on its images. Default: the profile's training set.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="A file."
)
@profile_option
@data_root_option
@device_option
@results_option
@force_option
@json_option
def cmsr(
    method: str | None,
    checkpoint: Path | None,
    mse: float,
    scales: str,
    dataset: str | None,
    output: Path,
    profile: str,
    data_root: Path | None,
    device: str,
    results: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Make the tables by which CMSR renders the weakly modulated pixels of METHOD (or of a
    checkpoint) at lower scales: LMF networks, `eval --cmsr` and `upscale --cmsr`.

    For every image, target scale and lower scale, pixels are sorted by the modulation intensity of
    their LR pixel; a lower scale serves all intensities below the first bin of which, in any image,
    its enlarged rendering is further than --mse from that at the target scale.

    What was found on an image is kept in the results folder: the command may be stopped, and for
    another --mse nothing is rendered again.
    """
    from harness import profiles
    from harness.checkpoints.cmsr_table import check_modulated, save_tables
    from harness.checkpoints.trained import find_subject
    from harness.common import device as devices
    from harness.common.errors import UsageError
    from harness.common.files import check_output, check_writable, is_stream
    from harness.data.sets import check_name, find
    from harness.measure.cmsr_making import make_tables
    from harness.profiles import places

    targets = _targets(scales)
    if not math.isfinite(mse):
        raise UsageError(f"--mse takes a number from 0 up, not {mse}.")
    settings = profiles.load(profile)
    where = places.resolve(data_root, results, profile=settings)
    name = check_name(dataset or settings.training.dataset)
    subject = find_subject(method, checkpoint, settings, where, devices.resolve(device))
    check_modulated(subject)
    check_output(output, checkpoint, force)
    if not is_stream(output):
        check_writable(output.parent)
    data = find(name, where.data_root)
    made = make_tables(subject, data, targets, mse, where.results, settings.evaluation.memory)
    save_tables(made, output)
    if as_json:
        print_json({"file": str(output), **made.model_dump(mode="json")})
    else:
        _print(output, made)


def _targets(text: str) -> tuple[float, ...]:
    from baselines.cmsr import TRAINED_SCALE, serves
    from harness.common.errors import UsageError

    found = sorted({scale_factor(part) for part in parts(text)})
    if not found:
        raise UsageError("--scales names no scale.")
    for scale in found:
        if not serves(scale):
            raise UsageError(
                f"--scales: x{scale:g} is within the training range, where everything is rendered "
                f"at the target scale; CMSR is for scales above x{TRAINED_SCALE:g}."
            )
    return tuple(found)


def _print(output: Path, made: CmsrTables) -> None:
    from tabulate import tabulate

    scales = sorted({level.scale for table in made.tables for level in table.levels})
    lines: list[dict[str, Any]] = [
        {
            "target": f"x{table.scale:g}",
            "images": table.images,
            **{
                f"x{scale:g} below": next(
                    (
                        "all" if level.below is None else f"{level.below:g}"
                        for level in table.levels
                        if level.scale == scale
                    ),
                    "-",
                )
                for scale in scales
            },
        }
        for table in made.tables
    ]
    data = made.data
    stand_in = "STAND-IN for all of DIV2K's training set: " if data.stand_in else ""
    echo(f"{made.method}: {made.origin}")
    echo(f"made on {stand_in}{data.caption}; MSE {made.mse:g}\n")
    echo(tabulate(lines, headers="keys", tablefmt="simple", disable_numparse=True))
    echo(f"\n{output}: intensities below a bound are rendered at its scale; '-': at another")
