"""From one image file to a larger one, in strips: memory does not grow with the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from baselines.bicubic import Resize
from baselines.composition import ImplicitSR
from harness import flops
from harness.cmsr.saving import with_cmsr
from harness.cmsr.table import Cmsr
from harness.data.degrade import quantise, unit
from harness.data.images import to_tensor
from harness.errors import HarnessError
from harness.files import replacing
from harness.flops import MacCount
from harness.image_files import Source, enlarged_size
from harness.profiles import Evaluation
from harness.progress import Bar, bar
from harness.subject import Subject
from harness.upscaling import Streamed, stream
from harness.writers import Layout, Rows, as_image, write_rows


def layout_of(source: Source, scale: float) -> Layout:
    """Of the enlarged image: grey or transparent as the source is."""
    mode = ("L" if source.grey else "RGB") + ("A" if source.alpha is not None else "")
    return Layout(enlarged_size(source, scale), mode, source.icc_profile)


def begin(
    subject: Subject,
    source: Source,
    scale: float,
    settings: Evaluation,
    cmsr: Cmsr | None = None,
) -> Streamed:
    """The enlarged image in the making. Args: as `enlarge_file`."""
    return stream(
        subject.model,
        unit(to_tensor(source.rgb))[None],
        scale,
        precision=settings.precision,
        memory=settings.memory,
        cmsr=cmsr.stored.levels if cmsr else None,
    )


def enlarged_rows(
    made: Streamed, source: Source, scale: float, progress: Bar | None = None
) -> Iterator[Rows]:
    """The enlarged image from top to bottom, uint8 (rows, width, channels) at a time."""
    size = enlarged_size(source, scale)
    alpha = None if source.alpha is None else Resize(to_tensor(source.alpha), size)
    top = 0
    for strip in made.strips:
        rows: Rows = quantise(strip).cpu().permute(1, 2, 0).contiguous().numpy()
        end = top + rows.shape[0]
        if source.grey:
            rows = np.asarray(as_image(rows).convert("L"))[..., None]
        if alpha is not None:
            rows = np.concatenate([rows, alpha.rows(top, end).permute(1, 2, 0).numpy()], axis=2)
        yield rows
        if progress is not None:
            progress.advance((end - top) * size[1])
        top = end


@dataclass(frozen=True)
class Enlarged:
    """A file that was written.

    Attributes:
        layout: of the image in it.
        macs: multiply-adds by CMSR, and without; None where the rendering is plain.
    """

    layout: Layout
    macs: MacCount | None


def enlarge_file(
    subject: Subject,
    source: Source,
    scale: float,
    settings: Evaluation,
    path: Path,
    kind: str,
    cmsr: Cmsr | None = None,
) -> Enlarged:
    """Write the enlarged image, whole or not at all.

    Args:
        subject: the method.
        source: the image.
        scale: at least 1.
        settings: precision and memory.
        path: the file that is made, or replaced at the end.
        kind: its type, of `harness.image_files.check_target`.
        cmsr: tables by which scales above x4 are rendered.

    Raises:
        HarnessError: the folder cannot be written, or the type cannot hold the image.
    """
    layout = layout_of(source, scale)
    height, width = layout.size
    with (
        replacing(path) as temporary,
        bar(f"{subject.method} x{scale:g}", height * width) as progress,
    ):
        made = begin(subject, source, scale, settings, cmsr)
        rows = enlarged_rows(made, source, scale, progress)
        try:
            write_rows(temporary, kind, layout, rows)
        except (ValueError, KeyError) as error:
            raise HarnessError(
                f"{path}: a {kind} file cannot hold this image ({error}).", "Use .png."
            ) from error
    if made.steps is None or not isinstance(subject.model, ImplicitSR):
        return Enlarged(layout, None)
    macs = flops.count(subject.model, enlarged_size(source, 1), layout.size)
    return Enlarged(layout, with_cmsr(macs, subject.model, made.lr_size, made.steps))
