"""DIV2K, the paper's training and validation set, in the layout of its archives."""

from __future__ import annotations

from harness.data.sets.base import DatasetSpec, Layout, from_folder

_HOW = (
    "`harness data fetch {0}` gets it; or download DIV2K_{1} from data.vision.ee.ethz.ch/cvl/DIV2K "
    "and unpack it into DIV2K/ below the data root."
)

DIV2K = (
    DatasetSpec(
        "DIV2K_train",
        "Agustsson and Timofte, CVPR Workshops 2017",
        "div2k",
        _HOW.format("DIV2K_train", "train_HR"),
        from_folder,
        Layout("DIV2K/DIV2K_train_HR", 800),
    ),
    DatasetSpec(
        "DIV2K_valid",
        "Agustsson and Timofte, CVPR Workshops 2017",
        "div2k",
        _HOW.format("DIV2K_valid", "valid_HR and DIV2K_valid_LR_bicubic_X2, _X3, _X4"),
        from_folder,
        Layout("DIV2K/DIV2K_valid_HR", 100, lr="DIV2K/DIV2K_valid_LR_bicubic/X{scale}"),
    ),
)
