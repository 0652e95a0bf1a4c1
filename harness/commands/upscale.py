"""`harness upscale`: enlarge an image file."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import (
    checkpoint_option,
    cmsr_options,
    data_root_option,
    device_option,
    echo,
    precision_option,
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
@checkpoint_option
@click.option(
    "--memory",
    type=click.IntRange(min=1),
    metavar="MIB",
    help="What a band of rows may take while it is worked on.  [default: the profile's, 64 on CPU]",
)
@cmsr_options
@precision_option
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
    memory: int | None,
    cmsr: Path | None,
    foreign_tables: bool,
    precision: str | None,
    profile: str,
    data_root: Path | None,
    device: str,
    results: Path,
) -> None:
    """Enlarge the image IN by any factor and write it to OUT.

    Grey images stay grey; transparency is kept (enlarged by bicubic). The type of OUT follows
    its suffix. PNG and TIFF are written as the rows are made, so that memory does not grow with
    the result; other types are put together in memory, up to 134 million pixels.
    """
    from harness import device as devices
    from harness import enlarging, image_files, places, profiles
    from harness.cmsr.table import cmsr_for
    from harness.errors import InterruptedWorkError
    from harness.stopping import interruptible
    from harness.trained import find_subject

    settings = profiles.load(profile).at_precision(precision)
    where = places.resolve(data_root, results, profile=settings)
    opened = image_files.open_source(source)
    kind = image_files.check_target(target, opened, scale)
    subject = find_subject(method, checkpoint, settings, where, devices.resolve(device))
    tables = cmsr_for(cmsr, subject, foreign_tables) if cmsr else None
    evaluation = settings.evaluation.model_copy(update={"memory_mib": memory} if memory else {})
    try:
        with interruptible():
            made = enlarging.enlarge_file(subject, opened, scale, evaluation, target, kind, tables)
    except KeyboardInterrupt:
        raise InterruptedWorkError(f"Stopped; {target} was not written.") from None
    height, width = made.layout.size
    how = "" if evaluation.precision == "fp32" else f", {evaluation.precision}"
    echo(f"{target}: {width}x{height} by {subject.method} ({subject.origin}{how})")
    if made.macs is not None and made.macs.rendered is not None:
        whole, left = made.macs.decoder, made.macs.rendered
        echo(
            f"decoder: {left / 1e9:.2f} GMACs rendered of {whole / 1e9:.2f} without CMSR, "
            f"{1 - left / whole:.1%} saved"
        )
    for note in tables.notes([scale]) if tables else []:
        echo(note)
