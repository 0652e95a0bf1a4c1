"""Files of `torch.save`, checked before PyTorch reads them.

PyTorch ignores the checksums that it writes, and allocates whatever size a file asks for. Here
nothing in a file is executed or decompressed, every record must have its checksum, and reading
takes no more memory than the file has bytes.
"""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.files import replacing

_ZIP = b"PK\x03\x04"
_PICKLES_OF_OLD_FILES = 5  # magic number, version, system, content, keys of what follows
_KINDS = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
# What checkpoints are made of. PyTorch's own list has constructors that take a size as well.
_KNOWN = frozenset(
    (
        *("collections OrderedDict", "collections Counter", "__builtin__ set", "builtins set"),
        *("torch Size", "torch device"),
        *("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2"),
        "torch._utils _rebuild_parameter",
        *(f"torch {kind}Storage" for kind in _KINDS),
    )
)
_FOLDER = 0x10  # what MS-DOS calls one: PyTorch reads nothing of such a record, and says nothing
_DEEPEST = 32
_MOST = 1_000_000  # values in a file; a network with its optimiser has some ten thousand


def write_torch(path: Path, content: object) -> None:
    """Write a file; the old one stays until the new one is complete."""
    buffer = io.BytesIO()  # torch.save hides what the file system says behind a RuntimeError
    torch.save(content, buffer)
    with replacing(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def read_torch(path: Path) -> tuple[Any, bool]:
    """Read the content of a `torch.save` file, on the CPU.

    Returns:
        The content, and whether checksums cover it: PyTorch before 1.6 wrote none.

    Raises:
        HarnessError: there is no file, it is damaged or compressed, or it holds something else than
            tensors and plain values.
    """
    if not path.is_file():
        raise HarnessError(f"There is no checkpoint {path}.", "Check the path.")
    try:
        with path.open("rb") as file:
            zipped = file.read(len(_ZIP)) == _ZIP
            content = _of_zip(file, path) if zipped else _of_old(file, path)
            _check_sizes(content, path.stat().st_size, contiguous=not zipped)
    except HarnessError:
        raise
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except Exception as error:  # damaged pickles raise anything: IndexError, AttributeError, ...
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise HarnessError(
            f"{path} cannot be read as a checkpoint: {reason}",
            "It may be truncated or damaged; copy or train it again.",
        ) from error
    return content, zipped


def _of_zip(file: IO[bytes], path: Path) -> Any:
    with zipfile.ZipFile(file) as archive:
        records = archive.infolist()
        _check_records(records, path)
        damaged = archive.testzip()
        if damaged is not None:
            raise _damaged(path, damaged)
        folder = records[0].filename.partition("/")[0]  # as PyTorch finds it
        _check_named(archive.read(f"{folder}/data.pkl"), path)
    content, sizes = _loaded(file)
    data = re.compile(rf"{re.escape(folder)}/data/[^/]+")
    names = [r.filename for r in records if data.fullmatch(r.filename)]
    # PyTorch writes them in the order of their numbers, or of the letters in these; checksums say
    # nothing about names.
    if names not in (sorted(names), sorted(names, key=lambda name: (len(name), name))):
        raise _damaged(path, "its records are out of order")
    stored = [r.file_size for r in records if data.fullmatch(r.filename) and r.file_size]
    if sorted(stored) != sorted(size for size in sizes if size):
        raise _damaged(path, "its records are not as large as it says")
    return content


def _check_records(records: list[zipfile.ZipInfo], path: Path) -> None:
    """Refuse what PyTorch and Python's reader of zip files could interpret differently."""
    names = {record.filename.lower() for record in records}
    if not records or len(names) < len(records) or min(r.header_offset for r in records):
        raise _damaged(path, "its directory")
    if any(record.external_attr & _FOLDER for record in records):
        raise _damaged(path, "its directory has a folder")
    if any(
        r.compress_type != zipfile.ZIP_STORED or r.compress_size != r.file_size for r in records
    ):
        raise HarnessError(
            f"{path} is compressed, which no file of torch.save is.",
            "Load and save it with PyTorch where you trust it.",
        )
    if sum(record.file_size for record in records) > path.stat().st_size:
        raise _damaged(path, "its records lie one over another")


def _of_old(file: IO[bytes], path: Path) -> Any:
    """Read a file of PyTorch before 1.6: no checksums, but every byte has its place."""
    file.seek(0)
    keys: list[str] = []
    for _ in range(_PICKLES_OF_OLD_FILES):
        keys = _check_named(file, path)
    content, sizes = _loaded(file)
    if file.tell() != path.stat().st_size or not len(set(keys)) == len(keys) == len(sizes):
        raise _damaged(path, "it does not end where its weights do")
    return content


def _loaded(file: IO[bytes]) -> tuple[Any, list[int]]:
    """Return the content, and the bytes of each storage in it."""
    sizes: list[int] = []

    def on_cpu(storage: Any, place: str) -> Any:
        del place
        sizes.append(storage.nbytes())
        return storage

    file.seek(0)
    return torch.load(file, map_location=on_cpu, weights_only=True), sizes


def _check_named(pickled: bytes | IO[bytes], path: Path) -> list[str]:
    """Refuse a pickle that names anything that tensors do not need; returns its strings."""
    strings = []
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and argument not in _KNOWN:
            raise _refused(path, f"GLOBAL {str(argument).replace(' ', '.')}")
        if isinstance(argument, str):
            strings.append(argument)
    return strings


def _check_sizes(content: Any, size: int, contiguous: bool) -> None:
    """Refuse tensors that are larger than their stored values (ValueError)."""
    total = 0
    for number, value in enumerate(_values(content)):
        if number > _MOST:
            raise ValueError("it holds too many values")
        if not isinstance(value, Tensor):
            continue
        own = value.numel() * value.element_size()
        total += own
        if own > value.untyped_storage().nbytes() or (contiguous and not value.is_contiguous()):
            raise ValueError(f"a tensor of shape {tuple(value.shape)} is not stored as a whole")
    if total > 2 * size:  # two names may share what is stored
        raise ValueError(f"its tensors are {total:,} bytes large, the file {size:,}")


def _values(value: Any, depth: int = 0) -> Iterator[Any]:
    """Yield a value and all in it, once for each way to reach them."""
    if depth == _DEEPEST:
        raise ValueError("its values lie too deep")
    yield value
    inner: Iterable[Any] = value if isinstance(value, list | tuple | set) else ()
    if isinstance(value, Mapping):
        inner = (*value.keys(), *value.values())
    for each in inner:
        yield from _values(each, depth + 1)


def _refused(path: Path, message: str) -> HarnessError:
    """Make the error for refused content, without PyTorch's advice on how to load it anyway."""
    found = re.search(r"(?:GLOBAL|Unsupported class) (\S+)", message)
    named = f" (it names {found[1].rstrip(',.')})" if found else ""
    return HarnessError(
        f"{path} holds more than tensors and plain values, or is no checkpoint; nothing of it "
        f"was executed{named}.",
        "Save its state dict alone, with tensors and plain values.",
    )


def _damaged(path: Path, what: str) -> HarnessError:
    return HarnessError(f"{path} is damaged ({what}).", "Copy or train it again.")
