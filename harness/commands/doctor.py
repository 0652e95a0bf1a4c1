"""`harness doctor`: versions, data, folders, locks, and what killed processes left."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from harness.commands.options import Setup, json_option, show, table, with_setup
from harness.common.errors import HarnessError
from harness.common.files import check_writable, is_abandoned, temporary_files

if TYPE_CHECKING:
    from harness.profiles.places import Places

OK, NOTE, PROBLEM = "ok", "note", "problem"
_PROJECT = "moeisr-harness"
_LEAST_FREE = 1 << 30
# What is said of a temporary file, by whether its writer is known to have ended.
_TEMPORARY = {
    True: ("left by a killed process", "It goes when a command next writes there; or delete it."),
    False: ("being written, or left by another machine", ""),
}
_UNPACKING = "`harness data fetch` of that set makes it anew; if none is running, delete it."


class Finding(NamedTuple):
    """One thing that was examined: ok, worth knowing, or wrong; and what to do about it."""

    state: str
    what: str
    found: str
    remedy: str = ""


@click.command(epilog="Example: harness doctor --data-root ~/data")
@click.argument("folders", metavar="[FOLDER]...", nargs=-1, type=click.Path(path_type=Path))
@with_setup("data_root", "results", "reports")
@json_option
def doctor(folders: tuple[Path, ...], setup: Setup) -> int:
    """Look for what is wrong with this installation and its folders; changes nothing.

    Versions, data, folders and their free space, locks, and temporary files that killed processes
    left: in the folders of results, reports, data and cache, in the current folder, and in every
    FOLDER. Status 1 if something is wrong; `harness data verify` looks at the images themselves.
    """
    where = setup.places
    found = [*_software(), *_data(where), *_folders(where), *_locks(where), *_left(where, folders)]
    problems = sum(each.state == PROBLEM for each in found)
    rows = [{"": each.state, "what": each.what, "found": each.found} for each in found]
    remedies = [f"{each.state}: {each.what}: {each.remedy}" for each in found if each.remedy]
    end = f"Problems: {problems}." if problems else "Nothing is wrong."
    text = "\n".join([table(rows, disable_numparse=False), "", *remedies, end])
    content = {"findings": [each._asdict() for each in found], "problems": problems}
    show(content, text)
    return 1 if problems else 0


def _software() -> Iterator[Finding]:
    """Python, the packages that the project's metadata asks for, and the device."""
    from importlib.metadata import PackageNotFoundError, metadata, requires, version

    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

    asked = SpecifierSet(metadata(_PROJECT)["Requires-Python"] or "")
    here = platform.python_version()
    if here in asked:
        yield Finding(OK, "python", here)
    else:
        yield Finding(PROBLEM, "python", here, f"Install Python {asked}.")
    pinned, good = _pinned(), 0
    for requirement in map(Requirement, requires(_PROJECT) or ()):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        name, wanted = requirement.name, f"pip install '{requirement}'"
        try:
            there = version(name)
        except PackageNotFoundError:
            yield Finding(PROBLEM, name, "not installed", wanted)
            continue
        pin = pinned.get(name.lower(), there)
        if not requirement.specifier.contains(there, prereleases=True):
            yield Finding(PROBLEM, name, f"{there}, but {requirement} is needed", wanted)
        elif pin not in (there, there.partition("+")[0]):  # 2.13.0+cpu is 2.13.0
            yield Finding(NOTE, name, f"{there}; constraints.txt has {pin}")
        else:
            good += 1
    where = "as in constraints.txt" if pinned else "new enough"
    yield Finding(OK, "packages", f"{good} {where}")
    try:
        from harness.common import device

        yield Finding(OK, "device", device.describe(device.resolve("auto")))
    except (ImportError, OSError, RuntimeError) as error:
        yield Finding(PROBLEM, "torch", f"cannot be used: {error}", "Install it again.")


def _pinned() -> dict[str, str]:
    """Versions in constraints.txt, where the harness runs from its repository."""
    import harness

    path = Path(harness.__file__).parents[1] / "constraints.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    pairs = (line.partition("==") for line in lines if not line.startswith("#"))
    return {name.strip().lower(): pin.strip() for name, equals, pin in pairs if equals}


