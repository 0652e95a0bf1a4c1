"""Ranking of the NTIRE challenges on efficient super-resolution, of every kind of network here.

The challenges rank networks for x4 alone. At the other scales the cost per output megapixel is
compared: what a method for any scale takes depends on the scale in another way than that of a
network for each.
"""

from __future__ import annotations

from harness.data.roles import INPUT
from harness.report.sections.esr import CHALLENGES, Efficiency, PerMegapixel
from harness.report.sections.networks import Networks
from harness.runs.experiment import Block, Experiment

EXPERIMENT = Experiment(
    name="esr",
    title="Efficiency as the NTIRE challenges rank it",
    source="this harness, by the rules of the NTIRE challenges on efficient SR, 2024 to 2026",
    reproduces=False,
    about=(
        "No SR image is scored. Networks that are not trained are run with random weights, which "
        "costs the same but where experts are chosen."
    ),
    over="EDSR-baseline",
    blocks=(
        Block(tuple(challenge.row for challenge in CHALLENGES), name="baselines of the challenges"),
        Block(("edsr-xN", "seemore-t-xN"), name="networks for one scale"),
        Block(("edsr-igconv",), name="IGConv"),
        Block(("edsr-metasr",), name="Meta-SR"),
        Block(("edsr-liif", "edsr-moeisr-liif-s", "edsr-moeisr-liif-b"), name="LIIF"),
        Block(("edsr-lte", "edsr-moeisr-lte-s", "edsr-moeisr-lte-b"), name="LTE"),
        Block(("edsr-lmliif",), name="LMF"),
    ),
    roles=(INPUT,),
    scales=(2, 3, 4, 6, 8),
    sections=(Efficiency(), PerMegapixel(), Networks()),
    macs_input="hr",
    macs_of="all",
    best_of="column",
)
