"""Kill commands at random moments, let them go on, and compare what they end with.

    python tests/crash_loop.py --kills 40              # of each kind, a few minutes
    python tests/crash_loop.py --kills 1000 train      # as long as wanted

Each kind of work is done once undisturbed. Then it is begun anew, hit by a signal at a random
moment (SIGKILL mostly, SIGTERM and SIGINT else, sometimes twice), and begun again by the same
command until it ends, as often as `--kills` asks for. It must end with the same bytes as the
undisturbed work; only times and memory may differ, and no temporary file may be left.
`docs/reliability.md` says how many trials there were.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Set before torch is imported: a child of a process with threads would wait for them for ever.
os.environ["OMP_NUM_THREADS"] = "1"

import torch
from archives_for_tests import archive_of, serving, set5_files, write_tar
from tiny import files_below, profile_with, write_data, write_photos, write_profile

from harness import checkpoints
from harness.commands import main
from harness.data import download, sets

SIGNALS = (signal.SIGKILL,) * 6 + (signal.SIGTERM, signal.SIGINT)
# What differs between two undisturbed runs: times, memory, and checksums of lines with them.
VOLATILE = re.compile(rb'"(seconds|peak_memory_bytes|measured_at|created|checksum)": [^,}]*')
PLACES = ("--profile", "tiny.yaml", "--data-root", "data")
PAIR = "bicubic,edsr-lte,edsr-moeisr-lte-s"
SWEEP = ("run", "table1", "--methods", PAIR, *PLACES, "--no-figures")


@dataclass(frozen=True)
class Kind:
    """Kind of work.

    Attributes:
        command: arguments of `harness`.
        prepare: makes what the work needs in the current, empty folder.
        workers: number of processes that do it together.
    """

    command: tuple[str, ...]
    prepare: Callable[[], None]
    workers: int = 1


def _training() -> None:
    write_data(Path("data"))
    write_profile(Path("tiny.yaml"), profile_with(checkpoint_every=3))


def _measured() -> None:
    """Make a folder in which only the report is still to be written."""
    _training()
    assert _wait(_start(SWEEP)) == 0
    for path in Path("reports").rglob("*"):
        if path.is_file():
            path.unlink()


def _sets() -> None:
    write_photos(Path("data/benchmark/Set5/HR"), {f"p{n}": (48, 40) for n in range(5)})


KINDS = {
    "train": Kind(("train", "edsr-moeisr-liif-s", *PLACES), _training),
    "two-devices": Kind(("train", "edsr-moeisr-liif-s", *PLACES, "--devices", "2"), _training),
    "sweep": Kind(SWEEP, _training),
    "two-workers": Kind(SWEEP, _training, workers=2),
    "report": Kind(("report", "table1", "--profile", "tiny.yaml"), _measured),
    "prepare": Kind(
        ("data", "prepare", "Set5", "--scale", "2", "--scale", "3", "--data-root", "data"), _sets
    ),
    "fetch": Kind(("data", "fetch", "Set5", "--data-root", "data"), lambda: None),
}


def _start(command: tuple[str, ...]) -> int:
    """Begin a command in a child that has all modules already; its output goes to a file."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        os.setsid()
        output = os.open(f"output-{os.getpid()}.txt", os.O_WRONLY | os.O_CREAT)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.argv = ["harness", *command]
        try:
            main()
        except SystemExit as ending:
            status = ending.code if isinstance(ending.code, int) else 0
            sys.stdout.flush()
            sys.stderr.flush()
    except KeyboardInterrupt:  # before the command has begun, or after it has ended
        status = 130
    finally:
        os._exit(status)


