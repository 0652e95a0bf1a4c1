"""`harness export-checkpoint`: a network in the layout of its official project."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import INPUT, force_option, json_option, show
from harness.common.errors import HarnessError, UsageError
from harness.common.files import check_output


@click.command(
    "export-checkpoint",
    epilog="Example: harness export-checkpoint checkpoint.pt edsr-baseline-liif.pth",
    no_args_is_help=True,
)
@click.argument("checkpoint", type=INPUT)
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["official", "onnx"]),
    default="official",
    show_default=True,
    help="onnx: inputs are the LR image of any size and the size of the SR image (extra onnx).",
)
@click.option(
    "--dense",
    is_flag=True,
    help="With onnx, let every expert of MoEISR answer every query, instead of its own ones only.",
)
@force_option
@json_option
def export_checkpoint(checkpoint: Path, out: Path, kind: str, dense: bool, force: bool) -> None:
    """Write CHECKPOINT, ours or imported, to OUT as the official project would have saved it.

    Every key of the official network is there, so that its own code loads the file strictly.
    MoEISR networks have no official layout. With --format onnx, OUT is an ONNX file, which was
    compared with the network before it is written.
    """
    from harness.checkpoints import importing, open_checkpoint

    if dense and kind != "onnx":
        raise UsageError("--dense is for --format onnx.")
    check_output(out, checkpoint, force)
    loaded = open_checkpoint(checkpoint)
    if kind == "onnx":
        from harness.outside.onnx_export import export_onnx

        method = loaded.method or checkpoint.stem
        made = export_onnx(loaded.model.eval(), out, method, dense)
        inputs = " and ".join(made["inputs"])
        difference = f"largest difference from the network {made['largest_difference']:.1g}"
        text = f"{out}: {method}, inputs {inputs}, opset {made['opset']}; {difference}"
        show({"file": out, "checkpoint": checkpoint, **made}, text)
        return
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
    show({"file": out, "checkpoint": checkpoint, **content}, text)
