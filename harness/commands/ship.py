"""`harness ship`: put trained networks into the package."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import INPUT, Setup, json_option, show, with_setup


@click.command(
    epilog="Example: harness ship results/reference/training/*/s0-*/checkpoint.pt --data-root DIR",
    no_args_is_help=True,
)
@click.argument("files", type=INPUT, metavar="CHECKPOINT...", nargs=-1, required=True)
@with_setup("data_root")
@json_option
def ship(files: tuple[Path, ...], setup: Setup) -> None:
    """Ship the networks of finished training runs with the package, for maintainers.

    Each CHECKPOINT becomes `reference:METHOD`, with its recipe and curve, in half precision where
    that leaves PSNR on Set5 within 0.002 dB, else in single. Runs that are not finished are left
    out, so that the same command can be given again when more are.
    """
    from harness.common.progress import say
    from harness.training import shipping

    made = []
    for path in files:
        about = shipping.ship(path, setup.places.data_root, setup.places.lr_cache)
        if about is None:
            say(f"{path} is left out: its training is not finished.")
        else:
            made.append(about)
    content = [{"name": each.name, **each.shipped.model_dump(exclude={"curve"})} for each in made]
    text = "\n".join(f"reference:{each.name}: {each.in_words()}" for each in made)
    show(content, text or "No network was shipped.")
