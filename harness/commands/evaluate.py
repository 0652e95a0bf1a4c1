"""`harness eval`: measure one method."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.cases import Case, cases_of_network, check_wanted, measured
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
from harness.commands.outside import cases_of_images, outside_options, refuse
from harness.common.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

    from harness.checkpoints.cmsr_table import Cmsr
    from harness.outside.entries import Entry

NOTES = {
    "bicubic": "SR is made by the MATLAB-compatible bicubic resize, rounded to 8 bits.",
    "grey": "Grey images are opened as RGB, as the LIIF code does (Set14's bridge: +0.09 dB on "
    "the mean against its own grey values as Y).",
    "texture": "depth~texture: rank correlation of the experts' depth with the LR image's gradient "
    "energy, over all LR pixels of an image (Spearman); the mean over images.",
    "official": "official: the dataset's own LR images.",
    "matlab": "matlab: LR images made here by the MATLAB-compatible resize.",
    "pil": "pil: LR images made here by Pillow's bicubic.",
    "unknown": "unknown: LR images are the other program's.",
}


@click.command(
    "eval",
    epilog="Example: harness eval bicubic --dataset Set5 --scale 2 --scale 4 --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("method", required=False)
@checkpoint_option
@outside_options
@datasets_option
@scales_option(
    help="Several by repeating. Default: 2, 3 and 4; a fixed-scale network's own; all of --images."
)
@protocol_option
@click.option(
    "--self-ensemble",
    "ensemble",
    type=click.Choice(["4", "8"]),
    help="Average the SR images of the LR image's rotations (4), and of its mirror image's (8); "
    "another measurement, at as many times the cost.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="A metric beside PSNR and SSIM (docs/metrics.md). Several by repeating.",
)
@with_setup("profile", "precision", "data_root", "device", "results")
@rendering_options
@click.option("--force", is_flag=True, help="Measure finished cells again.")
@json_option
def evaluate(
    method: str | None,
    checkpoint: Path | None,
    outside: Entry | None,
    names: tuple[str, ...],
    scales: tuple[float, ...],
    protocol: str | None,
    ensemble: str | None,
    metrics: tuple[str, ...],
    setup: Setup,
    cmsr: Path | None,
    foreign_tables: bool,
    budget: float | None,
    force: bool,
    as_json: bool,
) -> None:
    """Measure METHOD (or a checkpoint) on datasets: PSNR, SSIM, multiply-adds, time.

    Rows are kept in the results folder; what was measured before is not measured again. With
    --images, --onnx or --command, SR images, a network or a program from outside are measured, and
    METHOD is a name for them; see docs/outside.md.
    """
    from harness.checkpoints.cmsr_table import cmsr_for
    from harness.checkpoints.subject import ready_subjects
    from harness.outside.methods import check_precision

    check_wanted(names, protocol, metrics)
    rendering = None
    if outside is not None:
        refuse(outside, checkpoint=checkpoint, cmsr=cmsr, budget=budget)
        check_precision(setup.profile.evaluation.precision)
        outside = outside.model_copy(update={"name": method or ""})
        if outside.images:
            refuse(outside, self_ensemble=ensemble)
            cases, said = cases_of_images(setup, outside, names, scales, protocol)
        else:
            (opened,), _ = outside.open({}, scales)
            (subject,) = ready_subjects(opened.name)
            cases, said = cases_of_network(setup, subject, names, scales, protocol)
    else:
        subject = setup.subject(method, checkpoint, budget)
        rendering = cmsr_for(cmsr, subject, foreign_tables) if cmsr else None
        cases, said = cases_of_network(setup, subject, names, scales, protocol)
    passes = int(ensemble or 1)
    check_passes(cases, passes, rendering)
    rows: dict[str, list[dict[str, Any]]] = {}
    for case, found in measured(setup, cases, rendering, passes, force, metrics):
        rows.setdefault(case.subject.method, []).extend(found)
    origins = {case.subject.method: case.subject.origin for case in cases}
    factors = list(dict.fromkeys(case.scale for case in cases))
    notes = [*said, *(rendering.notes(factors) if rendering else [])]
    contents = [_content(setup, name, origins[name], rows[name], notes) for name in rows]
    several = {"networks": contents, "notes": notes}
    text = _text(contents, setup.profile.evaluation.precision, protocol == "all")
    show(contents[0] if len(contents) == 1 else several, text, as_json)


def _content(
    setup: Setup, method: str, origin: str, rows: list[dict[str, Any]], notes: list[str]
) -> dict[str, Any]:
    """All that is known of one method, for JSON and for the terminal."""
    from harness.measure import rows as store
    from harness.measure.summary import summarise

    sets = [setup.dataset(name) for name in dict.fromkeys(row["dataset"] for row in rows)]
    incomplete = {dataset.name: dataset.about() for dataset in sets if not dataset.complete}
    frame = store.frame(rows)
    said = [f"{name}: {about}; not comparable." for name, about in incomplete.items()]
    return {
        "method": method,
        "origin": origin,
        "precision": setup.profile.evaluation.precision,
        "cells": summarise(frame, incomplete),
        "notes": [*said, *_notes(frame), *notes],
        "images": [store.flat(row) for row in rows],
    }


def _text(contents: list[dict[str, Any]], precision: str, effects: bool) -> str:
    precise = "" if precision == "fp32" else f"; in {precision}, not float32"
    heads = [f"{content['method']}: {content['origin']}{precise}" for content in contents]
    cells = [(content["method"], line) for content in contents for line in content["cells"]]
    lines = [line for _, line in cells]
    shown = _effects(lines) if effects else _table(lines)
    if len(contents) > 1:
        for row, (method, _) in zip(shown, cells, strict=True):
            row["method"] = method
        shown = [{"method": row.pop("method"), **row} for row in shown]
    notes = dict.fromkeys(note for content in contents for note in content["notes"])
    gaps = [gap for content in contents for gap in _gaps(content, len(contents) > 1)]
    return "\n".join([*heads, "", _printed(shown), *gaps, *notes])


def check_passes(cases: Sequence[Case], passes: int, rendering: Cmsr | None) -> None:
    """Refuse self-ensembles of what is averaged or rendered in another way already."""
    from harness.metrics import PROTOCOLS

    if passes > 1 and rendering:
        raise UsageError("--self-ensemble and --cmsr cannot be combined. Leave one of them out.")
    own = [case.protocol for case in cases if PROTOCOLS[case.protocol].ensemble > 1]
    if passes > 1 and own:
        raise UsageError(
            f"The protocol {own[0]} averages rotations itself. Leave out --self-ensemble."
        )


def _notes(frame: pd.DataFrame) -> list[str]:
    notes = [NOTES[source] for source in sorted(set(frame["lr_source"]) - {""})]
    if (frame["method"] == "bicubic").any():
        notes.append(NOTES["bicubic"])
    if "depth_texture" in frame:
        notes.append(NOTES["texture"])
    if (frame["dataset"] == "Set14").any():
        notes.append(NOTES["grey"])
    return notes


def _table(summary: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Make the lines of the table of scores, without columns that say nothing."""
    from harness.metrics import METRICS

    rows = []
    for line in summary:
        macs, saving = line["rendered_macs"], line["saving"]
        others = {METRICS[name]: mean for name, mean in line["others"].items()}
        rows.append(
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
                # Stored images take no time.
                "s/image": line["seconds_per_image"] or None,
                **{
                    metric.title: None if mean is None else f"{mean:.{metric.digits + 1}f}"
                    for metric, mean in others.items()
                },
                "depth~texture": line["depth_texture"],
                "rendering": line["rendering"],
                "rendered GMACs": None if macs is None else macs / 1e9,
                "saving": None if saving is None else f"{saving:.1%}",
            }
        )
    left_out = set()
    if all(line["depth_texture"] is None for line in summary):
        left_out.add("depth~texture")
    if all(line["rendering"] == "plain" for line in summary):
        left_out |= {"rendering", "rendered GMACs", "saving"}
    return [{name: row[name] for name in row if name not in left_out} for row in rows]


