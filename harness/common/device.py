"""Which device does the work, and how much memory it took."""

from __future__ import annotations

import platform
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.common.errors import UsageError


def resolve(name: str) -> torch.device:
    """`auto` is CUDA where there is one, else the CPU.

    Raises:
        UsageError: for an unknown device, or CUDA where there is none.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"Unknown device '{name}'. Use auto, cpu, cuda or cuda:N.") from None
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"Device '{name}' is not supported. Use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"There is no device '{name}' here (CUDA devices: {torch.cuda.device_count()})."
        )
    if device.type == "cuda":
        # Convolutions would otherwise run in TF32, and rows would still say fp32.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False
    return device


def describe(device: torch.device) -> str:
    """Name of the device for provenance."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.machine()}, {torch.get_num_threads()} threads"


def synchronise(device: torch.device) -> None:
    """Wait for the device, so that clocks are right."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def process_peak() -> int:
    """Bytes of this process at most: since its program was started, where the system tells that."""
    return _status().get("VmHWM") or _peak_since_start()


@dataclass(frozen=True)
class Resident:
    """Bytes of this process that are in memory now: its own, and those of files and libraries."""

    own: int
    files: int


def resident() -> Resident | None:
    """What the process has in memory, where the system tells it (Linux)."""
    found = _status()
    try:
        return Resident(found["RssAnon"], found["RssFile"] + found["RssShmem"])
    except KeyError:
        return None


def _status() -> dict[str, int]:
    """Bytes by name, of the lines of /proc/self/status that are in kB."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines if line.endswith(" kB")]
    return {name.rstrip(":"): int(count) * 1024 for name, count, _ in words}


def _peak_since_start() -> int:
    """As every Unix tells it; on Linux it may be that of the program that started this one."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class PeakMemory:
    """Peak memory from its making on.

    `kind` says what is measured: the CUDA allocator's peak, the process's peak since then
    (Linux lets it be reset), or, elsewhere, the process's peak since its start.
    """

    def __init__(self, device: torch.device, beside: int = 0) -> None:
        """Args: beside: bytes that the process holds for another purpose; left out of its peak."""
        self.device = device
        self.beside = beside
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.kind = "cuda allocator"
        else:
            self.kind = "process" if self._reset() else "process since start"

    @staticmethod
    def _reset() -> bool:
        try:
            _CLEAR.write_text("5")
        except OSError:
            return False
        return True

    def read(self) -> int:
        """Bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        if self.kind == "process":
            return max(0, process_peak() - self.beside)
        return _peak_since_start()
