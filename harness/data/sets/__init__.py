"""Datasets by name: one file each, found by `DATASETS` in it."""

from __future__ import annotations

import sys
from pathlib import Path

from baselines.discovery import offered
from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.data.sets.base import Archive, Dataset, DatasetSpec, ImageItem


def discover() -> dict[str, DatasetSpec]:
    """Import every file of this package, and collect its datasets by name."""
    return {spec.name: spec for own in offered(sys.modules[__name__], "DATASETS") for spec in own}


SPECS = discover()


def archives() -> list[Archive]:
    """List the archives that sets are fetched from; a set's LR images come before its HR images."""
    return list({each.url: each for spec in SPECS.values() for each in spec.archives}.values())


def check_name(name: str) -> str:
    """Return the name if it is a dataset's; else UsageError, which names the nearest."""
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
    """Register a dataset of another package; ValueError where another dataset has the name."""
    if SPECS.setdefault(spec.name, spec) is not spec:
        raise ValueError(f"there is a dataset {spec.name} already")


__all__ = [
    "SPECS",
    "Dataset",
    "DatasetSpec",
    "ImageItem",
    "archives",
    "check_name",
    "discover",
    "find",
    "register",
]