def _data(where: Places) -> Iterator[Finding]:
    """Datasets, as `harness data list` knows them."""
    from harness.data.sets import SPECS
    from harness.data.verify import describe

    root = where.data_root
    if root is None:
        yield Finding(NOTE, "data root", "none named", "Use --data-root DIR or set HARNESS_DATA.")
    elif not root.is_dir():
        yield Finding(PROBLEM, "data root", f"{root} is not there", "Name another folder.")
        return
    for line in (describe(spec, root) for spec in SPECS.values()):
        if root is None and line["folder"]:
            continue
        count = f"{line['state']}, {line['images'] or 0} of {line['expected']} images"
        if line["state"] in ("incomplete", "too many images"):
            yield Finding(PROBLEM, line["dataset"], count, line["how_to_get"])
        else:
            yield Finding(NOTE if line["state"] == "absent" else OK, line["dataset"], count)


def _folders(where: Places) -> Iterator[Finding]:
    """Folders: can they be written, and how much space is left there."""
    folders = {"results": where.results, "reports": where.reports, "cache": where.cache}
    for what, folder in folders.items():
        # The folder itself may still have to be made.
        there = next((f for f in (folder, *folder.absolute().parents) if f.exists()), Path("/"))
        try:
            check_writable(there)
        except HarnessError as error:
            yield Finding(PROBLEM, what, *str(error).split("\n"))
            continue
        free = shutil.disk_usage(there).free
        text = f"{folder}: {free / 2**30:.1f} GiB free"
        if free >= _LEAST_FREE:
            yield Finding(OK, what, text)
        else:
            yield Finding(PROBLEM, what, text, "Free some space or choose another folder.")


def _below(*folders: Path | None) -> Iterator[tuple[Path, list[str]]]:
    """Folders and those below them, each with the names of its files."""
    for folder in filter(None, folders):
        for place, _, files in os.walk(folder):
            yield Path(place), files


def _downloads(where: Places) -> Path | None:
    return where.data_root and where.data_root / ".harness-data"


def _locks(where: Places) -> Iterator[Finding]:
    """Locks that are held, and files that are locks where the file system has none."""
    from harness.common.locks import has_flock, holder, is_held

    free = 0
    for place, files in _below(where.results, _downloads(where)):
        paths = [place / name for name in files if name == "lock" or name.endswith(".lock")]
        held = [path for path in paths if is_held(path)]
        free += len(paths) - len(held)
        for path in held:
            remedy = ""
            with suppress(OSError):  # a folder that cannot be written has no remedy here
                remedy = "" if has_flock(place) else f"If it has ended, delete {path} to go on."
            yield Finding(NOTE, "lock", f"{path} is held ({holder(path)})", remedy)
    yield Finding(OK, "locks", f"{free} that nobody holds")


def _left(where: Places, folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Temporary files of processes that have ended, or may have; downloads that were cut."""
    from harness.data.sets import SPECS

    root = where.data_root
    tops = {Path(spec.layout.hr).parts[0] for spec in SPECS.values() if spec.layout}
    trees = {where.results, where.reports, where.cache, *folders}
    trees |= {root / top for top in tops} if root else set()
    places = {Path(), *(place for place, _ in _below(*trees))}
    found = {os.path.realpath(path): path for place in places for path in temporary_files(place)}
    left = [(path, *_TEMPORARY[is_abandoned(path)]) for _, path in sorted(found.items())]
    left += [
        (place / name, "unfinished download", "`harness data fetch` goes on with it.")
        for place, files in _below(_downloads(where))
        for name in files
        if name.endswith(".part")
    ]
    left += [
        (place, "images being unpacked, or left by a killed process", _UNPACKING)
        for place in sorted(places)
        if place.name.startswith(".") and place.name.endswith(".unpacking")
    ]
    for path, what, remedy in left:
        inside = (place / name for place, files in _below(path) for name in files)
        size = sum(file.stat().st_size for file in (path, *inside) if file.is_file())
        yield Finding(NOTE, what, f"{path}, {size / 2**20:.1f} MiB", remedy)
