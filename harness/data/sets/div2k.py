"""DIV2K, the paper's training and validation set, in the layout of its archives."""

from __future__ import annotations

from functools import partial

from harness.data.sets.base import DatasetSpec, from_folder

_HOW = (
    "Download DIV2K_{0} from data.vision.ee.ethz.ch/cvl/DIV2K and unpack it into DIV2K/ below "
    "the data root."
)

DIV2K = (
    DatasetSpec(
        "DIV2K_train",
        "Agustsson and Timofte, CVPR Workshops 2017",
        "div2k",
        _HOW.format("train_HR"),
        partial(from_folder, hr="DIV2K/DIV2K_train_HR", expected=800),
    ),
    DatasetSpec(
        "DIV2K_valid",
        "Agustsson and Timofte, CVPR Workshops 2017",
        "div2k",
        _HOW.format("valid_HR and DIV2K_valid_LR_bicubic_X2, _X3, _X4"),
        partial(
            from_folder,
            hr="DIV2K/DIV2K_valid_HR",
            expected=100,
            lr="DIV2K/DIV2K_valid_LR_bicubic/X{scale}",
        ),
    ),
)
