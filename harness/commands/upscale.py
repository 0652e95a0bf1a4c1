"""`harness upscale`: enlarge an image file."""

from __future__ import annotations

import time
from pathlib import Path

import click

from harness.commands.options import (
    checkpoint_option,
    cmsr_options,
    data_root_option,
    device_option,
    echo,
    force_option,
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
@click.option(
    "--quality",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Of JPEG, WebP and AVIF, from 1 to 100.  [default: 95]",
)
@cmsr_options
@precision_option
@profile_option
@data_root_option
@device_option
@results_option
@force_option
@click.option("--verbose", "-v", is_flag=True, help="Say also how the network was trained.")
def upscale(
    source: Path,
    target: Path,
    scale: float,
    method: str | None,
    checkpoint: Path | None,
    memory: int | None,
    quality: int | None,
    cmsr: Path | None,
    foreign_tables: bool,
    precision: str | None,
    profile: str,
    data_root: Path | None,
    device: str,
    results: Path,
    force: bool,
    verbose: bool,
) -> None:
    """Enlarge the image IN by any factor and write it to OUT.

    Grey images stay grey; transparency is kept (enlarged by bicubic), and so are the colour
    profile, EXIF (the image is turned upright as it says) and DPI. The type of OUT follows its
    suffix. PNG and TIFF are written as the rows are made, so that memory does not grow with the
    result, with 16 bits per channel if IN has them; other types are put together in memory, up to
    134 million pixels. OUT is there when it is complete; IN is never replaced.
    """
    from harness import profiles
    from harness.checkpoints.cmsr_table import cmsr_for
    from harness.checkpoints.trained import find_subject
    from harness.common import device as devices
    from harness.common.errors import InterruptedWorkError, UsageError
    from harness.common.files import check_output
    from harness.common.stopping import interruptible
    from harness.profiles import places
    from harness.upscale import enlarge, image_files
    from harness.upscale.writers import LOSSY, QUALITY

    settings = profiles.load(profile).at_precision(precision)
    where = places.resolve(data_root, results, profile=settings)
    opened = image_files.open_source(source)
    kind = image_files.check_target(target, opened, scale)
    if quality is not None and kind not in LOSSY:
        raise UsageError(f"--quality is for {', '.join(LOSSY)}; {kind} files lose nothing.")
    check_output(target, source, force)
    subject = find_subject(method, checkpoint, settings, where, devices.resolve(device))
    tables = cmsr_for(cmsr, subject, foreign_tables) if cmsr else None
    evaluation = settings.evaluation.model_copy(update={"memory_mib": memory} if memory else {})
    start = time.monotonic()
    try:
        with interruptible():
            made = enlarge.enlarge_file(
                subject, opened, scale, evaluation, target, kind, tables, quality or QUALITY
            )
    except KeyboardInterrupt:
        raise InterruptedWorkError(f"Stopped; {target} was not written.") from None
    height, width = made.layout.size
    network = f"{subject.method}{'' if subject.finished else ' (UNFINISHED)'}"
    seconds = time.monotonic() - start
    echo(f"{target}: {width}x{height} by {network} in {seconds:.1f} s")
    if made.layout.bits < opened.bits:
        echo(f"{kind} files have 8 bits per channel; .png and .tif keep the image's 16.")
    if verbose:
        how = "" if evaluation.precision == "fp32" else f", {evaluation.precision}"
        echo(f"{subject.origin}{how}")
    if verbose and made.macs is not None and made.macs.rendered is not None:
        whole, left = made.macs.decoder, made.macs.rendered
        echo(
            f"decoder: {left / 1e9:.2f} GMACs rendered of {whole / 1e9:.2f} without CMSR, "
            f"{1 - left / whole:.1%} saved"
        )
    # The first says what the tables are, others what must be known of the image.
    for note in tables.notes([scale])[0 if verbose else 1 :] if tables else []:
        echo(note)
