"""Training set BSDS of 399 images: BSDS500's train and test folders without 302003.

BSDS500's val folder is B100, and 302003 is the photograph of Set5's `woman`.
"""

from __future__ import annotations

from harness.data.sets.base import Archive, DatasetSpec, Layout, from_folder

# Size and SHA-256 as SharoonSharif/conv3x3-engine-zynq (eval/README) and others check them; the
# size also as tensorpack, dataflow/dataset/bsds500.py.
_ARCHIVE = Archive(
    "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
    70_763_455,
    "97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e",
    "SharoonSharif/conv3x3-engine-zynq",
    {"train/BSDS399": ("BSR/BSDS500/data/images/train", "BSR/BSDS500/data/images/test")},
    leave_out="302003.jpg",
)

DATASETS = (
    DatasetSpec(
        "BSDS399",
        "BSDS500 train and test images without 302003, Arbelaez et al., TPAMI 2011",
        "benchmark",
        "`harness data fetch BSDS399` gets it; or copy the images of BSDS500's train and test "
        "folders, without 302003.jpg, into train/BSDS399 below the data root.",
        from_folder,
        Layout("train/BSDS399", 399),
        "BSDS500 (Arbelaez et al., TPAMI 2011) is offered by Berkeley for non-commercial research "
        "and education; the photographs belong to their owners.",
        (_ARCHIVE,),
    ),
)
