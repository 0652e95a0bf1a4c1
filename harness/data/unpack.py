"""Taking images out of zip and tar archives, trusting nothing that the archive says."""

from __future__ import annotations

import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from harness.data.sets.base import IMAGE_SUFFIXES
from harness.errors import HarnessError

# DIV2K's training images are the largest set: 800 files, 3.6 GB, 10 MB at most each.
MAX_MEMBERS = 50_000
MAX_TOTAL = 16 * 2**30
MAX_IMAGE = 128 * 2**20
_CHUNK = 2**20
# The readers of the standard library let these out when bytes make no sense.
_DAMAGED = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error),
    *(EOFError, ValueError, OverflowError, NotImplementedError),
)

Opener = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class Member:
    """One entry of an archive.

    Attributes:
        name: as the archive has it.
        kind: file, folder, link or device.
        size: in bytes, as the archive claims.
        open: for reading; files only.
    """

    name: str
    kind: str
    size: int
    open: Opener


def extract(
    archive: Path,
    folders: Mapping[str, Path],
    leave_out: frozenset[str] = frozenset(),
    extracted: Callable[[Path], None] = lambda _: None,
) -> None:
    """Write the images of some folders of an archive; every entry is checked before any is written.

    Args:
        archive: zip or tar, the latter also compressed.
        folders: from folders in the archive to existing, empty ones; several may share a target.
        leave_out: file names that are not taken.
        extracted: called with every file written.

    Raises:
        HarnessError: for an entry that would land outside, for links and devices in the folders,
            for sizes that no image set has, for damage, for a full disk.
    """
    try:
        with _opened(archive) as members:
            wanted = _checked(archive, members, folders, leave_out)
            for member, target in wanted:
                _write(archive, member, target)
                extracted(target)
    except _DAMAGED as error:
        raise _refusal(archive, f"is damaged: {error}") from error
    except OSError as error:
        # gzip says "not a gzipped file", or a wrong check sum, in an OSError without a number.
        if error.errno is None:
            raise _refusal(archive, f"is damaged: {error}") from error
        raise HarnessError(
            f"{archive.name} cannot be unpacked: {error.strerror}: {error.filename or archive}",
            "Check that the data root may be written and has space left. Nothing was put in place.",
        ) from error


def _refusal(archive: Path, reason: str) -> HarnessError:
    return HarnessError(
        f"{archive} {reason}",
        "It is not the published archive, or was damaged on the way. Nothing was put in place.",
    )


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[Member]]:
    if archive.suffix.lower() == ".zip":
        with zipfile.ZipFile(archive) as opened:
            yield (_zip_member(opened, info) for info in opened.infolist())
    else:
        with tarfile.open(archive) as packed:
            yield (_tar_member(packed, info) for info in packed)


def _zip_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    # What made the archive on Unix put the file's mode into the upper half.
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.flag_bits & 1:
        raise zipfile.BadZipFile(f"{info.filename} is encrypted")
    if info.is_dir():
        name = "folder"
    elif kind in (0, stat.S_IFREG):
        name = "file"
    else:
        name = "link" if kind == stat.S_IFLNK else "device"
    return Member(info.orig_filename, name, info.file_size, lambda: archive.open(info))


def _tar_member(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    if info.isdir():
        kind = "folder"
    elif info.isreg():
        kind = "file"
    else:
        kind = "link" if info.issym() or info.islnk() else "device"

    def opened() -> IO[bytes]:
        file = archive.extractfile(info)
        if file is None:
            raise tarfile.ReadError(f"{info.name} is no file")
        return file

    return Member(info.name, kind, info.size, opened)


def _checked(
    archive: Path,
    members: Iterator[Member],
    folders: Mapping[str, Path],
    leave_out: frozenset[str],
) -> list[tuple[Member, Path]]:
    """Images to write with their targets; the whole archive is looked through first."""
    wanted: dict[Path, Member] = {}
    total = 0
    for number, member in enumerate(members):
        path = _safe_path(archive, member)
        total += max(0, member.size)
        if number >= MAX_MEMBERS or total > MAX_TOTAL:
            raise _refusal(
                archive,
                f"holds more than {MAX_MEMBERS} entries or {MAX_TOTAL / 2**30:g} GiB; "
                "no image set of ours does",
            )
        if member.kind in ("link", "device") and _concerns(path, folders):
            raise _refusal(archive, f"has a {member.kind} among its images: {member.name}")
        target = _target(path, folders, leave_out) if member.kind == "file" else None
        if target is None:
            continue
        if member.size > MAX_IMAGE:
            raise _refusal(archive, f"claims {member.size} bytes for the image {member.name}")
        if target in wanted:
            raise _refusal(archive, f"has two images called {member.name}")
        wanted[target] = member
    return [(member, target) for target, member in wanted.items()]


def _safe_path(archive: Path, member: Member) -> PurePosixPath:
    """The path of an entry; a name that could lead outside the target refuses the archive."""
    name = member.name
    path = PurePosixPath(name)
    drive = len(name) > 1 and name[1] == ":"
    if path.is_absolute() or ".." in path.parts or "\\" in name or "\0" in name or drive:
        raise _refusal(archive, f"has an entry that leads outside the target folder: {name!r}")
    return path


def _concerns(path: PurePosixPath, folders: Mapping[str, Path]) -> bool:
    """Whether a path lies in one of the folders, is one, or leads to one."""
    wanted = [PurePosixPath(folder) for folder in folders]
    return any(path.is_relative_to(folder) or folder.is_relative_to(path) for folder in wanted)


def _target(
    path: PurePosixPath, folders: Mapping[str, Path], leave_out: frozenset[str]
) -> Path | None:
    """Where an image goes; None for what is not wanted."""
    folder = folders.get(str(path.parent))
    image = path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    return folder / path.name if folder and image and path.name not in leave_out else None


def _write(archive: Path, member: Member, target: Path) -> None:
    """Copy one entry; no more than it claimed to hold."""
    left = member.size
    with member.open() as source, target.open("xb") as file:
        while chunk := source.read(_CHUNK):
            left -= len(chunk)
            if left < 0:
                break
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    if left != 0:
        raise _refusal(archive, f"does not hold the {member.size} bytes of {member.name}")
