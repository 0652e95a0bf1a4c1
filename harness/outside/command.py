"""A program of somebody else, run once for each image in a process of its own."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shlex
import shutil
import signal
import string
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from baselines.base import Request, Spent
from baselines.systems.bicubic import as_stored
from harness.common.errors import HarnessError, MethodError, UsageError
from harness.common.files import sha256
from harness.data.images import save_png
from harness.outside.images import read_sr
from harness.outside.methods import Outside, Values

PLACES = ("lr", "sr", "npy", "scale", "height", "width")
"""Places in braces that a command may have."""
MEMORY_KIND = "peak of the process"
_LARGEST_HASHED = 1 << 30
# Small, so that its own memory is not counted for the program's: what a process was before it
# becomes another program is in its peak. Seconds are those of the program alone.
_LAUNCHER = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
with open(sys.argv[2], "wb") as said:
    status = subprocess.call(sys.argv[3:], stdin=subprocess.DEVNULL, stdout=said, stderr=said)
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
peak *= 1 if sys.platform == "darwin" else 1024
with open(sys.argv[1], "w") as out:
    json.dump([status, seconds, peak], out)
"""


class CommandModel(Outside):
    """Program as a method; raises `MethodError` where it fails on an image.

    Args:
        command: words, with places in braces; see `read_command`.
        limit: seconds that an image may take.
        values: range of floating point values of `{npy}`; None for [0, 1].
    """

    made: Literal["here", "elsewhere", "stored"] = "elsewhere"

    def __init__(self, command: str, limit: float, values: Values | None = None) -> None:
        super().__init__()
        self.origin = f"the command {command}"
        self.words = read_command(command)
        self.limit = limit
        self.values = values
        self.before: tuple[Tensor, Tensor] | None = None

    @property
    def identity(self) -> str:
        """Text that changes with the command and with the files that it names."""
        digest = hashlib.sha256(repr((self.words, self.values)).encode())
        for path in (Path(part) for word in self.words for part in _paths(word)):
            with contextlib.suppress(OSError, ValueError):
                if path.is_file():
                    found = path.stat()
                    small = found.st_size <= _LARGEST_HASHED
                    known = sha256(path) if small else f"{found.st_size} {found.st_mtime_ns}"
                    digest.update(known.encode())
        return f"command-{digest.hexdigest()[:24]}"

    def whole(self, lr: Tensor, request: Request) -> tuple[Tensor, Spent | None]:
        """Run the program; see `Outside.whole`."""
        with tempfile.TemporaryDirectory(prefix="harness-") as name:
            folder = Path(name)
            save_png(as_stored(lr[0]), folder / "lr.png")
            places = {
                "lr": folder / "lr.png",
                "sr": folder / "sr.png",
                "npy": folder / "sr.npy",
                "scale": f"{request.scale:g}",
                "height": request.size[0],
                "width": request.size[1],
            }
            spent = self._run([_filled(word, places) for word in self.words], folder)
            made = folder / ("sr.npy" if any("{npy}" in word for word in self.words) else "sr.png")
            if not made.is_file():
                raise MethodError("the command ended well, but made no SR image")
            image = read_sr(made, self.values or "unit").pixels
        before = self.before
        fits = tuple(image.shape[-2:]) == request.size  # else that is what is wrong
        if before and fits and torch.equal(image, before[1]) and not torch.equal(lr, before[0]):
            raise MethodError("the SR image is that of the image before")
        self.before = (lr, image)
        return image, spent

    def _run(self, words: Sequence[str], folder: Path) -> Spent:
        """Run a command in a group of its own, which ends with it; MethodError where it fails."""
        result, said = folder / "result.json", folder / "said.txt"
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(result), str(said), *words]
        process = subprocess.Popen(
            launcher,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(self.limit)
        except subprocess.TimeoutExpired:
            raise MethodError(
                f"the command took longer than {self.limit:g} s{_last_words(said)}"
            ) from None
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        try:
            status, seconds, peak = json.loads(result.read_text())
        except (OSError, ValueError) as error:
            raise MethodError(f"the command could not be started{_last_words(said)}") from error
        if status != 0:
            ended = (
                f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
            )
            raise MethodError(f"the command {ended}{_last_words(said)}")
        return Spent(float(seconds), int(peak), MEMORY_KIND)


def _paths(word: str) -> Sequence[str]:
    """List what may be a path in a word: itself, and `net.pth` of `--weights=net.pth`."""
    return [word, word.partition("=")[2]] if word.startswith("-") and "=" in word else [word]


def _filled(word: str, places: Mapping[str, object]) -> str:
    for name, value in places.items():
        word = word.replace("{" + name + "}", str(value))
    return word


def _last_words(said: Path) -> str:
    """Return the last line of what a program printed, to follow a reason."""
    try:
        with said.open("rb") as file:
            file.seek(max(0, said.stat().st_size - 4000))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return ""
    return f": {lines[-1].strip()[:200]}" if lines else ""


def read_command(command: str) -> list[str]:
    """Read the words of a command, with `PLACES` in braces; no shell reads them.

    Raises:
        UsageError: the command lacks a place, or has an unknown one.
        HarnessError: there is no such program.
    """
    try:
        words = shlex.split(command)
        said = [place for word in words for _, place, *_ in string.Formatter().parse(word)]
    except ValueError as error:
        raise UsageError(f"--command '{command}' cannot be read: {error}.") from error
    named = [place for place in said if place is not None]
    unknown = [place for place in named if place not in PLACES]
    if unknown:
        known = ", ".join(f"{{{place}}}" for place in PLACES)
        raise UsageError(f"--command has the place {{{unknown[0]}}}; there are {known}.")
    if "lr" not in named or ("sr" in named) == ("npy" in named):
        raise UsageError(
            "--command needs {lr} and either {sr} (a PNG file) or {npy} (an array), as in "
            "'mysr --in {lr} --out {sr} --scale {scale}'."
        )
    program = shutil.which(words[0])
    if program is None:
        raise HarnessError(
            f"There is no program {words[0]}.", "Give its path, or install it, and try again."
        )
    return [program, *words[1:]]
