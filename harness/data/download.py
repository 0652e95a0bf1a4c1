"""Downloads that continue after a lost connection or Ctrl-C (pooch starts over)."""

from __future__ import annotations

from pathlib import Path
from time import sleep

import requests
import urllib3

from harness.common.errors import HarnessError
from harness.common.progress import bar, say

PATIENCE = 4
_TIMEOUT = (20, 60)  # seconds to connect, and between two pieces
_CHUNK = 2**16  # what a cut may lose: urllib3 drops a piece that did not come whole
_MIB = 2**20
_PASSING = {408, 425, 429, 500, 502, 503, 504}
MIRROR_HINT = (
    "Check the network; what has come so far is kept. If the site is gone, get the file elsewhere "
    "and name its folder or URL with --mirror; it is used only if its hash is the published one."
)


def download(url: str, part: Path, size: int) -> None:
    """Fetch the missing bytes of a file, until `PATIENCE` attempts in a row brought nothing new.

    The pieces may come from different versions of the file, so the caller must compare the hash.

    Raises:
        HarnessError: the server refuses, is unreachable, or has a file of another size.
        OSError: the disk is full.
    """
    part.touch()
    have = furthest = part.stat().st_size
    fruitless = 0
    while have != size:
        trouble = "the connection was cut"
        try:
            _receive(url, part, have if have < size else 0, size)
        except requests.exceptions.InvalidURL as error:
            raise HarnessError(f"{url} is no address: {error}.", MIRROR_HINT) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            cause: BaseException = error
            while cause.__context__:  # requests wraps urllib3, which wraps the system's error
                cause = cause.__context__
            trouble = str(cause) or type(cause).__name__
        have = part.stat().st_size
        fruitless = 0 if have > furthest else fruitless + 1
        furthest = max(furthest, have)
        if fruitless >= PATIENCE:
            raise HarnessError(f"{url} cannot be downloaded: {trouble}.", MIRROR_HINT)
        if have != size:
            say(f"{trouble}; trying again at {have / _MIB:.1f} MiB")
            sleep(2.0**fruitless)


def _receive(url: str, part: Path, start: int, size: int) -> None:
    """Append the bytes of one connection; a server without ranges sends the whole file."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        answer = f"the server answers {response.status_code} {response.reason}"
        if response.status_code in _PASSING:
            raise requests.HTTPError(answer)
        if response.status_code not in (200, 206, 416):
            raise HarnessError(f"{url}: {answer}", MIRROR_HINT)
        goes_on = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
        if not (start and goes_on):
            start = 0
            part.write_bytes(b"")
        if response.status_code != 200 and not goes_on:
            raise requests.HTTPError("the server has no such range of the file")
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and start + int(announced) != size:
            part.unlink()
            raise HarnessError(
                f"{url} has {start + int(announced)} bytes, the published file {size}.",
                f"The site may have another version, or a page in its place. {MIRROR_HINT}",
            )
        label = f"{part.stem} (MiB)"
        with bar(label, -(-size // _MIB), start // _MIB) as progress, part.open("ab") as file:
            for chunk in response.raw.stream(_CHUNK, decode_content=False):
                file.write(chunk[: size - file.tell()])
                progress.advance(file.tell() // _MIB - progress.done)
                if file.tell() == size:  # the hash decides about a file that goes on
                    return
