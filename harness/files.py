"""Writing files so that a crash, Ctrl-C or a full disk never leaves half of one; their names."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HarnessError


def plain_name(name: str, longest: int = 150) -> str:
    """A name that came from a file, checked before it becomes a part of a path.

    Args:
        name: of whatever type the file has there.
        longest: in bytes; file systems take 255, and names of cells have more than the method's.

    Returns:
        the same.

    Raises:
        ValueError: for anything but one visible name: separators, `..`, hidden and temporary files,
            control characters, what no file system takes.

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
    """The same for a path below some folder, of plain names with `/` between them."""
    if not isinstance(path, str):
        raise ValueError(f"{path!r:.200} is no path")
    for part in path.split("/"):
        plain_name(part, longest=255)
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block succeeds.

    Of a link, its target is replaced.

    Raises:
        HarnessError: when the folder cannot be written or the disk is full.
    """
    temporary: Path | None = None
    try:
        place = path.resolve()
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            dir=place.parent, prefix=f".{place.stem}-", suffix=place.suffix
        )
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp gives 0600; results are for everyone whom the umask lets read.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(place)
    except OSError as error:
        raise HarnessError(
            f"Cannot write {path}: {error.strerror or error}",
            "Check that the folder exists, may be written, and has space left.",
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def check_writable(folder: Path) -> None:
    """Make a folder and a file in it, before hours of work that are to end there.

    Raises:
        HarnessError: when that fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise HarnessError(
            f"Cannot write to {folder}: {error.strerror or error}", "Choose another folder."
        ) from error


def write_text(path: Path, text: str) -> None:
    """Replace a text file as a whole."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
