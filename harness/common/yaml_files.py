"""Reading of YAML files that users write."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from baselines.registry import unknown
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


def key_problems(error: ValidationError, known: Iterable[str], whole: str = "") -> list[str]:
    """Say what is wrong in keys that pydantic refused; an unknown one comes with the nearest.

    Args:
        error: all that is wrong.
        known: keys that there are.
        whole: name of the whole in messages that are of no key; "" for none.
    """
    found = []
    for each in error.errors():
        key = ".".join(map(str, each["loc"])) or whole
        if each["type"] == "extra_forbidden":
            found.append(unknown("key", key, known))
        else:
            said = each["msg"].removeprefix("Value error, ")
            found.append(f"{key}: {said}" if key else said)
    return found
