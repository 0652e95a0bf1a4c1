"""Table 1 of the MoEISR paper: PSNR on the DIV2K validation set."""

from __future__ import annotations

from harness.experiments.base import Experiment, families

TABLE1 = Experiment(
    name="table1",
    title="Quantitative comparison on the DIV2K validation set",
    source="MoEISR (arXiv 2311.12077), Table 1",
    common=("bicubic",),
    blocks=families("edsr", "rdn", "swinir"),
    roles=("DIV2K_valid",),
    scales=(2, 3, 4, 6, 12, 18, 24, 30),
    published=(("moeisr_table1.csv", "1"),),
)
