"""Launcher `local`: one process for each device of this machine, or several on the CPU."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from harness.common.errors import HarnessError, UsageError
from harness.common.progress import say
from harness.common.stopping import stoppable
from harness.runs.job import Job

_INTERVAL = 5.0
"""Seconds after which a worker's newest line is shown, if it is another one."""


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
    logs = job.logs
    logs.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // len(devices))
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ}
    running: dict[Path, subprocess.Popen[bytes]] = {}  # by the file of their standard error
    shown: dict[Path, str] = {}  # the newest line of each that was shown
    done, told, due = None, False, time.monotonic() + _INTERVAL
    try:
        with stoppable() as stop:
            for number, device in enumerate(devices):
                log = logs / f"worker-{number}.log"
                with log.open("wb") as errors, log.with_suffix(".out").open("wb") as output:
                    running[log] = subprocess.Popen(
                        [sys.executable, "-m", "harness", *command, "--device", device],
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=output,
                        stderr=errors,
                        start_new_session=True,  # Ctrl-C comes here, and is passed on
                    )
                say(f"worker {number} on {device}, process {running[log].pid}: {log}")
            while running:
                time.sleep(0.2)
                if time.monotonic() >= due:
                    due += _INTERVAL
                    _show_newest(running, shown)
                if stop.requested and not told:
                    told = True
                    for process in running.values():
                        process.terminate()
                for log in [log for log, process in running.items() if process.poll() is not None]:
                    status = running.pop(log).returncode
                    if status == 0:
                        done = log
                    elif not told:
                        say(f"{log.stem.replace('-', ' ')} failed ({_ending(status, log)})")
    except BaseException:  # none goes on with nobody to tell of it
        for process in running.values():
            process.terminate()
        raise
    stop.check()
    if done is None:
        raise HarnessError(
            "No worker has done all of the plan.",
            f"Their logs in {logs} say why; the same command goes on from there.",
        )
    return done.with_suffix(".out").read_text(encoding="utf-8")


def _said(log: Path, lines: int = 1) -> str:
    """Return the last lines that a worker said; "" where there are none yet."""
    text = log.read_text(encoding="utf-8", errors="replace")
    return " ".join(text.strip().splitlines()[-lines:])


def _show_newest(logs: Iterable[Path], shown: dict[Path, str]) -> None:
    """Show the newest line of each worker that has said another one since it was `shown`."""
    for log in logs:
        if (line := _said(log)) != shown.get(log, ""):
            shown[log] = line
            say(f"{log.stem.replace('-', ' ')}: {line}")


def _ending(status: int, log: Path) -> str:
    """Describe how a worker ended: a signal, or the end of what it said."""
    return f"killed by signal {-status}" if status < 0 else f"status {status}: {_said(log, 2)}"
