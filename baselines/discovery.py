"""Discovery of parts: what is in a folder is found by itself."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any


def offered(package: ModuleType, name: str) -> Iterator[Any]:
    """Yield what the files of a package have under a name, such as `DECODERS`, by file name."""
    for file in pkgutil.iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{file.name}")
        if hasattr(module, name):
            yield getattr(module, name)
