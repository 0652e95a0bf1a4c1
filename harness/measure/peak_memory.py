"""Peak memory: each case in a process of its own, forked from a process that has only imported.

Starting an interpreter for every case would take longer than most cases. A forked process has the
memory of its parent, but its libraries' code enters its resident memory page by page as it runs. So
on Linux the memory of files is left out: what counts is the process's own memory while the image is
enlarged, weights and SR image included, minus its memory when it had only imported. On CUDA it is
the allocator's peak.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from baselines import build
from baselines.base import SRModel
from harness import checkpoints
from harness.common.device import PeakMemory, resident, resolve, synchronise
from harness.common.errors import is_shortage
from harness.data.degrade import unit
from harness.data.images import read_rgb
from harness.upscale.network import upscale

OWN_MEMORY = "process, without files"
"""Kind of a peak on Linux; elsewhere `kind` of `harness.common.device.PeakMemory`."""

_FORKING = multiprocessing.get_context("forkserver")
# Makes glibc give freed memory back to the system at once. Otherwise a peak would include memory
# left from loading the network, which differs between runs by more than systems do.
_RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}


@dataclass(frozen=True)
class MemoryCase:
    """Method at one scale.

    Attributes:
        network: checkpoint; "" for methods without a network.
        make: makes the network of a method from outside; None for those built here.
        image: LR image file.
        threads: number of PyTorch's threads.
    """

    method: str
    network: str
    image: str
    scale: float
    precision: str
    memory: int | None
    device: str
    threads: int
    make: Callable[..., SRModel] | None = None


@dataclass(frozen=True)
class Peak:
    """Bytes of a case above the baseline, the baseline, and their kind; or why there are none."""

    bytes: int
    baseline: int
    kind: str
    reason: str = ""


def peaks(cases: Iterable[MemoryCase]) -> Iterator[Peak]:
    """Measure the peaks of some cases, one after the other; a case that fails says why."""
    _FORKING.set_forkserver_preload([__name__])
    before = dict(os.environ)
    os.environ.update(_RETURNED)  # of the process that cases are forked from
    try:
        forkserver.ensure_running()
    finally:
        for name in _RETURNED:
            os.environ.pop(name)
        os.environ.update(before)
    for case in cases:
        receiver, sender = _FORKING.Pipe(duplex=False)
        process = _FORKING.Process(target=_answer, args=(case, sender), daemon=True)
        process.start()
        sender.close()
        try:
            yield receiver.recv()
        except EOFError:
            process.join()
            code = process.exitcode or 0
            cause = signal.Signals(-code).name if code < 0 else f"status {code}"
            yield Peak(0, 0, "", f"its process was ended by {cause}")
        finally:
            receiver.close()
            process.terminate()


def _answer(case: MemoryCase, result: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the command lets a case finish
    try:
        result.send(_measure(case))
    except Exception as error:
        short = is_shortage(error)
        result.send(Peak(0, 0, "", "there is too little memory" if short else repr(error)))


def _network(case: MemoryCase) -> SRModel:
    if case.make is not None:
        return case.make(None)
    if case.network:
        return checkpoints.open_checkpoint(Path(case.network)).model
    return build(case.method).eval()


def _measure(case: MemoryCase) -> Peak:
    torch.set_num_threads(case.threads)
    device = resolve(case.device)
    before, start = resident(), PeakMemory(device).read()
    model = _network(case).to(device).at_scale(case.scale)
    lr = unit(read_rgb(Path(case.image)))[None]
    memory = PeakMemory(device)
    upscale(model, lr, case.scale, precision=case.precision, memory=case.memory)
    synchronise(device)
    peak, after = memory.read(), resident()
    if device.type == "cpu" and before is not None and after is not None:
        return Peak(max(0, peak - after.files - before.own), before.own, OWN_MEMORY)
    return Peak(max(0, peak - start), start, memory.kind)
