"""Two machines on one folder: host names, networks, mounts and process numbers of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from tiny import VALID_SIZES, write_data, write_profile

from harness.experiments import EXPERIMENTS

NAMESPACES = ("--mount", "--net", "--uts", "--pid", "--fork", "--kill-child", "--mount-proc")
LOCK = """
import errno, fcntl, sys, time
from pathlib import Path
from harness.common.errors import HarnessError
from harness.common.locks import held

def refuse(*_):
    raise OSError(errno.ENOSYS, "not here")

if sys.argv[1] == "without":
    fcntl.flock = refuse
try:
    with held(Path("shared/a.lock"), "training", wait=False):
        print("held", flush=True)
        time.sleep(float(sys.argv[2]))
except HarnessError as error:
    print(error, flush=True)
"""


def on(host: str, *command: object) -> subprocess.Popen[str]:
    """A command on a machine of this name; all share the file systems."""
    inside = ["sh", "-c", 'hostname "$1" && shift && exec "$@"', "sh", host]
    return subprocess.Popen(
        ["unshare", *NAMESPACES, *inside, sys.executable, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.fixture(autouse=True)
def two_hosts() -> None:
    try:
        tried = on("host-a", "-c", "import platform; print(platform.node())")
        out, err = tried.communicate(timeout=60)
    except OSError as error:
        pytest.skip(f"needs unshare ({error})")
    if out != "host-a\n":
        pytest.skip(f"needs the right to make namespaces ({err.strip()})")


@pytest.mark.parametrize("flock", ["with", "without"])
def test_a_lock_is_held_against_another_host(flock, tmp_path):
    """Processes of both hosts have the same number, which must not be taken for the same one."""
    Path("shared").mkdir()
    holder = on("host-a", "-c", LOCK, flock, 600)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    out, err = on("host-b", "-c", LOCK, flock, 0).communicate(timeout=120)
    assert "Another process is training (process" in out, err
    assert " on host-a" in out
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    out, _ = on("host-b", "-c", LOCK, flock, 0).communicate(timeout=120)
    if flock == "with":
        assert out == "held\n"
    else:  # it may be alive on its own machine: only a person can tell
        assert "delete shared/a.lock to go on" in out


def test_two_hosts_share_a_sweep(tmp_path):
    write_data(Path("data"))
    write_profile(Path("tiny.yaml"))
    methods = ("bicubic", "edsr-lte", "edsr-moeisr-lte-s")
    arguments = ("run", "table1", "--profile", "tiny.yaml", "--data-root", "data", "--no-figures")
    chosen = ("--device", "cpu", "--methods", ",".join(methods))
    processes = [on(host, "-m", "harness", *arguments, *chosen) for host in ("host-a", "host-b")]
    for process in processes:
        _, err = process.communicate(timeout=600)
        assert process.returncode == 0, err
        assert "Traceback" not in err
    stored = Path("results/tiny/measurements").rglob("*.jsonl")
    rows = [json.loads(line) for path in stored for line in path.read_text().splitlines()]
    scales = EXPERIMENTS["table1"].scales
    expected = {(m, i, float(s)) for m in methods for i in VALID_SIZES for s in scales}
    found = Counter((row["method"], row["image"], float(row["scale"])) for row in rows)
    assert found == Counter(dict.fromkeys(expected, 1))
