"""What an experiment declares."""

from __future__ import annotations

from dataclasses import dataclass

# The paper's evaluation sets and their PSNR protocols. The role decides, not the dataset that
# plays it: a substitute for DIV2K is scored as DIV2K is.
ROLES = {
    "DIV2K_valid": "div2k",
    "Set5": "benchmark",
    "Set14": "benchmark",
    "B100": "benchmark",
    "Urban100": "benchmark",
}


@dataclass(frozen=True)
class Block:
    """Methods compared with each other: the best of a block is bold, the first its baseline."""

    title: str
    methods: tuple[str, ...]


@dataclass(frozen=True)
class Experiment:
    """One table or figure of a paper.

    Attributes:
        name: as in `harness run <name>`.
        title: of the report.
        source: what of which paper it reproduces.
        blocks: methods, in the order of the paper.
        common: methods that are shown above the blocks and are never bold (bicubic).
        roles: evaluation sets of the paper; the profile says which datasets play them.
        scales: scale factors, in the order of the paper.
        in_scale_up_to: last scale that training covers; a rule is drawn behind it.
        published: file of `harness/published` with the paper's values.
        published_table: the value of its `table` column.
    """

    name: str
    title: str
    source: str
    blocks: tuple[Block, ...]
    roles: tuple[str, ...]
    scales: tuple[float, ...]
    published: str
    published_table: str
    common: tuple[str, ...] = ()
    in_scale_up_to: float = 4

    @property
    def methods(self) -> tuple[str, ...]:
        """Every method once, in order of appearance."""
        names = [*self.common, *(m for block in self.blocks for m in block.methods)]
        return tuple(dict.fromkeys(names))
