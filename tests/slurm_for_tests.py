"""A Slurm of one node with several slots, in a folder of its own, for the time of a test."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol", "munged")
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=3
CredType=cred/munge
SlurmctldPort={control}
SlurmdPort={daemon}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=1
MinJobAge=600
KillWait=5
JobRequeue=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={slots} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in taken:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in taken]


def lacking() -> str:
    """Why there can be no Slurm here; "" if there can."""
    absent = [name for name in PROGRAMS if _program(name) is None]
    if absent:
        return (
            f"needs Slurm ({', '.join(absent)} are not installed: apt-get install slurm-wlm munge)"
        )
    return "" if os.geteuid() == 0 else "needs root, as Slurm's daemons do"


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


@contextmanager
def slurm(slots: int) -> Iterator[Path]:
    """Start the daemons; the environment of this process leads its commands to them.

    Yields:
        The folder of configuration and logs.
    """
    if reason := lacking():
        pytest.skip(reason)
    # Munge wants folders that nobody else can write to, up to the root.
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/var/lib"))
    started: list[subprocess.Popen[bytes]] = []
    control, daemon = _free_ports(2)
    host = platform.node().partition(".")[0]
    text = CONFIGURATION.format(
        host=host, folder=folder, control=control, daemon=daemon, slots=slots
    )
    (folder / "slurm.conf").write_text(text)
    (folder / "state").mkdir()
    (folder / "spool").mkdir()
    key = folder / "munge.key"
    key.write_bytes(os.urandom(256))
    key.chmod(0o400)
    folder.chmod(0o755)
    environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}

    def start(name: str, *arguments: object) -> None:
        command = [str(_program(name)), *map(str, arguments)]
        with (folder / f"{name}.out").open("wb") as output:
            started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=output))

    try:
        names = {"key": key, "socket": folder / "munge.socket", "pid": folder / "munge.pid"}
        start(
            "munged",
            *("--foreground", "--force", f"--key-file={names['key']}"),
            *(f"--socket={names['socket']}", f"--pid-file={names['pid']}"),
            *(f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"),
        )
        _until(names["socket"].exists, folder)
        start("slurmctld", "-D", "-i")
        start("slurmd", "-D", "-N", host)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
            _until(lambda: "idle" in _said("sinfo", "-h", "-o", "%t"), folder)
            try:
                yield folder
            finally:  # nothing of a test that failed runs on
                _said("scancel", "--user=root")
                end = time.monotonic() + 30
                while queue() and time.monotonic() < end:
                    time.sleep(0.5)
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _until(condition, folder: Path, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            logs = [
                f"{p.name}:\n{p.read_text(errors='replace')[-1500:]}"
                for p in folder.glob("*.*")
                if p.suffix in (".log", ".out")
            ]
            pytest.fail("Slurm did not start:\n" + "\n".join(logs))
        time.sleep(0.2)


def queue() -> dict[str, str]:
    """Jobs that are not over, by name: their states."""
    lines = _said("squeue", "-h", "-o", "%j %T").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)


def ended() -> dict[str, str]:
    """Every job by name: its state, as the controller remembers it."""
    lines = _said("squeue", "-h", "--states=all", "-o", "%j %T").splitlines()
    return dict(line.split(" ", 1) for line in lines if " " in line)
