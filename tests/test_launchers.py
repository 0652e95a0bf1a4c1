"""Launchers: several processes do one plan, here or in Slurm, and end with the rows of one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from slurm_for_tests import ended, queue, slurm
from tiny import Harness, files_below, profile_with, write_data, write_profile

from harness import checkpoints, experiments, profiles
from harness.measure.rows import flat
from harness.profiles import places
from harness.runs.job import prepare
from harness.runs.launchers import slurm as launcher

METHODS = ("bicubic", "edsr-lte", "edsr-moeisr-lte-s")
# What may differ between two runs of the same units.
VOLATILE = {"seconds", "peak_memory_bytes", "measured_at", "checksum", "versions"}


JOB = (
    *("run", "table1", "--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu"),
    *("--methods", ",".join(METHODS), "--no-figures"),
)


def prepare_in(folder: Path) -> None:
    """A table with two trainings that take some seconds each."""
    write_data(folder / "data")
    content = profile_with(epochs=150, milestones=[100], checkpoint_every=20)
    write_profile(folder / "tiny.yaml", content)


@pytest.fixture
def job(tmp_path: Path) -> tuple[str, ...]:
    """Arguments of the table, in the test's folder."""
    prepare_in(tmp_path)
    return JOB


@pytest.fixture(scope="module")
def measured_alone(tmp_path_factory: pytest.TempPathFactory) -> list[dict]:
    """Rows of one process that does everything."""
    folder = tmp_path_factory.mktemp("alone")
    prepare_in(folder)
    command = [sys.executable, "-m", "harness", *JOB]
    subprocess.run(command, check=True, capture_output=True, timeout=900, cwd=folder)
    return rows(folder / "results")


