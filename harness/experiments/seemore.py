"""Table 1 of SeemoRe: efficient networks for one scale each, PSNR and costs."""

from __future__ import annotations

from harness.report import sections
from harness.runs.experiment import Block, Experiment

_SIZE = "1280x720 output"
_SETS = ("Set5", "Set14", "B100", "Urban100")
_TABLE = ("seemore_table1.csv", "1")
_OURS = "The paper trains on DIV2K and Flickr2K, this harness on its training set alone."
_COUNTED = (
    "Counted: convolutions and linear layers. SeemoRe chooses an expert of rank 2, 4 or 8 for the "
    "whole image in each layer: from the lowest everywhere to the highest everywhere. At x3 the LR "
    "image is 426x240, since 1280 is no multiple of three."
)


def _printed(metric: str, dataset: str) -> sections.Reference:
    return sections.Reference("printed", "in Table 1, of size T alone", _TABLE, metric, dataset)


def _official(metric: str, dataset: str) -> sections.Reference:
    return sections.Reference(
        "official code",
        "counted in the authors' code, not printed anywhere; MACs on a small image with "
        "random weights, scaled by area (docs/fidelity.md)",
        ("seemore_computed.csv", "computed"),
        metric,
        dataset,
        noted=False,
    )


EXPERIMENT = Experiment(
    name="seemore-table1",
    title="SeemoRe and efficient networks on benchmark sets",
    source="SeemoRe (arXiv 2402.03412), Table 1",
    common=("bicubic",),
    protocol="basicsr",
    blocks=(Block(("seemore-t-xN", "seemore-b-xN", "seemore-l-xN")),),
    roles=_SETS,
    scales=(2, 3, 4),
    published=(_TABLE,),
    published_rows=True,
    published_roles=("Manga109",),
    macs_of="all",
    sections=(
        sections.ScoreTable("psnr", dict.fromkeys(_SETS, _OURS)),
        sections.ScoreTable("ssim"),
        sections.Counts(
            size=_SIZE,
            parameters=(_printed("params", "none"), _official("params", "none")),
            macs_beside=(_printed("macs", _SIZE), _official("macs", _SIZE)),
            note=_COUNTED,
        ),
        sections.MacsTable(),
        sections.Shares(),
        sections.Networks(),
    ),
)
