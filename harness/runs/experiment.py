"""Declaration of an experiment: its rows, sets and scales, and the sections of its report."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from baselines import Method, parse
from baselines.registry import FIXED_SCALES
from harness.common.errors import UsageError
from harness.data.published import field
from harness.data.published.field import FieldRow
from harness.outside.entries import Entry

EACH_SCALE = "-xN"
"""End of a row of fixed-scale networks, one for each column: rdn-xN is rdn-x2, rdn-x3, rdn-x4."""
IN_SCALE = 4
"""Largest scale that the papers' training covers; a rule is drawn behind it."""


def methods_of(row: str) -> tuple[str, ...]:
    """List the methods that fill a row: the row itself, or one method for each scale.

    Example:
        >>> methods_of("rdn-xN")
        ('rdn-x2', 'rdn-x3', 'rdn-x4')
    """
    if not row.endswith(EACH_SCALE):
        return (row,)
    return tuple(f"{row.removesuffix(EACH_SCALE)}-x{scale}" for scale in FIXED_SCALES)


def method_at(row: str, scale: float) -> str | None:
    """Find the method that fills a row at a scale; None where none can do it."""
    return next((method for method in methods_of(row) if parse(method).can_do(scale)), None)


def scales_of_row(row: str) -> tuple[float, ...] | None:
    """List the only scales that a row has a method for; None for any scale.

    Example:
        >>> scales_of_row("rdn-xN")
        (2, 3, 4)
    """
    found: set[float] = set()
    for method in methods_of(row):
        own = parse(method).only_scales
        if own is None:
            return None
        found.update(own)
    return tuple(sorted(found))


@dataclass(frozen=True)
class Block:
    """Rows that are compared with each other: the best of a block is bold.

    Attributes:
        methods: the rows.
        group: name of the figure panels that the block shares with others (an encoder's, say).
        name: name of what the rows have in common, in legends and sentences.
    """

    methods: tuple[str, ...]
    group: str = ""
    name: str = ""


