"""Putting unpacked folders in place: whole, by renaming, and never over other images."""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from harness.data.images import read_rgb
from harness.data.prepared import is_prepared
from harness.errors import HarnessError

_SHOWN = 5


def staging_of(target: Path) -> Path:
    """The folder beside a target in which its files are made ready: renaming works there."""
    real = target.resolve()  # a link may lead to another disk
    return real.parent / f".{real.name}.unpacking"


@contextmanager
def staged(targets: list[Path]) -> Iterator[dict[Path, Path]]:
    """Empty folders beside the targets; gone afterwards, with what an earlier process left there.

    Raises:
        HarnessError: when they cannot be made.
    """
    folders = {target: staging_of(target) for target in targets}
    made: list[Path] = []
    try:
        for folder in folders.values():
            made += _missing_parents(folder)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
        yield folders
    except OSError as error:
        raise HarnessError(
            f"Cannot write {error.filename or 'the images'}: {error.strerror or error}",
            "Check that the data root may be written and has space left.",
        ) from error
    finally:
        for folder in folders.values():
            shutil.rmtree(folder, ignore_errors=True)
        _remove_empty(made)


def _missing_parents(folder: Path) -> list[Path]:
    return [parent for parent in folder.parents if not parent.exists()]


def _remove_empty(folders: list[Path]) -> None:
    """A failed fetch leaves no empty folders either; deepest first."""
    for folder in sorted(set(folders), key=lambda p: len(p.parts), reverse=True):
        try:
            folder.rmdir()
        except OSError:
            continue


def refuse_prepared(target: Path) -> None:
    """A folder that was made here gives no place to the dataset's own images by itself.

    Raises:
        HarnessError: for such a folder.
    """
    if is_prepared(target):
        raise HarnessError(
            f"{target} was made by `harness data prepare`.",
            "Remove that folder to have the dataset's own LR images there.",
        )


def refuse_conflicts(folders: dict[Path, Path]) -> None:
    """Look at every target before any is touched.

    Args:
        folders: from targets to the staged folders.

    Raises:
        HarnessError: when a target holds other images under the same names, naming some.
    """
    differing: list[Path] = []
    for target, staging in folders.items():
        refuse_prepared(target)
        names = sorted(path.name for path in staging.iterdir())
        there = [name for name in names if (target / name).exists()]
        differing += [target / n for n in there if not _same(staging / n, target / n)]
    if differing:
        shown = ", ".join(map(str, differing[:_SHOWN]))
        more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
        raise HarnessError(
            f"Images that differ from the published ones are there already: {shown}{more}.",
            "Nothing was changed. Move them away to have the published ones.",
        )


def _same(new: Path, old: Path) -> bool:
    """Whether two image files have the same pixels, also when packed differently."""
    if filecmp.cmp(new, old, shallow=False):
        return True
    try:
        return torch.equal(read_rgb(new), read_rgb(old))
    except HarnessError:
        return False


def put_in_place(staging: Path, target: Path) -> None:
    """Rename the staged folder, or each file that an existing target lacks."""
    if not target.exists():
        staging.rename(target)
        return
    for path in sorted(staging.iterdir()):
        if not (target / path.name).exists():
            path.rename(target / path.name)
