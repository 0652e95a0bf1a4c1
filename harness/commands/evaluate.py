"""`harness eval`: measure one method."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import (
    Setup,
    checkpoint_option,
    datasets_option,
    json_option,
    protocol_option,
    rendering_options,
    scales_option,
    show,
    table,
    with_setup,
)

if TYPE_CHECKING:
    import pandas as pd

    from harness.checkpoints.cmsr_table import Cmsr
    from harness.checkpoints.subject import Subject
    from harness.data.pairs import PairStore
    from harness.measure.evaluate import Task

NOTES = {
    "bicubic": "SR is made by the MATLAB-compatible bicubic resize, rounded to 8 bits.",
    "grey": "Grey images are opened as RGB, as the LIIF code does (Set14's bridge: +0.09 dB on "
    "the mean against its own grey values as Y).",
    "texture": "depth~texture: rank correlation of the experts' depth with the LR image's gradient "
    "energy, over all LR pixels of an image (Spearman); the mean over images.",
    "official": "official: the dataset's own LR images.",
    "matlab": "matlab: LR images made here by the MATLAB-compatible resize.",
    "pil": "pil: LR images made here by Pillow's bicubic.",
}


@click.command(
    "eval",
    epilog="Example: harness eval bicubic --dataset Set5 --scale 2 --scale 4 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("method", required=False)
@checkpoint_option
@datasets_option
@scales_option(help="Several by repeating. Default: 2, 3 and 4; a fixed-scale network's own.")
@protocol_option
@with_setup("profile", "precision", "data_root", "device", "results")
@rendering_options
@click.option("--force", is_flag=True, help="Measure finished cells again.")
@json_option
def evaluate(
    method: str | None,
    checkpoint: Path | None,
    names: tuple[str, ...],
    scales: tuple[float, ...],
    protocol: str | None,
    setup: Setup,
    cmsr: Path | None,
    foreign_tables: bool,
    budget: float | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure METHOD (or a checkpoint) on datasets: PSNR, SSIM, multiply-adds, time.

    Rows are kept in the results folder; what was measured before is not measured again.
    """
    from harness.checkpoints.cmsr_table import cmsr_for
    from harness.measure import rows as store
    from harness.measure.summary import summarise

    settings = setup.profile.evaluation
    check_wanted(names, protocol)
    subject = setup.subject(method, checkpoint, budget)
    rendering = cmsr_for(cmsr, subject, foreign_tables) if cmsr else None
    factors = list(dict.fromkeys(scales or map(float, subject.model.scales or (2, 3, 4))))
    rows = measured_rows(setup, subject, list(names), factors, protocol, rendering, force)
    sets = map(setup.dataset, dict.fromkeys(names))
    incomplete = {dataset.name: dataset.about() for dataset in sets if not dataset.complete}
    frame = store.frame(rows)
    summary = summarise(frame, incomplete)
    notes = [f"{name}: {about}; not comparable." for name, about in incomplete.items()]
    notes += [*_notes(frame), *(rendering.notes(factors) if rendering else [])]
    precise = "" if settings.precision == "fp32" else f"; in {settings.precision}, not float32"
    content = {
        "method": subject.method,
        "origin": subject.origin,
        "precision": settings.precision,
        "cells": summary,
        "notes": notes,
        "images": [store.flat(row) for row in rows],
    }
    head = f"{subject.method}: {subject.origin}{precise}\n\n"
    show(content, head + "\n".join([_table(summary), *_gaps(summary), *notes]), as_json)


def check_wanted(names: Iterable[str], protocol: str | None) -> None:
    """Refuse unknown datasets and protocols before a network is looked for."""
    from harness.data.sets import check_name
    from harness.metrics import shaved_border

    for name in names:
        check_name(name)
    if protocol is not None:
        shaved_border(protocol, 2)


