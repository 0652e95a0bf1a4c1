"""Table 1 of the MoEISR paper: PSNR on the DIV2K validation set, EDSR columns."""

from __future__ import annotations

from harness.experiments.base import Block, Experiment

TABLE1 = Experiment(
    name="table1",
    title="Quantitative comparison on the DIV2K validation set (EDSR-baseline encoder)",
    source="MoEISR (arXiv 2311.12077), Table 1, EDSR rows",
    common=("bicubic",),
    blocks=(
        Block("LIIF", ("edsr-liif", "edsr-moeisr-liif-s", "edsr-moeisr-liif-b")),
        Block("LTE", ("edsr-lte", "edsr-moeisr-lte-s", "edsr-moeisr-lte-b")),
    ),
    roles=("DIV2K_valid",),
    scales=(2, 3, 4, 6, 12, 18, 24, 30),
    published="moeisr_table1.csv",
    published_table="1",
)
