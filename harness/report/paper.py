"""Values that the paper prints beside a row, and its rows that have none of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from harness.experiments import Experiment, methods_of
from harness.experiments.published import Printed, System, printed_of, system, systems

_MACS = {"decoder": "decoder_flops", "all": "flops"}
"""Names of MACs in the files of published values, by the part that an experiment counts."""
_NAMES = {"psnr": "psnr_db", "percent": "flops_percent"}
"""Names in the files of published values where they differ; a metric keeps its name."""

Blocks = tuple[tuple[str, ...], ...]


def paper_system(experiment: Experiment, row: str) -> System:
    """Find a row under the name that the paper's table gives it."""
    return system(experiment.labels.get(row, methods_of(row)[0]))


def row_label(experiment: Experiment, row: str) -> str:
    """Return the paper's name of a row; without the encoder where all have the same."""
    named = paper_system(experiment, row)
    if not experiment.over:
        return named.label
    return experiment.over if named.backbone == named.method else named.method


def printed_fields(
    experiment: Experiment, named: System, role: str, scale: float
) -> dict[str, Any]:
    """Make the fields of `CellMean` that come from the paper."""
    metrics = {
        **dict.fromkeys(experiment.metrics),
        **_NAMES,
        "macs": _MACS[experiment.macs_of],
    }
    found: dict[str, Printed] = {}
    for name, metric in metrics.items():
        value = printed_of(experiment.published, named, role, scale, metric or name)
        if value is not None:
            found[name] = value
    notes = tuple((name, p.note) for name, p in found.items() if p.note)
    return {"printed": {name: p.value for name, p in found.items()}, "printed_notes": notes}


def others(experiment: Experiment) -> Mapping[str, System]:
    """List systems of the paper's table without a row of ours, by name, in its order."""
    if not experiment.published_rows:
        return {}
    own = {paper_system(experiment, row) for row in experiment.rows}
    return {s.label: s for s in systems(*experiment.published[0]) if s not in own}


def blocks(experiment: Experiment) -> Blocks:
    """List the blocks of rows: the common ones, then ours and the paper's others in its order.

    A block of ours stays whole, and stands where the first of its rows stands in the paper; the
    paper's others that follow one another with one backbone are a block.
    """
    left = [block.methods for block in experiment.blocks]
    if not experiment.published_rows:
        return experiment.groups
    ordered = list(_in_order(experiment))
    return (experiment.common, *ordered, *(own for own in left if own not in ordered))


def _in_order(experiment: Experiment) -> Iterator[tuple[str, ...]]:
    unknown = others(experiment)
    own = {
        paper_system(experiment, row): block.methods
        for block in experiment.blocks
        for row in block.methods
    }
    listed = systems(*experiment.published[0])
    entries = [(s.backbone, s.label) if s.label in unknown else (own.get(s), "") for s in listed]
    for place, group in groupby(dict.fromkeys(entries), key=lambda entry: entry[0]):
        if isinstance(place, str):
            yield tuple(label for _, label in group)
        elif place is not None:
            yield place
