"""`harness eval`: measure one method."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.commands.outside import outside_options, refuse, units_of_images
from harness.commands.wanted import Wanted
from harness.common.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

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
@options.checkpoint_option
@outside_options
@options.datasets_option
@options.scales_option(
    help="Several by repeating. Default: 2, 3 and 4; a fixed-scale network's own; all of --images."
)
@options.protocol_option
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
@options.with_setup("profile", "precision", "data_root", "device", "results")
@options.rendering_options
@click.option("--force", is_flag=True, help="Measure finished units again.")
@options.json_option
def evaluate(
    method: str | None,
    checkpoint: Path | None,
    outside: Entry | None,
    names: tuple[str, ...],
    scales: tuple[float, ...],
    protocol: str | None,
    ensemble: str | None,
    metrics: tuple[str, ...],
    setup: options.Setup,
    cmsr: Path | None,
    foreign_tables: bool,
    budget: float | None,
    force: bool,
) -> None:
    """Measure METHOD (or a checkpoint) on datasets: PSNR, SSIM, multiply-adds, time.

    Rows are kept in the results folder; what was measured before is not measured again. With
    --images, --onnx or --command, SR images, a network or a program from outside are measured, and
    METHOD is a name for them; see docs/outside.md.
    """
    from harness.checkpoints.cmsr_table import cmsr_for
    from harness.checkpoints.subject import ready_subjects
    from harness.outside.methods import check_precision

    wanted = Wanted(setup, names, scales, protocol, metrics, int(ensemble or 1))
    if outside is None:
        subject = setup.subject(method, checkpoint, budget)
        if cmsr:
            wanted = replace(wanted, rendering=cmsr_for(cmsr, subject, foreign_tables))
        units = wanted.units(subject)
    else:
        refuse(outside, checkpoint=checkpoint, cmsr=cmsr, budget=budget)
        check_precision(setup.profile.evaluation.precision)
        outside = outside.model_copy(update={"name": method or ""})
        if outside.images:
            refuse(outside, self_ensemble=ensemble)
            units = list(units_of_images(wanted, outside))
        else:
            (opened,), _ = outside.open({}, scales)
            units = [unit for each in ready_subjects(opened.name) for unit in wanted.units(each)]
    if ensemble and wanted.rendering:
        raise UsageError("--self-ensemble and --cmsr cannot be combined. Leave one of them out.")
    for _, task in units if ensemble else ():
        if task.rule.ensemble > 1:
            raise UsageError(
                f"The protocol {task.rule.name} averages rotations itself. Leave out "
                "--self-ensemble."
            )
    rows: dict[str, list[dict[str, Any]]] = {}
    for subject, _, found in wanted.measured(units, force):
        rows.setdefault(subject.method, []).extend(found)
    if wanted.rendering:
        factors = list(dict.fromkeys(task.scale for _, task in units))
        wanted.notes.update(dict.fromkeys(wanted.rendering.notes(factors)))
    origins = {subject.method: subject.origin for subject, _ in units}
    contents = [_content(wanted, name, origins[name], own) for name, own in rows.items()]
    several = {"networks": contents, "notes": list(wanted.notes)}
    text = _text(contents, setup.profile.evaluation.precision, protocol == "all")
    options.show(contents[0] if len(contents) == 1 else several, text)


def _content(
    wanted: Wanted, method: str, origin: str, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """All that is known of one method, for JSON and for the terminal."""
    from harness.measure import rows as store
    from harness.measure.summary import summarise

    sets = [wanted.sets[name] for name in dict.fromkeys(row["dataset"] for row in rows)]
    incomplete = {dataset.name: dataset.about() for dataset in sets if not dataset.complete}
    frame = store.frame(rows)
    said = [f"{name}: {about}; not comparable." for name, about in incomplete.items()]
    return {
        "method": method,
        "origin": origin,
        "precision": wanted.setup.profile.evaluation.precision,
        "cells": summarise(frame, incomplete),
        "notes": [*said, *_notes(frame), *wanted.notes],
        "images": [store.flat(row) for row in rows],
    }


def _text(contents: list[dict[str, Any]], precision: str, effects: bool) -> str:
    from harness.profiles.description import in_brief

    precise = "" if precision == "fp32" else f"; in {precision}, not float32"
    heads = [f"{content['method']}: {in_brief(content['origin'])}{precise}" for content in contents]
    units = [(content["method"], line) for content in contents for line in content["cells"]]
    shown = _lines([line for _, line in units], effects)
    if len(contents) > 1:
        for row, (method, _) in zip(shown, units, strict=True):
            row["method"] = method
        shown = [{"method": row.pop("method"), **row} for row in shown]
    notes = dict.fromkeys(note for content in contents for note in content["notes"])
    gaps = [gap for content in contents for gap in _gaps(content, len(contents) > 1)]
    formats = tuple(_FORMATS.get(column, "") for column in (shown[0] if shown else ()))
    told = options.table(shown, disable_numparse=False, floatfmt=formats, missingval="-")
    return "\n".join([*heads, "", told, *gaps, *notes])


def _notes(frame: pd.DataFrame) -> list[str]:
    notes = [NOTES[source] for source in sorted(set(frame["lr_source"]) - {""})]
    if (frame["method"] == "bicubic").any():
        notes.append(NOTES["bicubic"])
    if "depth_texture" in frame:
        notes.append(NOTES["texture"])
    if (frame["dataset"] == "Set14").any():
        notes.append(NOTES["grey"])
    return notes


def _lines(summary: list[dict[str, Any]], effects: bool) -> list[dict[str, Any]]:
    """Make the lines of the table of scores, without columns that say nothing.

    With `effects`, those of the table of protocols: what each changes against the dataset's own.
    """
    from harness.metrics import METRICS, PROTOCOLS

    rows = []
    own: dict[tuple[str, float], float | None] = {}
    for line in summary:
        rule, where = PROTOCOLS[line["protocol"]], (line["dataset"], line["scale"])
        if rule.family == "liif":
            own[where] = line["psnr"]
        base, macs, saving = own.get(where), line["rendered_macs"], line["saving"]
        row = {
            "dataset": line["dataset"],
            "scale": f"x{line['scale']:g}",
            "images": line["images"],
            "PSNR": line["psnr"],
            "effect (dB)": None if None in (base, line["psnr"]) else line["psnr"] - base,
            "published": line["published_psnr"],
            "SSIM": line["ssim"],
            "LR": line["lr_source"],
            "protocol": rule.name,
            "what it does": rule.describe(),
            # Zero is a network without a decoder, or none.
            "decoder GMACs": line["decoder_macs"] / 1e9 if line["decoder_macs"] else None,
            # Stored images take no time.
            "s/image": line["seconds_per_image"] or None,
        }
        for name, mean in line["others"].items():
            digits = METRICS[name].digits + 1
            row[METRICS[name].title] = None if mean is None else f"{mean:.{digits}f}"
        row |= {
            "depth~texture": line["depth_texture"],
            "rendering": line["rendering"],
            "rendered GMACs": None if macs is None else macs / 1e9,
            "saving": None if saving is None else f"{saving:.1%}",
        }
        rows.append(row)
    if effects:
        return [{name: row[name] for name in _EFFECTS} for row in rows]
    left_out = {"effect (dB)", "what it does"}
    if all(line["depth_texture"] is None for line in summary):
        left_out.add("depth~texture")
    if all(line["rendering"] == "plain" for line in summary):
        left_out |= {"rendering", "rendered GMACs", "saving"}
    return [{name: row[name] for name in row if name not in left_out} for row in rows]


_EFFECTS = (
    *("dataset", "scale", "images", "protocol", "PSNR", "effect (dB)", "SSIM", "LR"),
    "what it does",
)
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