def _effects(summary: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines of a table of protocols: what each changes against the dataset's own, in dB."""
    from harness.metrics import PROTOCOLS

    rows = []
    own: dict[tuple[str, float], float | None] = {}
    for line in summary:
        rule, where = PROTOCOLS[line["protocol"]], (line["dataset"], line["scale"])
        if rule.family == "liif":
            own[where] = line["psnr"]
        base = own.get(where)
        change = None if None in (base, line["psnr"]) else line["psnr"] - base
        rows.append(
            {
                "dataset": line["dataset"],
                "scale": f"x{line['scale']:g}",
                "images": line["images"],
                "protocol": rule.name,
                "PSNR": line["psnr"],
                "effect (dB)": change,
                "SSIM": line["ssim"],
                "LR": line["lr_source"],
                "what it does": rule.describe(),
            }
        )
    return rows


_FORMATS = {
    "PSNR": ".3f",
    "published": ".2f",
    "SSIM": ".4f",
    "effect (dB)": "+.3f",
    "decoder GMACs": ".2f",
    "s/image": ".3f",
    "depth~texture": ".2f",
    "rendered GMACs": ".2f",
}


def _printed(rows: list[dict[str, Any]]) -> str:
    formats = tuple(_FORMATS.get(column, "") for column in (rows[0] if rows else ()))
    return table(rows, disable_numparse=False, floatfmt=formats, missingval="-")


def _gaps(content: dict[str, Any], several: bool) -> Iterator[str]:
    """Images that are in no mean, and why."""
    protocols = len({line["protocol"] for line in content["cells"]}) > 1
    for line in content["cells"]:
        where = f"{line['dataset']} x{line['scale']:g}" + f", {line['protocol']}" * protocols
        where = f"{content['method']}, {where}" if several else where
        if line["too_small"]:
            reasons = "; ".join(line["reasons"])
            yield f"{where}: {line['too_small']} images left out: {reasons}"
        for reason, count in line["no_value"].items():
            yield f"{where}, {count} image{'s' * (count > 1)}: {reason}"
        if line["not_a_number"]:
            count = line["not_a_number"]
            yield f"{where}: no mean, as PSNR is not a number for {count} images."
        if line["failed"]:
            count = len(line["failed"])
            yield f"{where}: no mean, as {count} image{'s have' if count > 1 else ' has'} no score:"
            yield from (f"  {image}: {reason}" for image, reason in line["failed"].items())
        if line["psnr"] is not None and math.isinf(line["psnr"]):
            yield f"{where}: an SR image equals its HR image. Are these the HR images?"
