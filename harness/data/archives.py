"""The published archives: where they are, what they must hash to, and where their images belong."""

from __future__ import annotations

from dataclasses import dataclass

_DIV2K = "https://data.vision.ee.ethz.ch/cvl/DIV2K"
_EDSR = "https://cv.snu.ac.kr/research/EDSR"
_BERKELEY = "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR"


@dataclass(frozen=True)
class Part:
    """A folder of a dataset, and the folders of an archive that its images lie in.

    Attributes:
        target: below the data root.
        folders: in the archive.
        images: how many there are.
        leave_out: file names that are not taken.
    """

    target: str
    folders: tuple[str, ...]
    images: int
    leave_out: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Archive:
    """A file that is published by the authors of a dataset.

    Attributes:
        file: its name.
        url: where it is.
        hash: as pooch takes it, `sha256:...`; never one that only we computed.
        size: in bytes.
        hash_source: who published the hash.
        parts: by dataset; the HR images last, so that a set is not seen before it is whole.
    """

    file: str
    url: str
    hash: str
    size: int
    hash_source: str
    parts: dict[str, tuple[Part, ...]]


def _div2k(name: str, dataset: str, part: Part, size: int, sha256: str) -> Archive:
    """Hashes and sizes: tensorflow/datasets, tensorflow_datasets/datasets/div2k/checksums.tsv."""
    return Archive(
        file=f"{name}.zip",
        url=f"{_DIV2K}/{name}.zip",
        hash=f"sha256:{sha256}",
        size=size,
        hash_source="tensorflow/datasets",
        parts={dataset: (part,)},
    )


def _lr_part(scale: int) -> Part:
    folder = f"DIV2K_valid_LR_bicubic/X{scale}"
    return Part(f"DIV2K/{folder}", (folder,), 100)


def _benchmark_parts(name: str, images: int) -> tuple[Part, ...]:
    """LR images at x2, x3, x4, then the HR images."""
    folders = [f"benchmark/{name}/LR_bicubic/X{scale}" for scale in (2, 3, 4)]
    folders.append(f"benchmark/{name}/HR")
    return tuple(Part(folder, (folder,), images) for folder in folders)


_BENCHMARKS = {"Set5": 5, "Set14": 14, "B100": 100, "Urban100": 100}
_IMAGES = "BSR/BSDS500/data/images"

ARCHIVES = (
    _div2k(
        "DIV2K_train_HR",
        "DIV2K_train",
        Part("DIV2K/DIV2K_train_HR", ("DIV2K_train_HR",), 800),
        3_530_603_713,
        "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    ),
    _div2k(
        "DIV2K_valid_LR_bicubic_X2",
        "DIV2K_valid",
        _lr_part(2),
        117_763_600,
        "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
    ),
    _div2k(
        "DIV2K_valid_LR_bicubic_X3",
        "DIV2K_valid",
        _lr_part(3),
        54_513_392,
        "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3",
    ),
    _div2k(
        "DIV2K_valid_LR_bicubic_X4",
        "DIV2K_valid",
        _lr_part(4),
        31_505_881,
        "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553",
    ),
    _div2k(
        "DIV2K_valid_HR",
        "DIV2K_valid",
        Part("DIV2K/DIV2K_valid_HR", ("DIV2K_valid_HR",), 100),
        448_993_893,
        "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    ),
    # SHA-256 and size: YeapJieShen/single-image-super-resolution, tests/reference/
    # fetch_urban100.py, which checks the download against it. torchSR (Coloquinte/torchSR,
    # torchsr/datasets/benchmarks.py) checks MD5 4ace41d33c2384b97e6b320cd0afd6ba.
    Archive(
        file="benchmark.tar",
        url=f"{_EDSR}/benchmark.tar",
        hash="sha256:80c21c333bbf6ceb5308b7243761f8284478274413a97b96f1d63e9045fd93e8",
        size=250_112_000,
        hash_source="YeapJieShen/single-image-super-resolution",
        parts={name: _benchmark_parts(name, images) for name, images in _BENCHMARKS.items()},
    ),
    # SHA-256 and size: SharoonSharif/conv3x3-engine-zynq (eval/README) and others that download
    # it and check; the size also tensorpack, dataflow/dataset/bsds500.py.
    Archive(
        file="BSR_bsds500.tgz",
        url=f"{_BERKELEY}/BSR_bsds500.tgz",
        hash="sha256:97e49d31764f3912f0c4122707d53062ac9e783ba0f095e447a4d53c1a41af8e",
        size=70_763_455,
        hash_source="SharoonSharif/conv3x3-engine-zynq",
        # BSDS500's val folder is B100; 302003 is the photograph of Set5's `woman`.
        parts={
            "BSDS399": (
                Part(
                    "train/BSDS399",
                    (f"{_IMAGES}/train", f"{_IMAGES}/test"),
                    399,
                    frozenset({"302003.jpg"}),
                ),
            )
        },
    ),
)


def archives_of(dataset: str) -> tuple[Archive, ...]:
    """The archives that a dataset is made of, HR images last; empty where there are none."""
    return tuple(archive for archive in ARCHIVES if dataset in archive.parts)
