"""Training by several processes: what one process trains, whatever happens to one of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny import Harness, profile_with, write_data, write_profile

from baselines import shared_batch
from harness import checkpoints
from harness.training.world import ALONE
from moeisr.losses import balance_loss

# Of the weights (about 0.1) after twelve steps of 1e-3: sums of float32 in another order.
TOLERANCE = 1e-5
DENSE = {
    **{"dense": True, "frequency": 0.1, "ema": 0.8, "iterations": 12, "milestones": [6, 9]},
}
METHODS = ["edsr-liif", "edsr-moeisr-liif-s", "edsr-moeisr-lte-b", "swinir-liif", "edsr-x3"]

# Trains each method under the profile, together with another process or alone.
TRAIN = """
import sys, torch
from pathlib import Path
from harness import profiles
from harness.data.sets import find
from harness.profiles.recipe import make_recipe, run_dir
from harness.training.loop import Run, train
from harness.training.world import joined

results, *methods = sys.argv[1:]
profile, data = profiles.load("tiny.yaml"), find("DIV2K_train", Path("data"))
with joined(None, torch.device("cpu")) as (world, device):
    for method in methods:
        recipe = make_recipe(profile, method, 0, data.fingerprint)
        run = Run(recipe, profile, run_dir(Path(results), "tiny", recipe), device, Path("data"))
        train(run, data, world=world)
