"""Rows by the papers' names, what is printed of them, and why one has no number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby

from harness.data.published import LIIFS_EDSR, Printed, System, printed_of, system, systems
from harness.report.text import scales_text
from harness.runs.experiment import Experiment, methods_of, scales_of_row

_MACS = {"decoder": "decoder_flops", "all": "flops"}
"""Names of MACs in the files of published values, by the part that an experiment counts."""

LEFT_OUT = "left out of this run, or not trained"

Blocks = tuple[tuple[str, ...], ...]


def paper_system(row: str) -> System:
    """Find a row under the name that the papers' tables give it."""
    return system(methods_of(row)[0])


def row_label(experiment: Experiment, row: str) -> str:
    """Return the paper's name of a row; without the encoder where all have the same."""
    named = paper_system(row)
    own = (experiment.over, LIIFS_EDSR.get(experiment.over), "none")
    if not experiment.over or named.backbone not in own:  # a row that a user added may be such
        return named.label
    return experiment.over if named.backbone == named.method else named.method


def unable(row: str) -> str:
    """Say why a row has nothing at a scale that it has no method for."""
    listed = scales_text(scales_of_row(row) or ())
    if len(methods_of(row)) > 1:
        return f"fixed-scale networks, one for each scale, trained for {listed} only"
    return f"trained for {listed} only"


def printed_values(
    experiment: Experiment, named: System, role: str, scale: float
) -> dict[str, Printed]:
    """List what the paper prints of a system: metrics, `macs`, `percent` of the baseline's MACs."""
    names = {
        **{name: name for name in experiment.metrics},
        "psnr": "psnr_db",
        "macs": _MACS[experiment.macs_of],
        "percent": "flops_percent",
    }
    found = {
        name: printed_of(experiment.published, named, role, scale, metric)
        or next(
            filter(None, (f.printed(named, role, scale, metric) for f in experiment.field)), None
        )
        for name, metric in names.items()
    }
    return {name: value for name, value in found.items() if value is not None}


def others(experiment: Experiment) -> Mapping[str, System]:
    """List systems of the paper's table and of the field without a row of ours, by name."""
    listed = systems(*experiment.published[0]) if experiment.published_rows else ()
    own = {paper_system(row) for row in experiment.rows}
    # Of the field, those of one backbone stand together, in the order of the tables.
    field = list(dict.fromkeys(s for row in experiment.field for s in row.systems()))
    backbones = [s.backbone for s in field]
    field.sort(key=lambda s: backbones.index(s.backbone))
    return {s.label: s for s in (*listed, *field) if s not in own}


def blocks(experiment: Experiment) -> Blocks:
    """List the blocks of rows: the common ones, then ours and the paper's others in its order.

    A block of ours stays whole, and stands where the first of its rows stands in the paper; the
    paper's others that follow one another with one backbone are a block. Those of the field are
    behind all others, a block for each backbone.
    """
    ordered = list(_in_order(experiment)) if experiment.published_rows else []
    left = (block.methods for block in experiment.blocks if block.methods not in ordered)
    told = {row for block in ordered for row in block}
    new = [(n, s) for n, s in others(experiment).items() if n not in told]
    behind = (
        tuple(n for n, _ in own) for _, own in groupby(new, key=lambda each: each[1].backbone)
    )
    return (experiment.common, *ordered, *left, *behind)


def _in_order(experiment: Experiment) -> Iterator[tuple[str, ...]]:
    unknown = others(experiment)
    own = {paper_system(row): block.methods for block in experiment.blocks for row in block.methods}
    listed = systems(*experiment.published[0])
    entries = [(s.backbone, s.label) if s.label in unknown else (own.get(s), "") for s in listed]
    for place, group in groupby(dict.fromkeys(entries), key=lambda entry: entry[0]):
        if isinstance(place, str):
            yield tuple(label for _, label in group)
        elif place is not None:
            yield place
