"""Datasets by name: one file each, listed in `SPECS`."""

from __future__ import annotations

from pathlib import Path

from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.data.sets.base import Archive, Dataset, DatasetSpec, ImageItem
from harness.data.sets.benchmarks import BENCHMARKS
from harness.data.sets.bsds import BSDS
from harness.data.sets.div2k import DIV2K
from harness.data.sets.embedded import EMBEDDED
from harness.data.sets.sizes import SIZES

SPECS: dict[str, DatasetSpec] = {
    spec.name: spec for spec in (*EMBEDDED, *BSDS, *DIV2K, *BENCHMARKS, *SIZES)
}


def archives() -> list[Archive]:
    """List the archives that sets are fetched from; a set's LR images come before its HR images."""
    return list({each.url: each for spec in SPECS.values() for each in spec.archives}.values())


def check_name(name: str) -> str:
    """Return the name if it is a dataset's.

    Raises:
        UsageError: the dataset is unknown; the message names the nearest.
    """
    if name not in SPECS:
        raise UsageError(unknown("dataset", name, SPECS))
    return name


def find(name: str, root: Path | None) -> Dataset:
    """Find the dataset of this name below the data root.

    Raises:
        UsageError: the name is unknown.
        HarnessError: the dataset is not there; the message names the folder and how to get it.
    """
    spec = SPECS[check_name(name)]
    return spec.find(spec, root)


def register(spec: DatasetSpec) -> None:
    """Register a dataset of another package.

    Raises:
        ValueError: another dataset has the name.
    """
    if SPECS.setdefault(spec.name, spec) is not spec:
        raise ValueError(f"there is a dataset {spec.name} already")


__all__ = [
    "SPECS",
    "Dataset",
    "DatasetSpec",
    "ImageItem",
    "archives",
    "check_name",
    "find",
    "register",
]
