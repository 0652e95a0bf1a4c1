"""Training set BSDS of 399 images: BSDS500's train and test folders without 302003.

BSDS500's val folder is B100, and 302003 is the photograph of Set5's `woman`.
"""

from __future__ import annotations

from harness.data.sets.base import DatasetSpec, Layout, from_folder

BSDS = (
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
    ),
)
