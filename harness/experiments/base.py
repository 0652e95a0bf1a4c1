"""What an experiment declares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from baselines import parse
from baselines.registry import FIXED_SCALES
from harness.experiments.counts import Counts

# The paper's evaluation sets and their PSNR protocols. The role decides, not the dataset that
# plays it: a substitute for DIV2K is scored as DIV2K is.
ROLES = {
    "DIV2K_valid": "div2k",
    "Set5": "benchmark",
    "Set14": "benchmark",
    "B100": "benchmark",
    "Urban100": "benchmark",
}

# A row of fixed-scale networks, one for each column: `rdn-xN` stands for rdn-x2, rdn-x3, rdn-x4.
EACH_SCALE = "-xN"

TableName = str
"""A metric's name, or one of `OTHER_TABLES`."""
OTHER_TABLES = (
    "overview",
    "macs",
    "other-macs",
    "latency",
    "memory",
    "limits",
    "shares",
    "networks",
)
FigureName = Literal["curves", "maps", "crops", "pareto"]


def methods_of(row: str) -> tuple[str, ...]:
    """The methods that fill a row: itself, or one for each scale.

    Example:
        >>> methods_of("rdn-xN")
        ('rdn-x2', 'rdn-x3', 'rdn-x4')
    """
    if not row.endswith(EACH_SCALE):
        return (row,)
    return tuple(f"{row.removesuffix(EACH_SCALE)}-x{scale}" for scale in FIXED_SCALES)


def method_at(row: str, scale: float) -> str | None:
    """The method that fills a row at a scale; None where none can do it."""
    return next((method for method in methods_of(row) if parse(method).can_do(scale)), None)


def scales_of_row(row: str) -> tuple[int, ...] | None:
    """The only scales that a row has a method for; None for any.

    Example:
        >>> scales_of_row("rdn-xN")
        (2, 3, 4)
    """
    found: set[int] = set()
    for method in methods_of(row):
        own = parse(method).only_scales
        if own is None:
            return None
        found.update(own)
    return tuple(sorted(found))


@dataclass(frozen=True)
class Block:
    """Rows compared with each other: the best of a block is bold.

    Attributes:
        methods: the rows.
        group: blocks of one group share the panels of a figure (an encoder's, say).
        joined: whether a line joins them where PSNR is drawn over MACs.
        name: of what the rows have in common, in legends and sentences.
    """

    methods: tuple[str, ...]
    group: str = ""
    joined: bool = True
    name: str = ""


@dataclass(frozen=True)
class Experiment:
    """One table or figure of a paper.

    Attributes:
        name: as in `harness run <name>`.
        title: of the report.
        source: what of which paper it reproduces; where it comes from, if from no paper.
        reproduces: whether it does.
        about: what must be known of the choice of rows.
        over: encoder that all rows with an encoder of their own choice have; names leave it out.
        blocks: rows, in the order of the paper.
        common: rows that are shown above the blocks and are never bold (bicubic).
        roles: evaluation sets of the paper; the profile says which datasets play them.
        scales: scale factors, in the order of the paper.
        in_scale_up_to: last scale that training covers; a rule is drawn behind it.
        published: where the paper's values are: files of `harness/published`, each with the value
            of its `table` column; the first that has a value is used.
        labels: method names that stand for rows in this table of the paper, where it calls them
            otherwise than elsewhere.
        tables: which tables the report has, in order.
        figures: which figures.
        scores: False where only MACs are counted, and no SR image is made.
        macs_input: LR input of MACs: the LR image, or ("hr") the HR image itself.
        macs_of: "decoder", or ("all") encoder, decoder and everything else.
        macs_unit: letter of the unit of MACs; "" for the one that suits the numbers.
        regions_only: measure only the images that the profile's regions name.
        best_of: what the bold number is the best of: its block, or its column.
        notes: by role and table, what must be known to compare with the published numbers.
        published_rows: whether systems of the first published table that no row is are shown with
            their published values alone, in the order of the paper.
        published_roles: sets of the paper that the harness has no images of; their published
            values are shown.
        counts: what is counted of networks of the published sizes, without images or training.
        claims: where sentences of the paper are on what its networks save, as `published`; they
            stand beside the first of the counts.
    """

    name: str
    title: str
    source: str
    blocks: tuple[Block, ...]
    roles: tuple[str, ...]
    scales: tuple[float, ...]
    published: tuple[tuple[str, str], ...] = ()
    common: tuple[str, ...] = ()
    in_scale_up_to: float = 4
    labels: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[TableName, ...] = ("psnr", "ssim", "macs", "other-macs", "shares", "networks")
    figures: tuple[FigureName, ...] = ("curves", "maps", "crops")
    scores: bool = True
    macs_input: Literal["lr", "hr"] = "lr"
    macs_of: Literal["decoder", "all"] = "decoder"
    macs_unit: Literal["", "M", "G", "T"] = ""
    regions_only: bool = False
    best_of: Literal["block", "column"] = "block"
    reproduces: bool = True
    about: str = ""
    over: str = ""
    notes: Mapping[tuple[str, TableName], str] = field(default_factory=dict)
    published_rows: bool = False
    published_roles: tuple[str, ...] = ()
    counts: tuple[Counts, ...] = ()
    claims: tuple[tuple[str, str], ...] = ()

    @property
    def measures_costs(self) -> bool:
        """Whether latency and peak memory are measured (`harness.costs`)."""
        return not {"latency", "memory"}.isdisjoint(self.tables)

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics of every row: PSNR, SSIM, and those that it has tables of."""
        own = (name for name in self.tables if name not in OTHER_TABLES)
        return tuple(dict.fromkeys(("psnr", "ssim", *own)))

    @property
    def origin(self) -> str:
        """Where it comes from and what must be known of it, in sentences."""
        return f"{'Reproduces' if self.reproduces else 'From'} {self.source}. {self.about}".strip()

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The rows as tables part them: the common ones, then those of each block."""
        return (self.common, *(block.methods for block in self.blocks))

    @property
    def rows(self) -> tuple[str, ...]:
        """Every row once, in order of appearance."""
        return tuple(dict.fromkeys(row for group in self.groups for row in group))

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method once, in the order of the rows."""
        return tuple(method for row in self.rows for method in methods_of(row))

    @property
    def counting_protocol(self) -> str:
        """What stands for the protocol where MACs are counted and nothing is scored."""
        return f"macs-{self.macs_input}"


def family(encoder: str, decoder: str) -> tuple[str, ...]:
    """A baseline and its MoEISR variants, the smaller first, as the paper's tables list them."""
    moeisr = f"{encoder}-moeisr-{decoder}"
    return (f"{encoder}-{decoder}", f"{moeisr}-s", f"{moeisr}-b")


def families(*encoders: str) -> tuple[Block, ...]:
    """The blocks of tables that compare LIIF and LTE with MoEISR over encoders."""
    return tuple(
        Block(family(encoder, decoder), encoder)
        for encoder in encoders
        for decoder in ("liif", "lte")
    )
