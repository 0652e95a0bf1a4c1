"""JSON objects with a checksum, so that damage is found even where the file still parses.

Files of versions that wrote no checksums are read as they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from harness.common.errors import first_problem

T = TypeVar("T")

# `__pydantic_config__` of stored dataclasses: no value is converted, no key is passed over.
STORED = ConfigDict(strict=True, extra="forbid")


class Stored:
    """Base of dataclasses that are stored as JSON and loaded by `load`."""

    __pydantic_config__: ClassVar[ConfigDict] = STORED


_KEY = "checksum"
_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


class NewerError(ValueError):
    """Error for content of a newer harness version, where the same names may mean other things."""


def checksum(content: Any, digits: int = 16) -> str:
    """Compute hexadecimal digits of what JSON can hold, whatever its layout and order.

    Example:
        >>> checksum({"psnr": 30.5, "seed": 0})
        '012a4e491048b035'
    """
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:digits]


def fingerprint(content: Any) -> str:
    """Compute the ten hexadecimal digits that stand for all of some content in names of files."""
    return checksum(content, digits=10)


def with_checksum(content: Mapping[str, Any]) -> dict[str, Any]:
    """Add the checksum to content that is to be written as JSON."""
    return {**content, _KEY: checksum(content)}


def parse(text: bytes | str, required: bool = False) -> dict[str, Any]:
    """Parse a JSON object, compare its checksum if there is one, and return it without.

    `required`: an object without a checksum is damaged, too; early files have none.

    Raises:
        ValueError: the text is no JSON object, or does not match its checksum.
    """
    try:
        content = json.loads(text)
        if not isinstance(content, dict):
            raise ValueError("it is no JSON object")
        found = content.pop(_KEY, None)
        if (found is not None or required) and found != checksum(content):
            raise ValueError("its values are not those that were written (wrong checksum)")
    except RecursionError as error:  # of reading it, or of writing it again
        raise ValueError("it is nested too deeply") from error
    return content


def load(text: bytes | str, kind: type[T], schema: int) -> T:
    """Load a stored dataclass with the configuration `STORED` from JSON.

    Where it has one, `kind.upgrade` turns the content of an older schema into that of its own.

    Raises:
        NewerError: the content has a newer schema; says which version wrote it, where known.
        ValueError: the content is damaged; says where.
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
    upgrade = getattr(kind, "upgrade", None)
    try:
        content = content if upgrade is None else upgrade(content)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{error} is missing or of another kind") from error
    try:
        adapter = _ADAPTERS.get(kind) or _ADAPTERS.setdefault(kind, TypeAdapter(kind))
        found: T = adapter.validate_json(json.dumps(content))
    except ValidationError as error:
        raise ValueError(first_problem(error)) from error
    return found
