"""DIV2K, the paper's training and validation set, in the layout of its archives."""

from __future__ import annotations

from harness.data.sets.base import Archive, DatasetSpec, Layout, from_folder

# Sizes and SHA-256 as tensorflow/datasets has them, in
# tensorflow_datasets/datasets/div2k/checksums.tsv.
_PUBLISHED = """
DIV2K_train_HR 3530603713 9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335
DIV2K_valid_LR_bicubic_X2 117763600 60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57
DIV2K_valid_LR_bicubic_X3 54513392 04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3
DIV2K_valid_LR_bicubic_X4 31505881 a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553
DIV2K_valid_HR 448993893 20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc
"""
_ARCHIVES = {
    name: Archive(
        f"https://data.vision.ee.ethz.ch/cvl/DIV2K/{name}.zip",
        int(size),
        sha256,
        "tensorflow/datasets",
        {f"DIV2K/{name.replace('_X', '/X')}": (name.replace("_X", "/X"),)},
    )
    for name, size, sha256 in map(str.split, _PUBLISHED.strip().splitlines())
}


def _part(name: str, named: str, layout: Layout) -> DatasetSpec:
    return DatasetSpec(
        name,
        "Agustsson and Timofte, CVPR Workshops 2017",
        "div2k",
        f"`harness data fetch {name}` gets it; or download DIV2K_{named} from "
        "data.vision.ee.ethz.ch/cvl/DIV2K and unpack it into DIV2K/ below the data root.",
        from_folder,
        layout,
        archives=tuple(archive for part, archive in _ARCHIVES.items() if name in part),
    )


DATASETS = (
    _part("DIV2K_train", "train_HR", Layout("DIV2K/DIV2K_train_HR", 800)),
    _part(
        "DIV2K_valid",
        "valid_HR and DIV2K_valid_LR_bicubic_X2, _X3, _X4",
        Layout("DIV2K/DIV2K_valid_HR", 100, "DIV2K/DIV2K_valid_LR_bicubic/X{scale}"),
    ),
)
