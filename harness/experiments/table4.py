"""Table 4 of the MoEISR paper: fixed decoder depths against MoEISR."""

from __future__ import annotations

from harness.experiments.claims import TABLE4_CLAIMS
from harness.report import sections
from harness.runs.experiment import Block, Experiment

_SIZES = (
    "The paper's figures follow from HR images cut to a multiple of each scale (775,128 pixels "
    "at x2). Copies of Urban100 whose images are cut to multiples of 4 give the same at x4 and "
    "x8, and less at x2, x3 and x6. 2layer x2 is cut off, not rounded (462.745)."
)

EXPERIMENT = Experiment(
    name="table4",
    title="Decoder depth on Urban100",
    source="MoEISR (arXiv 2311.12077), Table 4",
    blocks=(
        Block(
            (
                "rdn-liif",
                "rdn-liif-4layer",
                "rdn-liif-3layer",
                "rdn-liif-2layer",
                "rdn-moeisr-liif-s",
                "rdn-moeisr-liif-b",
            ),
            joined=False,
        ),
    ),
    roles=("Urban100",),
    scales=(2, 3, 4, 6, 8),
    published=(("moeisr_table4.csv", "4"),),
    about="RDN-LIIF is the paper's LIIF-5layer.",
    claims=TABLE4_CLAIMS,
    sections=(
        sections.Curves(),
        sections.ScoreTable("psnr"),
        sections.Pareto(),
        sections.MacsTable("G", {"Urban100": _SIZES}),
        sections.ScoreTable("ssim"),
        sections.Shares(),
        sections.OtherMacs(),
        sections.Networks(),
    ),
)
