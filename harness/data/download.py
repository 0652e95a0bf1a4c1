"""Downloads that go on where a cut connection or Ctrl-C left them."""

from __future__ import annotations

import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from time import sleep
from typing import Any

import requests
import urllib3

from harness.errors import HarnessError
from harness.files import write_text
from harness.progress import bar, say

PATIENCE = 4
_TIMEOUT = (20, 60)  # seconds to connect, and between two pieces
_CHUNK = 2**16  # what a cut may lose: urllib3 drops a piece that did not come whole
_MIB = 2**20
_SLOW_TO_HASH = 200 * _MIB
_PASSING = {408, 425, 429, 500, 502, 503, 504}
MIRROR_HINT = (
    "Check the network; what has come so far is kept. If the site is gone, get the file elsewhere "
    "and name its folder or URL with --mirror; it is used only if its hash is the published one."
)


class _CutError(Exception):
    """The connection failed in a way that may pass."""


class _PartFile:
    """What has come so far, and the server's name for that version of the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._about = path.with_name(path.name + ".json")

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self.path.stat().st_size if self.path.exists() else 0

    @property
    def validator(self) -> str:
        """ETag or date of the version; "" if the server gave none."""
        try:
            return str(json.loads(self._about.read_text(encoding="utf-8"))["validator"])
        except (OSError, ValueError, KeyError, TypeError):
            return ""

    def start(self, validator: str) -> None:
        """Begin anew with a version of the file."""
        self.drop()
        write_text(self._about, json.dumps({"validator": validator}))

    def drop(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def finish(self, target: Path) -> None:
        """Move the whole file away."""
        self.path.replace(target)
        self._about.unlink(missing_ok=True)


@dataclass
class ResumingDownloader:
    """A downloader for pooch; pooch compares the hash afterwards.

    A cut connection is taken up again by a range request, several times in this process and by
    the next one as well. A server that cannot do ranges, or whose file has changed meanwhile,
    makes it start over. It gives up after `PATIENCE` attempts that brought nothing new.

    Attributes:
        part: file that keeps what has come.
        size: published size in bytes; a server that announces another one is refused at once.
    """

    part: Path
    size: int

    def __call__(
        self, url: str, output: Any, pooch: Any = None, *, check_only: bool | None = None
    ) -> None:
        """Download `url` to the path `output`.

        Raises:
            HarnessError: the server refuses, stays away, or the disk is full.
        """
        del pooch, check_only
        part = _PartFile(self.part)
        furthest, fruitless = part.size, 0
        while True:
            try:
                self._attempt(url, part)
                break
            except _CutError as cut:
                fruitless = 0 if part.size > furthest else fruitless + 1
                furthest = max(furthest, part.size)
                if fruitless >= PATIENCE:
                    raise HarnessError(f"{url} cannot be downloaded: {cut}.", MIRROR_HINT) from cut
                say(f"{cut}; trying again at {part.size / _MIB:.1f} MiB")
                sleep(2.0**fruitless)
        if self.size > _SLOW_TO_HASH:
            say(f"checking the hash of {self.part.name.removesuffix('.part')}")
        part.finish(Path(output))

    def _attempt(self, url: str, part: _PartFile) -> None:
        """Get what is missing over one connection."""
        offset, validator = part.size, part.validator
        if offset == self.size:
            return
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if validator:
                headers["If-Range"] = validator
        try:
            with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
                self._check_status(url, response)
                if not self._goes_on(response, part):
                    part.start(_validator(response))
                self._check_size(url, response, part)
                self._receive(response, part)
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise HarnessError(f"{url} is no address: {error}", MIRROR_HINT) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise _CutError(f"the connection failed ({_reason(error)})") from error

    def _check_status(self, url: str, response: requests.Response) -> None:
        status = response.status_code
        if status in _PASSING:
            raise _CutError(f"the server answers {status} {response.reason}")
        if status not in (200, 206, 416):
            raise HarnessError(f"{url}: the server answers {status} {response.reason}", MIRROR_HINT)

    def _goes_on(self, response: requests.Response, part: _PartFile) -> bool:
        """Whether the answer begins where the part ends; False if it is the file from its start.

        Raises:
            _CutError: when it is neither; the part is dropped.
        """
        if response.status_code == 200:
            return False
        said = response.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", said.strip())
        if found and int(found[1]) == part.size and _validator(response) in ("", part.validator):
            return True
        part.drop()
        raise _CutError("the server has no such range of the file")

    def _check_size(self, url: str, response: requests.Response, part: _PartFile) -> None:
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) + part.size != self.size:
            found = int(announced) + part.size
            part.drop()
            raise HarnessError(
                f"{url} has {found} bytes, the published file {self.size}.",
                "The site may have another version, or a page of its own in its place. "
                + MIRROR_HINT,
            )

    def _receive(self, response: requests.Response, part: _PartFile) -> None:
        """Append the body to the part."""
        done = part.size // _MIB
        label = f"{self.part.name.removesuffix('.part')} (MiB)"
        total = -(-self.size // _MIB)
        # Unbuffered: closing must not try once more to write what a full disk refused.
        with bar(label, total, done) as progress, part.path.open("ab", buffering=0) as file:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                _append(file, chunk, part.path)
                whole = file.tell() // _MIB
                if whole > progress.done:
                    progress.advance(whole - progress.done)
                if file.tell() > self.size:
                    raise _too_long(part)
        if part.size < self.size:
            raise _CutError("the connection was cut")


def _too_long(part: _PartFile) -> HarnessError:
    part.drop()
    return HarnessError("The server sends more than the published file has.", MIRROR_HINT)


def _append(file: io.FileIO, chunk: bytes, path: Path) -> None:
    left = memoryview(chunk)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as error:
        raise HarnessError(
            f"Cannot write {path}: {error.strerror or error}",
            "Free some space; what has come so far is kept.",
        ) from error


def _validator(response: requests.Response) -> str:
    """A strong ETag, or else the date; a weak ETag does not promise the same bytes."""
    etag = response.headers.get("ETag", "")
    strong = bool(etag) and not etag.startswith("W/")
    return etag if strong else response.headers.get("Last-Modified", "")


def _reason(error: Exception) -> str:
    """The innermost cause in a few words: requests wraps urllib3, which wraps the system's."""
    while error.__cause__ or error.__context__:
        cause = error.__cause__ or error.__context__
        if not isinstance(cause, Exception):
            break
        error = cause
    return str(error) or type(error).__name__
