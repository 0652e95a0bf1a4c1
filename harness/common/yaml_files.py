"""Reading of YAML files that users write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from harness.common.errors import HarnessError, UsageError

SUFFIXES = (".yaml", ".yml")


def read_text(path: Path, what: str) -> str:
    """Read a file; `what` it should hold is for messages ("profile").

    Raises:
        HarnessError: there is no such file, or it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise HarnessError(f"There is no {what} {path.resolve()}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"The {what} {path} cannot be read: {error}") from error


class _Loader(yaml.SafeLoader):
    """Safe loader that refuses a key that stands twice, of which YAML's own keeps the last."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.YAMLError(f"it has the key {key.value} twice\n{key.start_mark}")
            seen |= {key.value} if isinstance(key, yaml.ScalarNode) else set()
        return node


def parse_keys(text: str, source: str, what: str) -> dict[str, Any]:
    """Read the keys of a YAML text; its file (`source`) and `what` it should hold are for messages.

    Raises:
        UsageError: it is no YAML, or holds no keys.
    """
    try:
        content = yaml.load(text, _Loader)  # a safe one
    except Exception as error:  # dates, `!!int x`, deep nesting: whatever Python's own types raise
        reason = str(error) or type(error).__name__
        raise UsageError(f"{source} is no YAML: {reason}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{source} is no {what}: it holds no keys.")
    return content


def key_problems(error: ValidationError, model: type[BaseModel], whole: str = "") -> list[str]:
    """Say what is wrong in keys that pydantic refused; an unknown one comes with the nearest.

    Args:
        error: all that is wrong.
        model: model that refused them; its fields may be models.
        whole: name of the whole in messages that are of no key; "" for none.
    """
    from baselines.registry import unknown  # imports torch: not for every file

    found = []
    for each in error.errors():
        place = ".".join(map(str, each["loc"])) or whole
        said = each["msg"].removeprefix("Value error, ")
        if each["type"] == "extra_forbidden":
            *sections, key = map(str, each["loc"])
            place = ".".join(sections)
            said = unknown("key", key, _keys(model, sections))
        found.append(f"{place}: {said}" if place else said)
    return found


def _keys(model: type[BaseModel], sections: Iterable[str]) -> list[str]:
    """List the keys of a section, of a model in a model or in a mapping or sequence of them."""
    for section in sections:
        if section in model.model_fields:
            model = next(_models(model.model_fields[section].annotation), model)
    return list(model.model_fields)


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Find the models in a type: in `Section | None`, or `dict[str, tuple[Section, ...]]`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _models(part)