class SectionMaker(ABC):
    """Part of a report; its fields are its settings in an experiment's declaration.

    Attributes:
        macs: whether a run counts MACs also of networks without weights.
        costs: whether a run measures latency and peak memory.
        untrained: whether they are measured of untrained networks too, where there are no others.
        draws: whether it makes figures.
    """

    macs: ClassVar[bool] = False
    costs: ClassVar[bool] = False
    untrained: ClassVar[bool] = False
    draws: ClassVar[bool] = False

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that a run measures for it."""
        return ()

    @property
    def sizes(self) -> tuple[str, ...]:
        """Sizes from `FIXED_SIZES` that a run counts MACs at, on networks of published sizes."""
        return ()

    @abstractmethod
    def make(self, report: Any, folder: Path | None) -> Any:
        """Make tables and figures: a `harness.report.model.Section`; None if there is nothing.

        Args:
            report: what was measured (`harness.report.data.Report`).
            folder: receives the files of figures; None to draw none.
        """

    def records(self, report: Any) -> Iterable[dict[str, Any]]:
        """List what the section adds to the records of CSV and JSON."""
        del report
        return ()

    def facts(self, report: Any) -> dict[str, Any]:
        """Return what the section adds to JSON, by name."""
        del report
        return {}


@dataclass(frozen=True)
class Experiment:
    """Table or figure of a paper: methods x evaluation sets x scales, and what its report shows.

    Attributes:
        name: name in `harness run <name>`.
        title: title of the report.
        source: table or figure and paper that it reproduces; another origin, if it is from no
            paper.
        blocks: rows, in the order of the paper.
        protocol: family of protocols that its paper scores by (`harness.metrics.protocols`).
        roles: evaluation sets of the paper; the profile says which datasets are measured for them.
        scales: scale factors, in the order of the paper.
        sections: sections of the report, in order.
        claims: statements of the paper that the numbers can decide (`harness.report.claims`).
        common: rows that are shown above the blocks and are never bold (bicubic).
        published: files of `harness/data/published` with the paper's values, each with the value of
            its `table` column; the first that has a value is used.
        published_rows: whether the first published table's systems without a row here are shown
            with their published values only, in the order of the paper.
        published_roles: sets of the paper that are not measured; their published values are shown.
        reproduces: whether it reproduces a paper.
        about: explanation of the choice of rows.
        over: encoder of all rows whose encoder can be chosen; names leave it out.
        macs_input: LR input for counting MACs: the LR image, or ("hr") the HR image itself.
        macs_of: part whose MACs are shown: "decoder"; or "all", including the encoder.
        regions_only: whether to measure only the images that the profile's regions name.
        best_of: range in which the bold number is the best: its block, or its column.
        entries: methods that are opened for a run, and have rows behind the others.
        field: published rows of other papers, which are shown behind the others.
    """

    name: str
    title: str
    source: str
    blocks: tuple[Block, ...]
    roles: tuple[str, ...]
    scales: tuple[float, ...]
    sections: Sequence[SectionMaker] = ()
    protocol: str = "liif"
    claims: Sequence[Any] = ()
    common: tuple[str, ...] = ()
    published: tuple[tuple[str, str], ...] = ()
    published_rows: bool = False
    published_roles: tuple[str, ...] = ()
    reproduces: bool = True
    about: str = ""
    over: str = ""
    macs_input: Literal["lr", "hr"] = "lr"
    macs_of: Literal["decoder", "all"] = "decoder"
    regions_only: bool = False
    best_of: Literal["block", "column"] = "block"
    entries: tuple[Entry, ...] = ()
    field: tuple[FieldRow, ...] = ()

    @property
    def scores(self) -> bool:
        """Whether SR images are made and scored; otherwise MACs are counted only."""
        return any(section.metrics for section in self.sections)

    def needs_weights(self, method: Method) -> bool:
        """Tell whether a method's weights are needed, and not only its shapes."""
        return method.is_trained and (self.scores or bool(method.head))

    @property
    def measures_costs(self) -> bool:
        """Whether latency and peak memory are measured (`harness.runs.costs`)."""
        return any(section.costs for section in self.sections)

    @property
    def sizes(self) -> tuple[str, ...]:
        """Fixed sizes that MACs are counted at, on networks of the published sizes."""
        return tuple(dict.fromkeys(size for section in self.sections for size in section.sizes))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics of every row: PSNR, SSIM, and those that it has tables of."""
        own = (name for section in self.sections for name in section.metrics)
        return tuple(dict.fromkeys(("psnr", "ssim", *own)))

    @property
    def origin(self) -> str:
        """Origin of the experiment and notes on its rows, in sentences."""
        return f"{'Reproduces' if self.reproduces else 'From'} {self.source}. {self.about}".strip()

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """Rows in the groups that tables show: the common ones, then those of each block."""
        return (self.common, *(block.methods for block in self.blocks))

    @property
    def rows(self) -> tuple[str, ...]:
        """Rows of all groups, each once, in order of appearance."""
        return tuple(dict.fromkeys(row for group in self.groups for row in group))

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods of all rows, each once, in the order of the rows."""
        return tuple(method for row in self.rows for method in methods_of(row))


def with_rows(experiment: Experiment, rows: Sequence[str]) -> Experiment:
    """Add rows that an experiment does not have, in a block of their own behind the others.

    They are drawn with the first group of panels.
    """
    new = tuple(row for row in dict.fromkeys(rows) if row not in experiment.rows)
    if not new:
        return experiment
    group = experiment.blocks[0].group if experiment.blocks else ""
    added = Block(new, group, name="other methods")
    return replace(experiment, blocks=(*experiment.blocks, added))


def only_methods(experiment: Experiment, methods: tuple[str, ...]) -> Experiment:
    """Keep the rows of these methods; all if none is named."""
    if not methods:
        return experiment

    def kept(rows: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(row for row in rows if set(methods_of(row)) & set(methods))

    blocks = [replace(block, methods=kept(block.methods)) for block in experiment.blocks]
    return replace(
        experiment,
        common=kept(experiment.common),
        blocks=tuple(block for block in blocks if block.methods),
    )


def with_field(experiment: Experiment) -> Experiment:
    """Show the published rows of the field that were measured by the same protocol.

    Raises:
        UsageError: there are none of its sets.
    """
    found = field.shown(experiment.protocol, (*experiment.roles, *experiment.published_roles))
    if not found:
        raise UsageError(f"There are no published rows of other papers for {experiment.name}.")
    return replace(experiment, field=found)


def family(encoder: str, decoder: str) -> tuple[str, ...]:
    """Make the block of a baseline and its MoEISR variants, smaller first, as in the papers."""
    moeisr = f"{encoder}-moeisr-{decoder}"
    return (f"{encoder}-{decoder}", f"{moeisr}-s", f"{moeisr}-b")


def families(*encoders: str) -> tuple[Block, ...]:
    """Make the blocks of tables that compare LIIF and LTE with MoEISR over encoders."""
    return tuple(
        Block(family(encoder, decoder), encoder)
        for encoder in encoders
        for decoder in ("liif", "lte")
    )
