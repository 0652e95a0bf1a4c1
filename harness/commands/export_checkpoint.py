"""`harness export-checkpoint`: a network in the layout of its official project."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import FILE, force_option, json_option, show


@click.command(
    "export-checkpoint",
    epilog="Example: harness export-checkpoint checkpoint.pt edsr-baseline-liif.pth",
    no_args_is_help=True,
)
@click.argument("checkpoint", type=FILE)
@click.argument("out", type=click.Path(path_type=Path))
@force_option
@json_option
def export_checkpoint(checkpoint: Path, out: Path, force: bool, as_json: bool) -> None:
    """Write CHECKPOINT, ours or imported, to OUT as the official project would have saved it.

    Every key of the official network is there, so that its own code loads the file strictly.
    MoEISR networks have no official layout.
    """
    from harness.checkpoints import importing, open_checkpoint
    from harness.common.errors import HarnessError
    from harness.common.files import check_output

    check_output(out, checkpoint, force)
    loaded = open_checkpoint(checkpoint)
    if not loaded.meta.get("finished", True):
        raise HarnessError(
            f"{checkpoint} is not finished: the official layout cannot say so.",
            "Finish its training first.",
        )
    content = importing.save_export(loaded, out)
    text = (
        f"{out}: {content['network']} as '{content['architecture']}' of the "
        f"{content['project']} ({content['layout']}); {content['keys']} keys, "
        f"{content['constructed']} of them made here (masks, tables, colour shifts)"
    )
    show({"file": str(out), "checkpoint": str(checkpoint), **content}, text, as_json)
