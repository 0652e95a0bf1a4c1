"""Locks: who holds them, how waiting is said and ended, and file systems that have none."""

from __future__ import annotations

import errno
import os
import platform
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from tiny import Harness, write_data

from harness.common import locks
from harness.common.errors import HarnessError
from harness.common.locks import BusyError, held
from harness.common.stopping import stoppable
from harness.measure import evaluate
from harness.measure.rows import UnitFile

LOCK = Path("a.lock")
HERE = f"process {os.getpid()} on {platform.node()}, since 20"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "QUIET", 0)
    monkeypatch.setattr(locks, "POLL", 0.01)


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def without_flock(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system is one of those that have no flock."""
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: object) -> None:
        raise OSError(request.param, "not here")

    monkeypatch.setattr(fcntl, "flock", refuse)


def stale(path: Path, text: str = "4194000\nanother-machine\n") -> None:
    """The marker of a machine that died."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (1e9, 1e9))


def signal_when_waiting(number: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """This process gets a signal when it says what it waits for; what it says is collected."""
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        os.kill(os.getpid(), number)

    monkeypatch.setattr(locks, "say", say)
    return said


@contextmanager
def held_for(seconds: float) -> Iterator[None]:
    """Another thread holds the lock when the block begins, and so long."""
    taken = threading.Event()

    def hold() -> None:
        with held(LOCK, "doing this"):
            taken.set()
            time.sleep(seconds)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(60)
    yield
    thread.join()


def test_a_held_lock_says_who_has_it():
    with held(LOCK, "doing this"):
        with pytest.raises(BusyError) as error, held(LOCK, "doing this", wait=False):
            pytest.fail("two hold it")
        assert str(error.value).startswith("Another process is doing this (")
        assert HERE in str(error.value)
    with held(LOCK, "doing that", wait=False):
        pass


def test_what_is_waited_for_is_said(capsys):
    with held_for(0.1), held(LOCK, "doing this"):
        said = " ".join(capsys.readouterr().err.split())
    assert said.count(f"Waiting for another process that is doing this ({HERE}") == 1


def test_a_lock_that_is_free_again_soon_is_waited_for_in_silence(capsys, monkeypatch):
    monkeypatch.setattr(locks, "QUIET", 60)
    with held_for(0.1), held(LOCK, "doing this"):
        assert not capsys.readouterr().err


@pytest.mark.parametrize("text", [b"", b"\n\n", b"\xff\0\x1b[2J", b"a" * 10_000])
def test_whatever_stands_in_the_file_of_a_held_lock(text):
    with held(LOCK, "doing this"):
        LOCK.write_bytes(text)
        with pytest.raises(BusyError) as error, held(LOCK, "doing this", wait=False):
            pytest.fail("two hold it")
    message = str(error.value).replace("\n", "")
    assert message.isprintable()
    assert len(message) < 600


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("inside", [True, False])
def test_the_first_signal_ends_the_waiting(inside, number, monkeypatch):
    """Also inside a sweep, which finishes a row when it hears the first one."""
    before = signal.getsignal(number)
    said = signal_when_waiting(number, monkeypatch)
    sweep = stoppable() if inside else nullcontext()
    end = pytest.raises(KeyboardInterrupt)
    with held(LOCK, "doing this"), end, sweep, held(LOCK, "doing this"):
        pytest.fail("two hold it")
    assert len(said) == 1
    assert signal.getsignal(number) == before


def test_a_stop_that_was_asked_for_before_is_heard_too():
    with held(LOCK, "doing this"), stoppable() as stop, pytest.raises(KeyboardInterrupt):
        stop.requested = True
        with held(LOCK, "doing this"):
            pytest.fail("two hold it")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_unit_of_another_process_is_waited_for_until_the_first_signal(
    number, monkeypatch, harness: Harness
):
    write_data(Path("data"))
    command = ("eval", "bicubic", "--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 2)
    harness.good(*command)
    (path,) = Path("results").rglob("*.jsonl")
    said = signal_when_waiting(number, monkeypatch)
    with UnitFile(path).claimed() as mine:
        assert mine
        status, _, err = harness(*command)
    assert said[0].startswith(f"Waiting for another process that is measuring {path} ({HERE}")
    assert (status, "Stopped. " in err, "Error" in err) == (130, True, False)


@pytest.mark.usefixtures("without_flock")
def test_a_file_system_without_flock_has_locks_all_the_same(recwarn):
    with held(LOCK, "doing this"):
        assert LOCK.read_text().splitlines()[:2] == [str(os.getpid()), platform.node()]
        with pytest.raises(BusyError) as error, held(LOCK, "doing this", wait=False):
            pytest.fail("two hold it")
        assert HERE in str(error.value)
    assert not LOCK.exists()
    assert not recwarn


@pytest.mark.usefixtures("without_flock")
@pytest.mark.parametrize("text", ["4194000\nanother-machine\n", "4194000\nanother-machine\n9\n"])
def test_the_marker_of_a_machine_that_died_is_named(text, monkeypatch):
    file = UnitFile(Path("unit.jsonl"))
    marker = Path("unit.jsonl.lock")
    stale(marker, text)
    with file.claimed() as mine:
        assert not mine
    lines = signal_when_waiting(signal.SIGTERM, monkeypatch)
    with pytest.raises(KeyboardInterrupt), file.claimed(wait=True):
        pytest.fail("two hold it")
    (said,) = lines
    since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(1e9))
    assert f"(process 4194000 on another-machine, since {since})" in said
    assert f"delete {marker} to go on" in said
    marker.unlink()
    with file.claimed() as mine:
        assert mine


@pytest.mark.usefixtures("without_flock")
def test_one_sigterm_leaves_no_marker(monkeypatch, harness: Harness):
    """Clusters end jobs so; what is measured then need not listen for it."""

    def killed(*_: object) -> None:
        assert list(Path("results").rglob("*.lock"))
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)

    write_data(Path("data"))
    monkeypatch.setattr(evaluate, "measure_image", killed)
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        command = ("eval", "bicubic", "--dataset", "DIV2K_valid", "--data-root", "data")
        status, _, err = harness(*command, "--scale", 2)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (status, "Stopped. " in err, "Error" in err) == (130, True, False)
    assert not list(Path("results").rglob("*.lock"))


@pytest.mark.usefixtures("without_flock")
def test_the_marker_of_a_process_that_died_here_is_passed_over():
    process = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"],
                             capture_output=True, text=True, check=True)  # fmt: skip
    LOCK.write_text(f"{process.stdout.strip()}\n{platform.node()}\n")
    with held(LOCK, "doing this"):
        pass


def test_a_folder_that_is_none_is_named():
    Path("file").touch()
    with pytest.raises(HarnessError, match="Cannot lock"), held(Path("file/lock"), "doing this"):
        pytest.fail("there is no folder")
