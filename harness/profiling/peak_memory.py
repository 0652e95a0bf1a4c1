"""Peak memory: each case in a process of its own, forked from a process that has only imported.

Starting an interpreter for every case would take longer than most cases. A forked process has the
memory of its parent, but its libraries' code enters its resident memory page by page as it runs. So
on Linux the memory of files is left out: what counts is the process's own memory while the image is
enlarged, weights and SR image included, minus its memory when it had only imported. On CUDA it is
the allocator's peak.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from baselines import build
from harness import checkpoints
from harness.common.device import PeakMemory, resident, resolve, synchronise
from harness.common.errors import HarnessError, is_shortage
from harness.data.degrade import unit
from harness.data.images import read_rgb
from harness.profiling.cost_rows import OWN_MEMORY
from harness.upscale.network import upscale

_SERVER = "from harness.profiling.peak_memory import serve; serve()"


# Makes glibc give freed memory back to the system at once. Otherwise a peak would include memory
# left from loading the network, which differs between runs by more than systems do.
_RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}


@dataclass(frozen=True)
class MemoryCase:
    """Method at one scale.

    Attributes:
        network: checkpoint; "" for methods without a network.
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


@dataclass(frozen=True)
class Peak:
    """Bytes of a case above the baseline, the baseline, and the kind of the peak.

    Attributes:
        reason: why there is no peak; "" where there is one.
    """

    bytes: int
    baseline: int
    kind: str
    reason: str = ""


def peaks(cases: Sequence[MemoryCase]) -> Iterator[Peak]:
    """Measure the peaks of some cases, one after the other; a case that fails says why.

    Raises:
        HarnessError: the process that cases are forked from has ended.
    """
    server = subprocess.Popen(
        [sys.executable, "-c", _SERVER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is handled by the command, which lets a case finish
        env={**os.environ, **_RETURNED},
    )
    with server:
        try:
            for case in cases:
                yield _ask(server, case)
        except BaseException:
            os.killpg(server.pid, signal.SIGTERM)
            raise


def _ask(server: subprocess.Popen[str], case: MemoryCase) -> Peak:
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        server.stdin.write(json.dumps(asdict(case)) + "\n")
        server.stdin.flush()
        answer = server.stdout.readline()
    except OSError:
        answer = ""
    if not answer.strip():
        raise HarnessError(
            f"Peak memory of {case.method} at x{case.scale:g} could not be measured: the process "
            "that measures has ended.",
            "Run the command again; what was measured is kept.",
        )
    return Peak(**json.loads(answer))


def serve() -> None:
    """Answer cases on standard input, a line of JSON each, by lines on standard output."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _answer(MemoryCase(**json.loads(line)))
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status < 0:
            ended = f"its process was ended by {signal.Signals(-status).name}"
            print(json.dumps(asdict(Peak(0, 0, "", ended))), flush=True)


def _answer(case: MemoryCase) -> None:
    """Measure, print and end in the child, without the parent's work at its end."""
    try:
        print(json.dumps(asdict(_measured(case))), flush=True)
    finally:
        os._exit(0)


def _measured(case: MemoryCase) -> Peak:
    try:
        return _measure(case)
    except Exception as error:
        short = is_shortage(error)
        return Peak(0, 0, "", "there is too little memory" if short else repr(error))


def _measure(case: MemoryCase) -> Peak:
    torch.set_num_threads(case.threads)
    device = resolve(case.device)
    before, start = resident(), PeakMemory(device).read()
    path = Path(case.network) if case.network else None
    model = checkpoints.open_checkpoint(path).model if path else build(case.method).eval()
    model = model.to(device).at_scale(case.scale)
    lr = unit(read_rgb(Path(case.image)))[None]
    memory = PeakMemory(device)
    upscale(model, lr, case.scale, precision=case.precision, memory=case.memory)
    synchronise(device)
    peak, after = memory.read(), resident()
    if device.type == "cpu" and before is not None and after is not None:
        return Peak(max(0, peak - after.files - before.own), before.own, OWN_MEMORY)
    return Peak(max(0, peak - start), start, memory.kind)
