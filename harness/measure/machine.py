"""Description of the machine that something was timed on."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from harness.common.device import describe

_CPU_INFO = Path("/proc/cpuinfo")


def _cpu() -> str:
    """Find the model of the CPU, as far as the system tells it."""
    try:
        lines = _CPU_INFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def machine(device: torch.device) -> dict[str, Any]:
    """Describe what decides the speed; `load` is the average before, in cores in use."""
    affinity = getattr(os, "sched_getaffinity", None)  # the cores that this process may use
    return {
        "cpu": _cpu(),
        "cores": len(affinity(0)) if affinity else os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "device": describe(device),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def in_words(content: Mapping[str, Any]) -> str:
    """Describe the machine in one line, with its load before where that is known."""
    cores, threads = (
        f"{content[name]} {name if content[name] != 1 else name[:-1]}"
        for name in ("cores", "threads")
    )
    device = str(content["device"])
    load = content.get("load")
    parts = [
        *(content["cpu"], cores, threads, *([] if device.startswith("cpu") else [device])),
        *(content["system"], f"torch {content['torch']}"),
    ]
    return ", ".join(parts) + ("" if load is None else f"; load before: {load}")


def matrix_product_speed(
    device: torch.device, seconds: float = 0.5, dtype: torch.dtype = torch.float32
) -> float:
    """Measure the MACs per second of a plain matrix product on this device."""
    side = 1024 if device.type == "cpu" else 8192
    a = torch.randn(side, side, device=device, dtype=dtype)
    a @ a
    rounds = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        product = a @ a
        product[0, 0].item()
        rounds += 1
    return rounds * side**3 / (time.perf_counter() - start)
