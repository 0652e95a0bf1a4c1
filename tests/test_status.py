"""`harness status` says what runs, has stopped, waits and is done, and changes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import files_below, profile_with, write_data, write_profile

from harness import checkpoints
from harness.common.locks import held, is_held
from harness.training.log import read_log

STEPS = 200
PLACES = ("--profile", "tiny.yaml")


@pytest.fixture
def folder(harness) -> Path:
    """Folder of a finished training of 200 steps in the tiny profile."""
    write_data(Path("data"))
    profile = profile_with(epochs=None, iterations=STEPS, milestones=[100])
    write_profile(Path("tiny.yaml"), profile)
    harness.good("train", "edsr-liif", *PLACES, "--data-root", "data")
    (folder,) = Path("results/tiny/training/edsr-liif").iterdir()
    return folder


def status(harness, *more: object) -> dict[str, Any]:
    before = files_below(Path("results"))
    found = json.loads(harness.good("status", *PLACES, "--json", *more))
    assert files_below(Path("results")) == before
    return found


def stop_at(step: int, folder: Path) -> None:
    """Make a finished training one that was stopped."""
    content = checkpoints.read(folder / "checkpoint.pt")
    content.pop("format", None)
    checkpoints.save(folder / "checkpoint.pt", {**content, "step": step, "finished": False})


def test_a_training_that_is_done_has_stopped_or_runs(folder, harness):
    (done,) = status(harness)["trainings"]
    assert (done["method"], done["seed"], done["state"]) == ("edsr-liif", 0, "done")
    assert (done["step"], done["total"], done["seconds_left"]) == (STEPS, STEPS, None)
    lines = read_log(folder / "log.jsonl")
    assert done["l1"] == lines[-1]["l1"]

    stop_at(100, folder)
    (stopped,) = status(harness)["trainings"]
    assert (stopped["state"], stopped["step"], stopped["seconds_left"]) == ("stopped", 100, None)

    # While it runs, its log is ahead of its checkpoint.
    kept = [json.dumps(line) for line in lines if line["step"] <= 150]
    (folder / "log.jsonl").write_text("\n".join(kept) + "\n")
    with held(folder / "lock", "training"):
        (runs,) = status(harness)["trainings"]
        text = harness.good("status", *PLACES)
    assert (runs["state"], runs["step"]) == ("running", 150)
    speed = (150 - 50) / (lines[2]["seconds"] - lines[0]["seconds"])
    assert runs["speed"] == pytest.approx(speed)
    assert runs["seconds_left"] == pytest.approx(50 / speed)
    assert "150 of 200" in text
    assert "process" in text


def test_a_damaged_checkpoint_is_named(folder, harness):
    data = (folder / "checkpoint.pt").read_bytes()
    (folder / "checkpoint.pt").write_bytes(data[: len(data) // 2])
    (found,) = status(harness)["trainings"]
    assert found["state"] == "damaged"
    assert "checkpoint.pt" in found["note"]


def test_units_of_an_experiment_wait_run_and_are_done(folder, harness):
    job = ("run", "table1", "--methods", "bicubic,edsr-liif", *PLACES, "--data-root", "data")
    harness.good(*job, "--no-figures")
    (done,) = status(harness)["experiments"]
    assert (done["experiment"], done["state"]) == ("table1", "done")
    assert done["measured_cells"] == done["cells"] > 0
    path = next(Path("results/tiny/measurements").rglob("edsr-liif.*.jsonl"))
    rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join(rows[1:]))
    (waits,) = status(harness)["experiments"]
    assert (waits["state"], waits["measured_cells"]) == ("waiting", done["cells"] - 1)
    assert waits["measured_images"] == done["images"] - 1
    with held(path.with_name(f"{path.name}.lock"), "measuring"):
        (runs,) = status(harness)["experiments"]
    assert runs["state"] == "running"


def test_an_empty_folder(harness):
    assert "Nothing was trained or measured" in harness.good("status")


def test_a_lock_is_held_while_it_is(tmp_path):
    lock = tmp_path / "lock"
    assert not is_held(lock)
    with held(lock, "testing"):
        assert is_held(lock)
    assert not is_held(lock)


def test_curves_for_tensorboard(folder, harness):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for _ in range(2):  # the second time replaces the first
        status(harness, "--tensorboard", "logs")
    events = EventAccumulator(str(Path("logs/edsr-liif", folder.name))).Reload()
    written = {point.step: point.value for point in events.Scalars("l1")}
    logged = {line["step"]: line["l1"] for line in read_log(folder / "log.jsonl") if "l1" in line}
    assert written == pytest.approx(logged)