def _wait(child: int) -> int:
    """Return the exit status of a child; minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _has_ended(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if pid else None


def _ended_with(kind: Kind) -> dict[str, bytes]:
    """Read everything that the work left, without what may differ."""
    found = {}
    for name, content in files_below(Path()).items():
        # A sweep's report says when it was measured; reports of the same rows are a kind of work.
        if kind.command == SWEEP and name.startswith("reports/"):
            continue
        if name.endswith(".pt"):
            state = checkpoints.read(Path(name))
            weights = checkpoints.weights_hash(state["state_dict"])
            found[name] = f"{weights} {state['step']} {state['finished']}".encode()
        elif not name.startswith("output-"):
            found[name] = VOLATILE.sub(rb'"\1"', content)
    return found


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _outputs() -> str:
    texts = [path.read_text(errors="replace")[-2000:] for path in Path().glob("output-*.txt")]
    return "\n---\n".join(texts)


def _hit(child: int, dice: random.Random) -> int:
    """Send a signal to a child, or two, and return its exit status."""
    number = dice.choice(SIGNALS)
    for _ in range(dice.choice((1, 1, 2))):
        if (status := _has_ended(child)) is not None:
            return status
        os.kill(child, number)
        time.sleep(dice.uniform(0, 0.02))
    return _wait(child)


def _round(kind: Kind, seconds: float, dice: random.Random) -> Counter[str]:
    """Do the work with as many signals as come before it ends; return how many hit it."""
    hits: Counter[str] = Counter()
    done = False
    while not done:
        victim, *others = [_start(kind.command) for _ in range(kind.workers)]
        time.sleep(dice.uniform(0, seconds))
        status = _has_ended(victim)
        if status is None:
            status = _hit(victim, dice)
            if status:
                hits["killed" if status == -signal.SIGKILL else "stopped"] += 1
        # A command that is stopped says so by its status; before it can, the signal ends it.
        assert status in (0, 130, *(-number for number in SIGNALS)), (status, _outputs())
        rest = [_wait(each) for each in others]
        assert not any(rest), (rest, _outputs())
        done = status == 0
    assert "Traceback" not in _outputs(), _outputs()
    return hits


def trial(name: str, kills: int, seed: int, folder: Path) -> Counter[str]:
    """Kill one kind of work so many times.

    Returns:
        The number of times that it was killed, stopped (SIGTERM, SIGINT), and done.

    Raises:
        AssertionError: it ended with something else, or in an unexpected way.
    """
    kind, dice = KINDS[name], random.Random(f"{name} {seed}")
    prepared, whole = folder / name / "prepared", folder / name / "undisturbed"
    with _inside(prepared):
        kind.prepare()
    shutil.copytree(prepared, whole)
    with _inside(whole):
        start = time.monotonic()
        assert _wait(_start(kind.command)) == 0, _outputs()
        seconds = time.monotonic() - start
        expected = _ended_with(kind)
    hits: Counter[str] = Counter()
    while hits["killed"] + hits["stopped"] < kills:
        place = folder / name / f"round-{hits['done']}"
        shutil.copytree(prepared, place)
        with _inside(place):
            hits += _round(kind, seconds, dice)
            found = _ended_with(kind)
        names = sorted({*expected, *found})
        changed = [each for each in names if expected.get(each) != found.get(each)]
        assert not changed, f"{place}: not as in the undisturbed work: {', '.join(changed)}"
        hits["done"] += 1
        shutil.rmtree(place)
    return hits


@contextmanager
def _small_archive(folder: Path) -> Iterator[None]:
    """Let `harness data fetch` take a made-up archive from this machine for the published one."""
    folder.mkdir()
    path = write_tar(folder / "benchmark.tar", set5_files())
    kept = sets.archives, download._CHUNK
    with serving(path.read_bytes()) as server:
        archive = archive_of(path, server.url)
        sets.archives = lambda: [archive]
        download._CHUNK = 1024
        try:
            yield
        finally:
            sets.archives, download._CHUNK = kept


def run(kinds: list[str], kills: int, seed: int) -> None:
    """Kill each kind of work, and print how often."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, _small_archive(Path(name) / "archive"):
        for kind in kinds:
            hits = trial(kind, kills, seed, Path(name))
            print(
                f"{kind}: killed {hits['killed']} times, stopped {hits['stopped']} times; done "
                f"{hits['done']} times, each time as if undisturbed",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("kinds", nargs="*", choices=[[], *KINDS], help=", ".join(KINDS))
    parser.add_argument("--kills", type=int, default=20, help="of each kind; default: 20")
    parser.add_argument("--seed", type=int, default=0, help="other random moments")
    given = parser.parse_args()
    run(given.kinds or list(KINDS), given.kills, given.seed)