"""


def prepare(**training: object) -> None:
    write_data(Path("data"))
    write_profile(Path("tiny.yaml"), profile_with(overrides={"edsr-x3": DENSE}, **training))


def together(count: int, *arguments: str, code: str = TRAIN) -> list[subprocess.Popen[str]]:
    """The same code in several processes, in the environment that torchrun makes."""
    from lightning_fabric.plugins.environments.lightning import find_free_network_port

    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    shared |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    shared |= {"TORCHELASTIC_RUN_ID": "test"} if count > 1 else {}
    return [
        subprocess.Popen(
            [sys.executable, "-c", code, *arguments],
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]


def finished(results: str, method: str) -> dict:
    (path,) = Path(results).rglob(f"{method}/*/checkpoint.pt")
    return checkpoints.read(path)


def test_two_processes_train_the_weights_of_one(tmp_path):
    """Of a batch that does not divide evenly: random queries, experts, dropped paths, patches."""
    prepare(batch=5)
    for count in (1, 2):
        processes = together(count, f"by-{count}", *METHODS)
        for process in processes:
            assert process.communicate(timeout=300)[1].count("Traceback") == 0
            assert process.returncode == 0
    for method in METHODS:
        one, two = (finished(f"by-{count}", method) for count in (1, 2))
        assert one.keys() == two.keys()
        assert (one["step"], one["recipe"]) == (two["step"], two["recipe"])
        for name, weights in one["state_dict"].items():
            same = torch.allclose(weights, two["state_dict"][name], rtol=0, atol=TOLERANCE)
            assert same, f"{method}: {name}"
        for index, averages in one["optimizer"]["state"].items():
            again = two["optimizer"]["state"][index]
            assert averages["step"] == again["step"]
            scale = averages["exp_avg"].abs().max()
            assert (averages["exp_avg"] - again["exp_avg"]).abs().max() <= 1e-3 * scale


@pytest.mark.parametrize("unit", ["batch", "image"])
def test_the_balance_loss_is_of_the_whole_batch(unit):
    """Value and gradients, from parts of unequal size."""
    scores = torch.randn(5, 7, 3, generator=torch.Generator().manual_seed(0), requires_grad=True)
    whole = balance_loss(scores.softmax(-1), (1, 2, 0.5), unit)
    (expected,) = torch.autograd.grad(whole, scores)
    parts, seen, found = (slice(0, 2), slice(2, 5)), [], []
    for turn in range(2):  # the first tells what each part adds
        for number, own in enumerate(parts):

            def add(mine, turn=turn, number=number):
                seen.append(mine.clone())
                return seen[0] + seen[1] if turn else mine

            with shared_batch.sharing(shared_batch.Part(5, own, add)):
                loss = balance_loss(scores[own].softmax(-1), (1, 2, 0.5), unit)
            if turn:
                assert loss.item() == pytest.approx(whole.item(), rel=1e-6)
                found.append(torch.autograd.grad(loss, scores)[0])
    assert torch.allclose(sum(found), expected, atol=1e-6)


def test_noise_is_of_the_whole_batch():
    def noisy(samples):
        return samples + torch.rand(samples.shape)

    own = torch.zeros(5, 3)
    torch.manual_seed(1)
    whole = shared_batch.by_sample(noisy, own)
    for part in (slice(0, 2), slice(2, 5)):
        torch.manual_seed(1)
        with shared_batch.sharing(shared_batch.Part(5, part, lambda mine: mine)):
            assert torch.equal(shared_batch.by_sample(noisy, own[part]), whole[part])
    assert ALONE.samples(5) == slice(0, 5)


def many(results: str, *more: object, devices: int = 2) -> list[str]:
    command = [sys.executable, "-m", "harness", "train", "edsr-moeisr-liif-s"]
    command += ["--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu"]
    return [*command, "--results", results, "--devices", str(devices), *map(str, more)]


def begin(results: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        many(results), stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def other_of(process: subprocess.Popen[str]) -> int:
    """The process that another has started."""
    (number,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(number)


def until_step(results: str, step: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 200
    while not any(
        checkpoints.read(p)["step"] >= step for p in Path(results).rglob("checkpoint.pt")
    ):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_kill_of_either_process_ends_both_and_training_goes_on_exactly(tmp_path):
    prepare(epochs=30, milestones=[20], checkpoint_every=1)
    for step, leads in ((3, False), (20, True)):
        process = begin("killed")
        until_step("killed", step, process)
        other = other_of(process)
        os.kill(process.pid if leads else other, signal.SIGKILL)
        # The pipe ends with both processes: they share it.
        _, err = process.communicate(timeout=120)
        assert "Another process of this training has ended" in err
        assert "the same command goes on from the last checkpoint" in err
        assert "Traceback" not in err
        assert process.returncode == (-signal.SIGKILL if leads else 1)
        assert not Path(f"/proc/{other}").exists() or leads
        assert step <= finished("killed", "edsr-moeisr-liif-s")["step"] < 120
    for results in ("killed", "whole"):
        subprocess.run(many(results), check=True, capture_output=True, timeout=300)
    one, two = (finished(results, "edsr-moeisr-liif-s") for results in ("killed", "whole"))
    assert one["step"] == two["step"] == 120
    hashes = {checkpoints.weights_hash(content["state_dict"]) for content in (one, two)}
    assert len(hashes) == 1
    for index, averages in one["optimizer"]["state"].items():
        again = two["optimizer"]["state"][index]
        assert all(torch.equal(value, again[name]) for name, value in averages.items())
    lines = [p.read_text().count("\n") for p in sorted(Path().rglob("log.jsonl"))]
    assert lines == [3, 3]


def test_a_stop_saves_and_any_number_of_processes_goes_on(tmp_path):
    """All processes stop after the same step, though one alone has been asked."""
    prepare(epochs=30, milestones=[20])
    process = begin("stopped")
    until_step("stopped", 5, process)
    process.terminate()
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "goes on from there" in err
    assert "Traceback" not in err
    step = finished("stopped", "edsr-moeisr-liif-s")["step"]
    assert step % 10 == 0
    assert step < 120
    for results, devices in (("stopped", 1), ("alone", 1)):
        subprocess.run(many(results, devices=devices), check=True, capture_output=True, timeout=300)
    one, two = (finished(results, "edsr-moeisr-liif-s") for results in ("stopped", "alone"))
    assert one["step"] == two["step"] == 120
    for name, weights in one["state_dict"].items():
        assert torch.allclose(weights, two["state_dict"][name], rtol=0, atol=1e-3), name


def test_what_cannot_be_is_refused_before_training(tmp_path, harness: Harness, monkeypatch):
    prepare()
    given = ("train", "edsr-liif", "--profile", "tiny.yaml", "--data-root", "data")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    status, _, err = harness(*given, "--device", "cuda:0", "--devices", 2)
    assert (status, "cuda:0 is one device, not 2" in err) == (2, True)
    status, _, err = harness(*given, "--device", "cuda", "--devices", 2)
    assert (status, "There are 1 CUDA devices here, not 2" in err) == (2, True)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    status, _, err = harness(*given, "--device", "cpu", "--devices", 2)
    assert (status, "4 processes were started for this training, not 2" in err) == (2, True)


def test_more_processes_than_samples_are_refused(tmp_path):
    prepare(batch=1, repeat=4)
    done = subprocess.run(many("few"), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 2
    assert "2 devices cannot share a batch of 1" in done.stderr
    assert "Traceback" not in done.stderr
