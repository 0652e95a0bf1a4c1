"""`harness eval`: measure one method."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import (
    checkpoint_option,
    data_root_option,
    device_option,
    echo,
    json_option,
    precision_option,
    print_json,
    profile_option,
    rendering_options,
    results_option,
    scale_factor,
)

if TYPE_CHECKING:
    import pandas as pd

    from harness.checkpoints.rendering import Rendering
    from harness.checkpoints.subject import Subject
    from harness.data.pairs import PairStore
    from harness.data.sets import Dataset
    from harness.profiles import Profile
    from harness.profiles.places import Places

NOTES = {
    "bicubic": "SR is made by the MATLAB-compatible bicubic resize, rounded to 8 bits.",
    "grey": "Grey images are opened as RGB, as the LIIF code does (Set14's bridge: +0.09 dB on "
    "the mean against its own grey values as Y).",
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
@click.option("--dataset", "names", multiple=True, required=True, help="Several by repeating.")
@click.option(
    "--scale",
    "scales",
    type=scale_factor,
    multiple=True,
    help="Several by repeating. Default: 2, 3 and 4; a fixed-scale network's own.",
)
@click.option("--protocol", help="benchmark, div2k or full. Default: the dataset's own.")
@profile_option
@precision_option
@rendering_options
@data_root_option
@device_option
@results_option
@click.option("--force", is_flag=True, help="Measure finished cells again.")
@json_option
def evaluate(
    method: str | None,
    checkpoint: Path | None,
    names: tuple[str, ...],
    scales: tuple[float, ...],
    protocol: str | None,
    profile: str,
    precision: str | None,
    cmsr: Path | None,
    foreign_tables: bool,
    budget: float | None,
    data_root: Path | None,
    device: str,
    results: Path,
    force: bool,
    as_json: bool,
) -> None:
    """Measure METHOD (or a checkpoint) on datasets: PSNR, SSIM, multiply-adds, time.

    Rows are kept in the results folder; what was measured before is not measured again.
    """
    from harness import profiles
    from harness.checkpoints.cmsr_table import rendering_of
    from harness.checkpoints.trained import find_subject
    from harness.common import device as devices
    from harness.data.pairs import PairStore
    from harness.data.sets import check_name, find
    from harness.measure import rows as store
    from harness.measure.summary import summarise
    from harness.metrics import shaved_border
    from harness.profiles import places

    settings = profiles.load(profile).at_precision(precision)
    where = places.resolve(data_root, results, profile=settings)
    for name in names:
        check_name(name)
    if protocol is not None:
        shaved_border(protocol, 2)
    subject = find_subject(method, checkpoint, settings, where, devices.resolve(device))
    tables = rendering_of(subject, cmsr, foreign_tables, budget)
    scales = scales or tuple(map(float, subject.model.scales or (2, 3, 4)))
    rows: list[dict[str, Any]] = []
    incomplete: dict[str, str] = {}
    for name in dict.fromkeys(names):
        dataset = find(name, where.data_root)
        if not dataset.complete:
            incomplete[name] = dataset.about()
        pairs = PairStore()
        for scale in dict.fromkeys(scales):
            rows += _measure(
                subject, dataset, scale, protocol, settings, where, force, pairs, tables
            )
    frame = store.frame(rows)
    summary = summarise(frame, incomplete)
    notes = [*_incomplete_notes(incomplete), *_notes(frame)]
    notes += tables.notes(list(dict.fromkeys(scales))) if tables else []
    if as_json:
        content = {
            "method": subject.method,
            "origin": subject.origin,
            "precision": settings.evaluation.precision,
            "cells": summary,
        }
        print_json({**content, "notes": notes, "images": [store.flat(row) for row in rows]})
    else:
        used = settings.evaluation.precision
        precise = "" if used == "fp32" else f"; in {used}, not float32"
        echo(f"{subject.method}: {subject.origin}{precise}\n")
        _print(summary, notes)


def _measure(
    subject: Subject,
    dataset: Dataset,
    scale: float,
    protocol: str | None,
    settings: Profile,
    where: Places,
    force: bool,
    pairs: PairStore,
    tables: Rendering | None,
) -> list[dict[str, Any]]:
    """Rows of one dataset at one scale; what was measured before is not measured again."""
    from harness.common.progress import bar
    from harness.measure.evaluate import Task, measure_cell
    from harness.measure.rows import CellFile, each_image_once

    task = Task(
        dataset=dataset,
        fingerprint=dataset.fingerprint(),
        role=dataset.name,
        scale=scale,
        protocol=protocol or dataset.protocol,
        profile=subject.profile,
        settings=settings.evaluation,
        cache=where.lr_cache,
        rendering=tables,
    )
    file = CellFile(where.results / "eval" / task.cell(subject).relative_path)
    total = len(dataset.items)
    left = total if force else len(task.missing(file.by_image()))
    with bar(f"{subject.method} {dataset.name} x{scale:g}", total, total - left) as progress:
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


def _incomplete_notes(incomplete: dict[str, str]) -> list[str]:
    return [f"{name}: {about}; not comparable." for name, about in incomplete.items()]


def _notes(frame: pd.DataFrame) -> list[str]:
    notes = [NOTES[source] for source in sorted(set(frame["lr_source"]) - {""})]
    if (frame["method"] == "bicubic").any():
        notes.append(NOTES["bicubic"])
    if (frame["dataset"] == "Set14").any():
        notes.append(NOTES["grey"])
    return notes


def _print(summary: list[dict[str, Any]], notes: list[str]) -> None:
    from tabulate import tabulate

    rendered = any(line["rendering"] != "plain" for line in summary)
    lines = [
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
            **(_rendered(line) if rendered else {}),
        }
        for line in summary
    ]
    formats = ("", "", "", ".3f", ".2f", ".4f", "", "", ".2f", ".3f", "", ".2f", "")
    echo(tabulate(lines, headers="keys", tablefmt="simple", floatfmt=formats, missingval="-"))
    for line in summary:
        if line["too_small"]:
            echo(
                f"{line['dataset']} x{line['scale']:g}: {line['too_small']} images left out: "
                + "; ".join(line["reasons"])
            )
        if line["not_a_number"]:
            echo(
                f"{line['dataset']} x{line['scale']:g}: no mean, as PSNR is not a number for "
                f"{line['not_a_number']} images."
            )
    for note in notes:
        echo(note)


def _rendered(line: dict[str, Any]) -> dict[str, Any]:
    """Columns of CMSR: how it was rendered, what of the decoder's multiply-adds is left."""
    macs, saving = line["rendered_macs"], line["saving"]
    return {
        "rendering": line["rendering"],
        "rendered GMACs": None if macs is None else macs / 1e9,
        "saving": None if saving is None else f"{saving:.1%}",
    }
