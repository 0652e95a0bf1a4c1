"""Reading of YAML files that users write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from harness.common.errors import HarnessError, UsageError

SUFFIXES = (".yaml", ".yml")


def read_text(path: Path, what: str) -> str:
    """Read a file.

    Args:
        path: the file.
        what: what it should hold, in messages ("profile").

    Raises:
        HarnessError: there is no such file, or it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise HarnessError(f"There is no {what} {path.resolve()}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"The {what} {path} cannot be read: {error}") from error


def parse_keys(text: str, source: str, what: str) -> dict[str, Any]:
    """Read the keys of a YAML text.

    Args:
        text: the content of the file.
        source: name of the file, in messages.
        what: what it should hold, in messages.

    Raises:
        UsageError: it is no YAML, or holds no keys.
    """
    try:
        content = yaml.safe_load(text)
    except Exception as error:  # dates, `!!int x`, deep nesting: whatever Python's own types raise
        reason = str(error) or type(error).__name__
        raise UsageError(f"{source} is no YAML: {reason}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{source} is no {what}: it holds no keys.")
    return content
