"""Comparison that none of the papers has: every system at every scale that it can do.

The rows are in blocks, one for each family; a system is added by its line in `SYSTEMS`. All are
over EDSR-baseline, so that only what follows the encoder differs, except systems that have their
own encoder.

DIV2K's validation set is the only role: the papers on arbitrary scales report every scale on it,
and its images are large enough for x12. MACs are those of the whole system: a fixed-scale network
has no decoder whose share could be separated.
"""

from __future__ import annotations

from harness.report import sections
from harness.runs.experiment import Block, Experiment

SYSTEMS = (
    Block(("edsr-xN",), name="fixed-scale EDSR"),
    Block(("edsr-metasr",), name="Meta-SR"),
    Block(("edsr-liif", "edsr-moeisr-liif-s", "edsr-moeisr-liif-b"), name="LIIF"),
    Block(("edsr-lte", "edsr-moeisr-lte-s", "edsr-moeisr-lte-b"), name="LTE"),
    Block(("edsr-ipe", "edsr-moeisr-ipe-s", "edsr-moeisr-ipe-b"), name="IPE"),
    Block(("edsr-lmliif", "edsr-lmlte"), name="LMF"),
    Block(("seemore-t-xN",), name="SeemoRe"),
    Block(("edsr-igconv", "edsr-igconv-plus"), name="IGConv"),
)

EXPERIMENT = Experiment(
    name="compare",
    title="Every system at every scale that it can do",
    source="this harness; no paper has it",
    reproduces=False,
    about=(
        "All are over EDSR-baseline, but SeemoRe, which has no encoder apart. Left out: SeemoRe's "
        "sizes B and L, IGConv over other encoders (RCAN's does x8 too), and LMF's rendering of "
        "weakly modulated pixels at lower scales (CMSR)."
    ),
    over="EDSR-baseline",
    common=("bicubic",),
    blocks=SYSTEMS,
    roles=("DIV2K_valid",),
    scales=(2, 3, 4, 6, 8, 12),
    sections=(
        sections.Pareto(),
        sections.Overview(),
        sections.ScoreTable("psnr"),
        sections.ScoreTable("ssim"),
        sections.MacsTable(),
        sections.Latency(),
        sections.Memory(),
        sections.Limits(),
        sections.Shares(),
        sections.Networks(),
    ),
    macs_of="all",
    best_of="column",
)
