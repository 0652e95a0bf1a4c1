"""Reads the parity cases of `../shared/parity` and rebuilds their checkpoints."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from conftest import shared

AT_COORDINATES = [
    "liif-edsr-baseline",
    "liif-no-ensemble",
    "liif-no-unfold",
    "liif-no-cell",
    "liif-no-imnet-x2",
    "liif-rcan",
    "lte-edsr-baseline",
    "lte-swinir",
    "metasr-edsr-baseline",
    "lmliif-edsr-baseline",
    "lmliif-options",
    "lmlte-edsr-baseline",
]
FIXED_SCALE = [
    *("edsr-baseline-x2", "edsr-baseline-x3", "edsr-baseline-x4"),
    *("rdn-x2", "rdn-x3", "rdn-x4"),
    *("swinir-classical-x2", "swinir-classical-x4"),
    *("seemore-t-x2", "seemore-t-x4", "seemore-b-x2"),
]
MULTI_SCALE = ["igconv-edsr", "igconv-edsr-geo", "igconv-plus-edsr-small", "igconv-srformer"]
CASES = AT_COORDINATES + FIXED_SCALE + MULTI_SCALE
# Of networks that the harness does not have.
OPTIONAL = {"lte-fast-edsr-baseline"}


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


def folders() -> dict[str, str]:
    """The repository that each case's values come from."""
    paths = sorted(shared("parity").glob("*/spec.json"))
    return {path.parent.name: json.loads(path.read_text())["source"] for path in paths}


_FILES = tempfile.TemporaryDirectory()


@cache
def checkpoint(name: str) -> Path:
    """The case's checkpoint in the official layout; made once, not to be changed."""
    path = Path(_FILES.name) / f"{name}.pth"
    spec, arrays = _maker().load_case(str(shared("parity", name)))
    torch.save(_maker().build_checkpoint(spec, arrays), path)
    return path


def state_of(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The state dict in an official file, whatever its layout."""
    if "model" in content:
        return content["model"]["sd"]
    return content.get("params", content.get("params_ema", content))


def generate(shapes: Mapping[str, tuple[int, ...]], rules: list[tuple[str, float]]) -> Any:
    """A state dict by the cases' weights rule.

    Args:
        shapes: of each tensor.
        rules: (pattern, gain); 1.4 where none fits.
    """
    gains = {"default": 1.4, "rules": rules}
    rule = _maker().rule_v1
    return {k: torch.from_numpy(rule(k, shape, gains)) for k, shape in shapes.items()}
