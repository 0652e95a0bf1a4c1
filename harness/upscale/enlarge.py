"""Enlargement of one image file in strips: memory does not grow with the result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from baselines.base import Streamed
from baselines.macs import MacCount
from baselines.resize import Resize
from harness.checkpoints.cmsr_table import Cmsr, prepared
from harness.checkpoints.subject import Subject
from harness.common.errors import HarnessError
from harness.common.files import replacing
from harness.common.progress import Bar, bar
from harness.data.degrade import quantise, unit
from harness.profiles import Evaluation
from harness.upscale.image_files import Source, enlarged_size
from harness.upscale.network import stream
from harness.upscale.writers import QUALITY, Layout, Rows, write_rows

# Of red, green and blue in grey, as Pillow has them; they sum to 2^16.
_LUMA = np.array([19595, 38470, 7471], dtype=np.uint32)


def begin(
    subject: Subject,
    source: Source,
    scale: float,
    layout: Layout,
    settings: Evaluation,
    rendering: Cmsr | None = None,
) -> Streamed:
    """Start the enlarged image, which is made strip by strip. Args: as `enlarge_file`."""
    return stream(
        prepared(subject, scale, rendering),
        unit(source.rgb)[None],
        scale,
        layout.size,
        precision=settings.precision,
        memory=settings.memory,
        stored=source.rgb.dtype,
    )


def enlarged_rows(
    made: Streamed, source: Source, layout: Layout, progress: Bar | None = None
) -> Iterator[Rows]:
    """Yield the enlarged image from top to bottom, as (rows, width, channels) of `layout`."""
    alpha = None if source.alpha is None else Resize(source.alpha, layout.size)
    top = 0
    for strip in made.strips:
        rows = _stored(strip, layout.bits)
        end = top + rows.shape[0]
        if source.grey:
            grey = (rows.astype(np.uint32) * _LUMA).sum(axis=2, keepdims=True, dtype=np.uint32)
            rows = ((grey + (1 << 15)) >> 16).astype(rows.dtype)
        if alpha is not None:
            opacity = _stored(unit(alpha.rows(top, end)), layout.bits)
            rows = np.concatenate([rows, opacity], axis=2)
        yield rows
        if progress is not None:
            progress.advance((end - top) * layout.size[1])
        top = end


def _stored(strip: Tensor, bits: int) -> Rows:
    """Convert (channels, rows, width) in [0, 1] to (rows, width, channels) of a file."""
    values = quantise(strip).cpu() if bits == 8 else quantise(strip.cpu(), torch.uint16)
    rows: Rows = values.permute(1, 2, 0).contiguous().numpy()
    return rows


def enlarge_file(
    subject: Subject,
    source: Source,
    scale: float,
    layout: Layout,
    settings: Evaluation,
    path: Path,
    rendering: Cmsr | None = None,
    quality: int = QUALITY,
    progress: Bar | None = None,
) -> MacCount | None:
    """Write the enlarged image, all or nothing.

    Args:
        subject: the method.
        source: the image.
        scale: scale factor, at least 1.
        layout: the result, of `harness.upscale.image_files.layout_for`.
        settings: precision and memory.
        path: the file that is made, or replaced at the end.
        rendering: CMSR's tables, where the network is rendered by them.
        quality: of JPEG, WebP and AVIF, from 1 to 100.
        progress: to be moved on by every pixel; a bar of its own if None.

    Returns:
        The MACs of a rendering by CMSR; None for the network's own.

    Raises:
        HarnessError: the folder cannot be written, or the type cannot hold the image.
    """
    own = bar(f"{subject.method} x{scale:g}", math.prod(layout.size))
    with replacing(path) as temporary, nullcontext(progress) if progress else own as shown:
        made = begin(subject, source, scale, layout, settings, rendering)
        rows = enlarged_rows(made, source, layout, shown)
        try:
            write_rows(temporary, layout, rows, quality)
        except (ValueError, KeyError) as error:
            raise HarnessError(
                f"{path}: a {layout.kind} file cannot hold this image ({error}).", "Use .png."
            ) from error
    if rendering is None or made.choice is None:
        return None
    network, lr_size = rendering.of(subject.model), enlarged_size(source, 1)
    return network.count(lr_size, layout.size, made.choice)
