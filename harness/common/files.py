"""File writing that is safe against crashes, Ctrl-C and full disks; and checks of file names.

A file is written under a hidden name beside its place and then renamed. Its writer holds a lock on
it, and the name says on which machine. So files that a killed process left can be told from files
that are being written, and the next process that writes to the folder removes them. See
docs/reliability.md.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from harness.common.errors import HarnessError

_HOST = re.sub(r"\W", "_", platform.node(), flags=re.ASCII)[:64]
_TEMPORARY = re.compile(r"\..*-(?P<host>\w*)-[0-9a-f]{8}\.part(\..*)?", re.ASCII | re.DOTALL)


def plain_name(name: str, longest: int = 150) -> str:
    """Check a name that came from a file before it becomes a part of a path, and return it.

    File systems take 255 bytes, and names of units contain more than the method's name.

    Raises:
        ValueError: the value is not one visible name: it has separators, `..` or control
            characters, is hidden or temporary, or no file system accepts it.

    Example:
        >>> plain_name("edsr-liif.pth")
        'edsr-liif.pth'
        >>> plain_name("../victim")
        Traceback (most recent call last):
        ValueError: '../victim' is no plain name
    """
    plain = isinstance(name, str) and name.isprintable() and not set(name) & {"/", "\\"}
    if not plain or not name.strip() or name.startswith("."):
        raise ValueError(f"{name!r:.200} is no plain name")
    if len(name.encode()) > longest:
        raise ValueError(f"{name[:40]!r}... is longer than {longest} bytes")
    return name


def plain_path(path: str) -> str:
    """Check a path below some folder: plain names with `/` between them; see `plain_name`."""
    if not isinstance(path, str):
        raise ValueError(f"{path!r:.200} is no path")
    for part in path.split("/"):
        plain_name(part, longest=255)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path` that replaces it when the block succeeds.

    For a link, its target is replaced; pipes and devices are written to as they are.

    Raises:
        HarnessError: the folder cannot be written, the disk is full, or the path is a folder.
    """
    try:
        if is_stream(path):
            yield path
            return
        place = _place_of(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place.parent)
        temporary, file = _begin(place)
        try:
            yield temporary
            os.fsync(file)
            temporary.replace(place)
            sync_folder(place.parent)
        finally:
            temporary.unlink(missing_ok=True)
            os.close(file)
    except OSError as error:
        raise HarnessError(
            f"Cannot write {path}: {error.strerror or error}",
            "Check that the folder exists, may be written, and has space left.",
        ) from error


def is_stream(path: Path) -> bool:
    """Tell whether a path is a pipe, or a device such as /dev/null: written to, never replaced."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def check_output(target: Path, source: Path | None, force: bool) -> None:
    """Refuse to write over a file before any work is done.

    The file that is read (`source`) is never replaced, another one with `force`.
    """
    if target.is_dir():
        raise HarnessError(f"{target} is a folder.", "Name a file in it.")
    if is_stream(target):
        return
    place = _place_of(target)
    if source is not None and place.exists() and source.exists() and place.samefile(source):
        raise HarnessError(f"{target} is the file that is read.", "Name another.")
    if place.exists() and not force:
        raise HarnessError(f"{target} is there already.", "Name another file, or add --force.")


def _place_of(path: Path) -> Path:
    """Follow a path to its file, which need not exist yet."""
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise HarnessError(f"{path} is a link that leads to itself.", "Remove it.")
    if place.exists() and not place.is_file():
        raise HarnessError(f"{path} is no regular file.", "Name another file.")
    return place


def _begin(place: Path) -> tuple[Path, int]:
    """Create a temporary file beside a file, and a descriptor that holds a lock on it."""
    while True:
        name = f".{place.stem[:40]}-{_HOST}-{secrets.token_hex(4)}.part{place.suffix[:16]}"
        temporary = place.with_name(name)
        file = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        with suppress(OSError):  # without locks there, nobody will take the file for abandoned
            fcntl.flock(file, fcntl.LOCK_EX)
        # Another process may have removed it before it was locked.
        if os.fstat(file).st_nlink:
            return temporary, file
        os.close(file)


def temporary_files(folder: Path) -> list[Path]:
    """List the files of a folder that are being written, or that killed processes left."""
    try:
        return sorted(path for path in folder.iterdir() if _TEMPORARY.fullmatch(path.name))
    except OSError:
        return []


def is_abandoned(temporary: Path, remove: bool = False) -> bool:
    """Tell whether the writer of a temporary file is known to have ended; with `remove`, remove it.

    It is known where the file was written on this machine and nobody holds its lock: locks of other
    machines are not visible on every file system.
    """
    found = _TEMPORARY.fullmatch(temporary.name)
    if found is None or found["host"] != _HOST:
        return False
    try:
        file = os.open(temporary, os.O_RDWR)
    except OSError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if remove:
            temporary.unlink(missing_ok=True)
    except OSError:
        return False
    finally:
        os.close(file)
    return True


@cache
def _sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder, when this process first writes to it."""
    for temporary in temporary_files(folder):
        is_abandoned(temporary, remove=True)


def check_writable(folder: Path) -> None:
    """Create a folder and a file in it, before hours of work whose result goes there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise HarnessError(
            f"Cannot write to {folder}: {error.strerror or error}", "Choose another folder."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Replace a text file as a whole; bytes of file names that are not UTF-8 are escaped."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the file system can."""
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file of any size."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            digest.update(chunk)
    return digest.hexdigest()
