"""`harness upscale`: enlarge an image file."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import (
    data_root_option,
    device_option,
    profile_option,
    results_option,
    scale_factor,
)


@click.command(
    epilog="Example: harness upscale photo.png photo_large.png --scale 3.7 --method edsr-lte",
    no_args_is_help=True,
)
@click.argument("source", type=click.Path(path_type=Path), metavar="IN")
@click.argument("target", type=click.Path(path_type=Path), metavar="OUT")
@click.option("--scale", type=scale_factor, required=True, help="Any real factor from 1 up.")
@click.option("--method", help="A trained method, or bicubic.")
@click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Ours or an official one (see import-checkpoint). Default: METHOD's under the profile.",
)
@profile_option
@data_root_option
@device_option
@results_option
def upscale(
    source: Path,
    target: Path,
    scale: float,
    method: str | None,
    checkpoint: Path | None,
    profile: str,
    data_root: Path | None,
    device: str,
    results: Path,
) -> None:
    """Enlarge the image IN by any factor and write it to OUT.

    Grey images stay grey; transparency is kept (enlarged by bicubic). The type of OUT follows
    its suffix.
    """
    from harness import device as devices
    from harness import image_files, places, profiles
    from harness.errors import InterruptedWorkError
    from harness.trained import find_subject

    settings = profiles.load(profile)
    where = places.resolve(data_root, results, profile=settings)
    opened = image_files.open_source(source)
    writer = image_files.check_target(target, opened)
    subject = find_subject(method, checkpoint, settings, where, devices.resolve(device))
    try:
        result = image_files.enlarge(subject, opened, scale, settings.evaluation)
    except KeyboardInterrupt:
        raise InterruptedWorkError(f"Stopped; {target} was not written.") from None
    image_files.save(result, target, writer)
    click.echo(f"{target}: {result.width}x{result.height} by {subject.method} ({subject.origin})")
