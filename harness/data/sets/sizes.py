"""Set14 by the sizes of its HR images alone: enough to count multiply-adds, without any image.

The copies of Set14 in circulation differ by a row or a column in comic, ppt3 and zebra; these are
the sizes of the original files, which the figures of the MoEISR paper follow from.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NoReturn

from harness.data.sets.base import Dataset, DatasetSpec, ImageItem
from harness.errors import HarnessError

# (height, width)
_SET14 = {
    "baboon": (480, 500),
    "barbara": (576, 720),
    "bridge": (512, 512),
    "coastguard": (288, 352),
    "comic": (361, 250),
    "face": (276, 276),
    "flowers": (362, 500),
    "foreman": (288, 352),
    "lenna": (512, 512),
    "man": (512, 512),
    "monarch": (512, 768),
    "pepper": (512, 512),
    "ppt3": (656, 529),
    "zebra": (391, 586),
}


def _no_image(dataset: str, name: str) -> NoReturn:
    raise HarnessError(
        f"{dataset} knows the size of {name} alone.",
        "Multiply-adds of networks without experts can be counted so; anything else needs the "
        "images.",
    )


def _size(size: tuple[int, int]) -> tuple[int, int]:
    return size


def _find(spec: DatasetSpec, root: Path | None) -> Dataset:
    del root
    items = tuple(
        ImageItem(name, partial(_no_image, spec.name, name), partial(_size, size), str(size).strip)
        for name, size in _SET14.items()
    )
    return Dataset(spec.name, spec.description, items, 14, spec.protocol, sizes_of="Set14")


SIZES = (
    DatasetSpec(
        "Set14-sizes",
        "the HR sizes of the original files, no images",
        "benchmark",
        "It is part of the harness.",
        _find,
    ),
)
