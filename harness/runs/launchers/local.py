"""Launcher `local`: one process for each device of this machine, or several on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.common.errors import HarnessError, UsageError
from harness.common.progress import say
from harness.common.stopping import Stop, stoppable
from harness.runs.job import Job
from harness.runs.launchers import logs_dir

_INTERVAL = 5.0
"""Seconds after which a worker's newest line is shown, if it is another one."""


@dataclass(frozen=True)
class Worker:
    """Process that works on the plan.

    Attributes:
        log: file of its standard error; its standard output is beside it.
    """

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> Path:
        """File of its standard output."""
        return self.log.with_suffix(".out")

    def ending(self) -> str:
        """Describe how it ended: a signal, or the end of what it said."""
        status = self.process.returncode
        return f"killed by signal {-status}" if status < 0 else f"status {status}: {self.said(2)}"

    def said(self, lines: int = 1) -> str:
        """Return the last lines that it said; "" where there are none yet."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return " ".join(text.strip().splitlines()[-lines:])


def devices_of(device: torch.device, workers: int | None) -> list[str]:
    """List the device of each worker.

    Raises:
        UsageError: a number of workers is needed, or there is one GPU only that was named.
    """
    if device.type == "cuda" and device.index is not None:
        raise UsageError(f"--launcher local uses all devices; {device} is one of them.")
    if device.type == "cuda":
        here = torch.cuda.device_count()
        return [f"cuda:{number % here}" for number in range(workers or here)]
    if workers is None:
        raise UsageError("On a CPU, say by --workers how many processes --launcher local starts.")
    return ["cpu"] * workers


def launch(job: Job, command: Sequence[str], devices: Sequence[str]) -> str:
    """Run a command of the harness on several devices at once, and wait for all of them.

    A worker ends when all of the plan is done. So if one is killed, the others do its work.

    Args:
        job: the job that they do.
        command: arguments of `harness`, to which each worker's device is added.
        devices: device of each worker.

    Returns:
        What the last worker that ended well printed on standard output.

    Raises:
        HarnessError: no worker ended well.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; the workers have stopped, and saved their work.
    """
    logs = logs_dir(job)
    logs.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // len(devices))
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    workers: list[Worker] = []
    try:
        with stoppable() as stop:
            for number, device in enumerate(devices):
                log = logs / f"worker-{number}.log"
                with log.open("wb") as errors, log.with_suffix(".out").open("wb") as output:
                    process = subprocess.Popen(
                        [sys.executable, "-m", "harness", *command, "--device", device],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=errors,
                        start_new_session=True,  # Ctrl-C comes here, and is passed on
                    )
                workers.append(Worker(process, log))
                say(f"worker {number} on {device}, process {process.pid}: {log}")
            done = _wait(workers, stop)
    except BaseException:  # none goes on with nobody to tell of it
        for worker in workers:
            worker.process.terminate()
        raise
    if stop.requested:
        raise KeyboardInterrupt
    if done is None:
        raise HarnessError(
            "No worker has done all of the plan.",
            f"Their logs in {logs} say why; the same command goes on from there.",
        )
    return done.output.read_text(encoding="utf-8")


def _wait(workers: Sequence[Worker], stop: Stop) -> Worker | None:
    """Wait for all workers, tell how they get on, and return the last that ended well."""
    running, done, passed_on = list(enumerate(workers)), None, False
    told, due = [""] * len(workers), time.monotonic() + _INTERVAL
    while running:
        time.sleep(0.2)
        if time.monotonic() >= due:
            due += _INTERVAL
            for number, worker in running:
                if (line := worker.said()) != told[number]:
                    told[number] = line
                    say(f"worker {number}: {line}")
        if stop.requested and not passed_on:
            passed_on = True
            for _, worker in running:
                worker.process.terminate()
        for number, worker in [each for each in running if each[1].process.poll() is not None]:
            running.remove((number, worker))
            if worker.process.returncode == 0:
                done = worker
            elif not passed_on:
                say(f"worker {number} failed ({worker.ending()})")
    return done
