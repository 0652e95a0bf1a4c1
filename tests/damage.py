"""Random damage to files and to what is pickled in them; the same for the same seed."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch

from harness.checkpoints.store import FORMAT, VALUES, values_hash

# What a field is replaced by: every kind that a checkpoint can hold, and values that hurt.
OTHERS: list[Callable[[], Any]] = [
    lambda: None,
    lambda: True,
    lambda: -1,
    lambda: 0,
    lambda: 10**9,
    lambda: 2**70,
    lambda: 0.5,
    lambda: float("nan"),
    lambda: "",
    lambda: "../../victim",
    lambda: "/tmp/victim",
    lambda: "text\x1b[31m\n",
    lambda: [],
    lambda: [1, "a", None],
    lambda: {},
    lambda: {"a": 1},
    lambda: {1: {2: 3}},
    lambda: torch.zeros(()),
    lambda: torch.full((3, 2), 1e39, dtype=torch.float64),
    lambda: torch.zeros(1).expand(5000, 1000),
    lambda: torch.zeros(0, 1 << 40),
]


def bytes_damaged(whole: bytes, rng: random.Random) -> bytes:
    """Bits flipped, a part cut off, blanked, repeated or swapped, or bytes added at the end."""
    data, size = bytearray(whole), len(whole)
    # Half of the damage goes into the first kilobytes, where the pickled structure lies.
    start = rng.randrange(min(size, 4000) if rng.random() < 0.5 else size)
    length = rng.choice([1, 2, 8, 64, 1000])
    match rng.randrange(7):
        case 0:
            data[start] ^= 1 << rng.randrange(8)
        case 1:
            data[start] = rng.randrange(256)
        case 2:
            del data[start:]
        case 3:
            data[start : start + length] = bytes(len(data[start : start + length]))
        case 4:
            del data[start : start + length]
        case 5:
            other = rng.randrange(size)
            data[start], data[other] = data[other], data[start]
        case 6:
            data += data[start : start + length]
    return bytes(data)


def fields(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every entry of nested dictionaries and lists."""
    entries = ()
    if isinstance(content, Mapping):
        entries = content.items()
    elif isinstance(content, list):
        entries = enumerate(content)
    for key, value in entries:
        yield (*path, key)
        yield from fields(value, (*path, key))


def fields_damaged(content: Any, rng: random.Random) -> tuple[Any, str]:
    """A copy with one entry removed, added or replaced; and what was done, in words."""
    copy = _copied(content)
    path = rng.choice(list(fields(copy)))
    # Most entries are weights; those higher up are as likely as all of them.
    while len(path) > 1 and rng.random() < 0.5:
        path = path[:-1]
    inside = copy
    for key in path[:-1]:
        inside = inside[key]
    what, other = rng.randrange(4), rng.choice(OTHERS)()
    if what == 0:
        del inside[path[-1]]
        return copy, f"{path} removed"
    if what == 1 and isinstance(inside, dict):
        inside[rng.choice(["added", "name", 7, ("a", 1)])] = other
        return copy, f"{other!r:.40} added beside {path}"
    inside[path[-1]] = other
    return copy, f"{path} is {other!r:.40}"


def _copied(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {key: _copied(value) for key, value in content.items()}
    return [_copied(v) for v in content] if isinstance(content, list) else content


def saved(content: Any, old: bool = False) -> bytes:
    """The bytes of `torch.save`, in today's format or in that of PyTorch before 1.6."""
    buffer = io.BytesIO()
    if isinstance(content, dict) and content.get("format") == FORMAT:
        content = {**content, VALUES: values_hash(content)}
    torch.save(content, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


def zipped_anew(whole: bytes, changes: Mapping[str, bytes] | None = None, kind: int = 0) -> bytes:
    """The same records with right checksums, some changed (by the end of their names)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(buffer, "w", kind) as new:
        for record in old.infolist():
            ending = record.filename.partition("/")[2]
            new.writestr(record.filename, (changes or {}).get(ending, old.read(record)))
    return buffer.getvalue()
