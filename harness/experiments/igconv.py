"""Tables of IGConv: one network for three scales, against upsamplers for one scale."""

from __future__ import annotations

from harness.report import sections
from harness.runs.experiment import Block, Experiment

_SETS = ("Set5", "Set14", "B100", "Urban100")
_SIZE = "1280x720 output"
_WHOLE = sections.Counts(
    size=_SIZE,
    note=(
        "Counted: convolutions and linear layers of the whole network for one image. Parameters "
        "are those of the one network for all scales, its hyper-network included, which makes the "
        "kernels once for a scale and is not in the MACs. At x3 the LR image is 426x240. "
        "No figures of whole networks are published."
    ),
)


def _table(number: str, file: str, data: str, *networks: str, note: str = "") -> Experiment:
    return Experiment(
        name=f"igconv-table{number}",
        title=f"Implicit grid convolution, trained on {data}",
        source=f"IGConv (arXiv 2408.09674), Table {number}",
        common=("bicubic",),
        protocol="basicsr",
        blocks=tuple(Block((f"{n}-igconv", f"{n}-igconv-plus"), n) for n in networks),
        roles=_SETS,
        scales=(2, 3, 4),
        published=((file, number), ("bicubic.csv", "classic")),
        published_rows=True,
        published_roles=("Manga109",),
        macs_of="all",
        sections=(
            sections.ScoreTable("psnr", dict.fromkeys(_SETS, note)),
            sections.ScoreTable("ssim"),
            _WHOLE,
            sections.MacsTable(),
            sections.Networks(),
        ),
    )


TABLES = (
    _table("2", "igconv_table2_div2k.csv", "DIV2K", "edsr-large"),
    _table(
        "3",
        "igconv_table3_df2k.csv",
        "DIV2K and Flickr2K",
        "srformer",
        note="The paper trains on DIV2K and Flickr2K, this harness on its training set alone.",
    ),
)

COSTS = Experiment(
    name="igconv-costs",
    title="What implicit grid convolution costs behind the encoder",
    source="IGConv (arXiv 2408.09674), Figure 1a",
    blocks=(Block(("edsr-igconv", "edsr-igconv-plus")),),
    roles=(),
    scales=(2, 3, 4),
    published=(("igconv_costs_claims.csv", "Fig1a"),),
    sections=(
        sections.Counts(
            size=_SIZE,
            part="upsampler",
            parameters=(
                sections.Reference(
                    "printed",
                    "in Figure 1a, at x2, of upsamplers made for that scale behind 64 features, "
                    "which EDSR-baseline has; the usual sub-pixel convolution has the same 7K "
                    "there, that with its own sampling and ensemble (SPConv+) 149K. Its latency "
                    "and memory were measured on an A6000 and are not repeated here",
                    ("igconv_costs_claims.csv", "Fig1a"),
                    "params",
                    dataset="640x360 to 1280x720",
                    unit=(1.0, "K"),
                    noted=False,
                ),
            ),
            note=(
                "Counted: the kernels as numbers, and what they do for every LR pixel; the "
                "hyper-network that makes them once for a scale is in neither."
            ),
        ),
        _WHOLE,
    ),
)
EXPERIMENTS = (*TABLES, COSTS)
