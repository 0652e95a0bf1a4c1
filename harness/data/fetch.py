"""Fetching of datasets by name for `harness data fetch`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch

from harness.common.errors import HarnessError, UsageError
from harness.common.files import check_writable, sha256, sync_folder
from harness.common.locks import held
from harness.common.progress import bar, say
from harness.data import sets
from harness.data.download import MIRROR_HINT, download
from harness.data.images import open_image, read_rgb
from harness.data.sets import SPECS, check_name
from harness.data.sets.base import Archive, image_files, is_prepared
from harness.data.unpack import extract

CACHE = ".harness-data"


def fetch(
    names: Sequence[str], root: Path, mirror: str | None = None, keep_archive: bool = False
) -> list[Path]:
    """Get datasets into the data root, and return the folders that were filled.

    Existing images are not changed.

    Args:
        names: names of the datasets.
        root: the data root.
        mirror: URL or folder that holds the archives, or one archive; None for the authors' sites.
        keep_archive: whether to leave downloaded archives in the data root's `.harness-data`
            folder.

    Raises:
        UsageError: unknown name or mirror.
        HarnessError: no network, wrong hash, bad archive, other images in the way, full disk.
    """
    if not _missing(names, root) and not _left(names, root):
        return []
    check_writable(root / CACHE)
    try:
        with held(root / CACHE / "lock", f"fetching into {root}"):
            missing = _missing(names, root)  # less, if another process fetched meanwhile
            if not missing:
                for path in _left(names, root):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            for archive in sets.archives():
                targets = {n: images for n, images in missing.items() if n in archive.folders}
                if targets:
                    _fetch_archive(archive, targets, root, mirror, keep_archive)
    except OSError as error:
        raise HarnessError(
            f"Cannot write {error.filename or f'below {root}'}: {error.strerror or error}",
            "Check that the data root may be written and has space left. Nothing of the archive "
            "was put in place; what was downloaded is kept.",
        ) from error
    return [root / target for target in missing]


def _missing(names: Sequence[str], root: Path) -> dict[str, int]:
    """Find the folders of some datasets that lack images (HR last), and their published sizes."""
    missing = {}
    known = {folder for archive in sets.archives() for folder in archive.folders}
    for name in names:
        layout = SPECS[check_name(name)].layout
        if layout is None or layout.hr not in known:
            raise UsageError(f"{name} is not fetched. {SPECS[name].how_to_get}")
        for target in (folder for folder in layout.published if folder in known):
            if is_prepared(root / target):
                raise HarnessError(
                    f"{root / target} was made by `harness data prepare`.",
                    "Remove that folder to have the dataset's own LR images there.",
                )
            there = image_files(root / target) if (root / target).is_dir() else []
            if len(there) < layout.expected:
                missing[target] = layout.expected
    return missing


def _left(names: Sequence[str], root: Path) -> list[Path]:
    """Find what a process that was killed after it had put images in place did not remove."""
    layouts = [SPECS[name].layout for name in names]
    folders = [folder for layout in layouts if layout for folder in layout.published]
    left = []
    for archive in sets.archives():
        own = [folder for folder in folders if folder in archive.folders]
        part = root / CACHE / f"{archive.file}.part"
        # A download that was cut is kept: it may be another set's.
        if own and part.is_file() and part.stat().st_size == archive.size:
            left.append(part)
        left += [staging for folder in own if (staging := _staging(root / folder)).exists()]
    return left


def _staging(folder: Path) -> Path:
    """Return where a folder's images are unpacked: hidden, and beside it, so that renaming works.

    Links may lead to other disks.
    """
    place = Path(os.path.realpath(folder))
    return place.with_name(f".{place.name}.unpacking")


def _fetch_archive(
    archive: Archive, targets: Mapping[str, int], root: Path, mirror: str | None, keep: bool
) -> None:
    source = locate(archive, mirror)
    kept, part = (root / CACHE / f"{archive.file}{suffix}" for suffix in ("", ".part"))
    if kept.exists():
        kept.replace(part)
    path = source if isinstance(source, Path) else part
    there = path.stat().st_size if path.exists() else 0
    # Images take about the archive's size again. Said before a long download, not after it.
    needed = 2 * archive.size - there
    free = shutil.disk_usage(root).free
    if free < needed:
        raise HarnessError(
            f"{root} has {free / 2**30:.1f} GiB left; {archive.file} and its images need "
            f"{needed / 2**30:.1f} GiB.",
            "Free some space or choose another data root.",
        )
    if path == part:
        say(f"{archive.file} from {source} ({archive.size / 2**20:.0f} MiB)")
        download(str(source), part, archive.size)
        if there and sha256(part) != archive.sha256:
            part.unlink()  # it began as another version of the file
            download(str(source), part, archive.size)
    found = sha256(path)
    if found != archive.sha256:
        if path == part:
            part.unlink()
        raise HarnessError(
            f"{source} is not the published {archive.file}: its SHA-256 is {found}, expected "
            f"{archive.sha256}.",
            f"Nothing was unpacked. The hash was published by {archive.hash_source}. Run the "
            "command again; if the same hash comes back, the site has another file.",
        )
    _unpack(path, archive, targets, root)
    if keep and path == part:
        part.replace(kept)
    part.unlink(missing_ok=True)


def locate(archive: Archive, mirror: str | None) -> str | Path:
    """Find the URL of an archive, or its path if it is on this machine.

    Raises:
        UsageError: the mirror is neither a URL, a folder nor an archive.
        HarnessError: a local mirror does not have the archive.
    """
    if mirror is None:
        return archive.url
    kinds = "--mirror takes an http or https URL, a folder or a file"
    try:
        parts = urlsplit(mirror)
    except ValueError as error:
        raise UsageError(f"{kinds}, not {mirror}: {error}.") from error
    if parts.scheme in ("http", "https") and parts.netloc:
        whole = parts.path.endswith(f"/{archive.file}")
        return mirror if whole else f"{mirror.rstrip('/')}/{archive.file}"
    if parts.scheme not in ("", "file"):
        raise UsageError(f"{kinds}, not {mirror}.")
    place = Path(unquote(parts.path) if parts.scheme else mirror).expanduser()
    path = place / archive.file if place.is_dir() else place
    if not path.is_file() or path.name != archive.file:
        raise HarnessError(
            f"The mirror {place} has no {archive.file}.",
            f"Name a folder that holds {archive.file}, or that file itself.",
        )
    return path


def _unpack(path: Path, archive: Archive, targets: Mapping[str, int], root: Path) -> None:
    """Put the images of an archive into their folders: all of them, or none."""
    folders = {name: Path(os.path.realpath(root / name)) for name in targets}
    staging = {name: _staging(folder) for name, folder in folders.items()}
    new = {above for folder in staging.values() for above in folder.parents if not above.exists()}
    sources = {inside: staging[name] for name in targets for inside in archive.folders[name]}
    try:
        for folder in staging.values():
            shutil.rmtree(folder, ignore_errors=True)  # of a killed process
            folder.mkdir(parents=True)
        with bar(f"unpack {path.name}", sum(targets.values())) as progress:
            for file in extract(path, sources, archive.leave_out):
                try:
                    open_image(file)
                except HarnessError as error:
                    reason = str(error).partition("\n")[0].replace(str(file), file.name)
                    raise HarnessError(
                        f"{path} holds a damaged image. {reason}",
                        f"Nothing was put in place. {MIRROR_HINT}",
                    ) from error
                progress.advance()
        for name, images in targets.items():
            found = len(list(staging[name].iterdir()))
            if found != images:
                raise HarnessError(
                    f"{path} has {found} images in {', '.join(archive.folders[name])}; expected "
                    f"{images}.",
                    "Nothing was put in place. It is not the archive that this version knows.",
                )
        put_in_place({staging[name]: folders[name] for name in targets})
    finally:
        for folder in staging.values():
            shutil.rmtree(folder, ignore_errors=True)
        for folder in sorted(new, reverse=True):  # those that stayed empty, from inside out
            with suppress(OSError):
                folder.rmdir()


def put_in_place(folders: Mapping[Path, Path]) -> None:
    """Rename new folders, or those of their files that an existing folder lacks, to their places.

    A failure or an interrupt is undone: either everything is in place, or nothing. HR images come
    last, so a process that is killed in between leaves its sets absent, or incomplete as they were.

    Raises:
        HarnessError: other images of the same names are there; nothing is changed then.
        OSError: a folder cannot be written.
    """
    moves, differing = [], []
    for folder, place in folders.items():
        if not place.exists():
            moves.append((folder, place))
            continue
        for new in sorted(folder.iterdir()):
            old = place / new.name
            if not old.exists():
                moves.append((new, old))
            elif not _same(new, old):
                differing.append(str(old))
    if differing:
        raise HarnessError(
            f"{len(differing)} images that differ from the published ones are there already: "
            f"{', '.join(differing[:5])}{', ...' if len(differing) > 5 else ''}",
            "Nothing was changed. Move them away to have the published ones.",
        )
    try:
        for new, place in moves:
            new.rename(place)
        for place in folders.values():
            sync_folder(place)
            sync_folder(place.parent)
    except BaseException:
        for new, place in reversed(moves):
            if not new.exists():
                place.rename(new)
        raise


def _same(new: Path, old: Path) -> bool:
    """Tell whether two image files have the same pixels, even if compressed differently."""
    try:
        return new.read_bytes() == old.read_bytes() or torch.equal(read_rgb(new), read_rgb(old))
    except HarnessError:
        return False
