"""`harness upscale`: enlarge image files."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands import options
from harness.commands.options import echo
from harness.common.errors import HarnessError, InterruptedWorkError, UsageError
from harness.common.files import check_output

if TYPE_CHECKING:
    from harness.checkpoints.cmsr_table import Cmsr
    from harness.checkpoints.subject import Subject
    from harness.common.progress import Bar
    from harness.profiles import Evaluation
    from harness.upscale.batch import Factor
    from harness.upscale.image_files import Source
    from harness.upscale.writers import Layout


def _size(text: str) -> tuple[int, int]:
    """Parse (h, w) of `WIDTHxHEIGHT`."""
    return options.pixels(text, "wh")


@click.command(epilog="Example: harness upscale photo.jpg --scale 3.7", no_args_is_help=True)
@click.argument(
    "paths", type=click.Path(path_type=Path), metavar="IN... [OUT]", nargs=-1, required=True
)
@click.option("--scale", type=options.scale_factor, help="Any real factor from 1 up.")
@click.option(
    "--size",
    type=_size,
    metavar="WIDTHxHEIGHT",
    help=f"Size of the result, instead of a factor; {options.EITHER_ORDER}",
)
@click.option(
    "--method",
    help="A trained method, or bicubic. Default: the best network that comes with the package.",
)
@options.checkpoint_option
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
@options.rendering_options
@options.with_setup("precision", "profile", "data_root", "device", "results")
@options.force_option
@click.option("--skip-existing", is_flag=True, help="Leave out images whose result is there.")
@click.option("--verbose", "-v", is_flag=True, help="Say also how the network was trained.")
def upscale(
    paths: tuple[Path, ...],
    scale: float | None,
    size: tuple[int, int] | None,
    method: str | None,
    checkpoint: Path | None,
    memory: int | None,
    quality: int | None,
    cmsr: Path | None,
    foreign_tables: bool,
    budget: float | None,
    setup: options.Setup,
    force: bool,
    skip_existing: bool,
    verbose: bool,
) -> None:
    """Enlarge the image IN by any factor, or to a size, and write it to OUT.

    Unless --method or --checkpoint names a network, it is the best one that comes with the package.

    Without OUT the result lies beside IN, with the factor in its name. Several images, a folder or
    a pattern ('*.png') are written into the folder OUT, under their names; the same command with
    --skip-existing goes on where it was stopped.

    Grey images stay grey; transparency is kept (enlarged by bicubic), and so are the colour
    profile, EXIF (the image is turned upright as it says) and DPI. The type of OUT follows its
    suffix. PNG and TIFF are written as the rows are made, so that memory does not grow with the
    result, with 16 bits per channel if IN has them; other types are put together in memory, up to
    134 million pixels. OUT is there when it is complete; IN is never replaced.
    """
    if (scale is None) == (size is None):
        raise UsageError("Name --scale or --size, one of them.")
    if cmsr is not None and scale is None:
        raise UsageError("--cmsr needs a --scale; its tables are for factors.")
    sources, target = (paths[:-1], paths[-1]) if len(paths) > 1 else (paths, None)
    if len(sources) == 1 and not (sources[0].exists() or set("*?[") & set(str(sources[0]))):
        raise HarnessError(f"There is no image {sources[0]}.", "Check the path.")

    # These import torch, which takes seconds.
    from harness.checkpoints import reference
    from harness.checkpoints.cmsr_table import cmsr_for
    from harness.upscale.batch import Factor, files_of

    factor = Factor(scale, size)
    files = files_of(sources, target, factor)
    left = [(s, place) for s, place in files if not (skip_existing and place.exists())]
    # What is wrong with the only image is said before all else.
    only = _opened(*left[0], factor, quality) if len(files) == 1 and left else None
    for source, place in left:
        check_output(place, source, force)
    if method is None and checkpoint is None:
        checkpoint = Path(reference.best())
    subject = setup.subject(method, checkpoint, budget)
    rendering = cmsr_for(cmsr, subject, foreign_tables) if cmsr else None
    evaluation = setup.profile.evaluation.model_copy(
        update={"memory_mib": memory} if memory else {}
    )
    # A shipped network has the method's name, which may also be one that was trained here.
    name = str(checkpoint) if reference.is_shipped(checkpoint) else subject.method
    work = _Work(subject, name, evaluation, factor, rendering, quality, verbose)
    if only is not None:
        work.write(left[0][1], only)
    elif len(files) > 1:
        work.write_all(left, len(files))
    # The first says what the rendering is, others what must be known of the image.
    for note in rendering.notes([scale or 1])[0 if verbose else 1 :] if rendering else []:
        echo(note)


_Opened = tuple["Source", float, "Layout"]
"""An image, its factor, and the layout of the result."""


def _opened(source: Path, target: Path, factor: Factor, quality: int | None) -> _Opened:
    """Read an image and check that its result can be written."""
    from harness.upscale.image_files import layout_for, open_source
    from harness.upscale.writers import LOSSY

    image = open_source(source)
    scale = factor.of((image.rgb.shape[-2], image.rgb.shape[-1]))
    layout = layout_for(target, image, scale, factor.size)
    if quality is not None and layout.kind not in LOSSY:
        raise UsageError(f"--quality is for {', '.join(LOSSY)}; {layout.kind} files lose nothing.")
    return image, scale, layout


@dataclass(frozen=True)
class _Work:
    """Work that is done with every image; `name` is what the network is called."""

    subject: Subject
    name: str
    evaluation: Evaluation
    factor: Factor
    rendering: Cmsr | None
    quality: int | None
    verbose: bool

    def write(self, target: Path, opened: _Opened, progress: Bar | None = None) -> None:
        """Write one image, and say what was made."""
        from harness.upscale.enlarge import enlarge_file
        from harness.upscale.image_files import enlarged_size
        from harness.upscale.writers import QUALITY

        image, scale, layout = opened
        subject = self.subject
        if layout.size != enlarged_size(image, scale) and not subject.model.any_size:
            raise UsageError(f"{subject.method} enlarges both sides by one factor; use --scale.")
        start = time.monotonic()
        try:
            macs = enlarge_file(
                subject,
                image,
                scale,
                layout,
                self.evaluation,
                target,
                self.rendering,
                self.quality or QUALITY,
                progress,
            )
        except KeyboardInterrupt:
            raise InterruptedWorkError(f"Stopped; {target} was not written.") from None
        height, width = layout.size
        network = f"{self.name}{'' if subject.finished else ' (UNFINISHED)'}"
        order = " (width x height)" if self.factor.size else ""
        seconds = time.monotonic() - start
        echo(f"{target}: {width}x{height}{order} by {network} in {seconds:.1f} s")
        if layout.bits < image.bits:
            echo(f"{layout.kind} files have 8 bits per channel; .png and .tif keep the image's 16.")
        if not self.verbose:
            return
        precision = self.evaluation.precision
        echo(f"{subject.origin}{'' if precision == 'fp32' else f', {precision}'}")
        if macs is not None and macs.rendered is not None:
            whole, rest = macs.decoder, macs.rendered
            echo(
                f"decoder: {rest / 1e9:.2f} GMACs rendered of {whole / 1e9:.2f} without CMSR, "
                f"{1 - rest / whole:.1%} saved"
            )

    def write_all(self, left: list[tuple[Path, Path]], total: int) -> None:
        """Write several images; one that cannot be enlarged is named, and the others go on."""
        from harness.common.progress import bar, say

        for folder in {place.parent for _, place in left}:
            if not folder.exists() and folder.parent.is_dir():
                folder.mkdir()
        failed = 0
        area = sum(self.factor.pixels(source) for source, _ in left)
        with bar("upscale", max(1, area)) as progress:
            for number, (source, place) in enumerate(left, start=1):
                progress.note = f"{number} of {len(left)} images"
                try:
                    self.write(place, _opened(source, place, self.factor, self.quality), progress)
                except InterruptedWorkError as error:
                    raise InterruptedWorkError(
                        f"Stopped after {number - 1} of {len(left)} images.",
                        "The same command with --skip-existing goes on.",
                    ) from error
                except HarnessError as error:
                    say(f"{source}: {error}")
                    failed += 1
        echo(f"{len(left) - failed} of {total} images written, {total - len(left)} left out.")
        if failed:
            raise HarnessError(f"{failed} of {len(left)} images could not be enlarged.")
