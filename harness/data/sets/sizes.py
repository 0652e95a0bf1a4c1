"""Sizes of datasets without their images: enough to count MACs.

Set14 is described by the sizes of its HR images. The copies of Set14 in circulation differ by a row
or a column in comic, ppt3 and zebra. The sizes here are those of the original files, which the
figures of the MoEISR paper follow from.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NoReturn

from harness.common.errors import HarnessError
from harness.data.sets.base import Dataset, DatasetSpec, ImageItem
from harness.data.sets.manifest import entries, names, original_sizes

# DIV2K has no manifest. Its images have 2040 pixels on the longer side, and about as many as this.
_DIV2K = (1356, 2040)

Size = tuple[int, int]


def _no_image(dataset: str, name: str) -> NoReturn:
    raise HarnessError(
        f"{dataset} knows the size of {name} alone.",
        "MACs of networks without experts can be counted so; anything else needs the images.",
    )


def _size(size: Size) -> Size:
    return size


def _dataset(
    name: str, description: str, protocol: str, sizes: Mapping[str, Size], sizes_of: str = ""
) -> Dataset:
    """Make a dataset of images of which (height, width) alone is known."""
    items = tuple(
        ImageItem(image, partial(_no_image, name, image), partial(_size, size), str(size).strip)
        for image, size in sizes.items()
    )
    return Dataset(name, description, items, len(items), protocol, sizes_of)


def _set14(spec: DatasetSpec, root: Path | None) -> Dataset:
    del root
    return _dataset(spec.name, spec.description, spec.protocol, original_sizes(), "Set14")


def published_sizes(spec: DatasetSpec) -> Dataset:
    """Make a dataset of the published image sizes, for the costs of a set that is absent."""
    sizes = {entry.name: (entry.height, entry.width) for entry in entries(spec.name).values()}
    told = "NOT HERE: the sizes of its images are known"
    if not sizes:
        sizes = dict.fromkeys(names(spec.name), _DIV2K)
        told = "NOT HERE: its images are taken to be of 2040x1356 pixels"
    return _dataset(spec.name, told, spec.protocol, sizes, spec.name)


# What papers compare costs at, by their names; the protocol says which image has the size.
FIXED_SIZES = {
    "1280x720 output": _dataset(
        "output-1280x720",
        "an SR image of 1280x720 pixels",
        "macs-lr",
        {"output-1280x720": (720, 1280)},
    ),
    "320x180 input": _dataset(
        "input-320x180", "an LR image of 320x180 pixels", "macs-hr", {"input-320x180": (180, 320)}
    ),
}

DATASETS = (
    DatasetSpec(
        "Set14-sizes",
        "the HR sizes of the original files, no images",
        "benchmark",
        "It is part of the harness.",
        _set14,
    ),
)
