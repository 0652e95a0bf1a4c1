"""IGConv's tables: one network for three scales, against upsamplers for one."""

from __future__ import annotations

from harness.experiments.base import Block, Experiment

_SETS = ("Set5", "Set14", "B100", "Urban100")
_ROUNDED = (
    "The paper rounds SR images to 8 bits before it takes PSNR, which lowers a value of 38 dB by "
    "about 0.012 dB and one of 32 dB by 0.003 dB; here they are not rounded."
)


def _table(number: str, file: str, data: str, *networks: str, note: str = "") -> Experiment:
    return Experiment(
        name=f"igconv-table{number}",
        title=f"Implicit grid convolution, trained on {data}",
        source=f"IGConv (arXiv 2408.09674), Table {number}",
        common=("bicubic",),
        blocks=tuple(Block((f"{n}-igconv", f"{n}-igconv-plus"), n) for n in networks),
        roles=_SETS,
        scales=(2, 3, 4),
        published=((file, number), ("bicubic.csv", "classic")),
        published_rows=True,
        published_roles=("Manga109",),
        tables=("psnr", "ssim", "macs", "networks"),
        figures=(),
        macs_of="all",
        notes=dict.fromkeys(((s, "psnr") for s in _SETS), f"{note} {_ROUNDED}".strip()),
    )


IGCONV_TABLES = (
    _table("2", "igconv_table2_div2k.csv", "DIV2K", "edsr-large"),
    _table(
        "3",
        "igconv_table3_df2k.csv",
        "DIV2K and Flickr2K",
        "srformer",
        note="The paper trains on DIV2K and Flickr2K, this harness on its training set alone.",
    ),
)
