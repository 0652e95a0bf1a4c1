"""Limits of each system: a table, and the same in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from harness.experiments import Block
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.layout import Cell, Row, Table
from harness.report.systems import System, system
from harness.report.text import MISSING, scale_text

TITLE = "What each system cannot do"


def limits_table(report: Report) -> Table:
    """Make the table of scales, models and their parameters, and of what the cost depends on."""
    rows = []
    for block in report.experiment.groups:
        for number, row in enumerate(block):
            found = system(report, row)
            rows.append(Row((found.label,), tuple(_cells(found)), number == 0))
    last = report.roles[-1]
    return Table(
        key="limits",
        title="Scales and models",
        caption=captions.caption(report, last),
        brief=captions.brief_caption(report, last),
        groups=(),
        header=("System", "Scales", "Models", "Parameters", "In sum", "Cost depends on"),
        rows=tuple(rows),
        notes=(
            ("", "Models: to be trained and kept for all scales that the system can do."),
            ("", "Any: every real factor from 1 on, with the same model."),
        ),
    )


def _cells(of: System) -> Iterator[Cell]:
    scales = "any" if of.scales is None else ", ".join(map(scale_text, of.scales))
    numbers = [MISSING if n is None else f"{n:,}" for n in of.parameters]
    total = of.parameters_in_sum
    yield Cell(scales)
    yield Cell(str(len(of.parameters)) if of.learns else "0")
    yield Cell(", ".join(numbers))
    yield Cell(MISSING if total is None else f"{total:,}")
    yield Cell("size and content" if of.chooses else "size")


def limits(report: Report) -> list[str]:
    """Describe what each system cannot do: a sentence for each family and kind of limit.

    Empty for experiments that do not have the table.
    """
    if "limits" not in report.experiment.tables:
        return []
    blocks = [Block((row,)) for row in report.experiment.common]
    blocks += report.experiment.blocks
    return [sentence for block in blocks for sentence in _of_block(report, block)]


def _of_block(report: Report, block: Block) -> Iterator[str]:
    """Describe rows of a family; those that can do the same share a sentence."""
    found = [system(report, row) for row in block.methods]
    for _, alike in groupby(found, key=lambda s: (s.scales, len(s.parameters), s.learns)):
        group = list(alike)
        listed = ", ".join(s.label for s in group)
        subject = f"{block.name} ({listed})" if block.name and len(found) > 1 else block.name
        subject = subject or listed
        yield f"{subject[:1].upper()}{subject[1:]}: {'; '.join(_limits(report, group))}."


def _limits(report: Report, group: Sequence[System]) -> Iterator[str]:
    """Describe the limits of systems that can do the same."""
    first = group[0]
    if not first.learns:
        yield "any scale, but nothing is learnt"
        return
    if first.scales is not None:
        yield from _of_few_scales(first)
        yield from _of_choice(group)
        yield "no answers to queries, so no MoEISR variant"
        return
    last = report.experiment.in_scale_up_to
    beyond = any(scale > last for scale in report.scales)
    yield "any scale from one model" + f", untrained above {scale_text(last)}" * beyond
    yield from _of_choice(group)
    if not first.ensembles:
        yield "no local ensemble: a pixel is predicted from one latent code"
    if not first.routable:
        yield "no MoEISR variant, as its MLP cannot be replaced by experts"


def _of_choice(group: Sequence[System]) -> Iterator[str]:
    choosing = [s.label for s in group if s.chooses]
    if choosing:
        yield f"what {_and(choosing)} cost{'s' * (len(choosing) == 1)} depends on the image"


def _of_few_scales(of: System) -> Iterator[str]:
    assert of.scales is not None
    listed = _and([scale_text(scale) for scale in of.scales])
    if len(of.scales) == 1:
        yield f"{listed} only"
        return
    yield f"{listed} only, no scale between them and none above"
    models = len(of.parameters)
    if models == 1:
        yield "one model does them all"
        return
    total = of.parameters_in_sum
    size = "" if total is None else f", with {total:,} parameters in sum"
    yield f"one model for each scale, {models} to train and to keep{size}"


def _and(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
