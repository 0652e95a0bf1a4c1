"""Table 5 of the MoEISR paper: depth of the mapper and temperature."""

from __future__ import annotations

from harness.experiments.base import Block, Experiment

_FLOPS = (
    "The paper's FLOPs here include the encoder: 6.84 T at x4 is more than a whole five-layer LIIF "
    "decoder needs on DIV2K. It names no encoder; RDN follows from its PSNR (Table 1: 29.29)."
)
_SSIM = "The paper does not say how it takes SSIM (colour, border, window)."

TABLE5 = Experiment(
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
    figures=(),
    macs_of="all",
    macs_unit="T",
    notes={("DIV2K_valid", "macs"): _FLOPS, ("DIV2K_valid", "ssim"): _SSIM},
)
