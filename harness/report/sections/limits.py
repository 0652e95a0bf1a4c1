"""Limits of each system: a table, and the same in sentences."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from baselines import parse
from baselines.registry import DECODERS
from baselines.systems.seemore import SIZES
from harness.report import words
from harness.report.data import Report
from harness.report.model import Section
from harness.report.tables import Column, Entry, table
from harness.report.text import MISSING, listing, scale_text, scales_text
from harness.runs.experiment import (
    IN_SCALE,
    Block,
    SectionMaker,
    method_at,
    methods_of,
    scales_of_row,
)


@dataclass(frozen=True)
class System:
    """Row, with facts that follow from its name and from what was measured.

    Attributes:
        row: row of the experiment.
        label: name in tables.
        scales: scales that it can do; None for any.
        parameters: parameters of each of its models; None where one was not measured.
        chooses: whether experts are chosen, so that its cost depends on the image.
        learns: whether anything is trained.
        routable: whether MoEISR's experts can replace its decoder's MLP.
        ensembles: whether it predicts from several latent codes.
        outside: what a method from outside is; "" for ours.
    """

    row: str
    label: str
    scales: tuple[float, ...] | None
    parameters: tuple[int | None, ...]
    chooses: bool
    learns: bool
    routable: bool
    ensembles: bool
    outside: str = ""

    @property
    def parameters_in_sum(self) -> int | None:
        """Sum of the parameters of all models; None where one was not measured."""
        known = [number for number in self.parameters if number is not None]
        return sum(known) if len(known) == len(self.parameters) else None


def system(report: Report, row: str) -> System:
    """Collect the facts of a row."""
    methods = methods_of(row)
    parts = parse(methods[0])
    decoder = DECODERS.get(parts.decoder)
    return System(
        row=row,
        label=report.label(row),
        scales=scales_of_row(row),
        parameters=tuple(_parameters(report, row, method) for method in methods),
        chooses=bool(parts.head) or parts.encoder in SIZES,
        learns=parts.is_trained or bool(parts.outside),
        outside=parts.outside,
        routable=decoder is not None and decoder.routable,
        ensembles=decoder is not None and decoder.ensembles,
    )


def parameters_at(report: Report, row: str, scale: float) -> int | None:
    """Return the parameters of a row's model for a scale; None if there is none or not measured."""
    method = method_at(row, scale)
    return None if method is None else _parameters(report, row, method)


def _parameters(report: Report, row: str, method: str) -> int | None:
    found = (
        report.at(row, role, scale).metric("parameters")
        for role in report.roles
        for scale in report.scales
        if method_at(row, scale) == method
    )
    return next((int(number) for number in found if number is not None), None)


@dataclass(frozen=True)
class Limits(SectionMaker):
    """Table of scales, models and their parameters, and sentences on what cannot be done."""

    def make(self, report: Report, folder: Path | None) -> Section | None:

        def parameters(of: System) -> str:
            # One dash for all models, where nothing was measured.
            numbers = of.parameters if any(of.parameters) else of.parameters[:1]
            return ", ".join(map(count, numbers))

        def column(head: str, text: Callable[[System], str]) -> Column:
            return Column("", head, lambda row: Entry(text(system(report, row))))

        made = table(
            report,
            "limits",
            "Scales and models",
            [
                column("Scales", lambda of: "any" if of.scales is None else scales_text(of.scales)),
                column("Models", lambda of: str(len(of.parameters)) if of.learns else "0"),
                column("Parameters", parameters),
                column("In sum", lambda of: count(of.parameters_in_sum)),
                column("Cost depends on", lambda of: "size" + " and content" * of.chooses),
            ],
            (
                "Models: to be trained and kept for all scales that the system can do.",
                "Any: every real factor from 1 on, with the same model.",
            ),
            caption=words.caption(report, report.roles[-1]),
            own=True,
            folds=False,
        )
        title = "What each system cannot do"
        return Section("limits", title, " ".join(limits(report)), (made,) if made else ())

    def facts(self, report: Report) -> dict[str, Any]:
        """Return the sentences, and what is known of each system."""
        found = (system(report, row) for row in report.experiment.rows)
        systems = [{**asdict(of), "parameters_in_sum": of.parameters_in_sum} for of in found]
        return {"limits": limits(report), "systems": systems}


def count(number: int | None) -> str:
    """Format a number of parameters."""
    return MISSING if number is None else f"{number:,}"


def limits(report: Report) -> list[str]:
    """Describe what each system cannot do: a sentence for each family and kind of limit."""
    blocks = [Block((row,)) for row in report.experiment.common]
    blocks += report.experiment.blocks
    return [sentence for block in blocks for sentence in _of_block(report, block)]


def _of_block(report: Report, block: Block) -> Iterator[str]:
    """Describe rows of a family; those that can do the same share a sentence."""
    found = [system(report, row) for row in block.methods]
    for _, alike in groupby(
        found, key=lambda s: (s.scales, len(s.parameters), s.learns, s.outside)
    ):
        group = list(alike)
        listed = ", ".join(s.label for s in group)
        subject = f"{block.name} ({listed})" if block.name and len(found) > 1 else block.name
        subject = subject or listed
        yield f"{subject[:1].upper()}{subject[1:]}: {'; '.join(_limits(report, group))}."


def _limits(report: Report, group: Sequence[System]) -> Iterator[str]:
    """Describe the limits of systems that can do the same."""
    first = group[0]
    if first.outside:
        scales = "any scale" if first.scales is None else f"{scales_text(first.scales)} only"
        yield f"{first.outside}, {scales}"
        return
    if not first.learns:
        yield "any scale, but nothing is learnt"
        return
    if first.scales is not None:
        yield from _of_few_scales(first)
        yield from _of_choice(group)
        yield "no answers to queries, so no MoEISR variant"
        return
    beyond = any(scale > IN_SCALE for scale in report.scales)
    yield "any scale from one model" + f", untrained above {scale_text(IN_SCALE)}" * beyond
    yield from _of_choice(group)
    if not first.ensembles:
        yield "no local ensemble: a pixel is predicted from one latent code"
    if not first.routable:
        yield "no MoEISR variant, as its MLP cannot be replaced by experts"


def _of_choice(group: Sequence[System]) -> Iterator[str]:
    choosing = [s.label for s in group if s.chooses]
    if choosing:
        yield f"what {listing(choosing)} cost{'s' * (len(choosing) == 1)} depends on the image"


def _of_few_scales(of: System) -> Iterator[str]:
    scales = of.scales or ()
    listed = listing([scale_text(scale) for scale in scales])
    if len(scales) == 1:
        yield f"{listed} only"
        return
    yield f"{listed} only, no scale between them and none above"
    models, total = len(of.parameters), of.parameters_in_sum
    if models == 1:
        yield "one model does them all"
        return
    size = "" if total is None else f", with {total:,} parameters in sum"
    yield f"one model for each scale, {models} to train and to keep{size}"