def rows(results: Path) -> list[dict]:
    """Every row that was measured, without times."""
    stored = files_below(results / "tiny" / "measurements").items()
    found = [flat(json.loads(line)) for _, text in stored for line in text.splitlines()]
    kept = [{k: v for k, v in row.items() if k not in VOLATILE} for row in found]
    return sorted(kept, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def wait_for(condition: Callable[[], object], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while not condition():
        outputs = [p.read_text(errors="replace")[-800:] for p in Path().rglob("launched/*.*")]
        assert time.monotonic() < end, "\n".join(["waited in vain", *outputs])
        time.sleep(0.1)


def trainers(word: str) -> list[int]:
    """Processes of the harness in this folder with a word among their arguments."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (path / "cmdline").read_bytes().decode().split("\0")
            here = (path / "cwd").resolve() == Path.cwd()
        except OSError:
            continue
        if here and "harness" in arguments and word in arguments:
            found.append(int(path.name))
    return found


def step_of(method: str) -> int:
    found = Path("results").rglob(f"{method}/*/checkpoint.pt")
    return max((checkpoints.read(path)["step"] for path in found), default=0)


def test_local_workers_do_the_plan_of_one_that_is_killed(job, measured_alone):
    command = [sys.executable, "-m", "harness", *job, "--launcher", "local", "--workers", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipe = subprocess.PIPE
    parent = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment)
    wait_for(lambda: all(step_of(method) for method in METHODS[1:]))
    first, second = trainers("here")
    os.kill(first, signal.SIGKILL)
    out, err = parent.communicate(timeout=900)
    assert parent.returncode == 0, err
    assert "failed (killed by signal 9)" in err
    assert re.search(r"^worker [01]: .*(Training|Measuring|edsr-)", err, re.MULTILINE)
    assert "EDSR-LTE" in out
    assert not Path(f"/proc/{second}").exists()
    assert rows(Path("results")) == measured_alone


def test_a_stop_reaches_local_workers(job):
    command = [sys.executable, "-m", "harness", *job, "--launcher", "local", "--workers", "2"]
    pipe = subprocess.PIPE
    parent = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    wait_for(lambda: step_of(METHODS[1]))
    parent.terminate()
    _, err = parent.communicate(timeout=120)
    assert parent.returncode == 130, err
    assert not trainers("here")
    assert step_of(METHODS[1])


def test_slurm_jobs_end_with_the_rows_of_one_process(job, measured_alone, harness: Harness):
    """Two trainings at once; one is killed, one is sent back to the queue."""
    with slurm(2):
        asked = ("--launcher", "slurm", "--partition", "main", "--concurrency", 2, "--time", 30)
        numbers = json.loads(harness.good(*job, *asked, "--json"))
        trained = [f"train-{method}-s0" for method in METHODS[1:]]
        measures = [f"measure-{method}" for method in METHODS]
        assert list(numbers) == [*trained, *measures, "report"]
        assert len(queue()) == 6
        wait_for(lambda: all(step_of(method) >= 120 for method in METHODS[1:]))
        assert [state for name, state in queue().items() if name in trained] == ["RUNNING"] * 2
        told = harness.good("status", "--profile", "tiny.yaml")
        assert told.count("running") == 2
        assert "Left of what runs" in told
        (victim,) = trainers(METHODS[2])
        os.kill(victim, signal.SIGKILL)
        # As Slurm does before the time limit, and where it preempts a job.
        subprocess.run(["scancel", "--signal=USR2", numbers[trained[0]]], check=True)
        wait_for(lambda: queue().get(trained[0]) == "PENDING")
        saved = step_of(METHODS[1])
        assert saved
        assert saved < 600
        wait_for(lambda: not queue(), 900)
        assert set(ended().values()) == {"COMPLETED"}
    assert Path("reports/tiny/table1.md").exists()
    outputs = "".join(p.read_text() for p in Path("results/tiny/table1/launched").glob("*.err"))
    assert "killed by SIGKILL; again" in outputs
    assert "Stopped" in outputs, "told by Slurm's signal, and not killed by it"
    assert f"from step {saved} to step 600" in outputs
    assert rows(Path("results")) == measured_alone


def test_jobs_depend_on_the_trainings_that_they_need(job, monkeypatch):
    monkeypatch.setenv("HARNESS_DATA", "data")
    profile = profiles.load("tiny.yaml")
    where = places.resolve(Path("data"), profile=profile)
    table = experiments.get("table1")
    found = prepare(table, profile, where, torch.device("cpu"), METHODS)
    steps = {step.name: step for step in launcher.submissions(found, ["run", "table1"], 4)}
    assert [step.name for step in steps.values() if step.trains] == [
        "train-edsr-lte-s0",
        "train-edsr-moeisr-lte-s-s0",
    ]
    assert steps["train-edsr-lte-s0"].arguments[-2:] == ("--devices", "4")
    assert steps["measure-bicubic"].after == ()
    assert steps["measure-edsr-lte"].after == ("train-edsr-lte-s0",)
    assert steps["report"].after == tuple(f"measure-{method}" for method in METHODS)
    asked = launcher._parameters(steps["measure-edsr-lte"], 4, ["afterok:1", "afterany:2"])
    assert asked["gpus_per_node"] == 1
    assert asked["additional_parameters"]["dependency"] == "afterok:1,afterany:2"


def test_what_cannot_be_launched_is_said(job, harness: Harness, monkeypatch):
    status, _, err = harness(*job, "--launcher", "local")
    assert (status, "say by --workers how many processes" in err) == (2, True)
    monkeypatch.setenv("PATH", "")
    status, _, err = harness(*job, "--launcher", "slurm")
    assert (status, "There is no Slurm here" in err) == (1, True)
    monkeypatch.setitem(sys.modules, "submitit", None)
    status, _, err = harness(*job, "--launcher", "slurm")
    assert (status, "pip install 'moeisr-harness[slurm]'" in err) == (2, True)


def test_why_a_training_failed_is_in_the_status(job, harness: Harness):
    write_profile(Path("bad.yaml"), profile_with(lr=1e30))
    arguments = ("--profile", "bad.yaml", "--data-root", "data", "--device", "cpu")
    assert harness("train", "edsr-lte", *arguments)[0] == 1
    told = json.loads(harness.good("status", "--profile", "bad.yaml", "--json"))["trainings"]
    assert [(t["method"], t["state"]) for t in told] == [("edsr-lte", "failed")]
    assert "the loss is" in told[0]["note"]
    assert "edsr-lte, seed 0: edsr-lte: the loss is" in harness.good("status", *arguments[:2])
    (folder,) = Path("results/tiny/training/edsr-lte").iterdir()
    (folder / "failure.txt").unlink()
    told = json.loads(harness.good("status", "--profile", "bad.yaml", "--json"))["trainings"]
    assert told[0]["state"] == "waiting"
