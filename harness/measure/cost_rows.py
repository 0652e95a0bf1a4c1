"""Measurements of latency and memory: append-only rows, one file for each cell.

A cell is a method with its weights, a scale and an LR size on a machine. Its file is named by a
hash of all that, so that the same network on another machine, device or number of threads is
another cell, and costs of different machines never meet in one file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import ConfigDict

from harness.common import checksums
from harness.common.errors import HarnessError
from harness.measure.machine import machine
from harness.measure.rows import CellFile

SCHEMA = 1
Kind = Literal["latency", "memory"]
OWN_MEMORY = "process, without files"
"""Kind of a peak on Linux; elsewhere `kind` of `harness.common.device.PeakMemory`."""

# Of `harness.measure.machine`: what must be the same for two costs to be compared.
_IDENTITY = ("cpu", "cores", "threads", "device", "system", "torch")


@dataclass(frozen=True)
class Cost:
    """Latency or peak memory of enlarging one image.

    Attributes:
        kind: "latency", `values` in seconds, one for each timed call, from the LR image to the SR
            image in memory; or "memory", one value in bytes.
        checkpoint: hash of the weights; "" where there are none.
        lr_height, lr_width: size of the LR image, in pixels.
        values: see `kind`.
        timing: identity shared by all rows whose calls were interleaved; "" for memory.
        first: seconds of the first call in the process, after which others are warm; 0 where it was
            not kept.
        reason: why there are no values, where measuring failed; such a cell is measured again.
        baseline_bytes: memory of the process before the network was loaded, when it had only
            imported; not included in the peak.
        memory_kind: kind of the peak, see `harness.measure.peak_memory`; "" for latency.
        machine: description from `harness.measure.machine`, including its load before the
            measurement.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    kind: Kind
    method: str
    seed: int
    checkpoint: str
    profile: str
    scale: float
    lr_height: int
    lr_width: int
    image: str
    precision: str
    memory_mib: int | None
    values: list[float]
    machine: dict[str, Any]
    timing: str = ""
    first: float = 0.0
    reason: str = ""
    baseline_bytes: int = 0
    memory_kind: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    measured_at: str = ""
    schema: int = SCHEMA


def identity(of: dict[str, Any]) -> dict[str, Any]:
    """Select the part of a machine's description that decides which costs may be compared."""
    return {key: of[key] for key in _IDENTITY}


def this_machine(device: torch.device) -> dict[str, Any]:
    """Return the `identity` of this machine with one of its devices."""
    return identity(machine(device))


@dataclass(frozen=True)
class CostId:
    """Identity of a cell of costs; `machine` is the machine's `identity`."""

    method: str
    seed: int
    checkpoint: str
    scale: float
    lr_size: tuple[int, int]
    image: str
    precision: str
    memory_mib: int | None
    machine: dict[str, Any]
    schema: int = SCHEMA

    @property
    def relative_path(self) -> Path:
        """Path of the cell's rows below the folder of costs."""
        key = checksums.fingerprint(asdict(self))
        return Path(f"x{self.scale:g}") / f"{self.method}.s{self.seed}.{key}.jsonl"


def costs_dir(results: Path, profile: str) -> Path:
    """Return the folder of a profile's costs, shared by its experiments."""
    return results / profile / "costs"


def stored_rows(file: CellFile) -> list[dict[str, Any]]:
    """Read the rows of a cell of costs, which say what they were measured on.

    Raises:
        HarnessError: a row is damaged, has neither numbers nor a reason why there are none, or is
            of another cell than the file's name says.
    """
    rows = file.rows()
    if not all(map(_is_sound, rows)):
        raise HarnessError(
            f"{file.path} is damaged: a row has no values and no reason, or no machine.",
            "Delete the file and run the experiment again.",
        )
    if not all(_is_of(row, file.path.name) for row in rows):
        raise HarnessError(
            f"{file.path} has costs of another cell, of other weights or of another machine.",
            "Delete the file and run the experiment again.",
        )
    return rows


def cell_of(row: Mapping[str, Any]) -> CostId:
    """Return the cell that a row belongs to."""
    own = {f.name: row[f.name] for f in fields(CostId) if f.name in row}
    size = (row["lr_height"], row["lr_width"])
    return CostId(**{**own, "lr_size": size, "machine": identity(row["machine"])})


def _is_of(row: Mapping[str, Any], name: str) -> bool:
    """Tell whether a row is of the cell that a file has its name from."""
    cells = [cell_of(row)]
    if cells[0].scale.is_integer():  # experiments have whole ones
        cells.append(replace(cells[0], scale=int(cells[0].scale)))
    return any(cell.relative_path.name == name for cell in cells)


def _is_sound(row: Mapping[str, Any]) -> bool:
    values, machine = row["values"], row["machine"]
    known = all(isinstance(machine.get(key), str | int) for key in _IDENTITY)
    numbers = [*values, *([] if machine.get("load") is None else [machine["load"]])]
    finite = all(isinstance(n, float | int) and math.isfinite(n) for n in numbers)
    return bool(values or row["reason"]) and known and finite


def latest(rows: list[dict[str, Any]], kind: Kind) -> dict[str, Any] | None:
    """Return the row that counts: the last of its kind (`--force` measures again and appends)."""
    return next((row for row in reversed(rows) if row["kind"] == kind), None)
