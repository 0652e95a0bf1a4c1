"""Sizes of datasets without their images: enough to count MACs.

Set14 is described by the sizes of its HR images. The copies of Set14 in circulation differ by a row
or a column in comic, ppt3 and zebra. The sizes here are those of the original files, which the
figures of the MoEISR paper follow from.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NoReturn

from harness.common.errors import HarnessError
from harness.data.sets.base import Dataset, DatasetSpec, ImageItem
from harness.data.sets.manifest import entries, names, original_sizes

# DIV2K has no manifest. Its images have 2040 pixels on the longer side, and about as many as this.
_DIV2K = (1356, 2040)

_LR_OF_THAT_SIZE = "macs-hr"
_HR_OF_THAT_SIZE = "macs-lr"


def _no_image(dataset: str, name: str) -> NoReturn:
    raise HarnessError(
        f"{dataset} knows the size of {name} alone.",
        "MACs of networks without experts can be counted so; anything else needs the images.",
    )


def _size(size: tuple[int, int]) -> tuple[int, int]:
    return size


def _item(dataset: str, name: str, size: tuple[int, int]) -> ImageItem:
    return ImageItem(name, partial(_no_image, dataset, name), partial(_size, size), str(size).strip)


def _find(spec: DatasetSpec, root: Path | None) -> Dataset:
    del root
    items = tuple(_item(spec.name, each, size) for each, size in original_sizes().items())
    return Dataset(spec.name, spec.description, items, 14, spec.protocol, sizes_of="Set14")


def published_sizes(spec: DatasetSpec) -> Dataset:
    """Make a dataset of the published image sizes, for the costs of a set that is absent."""
    sizes = {entry.name: (entry.height, entry.width) for entry in entries(spec.name).values()}
    told = "the sizes of its images are known"
    if not sizes:
        sizes = dict.fromkeys(names(spec.name), _DIV2K)
        told = "its images are taken to be of 2040x1356 pixels"
    items = tuple(_item(spec.name, name, size) for name, size in sizes.items())
    description = f"NOT HERE: {told}"
    return Dataset(spec.name, description, items, len(items), spec.protocol, sizes_of=spec.name)


def _one(name: str, description: str, size: tuple[int, int], protocol: str) -> Dataset:
    return Dataset(name, description, (_item(name, name, size),), 1, protocol)


# What papers compare costs at, by their names; the protocol says which image has the size.
FIXED_SIZES = {
    "1280x720 output": _one(
        "output-1280x720", "an SR image of 1280x720 pixels", (720, 1280), _HR_OF_THAT_SIZE
    ),
    "320x180 input": _one(
        "input-320x180", "an LR image of 320x180 pixels", (180, 320), _LR_OF_THAT_SIZE
    ),
}


SIZES = (
    DatasetSpec(
        "Set14-sizes",
        "the HR sizes of the original files, no images",
        "benchmark",
        "It is part of the harness.",
        _find,
    ),
)
