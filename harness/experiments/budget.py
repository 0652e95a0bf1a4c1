"""PSNR over cost of MoEISR with experts chosen within a budget, which the paper does not have.

One checkpoint gives a curve; beside it stand what costs a training each: LIIF of every depth, and
MoEISR with other weights of the balance loss.
"""

from __future__ import annotations

from harness.report import sections
from harness.runs.experiment import Block, Experiment

_B, _S = "edsr-moeisr-liif-b", "edsr-moeisr-liif-s"

EXPERIMENT = Experiment(
    name="budget",
    title="One checkpoint of MoEISR within budgets of MACs",
    source="this harness; not in the MoEISR paper",
    reproduces=False,
    about=(
        "A budget is the share of LIIF's decoder MACs that an image may take: scores of the mapper "
        "are shifted by one number per expert, found on the image. Nothing is trained for it."
    ),
    over="EDSR-baseline",
    common=("bicubic",),
    blocks=(
        Block(
            ("edsr-liif", *(f"edsr-liif-{depth}layer" for depth in (4, 3, 2))),
            name="LIIF of each depth",
        ),
        Block(
            (_B, *(f"{_B}-budget{share}" for share in (0.9, 0.8, 0.7, 0.6, 0.5))),
            name="MoEISR(LIIF)-b by budget",
        ),
        Block(
            (_S, *(f"{_S}-budget{share}" for share in (0.35, 0.3, 0.25))),
            name="MoEISR(LIIF)-s by budget",
        ),
        Block((f"{_B}-w1=3.7", f"{_B}-w4=3.7"), name="MoEISR(LIIF)-b trained with other w_j"),
    ),
    roles=("B100",),
    scales=(2, 4),
    sections=(
        sections.Pareto(by_block=True),
        sections.ScoreTable("psnr"),
        sections.MacsTable(),
        sections.Latency(),
        sections.Shares(),
        sections.Networks(),
    ),
)