def measured_rows(
    setup: Setup,
    subject: Subject,
    names: Iterable[str],
    scales: Sequence[float],
    protocol: str | None,
    rendering: Cmsr | None = None,
    force: bool = False,
) -> list[dict[str, Any]]:
    """Rows of a network on datasets at scales; what was measured before is not measured again."""
    from harness.data.pairs import PairStore
    from harness.measure.evaluate import Task

    rows: list[dict[str, Any]] = []
    for name in dict.fromkeys(names):
        dataset = setup.dataset(name)
        pairs = PairStore()
        for scale in scales:
            task = Task(
                dataset=dataset,
                fingerprint=dataset.fingerprint(),
                role=dataset.name,
                scale=scale,
                protocol=protocol or dataset.protocol,
                profile=subject.profile,
                settings=setup.profile.evaluation,
                cache=setup.places.lr_cache,
                rendering=rendering,
            )
            rows += _measure(subject, task, setup.places.results, force, pairs)
    return rows


def _measure(
    subject: Subject, task: Task, results: Path, force: bool, pairs: PairStore
) -> list[dict[str, Any]]:
    """Rows of one dataset at one scale; what was measured before is not measured again."""
    from harness.common.progress import bar
    from harness.measure.evaluate import measure_cell
    from harness.measure.rows import CellFile, each_image_once

    file = CellFile(results / "eval" / task.cell(subject).relative_path)
    total = len(task.dataset.items)
    left = total if force else len(task.missing(file.by_image()))
    title = f"{subject.method} {task.dataset.name} x{task.scale:g}"
    with bar(title, total, total - left) as progress:
        rows = measure_cell(
            subject,
            task,
            file,
            wait=True,
            measured=lambda _: progress.advance(),
            pairs=pairs,
            force=force,
        )
    return each_image_once(rows or [])


def _notes(frame: pd.DataFrame) -> list[str]:
    notes = [NOTES[source] for source in sorted(set(frame["lr_source"]) - {""})]
    if (frame["method"] == "bicubic").any():
        notes.append(NOTES["bicubic"])
    if "depth_texture" in frame:
        notes.append(NOTES["texture"])
    if (frame["dataset"] == "Set14").any():
        notes.append(NOTES["grey"])
    return notes


def _table(summary: list[dict[str, Any]]) -> str:
    rows = [
        {
            "dataset": line["dataset"],
            "scale": f"x{line['scale']:g}",
            "images": line["images"],
            "PSNR": line["psnr"],
            "published": line["published_psnr"],
            "SSIM": line["ssim"],
            "LR": line["lr_source"],
            "protocol": line["protocol"],
            # Zero is a network without a decoder, or none.
            "decoder GMACs": line["decoder_macs"] / 1e9 if line["decoder_macs"] else None,
            "s/image": line["seconds_per_image"],
        }
        for line in summary
    ]
    if any(line["depth_texture"] is not None for line in summary):
        for row, line in zip(rows, summary, strict=True):
            row["depth~texture"] = line["depth_texture"]
    if any(line["rendering"] != "plain" for line in summary):
        # How it was rendered, and what of the decoder's MACs CMSR leaves.
        for row, line in zip(rows, summary, strict=True):
            macs, saving = line["rendered_macs"], line["saving"]
            row["rendering"] = line["rendering"]
            row["rendered GMACs"] = None if macs is None else macs / 1e9
            row["saving"] = None if saving is None else f"{saving:.1%}"
    formats = ("", "", "", ".3f", ".2f", ".4f", "", "", ".2f", ".3f", ".2f", ".2f", "")
    return table(rows, disable_numparse=False, floatfmt=formats, missingval="-")


def _gaps(summary: list[dict[str, Any]]) -> Iterator[str]:
    """Images that are in no mean, and why."""
    for line in summary:
        where = f"{line['dataset']} x{line['scale']:g}"
        if line["too_small"]:
            reasons = "; ".join(line["reasons"])
            yield f"{where}: {line['too_small']} images left out: {reasons}"
        if line["not_a_number"]:
            count = line["not_a_number"]
            yield f"{where}: no mean, as PSNR is not a number for {count} images."
