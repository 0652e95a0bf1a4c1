"""Table 1 of the MoEISR paper: PSNR on the DIV2K validation set."""

from __future__ import annotations

from harness.experiments.claims import TABLE1_CLAIMS
from harness.report import sections
from harness.runs.experiment import Experiment, families

EXPERIMENT = Experiment(
    name="table1",
    title="Quantitative comparison on the DIV2K validation set",
    source="MoEISR (arXiv 2311.12077), Table 1",
    common=("bicubic",),
    blocks=families("edsr", "rdn", "swinir"),
    roles=("DIV2K_valid",),
    scales=(2, 3, 4, 6, 12, 18, 24, 30),
    published=(("moeisr_table1.csv", "1"),),
    claims=TABLE1_CLAIMS,
    sections=(
        sections.Curves(),
        sections.ScoreTable("psnr"),
        sections.Pareto(),
        sections.MacsTable(),
        sections.ExpertMaps(),
        sections.Crops(),
        sections.ScoreTable("ssim"),
        sections.Shares(),
        sections.OtherMacs(),
        sections.Networks(),
    ),
)
