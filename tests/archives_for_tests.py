"""Small archives in the layout of the published ones, and a web server with faults."""

from __future__ import annotations

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from PIL import Image

from harness.data.sets.base import Archive

SET5 = ("baby", "bird", "butterfly", "head", "woman")
HR, X2 = "benchmark/Set5/HR", "benchmark/Set5/LR_bicubic/X2"


def png(height: int, width: int, seed: int = 0) -> bytes:
    """A PNG file of noise, which does not compress."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, format="PNG")
    return buffer.getvalue()


def set5_files() -> dict[str, bytes]:
    """HR images and LR images at x2, with what else lies in such archives."""
    files = {f"{HR}/{name}.png": png(40, 36, seed) for seed, name in enumerate(SET5)}
    files |= {f"{X2}/{name}x2.png": png(20, 18, 9 + seed) for seed, name in enumerate(SET5)}
    return {**files, f"{HR}/._baby.png": b"x", f"{HR}/Thumbs.db": b"x", "benchmark/README": b"x"}


def write_tar(path: Path, files: Mapping[str, bytes], *special: tarfile.TarInfo) -> Path:
    """A tar file; `special` are entries without content."""
    with tarfile.open(path, "w:gz" if path.suffix == ".tgz" else "w") as archive:
        for info in special:
            archive.addfile(info)
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    """A zip file."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def archive_of(path: Path, url: str = "http://127.0.0.1:9") -> Archive:
    """What the harness would know of a file that holds `set5_files`."""
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    folders = {X2: (X2,), HR: (HR,)}
    return Archive(f"{url}/{path.name}", len(content), digest, "a test", folders)


@dataclass
class Server:
    """A web server with one file, and faults.

    Attributes:
        content: of the file.
        ranges: whether it can do ranges.
        cuts: bytes after which the next connections end; used up one by one.
        statuses: error statuses of the next answers; used up one by one.
        skew: how far from the wanted place a range begins.
        announces: whether it says how long its answer is.
        asked: the Range header of every request.
    """

    content: bytes
    url: str = ""
    ranges: bool = True
    skew: int = 0
    announces: bool = True
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range")
        self.asked.append(wanted)
        if self.statuses:
            request.send_error(self.statuses.pop(0))
            return
        partial = wanted is not None and self.ranges
        start = int(wanted[6:-1]) + self.skew if wanted and partial else 0
        body, total = self.content[start:], len(self.content)
        request.send_response(206 if partial else 200)
        if partial:
            request.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if self.announces:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@contextmanager
def serving(content: bytes) -> Iterator[Server]:
    """A server on this machine."""
    server = Server(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{web.server_port}"
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
