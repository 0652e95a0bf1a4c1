"""Escaping of text from files, profiles and data, for terminals and documents."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

# Control characters but tabs and line feeds, marks that change the direction of writing, line ends
# that only some programs know, and bytes of file names that are not UTF-8.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_MARKDOWN = re.compile(
    r"[\\`*<>\[\]|$~]"  # code, emphasis, HTML, links, columns, mathematics
    r"|(?<!\w)_|_(?!\w)"  # DIV2K_valid stays as it is
    r"|&(?=#?\w+;)"
    r"|^#+(?=\s|$)"  # a heading
)
_FORMULA = re.compile(r"\s*[=+\-@](?![\d.]+( ?%)?$)")  # a number with its sign is none


def printable(text: str) -> str:
    r"""Make control characters in a text visible instead of effective.

    Example:
        >>> printable("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def in_a_line(value: Any) -> Any:
    """Make every text in a value, dataclass or collection `printable` and put it on one line."""
    if isinstance(value, str):
        return printable(value.replace("\n", " ").replace("\t", " "))
    if is_dataclass(value) and not isinstance(value, type):
        changed = {f.name: in_a_line(getattr(value, f.name)) for f in fields(value) if f.init}
        return replace(value, **changed)
    if isinstance(value, Mapping):
        return {in_a_line(key): in_a_line(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(in_a_line(item) for item in value)
    return value


def markdown(text: str) -> str:
    r"""Escape text for Markdown, also inside the entries of a table.

    Example:
        >>> print(markdown("# a|b <b> DIV2K_valid _c_"))
        \# a\|b \<b\> DIV2K_valid \_c\_
    """
    return _MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


def spreadsheet(text: str) -> str:
    """Escape text of a CSV file, so that no spreadsheet takes it for a formula.

    Example:
        >>> spreadsheet("=1+1"), spreadsheet("a=1"), spreadsheet("+0.26 %")
        ("'=1+1", 'a=1', '+0.26 %')
    """
    return f"'{text}" if _FORMULA.match(text) else text
