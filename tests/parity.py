"""Reads the parity cases of `../shared/parity` and rebuilds their checkpoints."""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from conftest import shared


@cache
def _maker() -> ModuleType:
    path = shared("parity", "make_checkpoint.py")
    spec = importlib.util.spec_from_file_location("make_checkpoint", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def load_case(name: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Specification and arrays of a case."""
    folder = shared("parity", name)
    spec = json.loads((folder / "spec.json").read_text())
    with np.load(folder / "arrays.npz") as arrays:
        return spec, {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def write_checkpoint(name: str, path: Path) -> Path:
    """The case's checkpoint in the official layout."""
    spec, arrays = _maker().load_case(str(shared("parity", name)))
    torch.save(_maker().build_checkpoint(spec, arrays), path)
    return path
