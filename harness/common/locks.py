"""Locks between processes, also on several machines that share a folder.

A lock is a file that the system locks for as long as its holder lives. On a file system without
such locks (without flock), the existence of the file is the lock, and it stays behind when its
machine dies.
"""

from __future__ import annotations

import errno
import fcntl
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, SoftFileLock, Timeout

from harness.common.errors import HarnessError
from harness.common.progress import say
from harness.common.stopping import stoppable

_NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
POLL = 0.2
# Seconds after which a line says what is waited for; most locks are held for a moment only.
QUIET = 1.0


class BusyError(HarnessError):
    """Error for a lock that another process holds."""


@contextmanager
def held(path: Path, doing: str, wait: bool = True) -> Iterator[None]:
    """Hold a lock for a block of code.

    Args:
        path: file of the lock.
        doing: what its holder is doing, for messages: "training in ...".
        wait: whether to wait for another process that holds it, and say so.

    Raises:
        BusyError: another process holds it, and `wait` is false.
        HarnessError: the file cannot be locked.
        KeyboardInterrupt: on the first Ctrl-C or SIGTERM while waiting.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stays = not has_flock(path.parent)  # when its machine dies
        lock = SoftFileLock(path) if stays else FileLock(path)
        if not _take(lock):
            remedy = f"If that process has ended (there is no flock here), delete {path} to go on."
            remedy = remedy if stays else ""
            if not wait:
                message = f"Another process is {doing} ({holder(path)})."
                raise BusyError(message, remedy or "Wait for it, or stop it first.")
            _wait(lock, path, doing, remedy)
    except OSError as error:
        raise HarnessError(
            f"Cannot lock {path}: {error.strerror or error}",
            "Choose another folder (--results, --data-root), which can be written to and locked.",
        ) from error
    try:
        if not stays:  # the others contain their holder's name
            with suppress(OSError):
                path.write_text(f"process {os.getpid()} on {platform.node()}\n", encoding="utf-8")
        yield
    finally:
        lock.release()


def has_flock(folder: Path) -> bool:
    """Tell whether the system can lock files of a folder."""
    with tempfile.TemporaryFile(dir=folder) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _NO_FLOCK
    return True


def _take(lock: BaseFileLock) -> bool:
    """Take a lock if it is free."""
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return False
    return True


def _wait(lock: BaseFileLock, path: Path, doing: str, remedy: str) -> None:
    start, said, taken = time.monotonic(), False, False
    with stoppable() as stop:
        while not (taken or stop.requested):
            if not said and time.monotonic() - start >= QUIET:
                line = f"Waiting for another process that is {doing} ({holder(path)})."
                say(f"{line} {remedy}".rstrip())
                said = True
            time.sleep(POLL)
            taken = _take(lock)
    if stop.requested:
        if taken:
            lock.release()
        raise KeyboardInterrupt


def is_held(path: Path) -> bool:
    """Tell whether a process holds a lock; without flock, whether the lock's file is there."""
    try:
        with path.open("rb+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError as error:
        return error.errno in _NO_FLOCK
    return False


def holder(path: Path) -> str:
    """Describe who holds a lock, and since when, as far as its file says."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace")[:400].splitlines()
        since = datetime.fromtimestamp(path.stat().st_mtime)
    except (OSError, ValueError, OverflowError):
        return "it has just ended, or does not say who it is"
    if len(lines) > 1:  # a process and its machine, as SoftFileLock writes them
        lines = [f"process {lines[0]} on {lines[1]}"]
    who = "".join(filter(str.isprintable, lines[0])) if lines else "it does not say who it is"
    return f"{who}, since {since:%Y-%m-%d %H:%M:%S}"
