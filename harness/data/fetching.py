"""`harness data fetch`: from a dataset's name to its images in place."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pooch

from harness.data.archives import Archive, Part, archives_of
from harness.data.download import MIRROR_HINT, ResumingDownloader
from harness.data.images import open_image
from harness.data.install import put_in_place, refuse_conflicts, refuse_prepared, staged
from harness.data.sets import SPECS, check_name
from harness.data.sets.base import image_files
from harness.data.unpack import extract
from harness.errors import HarnessError, UsageError
from harness.files import check_writable
from harness.locks import held
from harness.progress import bar, say

CACHE = ".harness-data"


@dataclass(frozen=True)
class Need:
    """An archive, and the parts of it that are not in place yet."""

    archive: Archive
    parts: tuple[Part, ...]


def needs(names: Iterable[str], root: Path) -> list[Need]:
    """What must be got for some datasets; each archive once.

    Raises:
        UsageError: for an unknown dataset, or one that is not fetched.
    """
    found: dict[str, Need] = {}
    for name in dict.fromkeys(names):
        archives = archives_of(check_name(name))
        if not archives:
            raise UsageError(f"{name} is not fetched. {SPECS[name].how_to_get}")
        for archive in archives:
            parts = tuple(p for p in archive.parts[name] if not is_complete(p, root))
            earlier = found[archive.file].parts if archive.file in found else ()
            found[archive.file] = Need(archive, earlier + parts)
    return [need for need in found.values() if need.parts]


def is_complete(part: Part, root: Path) -> bool:
    """Whether a part has as many images as it should; `harness data verify` looks at them.

    Raises:
        HarnessError: when its folder was made by `harness data prepare`.
    """
    target = root / part.target
    if not target.is_dir():
        return False
    refuse_prepared(target)
    return len(image_files(target)) >= part.images


def fetch(
    names: Sequence[str], root: Path, mirror: str | None = None, keep_archive: bool = False
) -> list[Path]:
    """Get datasets; those that are there are left alone.

    Args:
        names: of the datasets.
        root: data root.
        mirror: URL or folder that holds the archives, or one archive; None for the authors' sites.
        keep_archive: leave downloaded archives in the data root's `.harness-data` folder.

    Returns:
        The folders that were filled.

    Raises:
        UsageError: unknown name or mirror.
        HarnessError: no network, wrong hash, bad archive, other images in the way, full disk.
    """
    if not needs(names, root):
        return []
    check_writable(root / CACHE)
    filled: list[Path] = []
    with held(root / CACHE / "lock", f"fetching into {root}"):
        # Another process may have fetched them while this one waited.
        for need in needs(names, root):
            filled += _fetch_archive(need, root, mirror, keep_archive)
    return filled


def _fetch_archive(need: Need, root: Path, mirror: str | None, keep: bool) -> list[Path]:
    source = locate(need.archive, mirror)
    refuse_full_disk(need.archive, root, local=isinstance(source, Path))
    if isinstance(source, Path):
        _check_local(need.archive, source)
        return unpack(need, source, root)
    path = download(need.archive, source, root / CACHE)
    filled = unpack(need, path, root)
    if not keep:
        path.unlink()
    return filled


def locate(archive: Archive, mirror: str | None) -> str | Path:
    """The URL of an archive, or its path if it is on this machine.

    Raises:
        UsageError: for a mirror of another kind.
        HarnessError: when a local mirror does not have it.
    """
    if mirror is None:
        return archive.url
    parts = urlsplit(mirror)
    if parts.scheme in ("http", "https"):
        return (
            mirror
            if parts.path.endswith(f"/{archive.file}")
            else f"{mirror.rstrip('/')}/{archive.file}"
        )
    if parts.scheme not in ("", "file"):
        raise UsageError(f"--mirror takes an http or https URL, a folder or a file, not {mirror}.")
    place = Path(unquote(parts.path) if parts.scheme else mirror).expanduser()
    path = place / archive.file if place.is_dir() else place
    if not path.is_file() or path.name != archive.file:
        raise HarnessError(
            f"The mirror {place} has no {archive.file}.",
            f"Name a folder that holds {archive.file}, or that file itself.",
        )
    return path


def refuse_full_disk(archive: Archive, root: Path, local: bool) -> None:
    """Say so before a long download, not after it: images take about the archive's size again.

    Raises:
        HarnessError: when the disk has no room for them.
    """
    kept = [root / CACHE / archive.file, part_path(archive, root / CACHE)]
    there = sum(path.stat().st_size for path in kept if path.exists())
    needed = archive.size if local else max(archive.size, 2 * archive.size - there)
    free = shutil.disk_usage(root).free
    if free < needed:
        raise HarnessError(
            f"{root} has {free / 2**30:.1f} GiB left; {archive.file} and its images need "
            f"{needed / 2**30:.1f} GiB.",
            "Free some space or choose another data root.",
        )


def part_path(archive: Archive, cache: Path) -> Path:
    """Where an unfinished download lies."""
    return cache / f"{archive.file}.part"


def download(archive: Archive, url: str, cache: Path) -> Path:
    """The archive in the cache folder, downloaded if need be, with the published hash.

    Raises:
        HarnessError: it cannot be had, or has another hash; then it is removed.
    """
    pooch.get_logger().setLevel(logging.ERROR)
    if not (cache / archive.file).exists():
        say(f"{archive.file} from {url} ({archive.size / 2**20:.0f} MiB)")
    downloader = ResumingDownloader(part_path(archive, cache), archive.size)
    try:
        path = pooch.retrieve(
            url,
            archive.hash,
            archive.file,
            cache,
            downloader=downloader,
        )
    except ValueError as error:
        raise HarnessError(
            f"{url}: {error}",
            f"Nothing was unpacked. The hash was published by {archive.hash_source}. Run the "
            "command again; if the same hash comes back, the site has another file.",
        ) from error
    return Path(path)


def _check_local(archive: Archive, path: Path) -> None:
    algorithm, expected = archive.hash.split(":")
    found = pooch.file_hash(str(path), alg=algorithm)
    if found != expected:
        raise HarnessError(
            f"{path} is not the published {archive.file}: its {algorithm.upper()} is {found}, "
            f"expected {expected}.",
            f"Nothing was unpacked. The hash was published by {archive.hash_source}.",
        )


def unpack(need: Need, path: Path, root: Path) -> list[Path]:
    """Images of an archive into their folders: all of them, or none.

    Raises:
        HarnessError: bad archive, damaged or missing images, other images in the way, full disk.
    """
    targets = {root / part.target: part for part in need.parts}
    total = sum(part.images for part in need.parts)
    with staged(list(targets)) as folders, bar(f"unpack {path.name}", total) as progress:

        def checked(file: Path) -> None:
            _check_image(file, path)
            progress.advance()

        sources = {f: folders[t] for t, part in targets.items() for f in part.folders}
        leave_out = frozenset[str]().union(*(part.leave_out for part in need.parts))
        extract(path, sources, leave_out, checked)
        for target, part in targets.items():
            _check_count(len(list(folders[target].iterdir())), part, path)
        refuse_conflicts(folders)
        for target, staging in folders.items():
            put_in_place(staging, target)
    return list(targets)


def _check_image(file: Path, archive: Path) -> None:
    try:
        open_image(file)
    except HarnessError as error:
        reason = str(error).partition("\n")[0].replace(str(file), file.name)
        raise HarnessError(
            f"{archive} holds a damaged image. {reason}",
            "Nothing was put in place. " + MIRROR_HINT,
        ) from error


def _check_count(found: int, part: Part, archive: Path) -> None:
    if found != part.images:
        raise HarnessError(
            f"{archive} has {found} images in {', '.join(part.folders)}; expected {part.images}.",
            "Nothing was put in place. It is not the archive that this version knows.",
        )
