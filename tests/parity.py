"""What the official code answered, and the checkpoints that it answered with.

The cases lie in `fixtures/parity`; its README says how they were made. `../shared/parity` has the
same networks with other images, and is compared as well where it is there.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
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

RECORDED = Path(__file__).parent / "fixtures" / "parity"
SOURCES = ("tests/fixtures", "../shared")


@dataclass(frozen=True)
class Case:
    """One network, its input and what the official code answered."""

    spec: dict[str, Any]
    arrays: dict[str, torch.Tensor]

    def part(self, found: torch.Tensor, name: str) -> torch.Tensor:
        """The numbers of an array that are recorded: all of them, or every n-th."""
        every = self.spec.get("strides", {}).get(name)
        return found if every is None else found.flatten()[::every]


def load_case(name: str, source: str = SOURCES[0]) -> Case:
    """A case of one of the `SOURCES`; skips the test where `../shared` is absent."""
    if source == SOURCES[0]:
        file = RECORDED / f"{name}.npz"
        with zipfile.ZipFile(file) as content:
            spec = json.loads(content.read("spec.json"))
    else:
        spec = json.loads(shared("parity", name, "spec.json").read_text())
        file = shared("parity", name, "arrays.npz")
    with np.load(file) as arrays:
        names = [key for key in arrays.files if key != "spec.json"]
        return Case(spec, {key: torch.from_numpy(arrays[key]) for key in names})


_FILES = tempfile.TemporaryDirectory()


@cache
def checkpoint(name: str) -> Path:
    """The case's checkpoint in the official layout; made once, not to be changed."""
    case = load_case(name)
    constructed = {b["name"]: b for b in case.spec["constructed_buffers"]}
    state = {}
    for key, shape, _ in case.spec["state_dict"]:
        if key in constructed:
            state[key] = case.arrays[constructed[key]["stored_as"]].reshape(shape).clone()
        else:
            state[key] = drawn(key, shape, case.spec["gains"])
    made = [value.double() for key, value in state.items() if key not in constructed]
    expected = case.spec["weights_check"]
    squares = expected["sum_of_squares"]
    assert math.isclose(sum(v.sum().item() for v in made), expected["sum"], abs_tol=1e-5 * squares)
    assert math.isclose(sum(v.square().sum().item() for v in made), squares, rel_tol=1e-6)

    model, layout = case.spec["model"], case.spec["checkpoint"]
    if layout["layout"] == "model-sd":
        content: dict[str, Any] = {"model": {**model, "sd": state}, "epoch": 1000}
    else:
        content = {layout["key"]: state}
    path = Path(_FILES.name) / f"{name}.pth"
    torch.save(content, path)
    return path


def state_of(content: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The state dict in an official file, whatever its layout."""
    if "model" in content:
        return content["model"]["sd"]
    return content.get("params", content.get("params_ema", content))


def drawn(name: str, shape: tuple[int, ...], gains: Mapping[str, Any]) -> torch.Tensor:
    """The weights of a tensor by its name, shape and gain alone: rule v1 of the cases.

    Args:
        name: which seeds the standard normal numbers.
        shape: of two or more axes: weights, scaled by their fan-in; else norms and biases.
        gains: `rules`, pairs of a pattern and the gain of the names it is found in, and `default`.
    """
    z = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).standard_normal(shape)
    if len(shape) > 1:
        fitting = (gain for pattern, gain in gains["rules"] if re.search(pattern, name))
        z = z * (next(fitting, gains["default"]) / math.sqrt(math.prod(shape[1:])))
    else:
        z = 0.05 * z + (name.rsplit(".", maxsplit=1)[-1] == "weight")
    return torch.from_numpy(z.astype(np.float32))


def generate(
    shapes: Mapping[str, tuple[int, ...]], rules: list[tuple[str, float]]
) -> dict[str, torch.Tensor]:
    """A state dict by the cases' weights rule.

    Args:
        shapes: of each tensor.
        rules: (pattern, gain); 1.4 where none fits.
    """
    gains = {"default": 1.4, "rules": rules}
    return {name: drawn(name, shape, gains) for name, shape in shapes.items()}
