"""Table 5 of the MoEISR paper: depth of the mapper and temperature."""

from __future__ import annotations

from harness.experiments.claims import TABLE5_CLAIMS
from harness.report import sections
from harness.runs.experiment import Block, Experiment

_FLOPS = (
    "The paper's FLOPs here include the encoder: 6.84 T at x4 is more than a whole five-layer LIIF "
    "decoder needs on DIV2K. It names no encoder; RDN follows from its PSNR (Table 1: 29.29)."
)
_SSIM = "The paper does not say how it takes SSIM (colour, border, window)."

EXPERIMENT = Experiment(
    name="table5",
    title="Depth of the mapper and temperature, DIV2K validation set",
    source="MoEISR (arXiv 2311.12077), Table 5",
    blocks=(
        Block(
            (
                "rdn-moeisr-liif-b",
                "rdn-moeisr-liif-b-tau3",
                "rdn-moeisr-liif-b-tau5",
                "rdn-moeisr-liif-b-m1",
            ),
        ),
    ),
    roles=("DIV2K_valid",),
    scales=(4,),
    published=(("moeisr_table5.csv", "5"),),
    macs_of="all",
    claims=TABLE5_CLAIMS,
    sections=(
        sections.ScoreTable("psnr"),
        sections.MacsTable("T", {"DIV2K_valid": _FLOPS}),
        sections.ScoreTable("ssim", {"DIV2K_valid": _SSIM}),
        sections.Shares(),
        sections.OtherMacs(),
        sections.Networks(),
    ),
)
