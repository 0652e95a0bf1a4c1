"""Table 1 of the MoEISR paper: PSNR on the DIV2K validation set."""

from __future__ import annotations

from harness.experiments.claims import TABLE1_CLAIMS
from harness.report.sections.crops import Crops
from harness.report.sections.curves import Curves
from harness.report.sections.macs import MacsTable, OtherMacs
from harness.report.sections.maps import ExpertMaps
from harness.report.sections.networks import Networks
from harness.report.sections.pareto import Pareto
from harness.report.sections.scores import ScoreTable
from harness.report.sections.shares import Shares
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
        Curves(),
        ScoreTable("psnr"),
        Pareto(),
        MacsTable(),
        ExpertMaps(),
        Crops(),
        ScoreTable("ssim"),
        Shares(),
        OtherMacs(),
        Networks(),
    ),
)
