"""Putting unpacked folders in place: whole, by renaming, and never over other images."""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from harness.data.images import read_rgb
from harness.data.prepared import is_prepared
from harness.errors import HarnessError
from harness.files import sync_folder

_SHOWN = 5


def staging_of(target: Path) -> Path:
    """The folder beside a target in which its files are made ready: renaming works there."""
    place = _place_of(target)
    return place.with_name(f".{place.name}.unpacking")


def _place_of(target: Path) -> Path:
    return Path(os.path.realpath(target))  # a link may lead to another disk


def _aside_of(place: Path) -> Path:
    """Where an incomplete folder goes while a complete one takes its place."""
    return place.with_name(f".{place.name}.incomplete")


@contextmanager
def staged(targets: list[Path]) -> Iterator[dict[Path, Path]]:
    """Empty folders beside the targets; gone afterwards, with what an earlier process left there.

    Raises:
        HarnessError: when they cannot be made.
    """
    folders = {target: staging_of(target) for target in targets}
    made: list[Path] = []
    try:
        for target, folder in folders.items():
            made += _missing_parents(folder)
            _put_back(_place_of(target))
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


def _put_back(place: Path) -> None:
    """End what `put_in_place` began: the incomplete folder goes, or comes back."""
    aside = _aside_of(place)
    if aside.is_dir() and not place.exists():
        aside.rename(place)
    shutil.rmtree(aside, ignore_errors=True)


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
    """Rename the staged folder: all images are there at once, or none.

    What an existing target holds is linked into the staged folder first, and its files stay. Then
    it stands aside between two renames; of a process that is killed there, `staged` puts it back.
    """
    place = _place_of(target)
    if place.exists():
        _add_what_is_there(staging, place)
        place.rename(_aside_of(place))
    sync_folder(staging)
    try:
        staging.rename(place)
        sync_folder(place.parent)
    finally:
        _put_back(place)


def _add_what_is_there(staging: Path, place: Path) -> None:
    for path in staging.iterdir():
        if (place / path.name).exists():
            path.unlink()
    new = {path.name for path in staging.iterdir()}
    shutil.copytree(
        place,
        staging,
        symlinks=True,
        ignore=lambda folder, names: new.intersection(names) if Path(folder) == place else (),
        copy_function=_link,
        dirs_exist_ok=True,
    )


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # file systems without hard links
        shutil.copy2(source, target)
