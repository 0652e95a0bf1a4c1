"""`harness doctor` names what is wrong, and changes nothing."""

from __future__ import annotations

import errno
import fcntl
import importlib.metadata
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from tiny import files_below, write_photos

from harness.common import files

Doctor = Callable[..., tuple[int, dict[str, dict[str, Any]]]]


@pytest.fixture
def doctor(harness) -> Doctor:
    """Status, and the last finding of each kind."""

    def run(*arguments: object) -> tuple[int, dict[str, dict[str, Any]]]:
        before = files_below(Path())
        status, out, err = harness("doctor", *arguments, "--json")
        assert (err, files_below(Path())) == ("", before)
        findings = json.loads(out)["findings"]
        assert status == any(finding["state"] == "problem" for finding in findings)
        return status, {finding["what"]: finding for finding in findings}

    return run


def left(folder: str, host: str | None = None) -> Path:
    """A temporary file of a process that was killed."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    path = Path(folder, f".out-{host or files._HOST}-0123abcd.part.png")
    path.write_bytes(bytes(3 << 20))
    return path


def test_nothing_is_wrong_here(doctor, harness):
    status, found = doctor()
    assert status == 0
    assert {"python", "packages", "device", "results", "reports", "cache", "locks"} <= set(found)
    assert "GiB free" in found["results"]["found"]
    assert not Path("results").exists()
    assert "Nothing is wrong." in harness.good("doctor")


def test_sets_that_are_not_as_published(doctor):
    write_photos(Path("data/benchmark/Set5/HR"), {"baby": (9, 9)})
    status, found = doctor("--data-root", "data")
    assert (status, found["Set5"]["state"]) == (1, "problem")
    assert "1 of 5 images" in found["Set5"]["found"]
    assert found["Set14"]["state"] == "note"
    status, found = doctor("--data-root", "none")
    assert (status, found["data root"]["state"]) == (1, "problem")


@pytest.mark.parametrize(
    ("there", "state", "said"),
    [("0.1", "problem", "is needed"), (None, "problem", "not installed"), ("99", "note", "99;")],
)
def test_packages_of_other_versions(there, state, said, doctor, monkeypatch):
    version = importlib.metadata.version

    def other(name: str) -> str:
        if name == "rich" and there is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return str(there) if name == "rich" else version(name)

    monkeypatch.setattr(importlib.metadata, "version", other)
    finding = doctor()[1]["rich"]
    assert finding["state"] == state
    assert said in finding["found"]


def test_folders_that_cannot_be_written_or_are_full(doctor, monkeypatch):
    status, found = doctor("--results", "/proc/x")
    assert (status, found["results"]["state"]) == (1, "problem")
    assert "Cannot write to /proc" in found["results"]["found"]
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    status, found = doctor()
    assert (status, found["cache"]["state"]) == (1, "problem")


@pytest.mark.parametrize("folder", [".", "results/tiny/training/x", "reports", "elsewhere/deep"])
def test_what_killed_processes_left_is_named(folder, doctor):
    path = left(folder)
    given = ["elsewhere"] if folder == "elsewhere/deep" else []
    status, found = doctor(*given)
    assert status == 0, "it does no harm"
    assert found["left by a killed process"]["found"] == f"{path}, 3.0 MiB"
    if given:
        assert "left by a killed process" not in doctor()[1]


def test_what_may_be_written_now_is_not_called_left(doctor):
    path = left("results", host="other")
    assert "left by another machine" in " ".join(doctor()[1])
    path.unlink()
    with files.replacing(Path("reports/a.txt")) as temporary:
        temporary.write_text("")
        assert doctor()[1]["being written, or left by another machine"]["found"].startswith("repo")


def test_locks_and_who_holds_them(doctor, monkeypatch):
    free, held = Path("results/a.jsonl.lock"), Path("results/training/lock")
    held.parent.mkdir(parents=True)
    free.touch()
    with FileLock(held):
        held.write_text("process 1 on node7\n")
        _, found = doctor()
    assert found["locks"]["found"] == "1 that nobody holds"
    assert f"{held} is held (process 1 on node7, since" in found["lock"]["found"]

    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    _, found = doctor()
    assert found["locks"]["found"] == "0 that nobody holds"
    assert f"delete {held} to go on" in found["lock"]["remedy"]


def test_a_download_that_was_cut_is_named(doctor):
    Path("data/.harness-data").mkdir(parents=True)
    Path("data/.harness-data/benchmark.tar.part").write_bytes(bytes(1 << 20))
    _, found = doctor("--data-root", "data")
    assert found["unfinished download"]["found"].endswith("benchmark.tar.part, 1.0 MiB")


def test_images_that_a_killed_process_was_unpacking_are_named(doctor):
    folder = Path("data/benchmark/Set5/.HR.unpacking")
    folder.mkdir(parents=True)
    (folder / "baby.png").write_bytes(bytes(3 << 20))
    _, found = doctor("--data-root", "data")
    finding = found["images being unpacked, or left by a killed process"]
    assert finding["found"] == f"{folder}, 3.0 MiB"
    assert "delete it" in finding["remedy"]
