"""Latency and peak memory as metrics of ordinary rows.

The benchmark of such a row is one photograph at an LR size, and its unit has the machine in its
name: costs of another machine, device, number of threads, precision or LR size are another unit,
and never meet in one file.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from harness.data.degrade import pil_resize
from harness.data.sets import Dataset, embedded
from harness.data.sets.base import memory_item
from harness.measure.machine import machine
from harness.measure.macs import COSTS
from harness.measure.rows import no_value

NAME = "astronaut of scikit-image"
LATENCY = "latency_s"
"""Median seconds of the timed calls, from the LR image to the SR image in memory."""
MEMORY = "peak_memory_bytes"
CALLS, FIRST, TURN, LOAD = "calls_s", "first_call_s", "turn", "load"
"""Facts of a latency: seconds of every timed call, and of the first in the process, after which
others are warm; what is the same where calls were interleaved; the machine's load before."""
BASELINE, KIND = "baseline_bytes", "peak_kind"
"""Facts of a peak: memory when the process had only imported, which is not included; the kind of
the peak, see `harness.measure.peak_memory`."""

_FACTS = {LATENCY: {CALLS, FIRST, TURN}, MEMORY: {BASELINE, KIND}}
_IDENTITY = ("cpu", "cores", "threads", "device", "system", "torch")


def photograph(size: tuple[int, int]) -> Tensor:
    """Make a photograph that ships inside scikit-image, uint8 (3, h, w), at this size.

    It is not noise, because the experts that a network chooses, and so its cost, depend on the
    image.
    """
    return pil_resize(embedded.photograph("astronaut.png"), size)


def photograph_set(size: tuple[int, int]) -> Dataset:
    """Make the benchmark of costs for an LR image of this size, which its name has."""
    item = memory_item(NAME, partial(photograph, size))
    name = f"photograph-{size[0]}x{size[1]}"
    return Dataset(name, "an LR image for costs", (item,), 1, COSTS)


def this_machine(device: torch.device) -> dict[str, Any]:
    """Describe what must be the same on this machine for two costs to be compared."""
    found = machine(device)
    return {key: found[key] for key in _IDENTITY}


def values_of(row: Mapping[str, Any], metric: str) -> tuple[float, ...]:
    """List all values of a cost in a row: of each timed call, or the peak.

    There are none where it failed, or where the row lacks the facts that belong to it.
    """
    value, facts = row["metrics"].get(metric), row["facts"]
    if value is None or not facts.keys() >= _FACTS[metric]:
        return ()
    return tuple(facts[CALLS]) if metric == LATENCY else (value,)


def why_not(row: Mapping[str, Any], metric: str) -> str:
    """Return why a cost could not be measured; "" where it was, or was not tried."""
    start = no_value(metric)
    found = (each for each in row["reason"].split("; ") if each.startswith(start))
    return "; ".join(each.removeprefix(start) for each in found)
