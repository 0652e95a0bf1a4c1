"""Table 4 of the MoEISR paper: fixed decoder depths against MoEISR."""

from __future__ import annotations

from harness.experiments.base import Block, Experiment

_SIZES = (
    "The paper's figures follow from 775,128 HR pixels per image. Copies of Urban100 whose HR "
    "images are cut to multiples of 4 give smaller figures where the scale does not divide 4 or 8."
)

TABLE4 = Experiment(
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
    labels={"rdn-liif": "rdn-liif-5layer"},
    figures=("curves",),
    macs_unit="G",
    notes={("Urban100", "macs"): _SIZES},
)
