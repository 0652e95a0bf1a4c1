"""JSON objects with a checksum: damage that leaves them readable is found, and never a number.

Files of versions that wrote no checksums are read as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

T = TypeVar("T")

# `__pydantic_config__` of stored dataclasses: no value is converted, no key is passed over.
STORED = ConfigDict(strict=True, extra="forbid")
_KEY = "checksum"
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


class NewerError(ValueError):
    """Content of a newer version of the harness, which may mean other things by the same names."""


def checksum(content: Mapping[str, Any]) -> str:
    """Sixteen hexadecimal digits of a JSON object, whatever its layout and order.

    Example:
        >>> checksum({"psnr": 30.5, "seed": 0})
        '012a4e491048b035'
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content with its checksum, to be written as JSON."""
    return {**content, _KEY: checksum(content)}


def parse(text: bytes | str) -> dict[str, Any]:
    """A JSON object without its checksum, which is compared where there is one.

    Raises:
        ValueError: no JSON object, or another one than was written.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        if content.pop(_KEY, None) not in (None, checksum(content)):
            raise ValueError("its values are not those that were written (wrong checksum)")
    except RecursionError as error:  # of reading it, or of writing it again
        raise ValueError("it is nested too deeply") from error
    return content


def load(text: bytes | str, kind: type[T], schema: int) -> T:
    """A stored dataclass with the configuration `STORED`.

    Args:
        text: JSON.
        kind: the dataclass.
        schema: the newest that this version knows.

    Raises:
        NewerError: content of a newer schema; says which version wrote it, where that is known.
        ValueError: damaged content; says where.
    """
    content = parse(text)
    written = content.get("schema", schema)
    if isinstance(written, int) and written > schema:
        by = content.get("versions")
        version = by.get("harness") if isinstance(by, dict) else None
        raise NewerError(
            f"it was written by {f'version {version}' if version else 'a newer version'} of "
            f"moeisr-harness, in schema {written}; this version knows schemas up to {schema}"
        )
    try:
        adapter = _ADAPTERS.get(kind) or _ADAPTERS.setdefault(kind, TypeAdapter(kind))
        found: T = adapter.validate_json(json.dumps(content))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "it"
        raise ValueError(f"{where}: {first['msg']}") from error
    return found
