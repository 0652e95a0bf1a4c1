"""Discovery of parts: what is in a folder is found by itself."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any


def offered(package: ModuleType, *names: str) -> Iterator[Any]:
    """Yield what the files of a package have under some names, such as `DECODERS`, by file name."""
    for file in pkgutil.iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{file.name}")
        yield from (getattr(module, name) for name in names if hasattr(module, name))
