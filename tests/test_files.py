"""Output files: whole or not at all, pipes and devices never replaced, nothing left by the dead."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from tiny import ENCODER, network, photo

from harness import checkpoints
from harness.common import files
from harness.common.errors import HarnessError
from harness.common.files import is_abandoned, replacing, temporary_files, write_text

UPSCALE = ("upscale", "in.png", "out.png", "--scale", 2, "--method", "bicubic")


def checkpoint() -> Path:
    content = {"method": "edsr-x2", "build": {"encoder": ENCODER}}
    checkpoints.save(Path("edsr.pt"), {**content, "state_dict": network("edsr-x2").state_dict()})
    return Path("edsr.pt")


def reading(pipe: Path) -> tuple[threading.Thread, list[bytes]]:
    """Reads a pipe to its end, beside the test."""
    os.mkfifo(pipe)
    found: list[bytes] = []
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    return reader, found


# Pipes and devices


def test_a_pipe_is_written_to_and_stays(tmp_path):
    reader, found = reading(tmp_path / "pipe")
    write_text(tmp_path / "pipe", "text")
    reader.join(10)
    assert found == [b"text"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize("force", [(), ("--force",)])
@pytest.mark.parametrize("name", ["export-checkpoint", "import-checkpoint", "upscale", "cmsr"])
def test_no_command_replaces_a_pipe(name, force, harness, tmp_path):
    photo(6, 6).save("in.png")
    command = {
        "export-checkpoint": (name, checkpoint(), "pipe.png"),
        "import-checkpoint": (name, checkpoint(), "-o", "pipe.png"),
        "upscale": (*UPSCALE[:2], "pipe.png", *UPSCALE[3:]),
        "cmsr": (name, "edsr-lmliif", "--mse", 1e-5, "-o", "pipe.png"),
    }[name]
    reader, found = reading(tmp_path / "pipe.png")
    if name == "cmsr":  # not trained: refused before anything is written
        assert harness(*command, *force)[0] == 1
        os.close(os.open("pipe.png", os.O_WRONLY))
    else:
        harness.good(*command, *force)
    reader.join(10)
    assert bool(found[0]) == (name != "cmsr")
    assert stat.S_ISFIFO(Path("pipe.png").stat().st_mode)


def test_a_device_is_written_to_and_stays(tmp_path):
    """A terminal of our own; a link leads to it."""
    ours, theirs = os.openpty()
    device = Path(os.ttyname(theirs))
    (tmp_path / "link").symlink_to(device)
    before = device.stat().st_rdev
    write_text(tmp_path / "link", "text")
    assert os.read(ours, 100) == b"text"
    assert device.stat().st_rdev == before
    os.close(ours)
    os.close(theirs)


def test_a_type_that_is_sought_in_is_no_type_for_a_pipe(harness):
    photo(6, 6).save("in.png")
    os.mkfifo("pipe.tif")
    status, _, err = harness(*UPSCALE[:2], "pipe.tif", *UPSCALE[3:])
    assert (status, "takes PNG alone" in err) == (1, True)


@pytest.mark.parametrize("name", ["folder", "loop"])
def test_folders_and_links_to_themselves_are_no_place_for_a_file(name, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to("other")
    (tmp_path / "other").symlink_to("loop")
    with pytest.raises(HarnessError, match=r"no regular file|leads to itself"):
        write_text(tmp_path / name, "text")
    assert len(list(tmp_path.iterdir())) == 3
    assert (tmp_path / "loop").is_symlink()


# What is there already


def test_an_existing_image_is_replaced_when_told_so(harness):
    photo(6, 6).save("in.png")
    Path("out.png").write_bytes(b"old")
    status, _, err = harness(*UPSCALE)
    assert (status, "out.png is there already" in err, "--force" in err) == (1, True, True)
    assert Path("out.png").read_bytes() == b"old"
    harness.good(*UPSCALE, "--force")
    assert Path("out.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["in.png", "../here/in.png", "hard.png", "soft.png"])
def test_the_image_that_is_read_is_never_replaced(name, harness, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    photo(6, 6).save("in.png")
    os.link("in.png", "hard.png")
    Path("soft.png").symlink_to("in.png")
    before = Path("in.png").read_bytes()
    status, _, err = harness(*UPSCALE[:2], name, *UPSCALE[3:], "--force")
    assert (status, "is the file that is read" in err) == (1, True)
    assert Path("in.png").read_bytes() == before


# Killed processes

KILLED = """
import os, signal
from pathlib import Path
from harness.common.files import replacing
with replacing(Path("large.png")) as path:
    path.write_bytes(b"half")
    print("begun", flush=True)
    input()
"""


@pytest.fixture
def writer():
    """A process in the middle of writing a file."""
    options = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", KILLED], **options) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_what_a_killed_process_left_goes_with_the_next_file(writer, tmp_path):
    (left,) = temporary_files(tmp_path)
    assert left.read_bytes() == b"half"
    assert not is_abandoned(left)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert is_abandoned(left)
    files._sweep.cache_clear()
    write_text(tmp_path / "other.txt", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["other.txt"]


def test_what_is_being_written_is_left_alone(writer, tmp_path):
    files._sweep.cache_clear()
    write_text(tmp_path / "other.txt", "text")
    assert len(temporary_files(tmp_path)) == 1
    writer.communicate(b"\n", timeout=60)
    assert writer.returncode == 0
    assert {path.name for path in tmp_path.iterdir()} == {"other.txt", "large.png"}


def test_what_another_machine_writes_is_left_alone(tmp_path, monkeypatch):
    """Its lock is not seen on every file system."""
    with monkeypatch.context() as patch:
        patch.setattr(files, "_HOST", "other")
        temporary, file = files._begin(tmp_path / "a.png")
        os.close(file)
    assert temporary_files(tmp_path) == [temporary]
    assert not is_abandoned(temporary, remove=True)
    assert temporary.exists()


def test_a_file_removed_before_it_is_locked_is_begun_again(tmp_path, monkeypatch):
    lock, calls = files.fcntl.flock, []

    def late(file, how):
        calls.append(how)
        if len(calls) == 1:
            (found,) = temporary_files(tmp_path)
            found.unlink()
        lock(file, how)

    monkeypatch.setattr(files.fcntl, "flock", late)
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"


# Power failures


def test_a_file_and_its_name_reach_the_disk(tmp_path, monkeypatch):
    """First what is in the file, then its name in the folder."""
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda file: flushed.append(os.fstat(file).st_ino))
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("text")
    assert flushed == [(tmp_path / "a.txt").stat().st_ino, tmp_path.stat().st_ino]


def test_long_names_and_any_bytes_can_be_written(tmp_path):
    for name in ("a" * 250 + ".txt", os.fsdecode(b"caf\xe9.txt"), "a." + "b" * 250):
        write_text(tmp_path / name, os.fsdecode(b"caf\xe9"))
        assert (tmp_path / name).read_text() == r"caf\udce9"


def test_a_file_is_for_everyone_whom_the_umask_lets_read(tmp_path):
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640
