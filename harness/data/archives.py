"""Published archives: their URLs, their hashes and the folders that their images belong to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Archive:
    """Archive file that the authors of a dataset publish.

    Attributes:
        url: address of the file.
        size: size in bytes.
        sha256: published SHA-256; a hash that only this project computed is not accepted.
        hash_source: publisher of the hash.
        folders: folders of the archive that hold the images, by the target folder below the data
            root.
        leave_out: name of a file that is not taken.
    """

    url: str
    size: int
    sha256: str
    hash_source: str
    folders: dict[str, tuple[str, ...]]
    leave_out: str = ""

    @property
    def file(self) -> str:
        """File name of the archive."""
        return self.url.rpartition("/")[2]


# As tensorflow/datasets has them in tensorflow_datasets/datasets/div2k/checksums.tsv.
_DIV2K = """
DIV2K_train_HR 3530603713 9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335
DIV2K_valid_LR_bicubic_X2 117763600 60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57
DIV2K_valid_LR_bicubic_X3 54513392 04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3
DIV2K_valid_LR_bicubic_X4 31505881 a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553
DIV2K_valid_HR 448993893 20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc
"""
_BENCHMARKS = [
    f"benchmark/{name}/{kind}"
    for name in ("Set5", "Set14", "B100", "Urban100")
    for kind in ("LR_bicubic/X2", "LR_bicubic/X3", "LR_bicubic/X4", "HR")
]

ARCHIVES = (
    *(
        Archive(
            f"https://data.vision.ee.ethz.ch/cvl/DIV2K/{name}.zip",
            int(size),
            sha256,
            "tensorflow/datasets",
            {f"DIV2K/{name}".replace("_X", "/X"): (name.replace("_X", "/X"),)},
        )
        for name, size, sha256 in map(str.split, _DIV2K.strip().splitlines())
    ),
    # Size and SHA-256 as YeapJieShen/single-image-super-resolution checks them in tests/reference/
    # fetch_urban100.py. Coloquinte/torchSR checks MD5 4ace41d33c2384b97e6b320cd0afd6ba.
    Archive(
        "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
        250_112_000,
        "80c21c333bbf6ceb5308b7243761f8284478274413a97b96f1d63e9045fd93e8",
        "YeapJieShen/single-image-super-resolution",
        {folder: (folder,) for folder in _BENCHMARKS},
    ),
    # Size and SHA-256 as SharoonSharif/conv3x3-engine-zynq (eval/README) and others check them; the
    # size also as tensorpack, dataflow/dataset/bsds500.py. BSDS500's val folder is B100, and 302003
    # is the photograph of Set5's `woman`.
    Archive(
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        70_763_455,
        "97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e",
        "SharoonSharif/conv3x3-engine-zynq",
        {"train/BSDS399": ("BSR/BSDS500/data/images/train", "BSR/BSDS500/data/images/test")},
        leave_out="302003.jpg",
    ),
)
