"""`harness import-checkpoint`: what a checkpoint file is, and the same in our format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.commands.options import INPUT, force_option, json_option, show
from harness.common.files import check_output


@click.command(
    "import-checkpoint",
    epilog="Example: harness import-checkpoint edsr-baseline-liif.pth -o edsr-liif.pt",
    no_args_is_help=True,
)
@click.argument("file", type=INPUT)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write it in the harness's format, with where it is from.",
)
@click.option("--method", help="Refuse the file if it is not this method.")
@click.option(
    "--name",
    help="What measurements call a network that is none of the harness's methods. "
    "Default: the file's name.",
)
@click.option(
    "--values",
    type=click.Choice(["signed", "unit", "bytes"]),
    help="Colour values that the network was trained on, for state dicts of EDSR and RDN that do "
    "not say it: [-1, 1] (the LIIF project's, assumed unless named), [0, 1] or [0, 255].",
)
@click.option(
    "--options",
    type=INPUT,
    help="The IGConv project's option file (YAML) of the network, for what no state dict says: "
    "whether kernels are averaged, EDSR's residual scale, the largest scale.",
)
@force_option
@json_option
def import_checkpoint(
    file: Path,
    output: Path | None,
    method: str | None,
    name: str | None,
    values: str | None,
    options: Path | None,
    force: bool,
) -> None:
    """Say what FILE is, of the LIIF, LTE, SwinIR, SeemoRe, EDSR, RDN or IGConv projects, or ours.

    Every key must fit; nothing in the file is executed. With -o the network is written in the
    harness's format, from which it loads unchanged.
    """
    from harness.checkpoints import importing, open_checkpoint

    if output is not None:
        check_output(output, file, force)
    network = None if options is None else importing.network_of(options)
    loaded = open_checkpoint(file, method, values=values, network=network)
    if name is not None:
        importing.check_name(name, loaded)
    content = {"file": file, **importing.describe(loaded), "written": None}
    if name is not None:
        content["name"] = name
    if output is not None:
        importing.save_import(loaded, file, output, name)
        content["written"] = output
    show(content, _in_words(content))


def _in_words(content: dict[str, Any]) -> str:
    from baselines.base import in_words

    scales = content["scales"]
    scale = "any scale" if scales is None else f"{in_words([f'x{s}' for s in scales])} only"
    project = f"layout of the {content['project']}" if content["project"] else "our format"
    method = content["method"] or f"none at these sizes; measured as {content['name']}"
    unused = (f"{len(entry['keys'])} keys: {entry['why']}" for entry in content["not_needed"])
    lines = [
        ("network", content["network"]),
        ("method", method),
        ("enlarges by", f"{scale}, images in {content['values']}"),
        ("parameters", f"{content['parameters']:,}"),
        ("weights", content["weights"]),
        ("origin", content["origin"]),
        *(("not needed", each) for each in unused),
        ("written", content["written"]),
    ]
    head = f"{content['file']}: {content['layout']}, {project}"
    return "\n".join([head, *(f"{f'{name}:':<13}{value}" for name, value in lines if value)])
