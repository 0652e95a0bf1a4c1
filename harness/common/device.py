"""Devices that do the work, and the memory that it takes."""

from __future__ import annotations

import ctypes
import platform
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.common.errors import UsageError


def resolve(name: str) -> torch.device:
    """Find the device of a name; `auto` is CUDA where there is one, else the CPU.

    Raises:
        UsageError: the device is unknown, or is CUDA where there is none.
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
    """Describe the device for provenance."""
    if device.type == "cuda":
        return f"cuda: {torch.cuda.get_device_name(device)}"
    return f"cpu: {platform.machine()}, {torch.get_num_threads()} threads"


def synchronise(device: torch.device) -> None:
    """Wait for the device, so that clock readings are right."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


def process_peak() -> int:
    """Return the peak bytes of this process, since its start where the system tells."""
    return _status().get("VmHWM") or _peak_since_start()


@dataclass(frozen=True)
class Resident:
    """Bytes of this process that are in memory now: its own, and those of files and libraries."""

    own: int
    files: int


def resident() -> Resident | None:
    """Return the memory of the process, where the system tells it (Linux)."""
    found = _status()
    try:
        return Resident(found["RssAnon"], found["RssFile"] + found["RssShmem"])
    except KeyError:
        return None


def _status() -> dict[str, int]:
    """Read the lines of /proc/self/status that are in kB, as bytes by name."""
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return {}
    words = [line.split() for line in lines if line.endswith(" kB")]
    return {name.rstrip(":"): int(count) * 1024 for name, count, _ in words}


def _peak_since_start() -> int:
    """Return the peak that every Unix tells; on Linux it may include the parent program's."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class PeakMemory:
    """Peak memory since this object was created.

    `kind` says what is measured: the CUDA allocator's peak, the process's peak since then (Linux
    can reset it), or, elsewhere, the process's peak since its start.
    """

    def __init__(self, device: torch.device, beside: int = 0) -> None:
        """Start measuring; `beside` bytes that the process holds otherwise are left out."""
        self.device = device
        self.beside = beside
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            self.kind = "cuda allocator"
            return
        self.kind = "process since start"
        with suppress(OSError):
            _CLEAR.write_text("5")
            self.kind = "process"

    def read(self) -> int:
        """Return the peak in bytes."""
        if self.device.type == "cuda":
            return int(torch.cuda.max_memory_allocated(self.device))
        if self.kind == "process":
            return max(0, process_peak() - self.beside)
        return _peak_since_start()


# <malloc.h> of glibc.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
# The largest that glibc itself comes to; larger blocks go back to the system when freed.
_LARGEST_KEPT = 32 * 2**20
_KEPT = 512 * 2**20


def keep_freed_memory() -> None:
    """Ask glibc to keep up to 512 MB of free memory, in blocks below 32 MB.

    By default it returns memory whenever a few blocks are free at the end of the heap, which is
    after every step, and the next step pays a page fault for each 4 kB: at the quick profile's
    sizes, a fifth of a step. Does nothing where the C library is another.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_KEPT)
    mallopt(_TRIM_THRESHOLD, _KEPT)
