"""Extraction of images from zip and tar archives, which are not trusted."""

from __future__ import annotations

import os
import re
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, NamedTuple

from harness.common.errors import HarnessError
from harness.data.sets.base import is_image

# DIV2K's training images are the largest set: 800 files, 3.6 GB, 10 MB at most each.
MAX_ENTRIES = 50_000
MAX_TOTAL = 16 * 2**30
MAX_IMAGE = 128 * 2**20
_LEADS_OUTSIDE = re.compile(r"/|.:|.*[\\\0]|(.*/)?\.\.(/|$)", re.DOTALL)


class ArchiveEntry(NamedTuple):
    """Entry of an archive; its kind is "file", "folder", or "link or device"."""

    name: str
    size: int
    kind: str
    open: Callable[[], IO[bytes] | None]


def _entries(packed: zipfile.ZipFile | tarfile.TarFile) -> Iterator[ArchiveEntry]:
    """List the entries of a zip or tar archive; none yields more bytes than its stated size."""
    if isinstance(packed, zipfile.ZipFile):
        for info in packed.infolist():
            # What made the archive on Unix put the file's mode into the upper half.
            plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG)
            kind = "folder" if info.is_dir() else "file" if plain else "link or device"
            yield ArchiveEntry(info.orig_filename, info.file_size, kind, partial(packed.open, info))
    else:
        for member in packed:
            kind = "folder" if member.isdir() else "file" if member.isreg() else "link or device"
            yield ArchiveEntry(member.name, member.size, kind, partial(packed.extractfile, member))


def extract(archive: Path, folders: Mapping[str, Path], leave_out: str = "") -> Iterator[Path]:
    """Write the images of some folders of an archive, after checking every entry; yield each file.

    Args:
        archive: zip or tar file; tar may be compressed.
        folders: empty target folders, by folder in the archive; several may share a target.
        leave_out: name of a file that is not taken.

    Raises:
        HarnessError: names that lead outside, links and devices among the images, sizes that no
            image set has, or damage.
        OSError: the disk is full.
    """
    try:
        is_zip = ".zip" in archive.suffixes
        with zipfile.ZipFile(archive) if is_zip else tarfile.open(archive) as packed:
            for target, entry in _wanted(_entries(packed), folders, leave_out).items():
                source = entry.open()
                content = source.read() if source else b""
                if len(content) != entry.size:
                    raise ValueError(f"it does not hold the {entry.size} bytes of {entry.name}")
                with target.open("xb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                yield target
    except Exception as error:  # the standard library raises anything when bytes make no sense
        # gzip says "not a gzipped file", or a wrong check sum, in an OSError without a number.
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise HarnessError(
            f"{archive} cannot be unpacked: {error}",
            "It is not the published archive, or was damaged on the way. Nothing was put in place.",
        ) from error


def _wanted(
    entries: Iterator[ArchiveEntry], folders: Mapping[str, Path], leave_out: str
) -> dict[Path, ArchiveEntry]:
    """List the images to write, by target, after looking through the whole archive."""
    wanted: dict[Path, ArchiveEntry] = {}
    total = 0
    for number, entry in enumerate(entries):
        path = PurePosixPath(entry.name)
        folder = folders.get(str(path.parent))
        image = entry.kind == "file" and is_image(path) and path.name != leave_out
        total += max(0, entry.size)
        if _LEADS_OUTSIDE.match(entry.name):
            raise ValueError(f"an entry leads outside its folder: {entry.name!r}")
        if number >= MAX_ENTRIES or total > MAX_TOTAL or (image and entry.size > MAX_IMAGE):
            raise ValueError(f"no image set of ours has that many or large files: {entry.name}")
        # In one of the folders, one of them itself, or above one.
        near = any(path.is_relative_to(f) or PurePosixPath(f).is_relative_to(path) for f in folders)
        if near and entry.kind == "link or device":
            raise ValueError(f"there is a {entry.kind} among its images: {entry.name}")
        if folder and image:
            if folder / path.name in wanted:
                raise ValueError(f"there are two images called {entry.name}")
            wanted[folder / path.name] = entry
    return wanted
