"""`harness cmsr`: tables for controllable multi-scale rendering."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options
from harness.common.errors import UsageError
from harness.common.files import check_output, check_writable, is_stream

if TYPE_CHECKING:
    from harness.checkpoints.cmsr_table import CmsrTables


@click.command(
    "cmsr",
    epilog="Example: harness cmsr edsr-lmliif --mse 2e-5 -o tables.json",
    no_args_is_help=True,
)
@click.argument("method", required=False)
@options.checkpoint_option
@click.option(
    "--mse",
    type=click.FloatRange(min=0),
    default=2e-5,
    show_default=True,
    help="Bound of the error, of values in [-1, 1]; the default is the authors'.",
)
@click.option(
    "--scales",
    "targets",
    type=options.listed(options.scale_factor),
    default="6,8,12,18,24,30",
    show_default=True,
    metavar="A,B,...",
    help="Target scales, above x4. Others use the table of the next larger one.",
)
@click.option("--dataset", help="Made on its images. Default: the profile's training set.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="OUT", help="A file."
)
@options.with_setup("profile", "data_root", "device", "results")
@options.force_option
@options.json_option
def cmsr(
    method: str | None,
    checkpoint: Path | None,
    mse: float,
    targets: list[float],
    dataset: str | None,
    output: Path,
    setup: options.Setup,
    force: bool,
) -> None:
    """Make the tables by which CMSR renders weakly modulated pixels at lower scales.

    METHOD (or a checkpoint) is an LMF network; `eval --cmsr` and `upscale --cmsr` take the tables.

    For every image, target scale and lower scale, pixels are sorted by the modulation intensity of
    their LR pixel; a lower scale serves all intensities below the first bin of which, in any image,
    its enlarged rendering is further than --mse from that at the target scale.

    What was found on an image is kept in the results folder: the command may be stopped, and for
    another --mse nothing is rendered again.
    """
    from baselines.cmsr import TRAINED_SCALE, serves
    from harness.checkpoints.cmsr_table import check_modulated, save_tables
    from harness.data.sets import check_name
    from harness.measure.cmsr import make_tables

    if not targets:
        raise UsageError("--scales names no scale.")
    for scale in sorted(targets):
        if not serves(scale):
            raise UsageError(
                f"--scales: x{scale:g} is within the training range, where everything is rendered "
                f"at the target scale; CMSR is for scales above x{TRAINED_SCALE:g}."
            )
    if not math.isfinite(mse):
        raise UsageError(f"--mse takes a number from 0 up, not {mse}.")
    profile = setup.profile
    name = check_name(dataset or profile.training.dataset)
    subject = setup.subject(method, checkpoint)
    check_modulated(subject)
    check_output(output, checkpoint, force)
    if not is_stream(output):
        check_writable(output.parent)
    data, wanted = setup.dataset(name), tuple(sorted(set(targets)))
    memory = profile.evaluation.memory
    made = make_tables(subject, data, wanted, mse, setup.places.results, memory)
    save_tables(made, output)
    content = {"file": str(output), **made.model_dump(mode="json")}
    options.show(content, _in_words(output, made))


def _in_words(output: Path, made: CmsrTables) -> str:
    scales = sorted({level.scale for target in made.tables for level in target.levels})
    rows = []
    for target in made.tables:
        bounds = {
            level.scale: "all" if level.below is None else f"{level.below:g}"
            for level in target.levels
        }
        row = {"target": f"x{target.scale:g}", "images": target.images}
        rows.append({**row, **{f"x{s:g} below": bounds.get(s, "-") for s in scales}})
    data = made.data
    substitute = "SUBSTITUTE DATA for all of DIV2K's training set: " if data.substitute else ""
    return (
        f"{made.method}: {made.origin}\n"
        f"made on {substitute}{data.caption}; MSE {made.mse:g}\n\n{options.table(rows)}\n\n"
        f"{output}: intensities below a bound are rendered at its scale; '-': at another"
    )
