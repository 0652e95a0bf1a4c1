"""Table 3 of the MoEISR paper: decoder MACs on Set14."""

from __future__ import annotations

from harness.experiments.claims import TABLE3_CLAIMS
from harness.report import sections
from harness.runs.experiment import Experiment, families

_SIZES = (
    "The paper's baselines follow from 230,202.86 LR pixels per image, the mean of Set14's HR "
    "sizes with comic, ppt3 and zebra in full; copies whose images are a row or a column short "
    "give less. With the full sizes 47 of its 48 figures agree: EDSR's are rounded, 14 of RDN's "
    "and SwinIR's are cut off (LTE x3: 1.6357, printed 1.64 and 1.63). EDSR-LIIF x6, printed "
    "11.47, is 11.4649."
)

EXPERIMENT = Experiment(
    name="table3",
    title="Decoder MACs on Set14, HR images as LR input",
    source="MoEISR (arXiv 2311.12077), Table 3",
    blocks=families("edsr", "rdn", "swinir"),
    roles=("Set14",),
    scales=(2, 3, 4, 6, 12, 18, 24, 30),
    published=(("moeisr_table3.csv", "3"),),
    claims=TABLE3_CLAIMS,
    macs_input="hr",
    sections=(
        sections.MacsTable("T", {"Set14": _SIZES}),
        sections.OtherMacs(),
        sections.Shares(),
        sections.Networks(),
    ),
)
