"""Training: the samples and schedule of the papers, and runs that survive being killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from tiny import (
    DECODER,
    ENCODER,
    FIXED,
    NETWORKS,
    pixels,
    profile_with,
    start,
    write_data,
    write_photos,
    write_profile,
)

from baselines import parse
from baselines.geometry import make_coord
from benchmarks.pillow_samples import augment
from harness import profiles
from harness.checkpoints import load_model, reference
from harness.common.errors import HarnessError, UsageError
from harness.data.degrade import pil_resize
from harness.data.sets import Dataset, find
from harness.data.sets.base import memory_item
from harness.profiles import Profile, Training
from harness.profiles.recipe import LARGEST_SEED, make_recipe
from harness.training.loop import _step_seed
from harness.training.losses import losses
from harness.training.patches import Batch, PatchSource
from harness.training.step import learning_rate, new_state, optimise
from moeisr.losses import moeisr_loss

STEPS = 4 * 4 // 4 * 3


def images(*sizes: tuple[int, int]) -> Dataset:
    items = tuple(
        memory_item(f"i{n}", lambda n=n, size=size: pixels(*size, seed=n))
        for n, size in enumerate(sizes)
    )
    return Dataset("made-up", "", items, None, "full")


def sampling(**changed: object) -> Training:
    defaults = {"dataset": "x", "repeat": 2, "patch": 6, "queries": 20, "batch": 4}
    return Training(**{**defaults, **changed})


def parts(batch: Batch) -> list[torch.Tensor]:
    return [batch.lr, batch.coord, batch.cell, batch.target]


# Samples


def test_a_batch_is_a_function_of_seed_and_step():
    data = images((30, 34), (40, 26))
    first, again = (PatchSource(data, sampling(batch=2), 5) for _ in range(2))
    for step in (7, 0, 3):
        assert all(map(torch.equal, parts(first.batch(step)), parts(again.batch(step))))
    assert not torch.equal(first.batch(3).lr, first.batch(4).lr)
    other = PatchSource(data, sampling(batch=2), 6)
    assert not torch.equal(first.batch(3).lr, other.batch(3).lr)


def test_where_images_are_kept_changes_nothing():
    data = images((30, 34), (40, 26), (25, 24))
    held = PatchSource(data, sampling(batch=4), 5)
    read = PatchSource(data, sampling(batch=4, in_memory=False), 5)
    for step in (0, 1, 2, 7, 3):
        assert all(map(torch.equal, parts(held.batch(step)), parts(read.batch(step))))


def test_an_epoch_shows_every_image_as_often_as_repeat_says():
    """Each image has a colour of its own, so that a patch tells where it is from."""
    colours = [
        memory_item(f"c{c}", lambda c=c: torch.full((3, 30, 30), 40 * c, dtype=torch.uint8))
        for c in range(6)
    ]
    data = Dataset("colours", "", tuple(colours), None, "full")
    source = PatchSource(data, sampling(repeat=4, batch=3), 1)
    assert source.per_epoch == 8
    epochs = []
    for epoch in range(2):
        steps = range(epoch * 8, epoch * 8 + 8)
        lr = torch.cat([source.batch(step).lr for step in steps])
        shown = ((lr[:, 0, 0, 0] + 1) / 2 * 255 / 40).round().int().tolist()
        assert Counter(shown) == dict.fromkeys(range(6), 4)
        epochs.append(shown)
    assert epochs[0] != epochs[1]


@pytest.mark.parametrize("scale", [1, 2.5, 4])
def test_targets_are_the_pixels_at_the_coordinates(scale):
    """The whole image is one patch, so every flip is known from the LR patch alone."""
    side = round(6 * scale)
    hr = pixels(side, side)
    settings = sampling(scale_min=scale, scale_max=scale, batch=1, repeat=16, queries=36)
    data = Dataset("one", "", (memory_item("one", lambda: hr),), None, "full")
    source = PatchSource(data, settings, 0)
    views = {
        flips: augment(pil_resize(hr, (6, 6)), *flips)
        for flips in [(h, v, t) for h in (0, 1) for v in (0, 1) for t in (0, 1)]
    }
    seen = set()
    for step in range(16):
        batch = source.batch(step)
        lr = ((batch.lr[0] + 1) / 2 * 255).round().to(torch.uint8)
        (flips,) = (f for f, view in views.items() if torch.equal(view, lr))
        seen.add(flips)
        turned = augment(hr, *flips).float() / 255 * 2 - 1
        row, column = (((batch.coord[0] + 1) * side - 1) / 2).round().long().T
        assert len(set(zip(row.tolist(), column.tolist(), strict=True))) == 36
        assert torch.allclose(turned[:, row, column].T, batch.target[0], atol=1e-6)
        assert batch.cell.unique().tolist() == [torch.tensor(2 / side).item()]
        centres = make_coord((side, side))[row * side + column]
        assert torch.equal(centres, batch.coord[0])
    assert len(seen) > 4, "all mirrorings and the transposition occur"


def test_scales_and_places_vary():
    source = PatchSource(images((64, 64)), sampling(repeat=64, batch=1), 0)
    sides = [round(2 / source.batch(step).cell[0, 0, 0].item()) for step in range(64)]
    assert min(sides) < 9
    assert max(sides) > 21
    assert set(sides) <= set(range(6, 25))
    assert len(set(sides)) > 10


@pytest.mark.parametrize("in_memory", [True, False])
def test_an_image_smaller_than_a_patch_is_named(in_memory, tmp_path, harness):
    root = write_data(tmp_path / "data")
    write_photos(root / "DIV2K" / "DIV2K_train_HR", {"0099": (31, 60)})
    file = write_profile(tmp_path / "tiny.yaml", profile_with(in_memory=in_memory))
    status, _, err = harness("train", "edsr-liif", "--profile", file, "--data-root", root)
    assert status == 1
    assert "0099 is 60x31" in err
    assert "needs 32 pixels" in err
    assert not list(Path("results").rglob("*.pt"))


def test_too_few_images_for_a_batch_are_told(tmp_path, harness):
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "tiny.yaml", profile_with(batch=17))
    status, _, err = harness("train", "edsr-liif", "--profile", file, "--data-root", root)
    assert status == 1
    assert "too few for one batch of 17" in err


# Schedule and loss


def test_the_learning_rate_of_the_paper():
    settings = profiles.load("paper").training
    epochs = (0, 199, 200, 400, 599, 600, 999)
    assert {epoch: learning_rate(settings, 7 * epoch + 6, 7) for epoch in epochs} == {
        0: 1e-4,
        199: 1e-4,
        200: 5e-5,
        400: 2.5e-5,
        599: 2.5e-5,
        600: 1.25e-5,
        999: 6.25e-6,
    }
    assert learning_rate(settings, 7 * 200 - 1, 7) == 1e-4


def test_milestones_in_steps():
    """MultiStepLR, stepped once a step, as SeemoRe's and IGConv's code."""
    settings = Training(dataset="x", lr=1.0, iterations=9, milestones=(3, 5))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [3, 5], 0.5)
    for step in range(9):
        assert learning_rate(settings, step, per_epoch=2) == optimizer.param_groups[0]["lr"]
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize("method", NETWORKS)
def test_the_loss_of_a_batch(method):
    from tiny import network

    model = network(method).train()
    batch = PatchSource(images((30, 30)), sampling(batch=2), 0).batch(0)
    settings = sampling(alpha=3000, beta=1)
    torch.manual_seed(1)
    found = losses(model, batch, settings)
    torch.manual_seed(1)
    features = model.encode(batch.lr)
    l1 = (model.decode(features, batch.coord, batch.cell) - batch.target).abs().mean()
    assert found["l1"].item() == pytest.approx(l1.item())
    if features.routing is None:
        assert found["loss"].item() == pytest.approx(l1.item())
    else:
        expected = moeisr_loss(l1, features.routing.probabilities).item()
        assert found["loss"].item() == pytest.approx(expected)
        assert expected > 3000 * l1.item()


@pytest.mark.parametrize("method", FIXED)
def test_the_loss_of_a_fixed_scale_network(method):
    """L1 to the HR pixels, in [-1, 1] units whatever range the network works on."""
    from tiny import network

    model, scale = network(method).train(), int(method[-1])
    settings = sampling(batch=1, patch=8, scale_min=scale, scale_max=scale, queries=64)
    side = 8 * scale
    hr = pixels(side, side)
    source = PatchSource(Dataset("one", "", (memory_item("one", lambda: hr),), None, "full"),
                         settings, 0)  # fmt: skip
    batch = source.batch(0)
    unit = model.input_range == "unit"
    torch.manual_seed(1)  # drops the same paths in both
    sr = model(batch.lr / 2 + 0.5) * 2 - 1 if unit else model(batch.lr)
    row, column = (((batch.coord[0] + 1) / 2 * side).floor().long()).unbind(-1)
    expected = (sr[0, :, row, column].T - batch.target[0]).abs().mean()
    torch.manual_seed(1)
    assert losses(model, batch, settings)["l1"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_training_is_the_same_but_for_rounding(tmp_path, harness):
    """The same recipe, so the same samples and the same Gumbel noise."""
    root = write_data(tmp_path / "data")
    states = []
    for compiles in (False, True):
        content = profile_with(compile=compiles, epochs=1, milestones=[])
        file = write_profile(tmp_path / "p.yaml", content)
        harness.good(*command("edsr-moeisr-lte-s", file, root, f"results-{compiles}"))
        states.append(checkpoint(Path(f"results-{compiles}")))
    one, other = states
    assert one["recipe"] == other["recipe"]
    for name, value in one["state_dict"].items():
        assert torch.allclose(value, other["state_dict"][name], atol=1e-4), name


def test_patches_are_whole_windows(tmp_path, harness):
    content = profile_with(patch=10, queries=50)
    arguments = command("swinir-lte", write_profile(tmp_path / "p.yaml", content),
                        write_data(tmp_path / "data"))  # fmt: skip
    status, _, err = harness(*arguments)
    assert status == 2
    assert "swinir-lte works on windows of 4 pixels" in err


def test_the_weight_in_a_name_is_that_of_the_balance_loss(tmp_path, harness):
    content = profile_with(balance_weights={"liif": [1, 2, 3, 4]})
    profile = profiles.load(str(write_profile(tmp_path / "p.yaml", content)))
    for method, expected in {
        "edsr-moeisr-liif-s": [1, 2, 3, 4],
        "edsr-moeisr-liif-s-w3=0.5": [1, 2, 0.5, 4],
        "edsr-moeisr-lte-s-w3=0.5": [1, 1, 0.5],
        "edsr-moeisr-lte-s": None,
        "edsr-liif": None,
        "edsr-x2": None,
    }.items():
        own = profile.training.for_method(parse(method))
        state = new_state(make_recipe(profile, method, 0, ""), own, torch.device("cpu"))
        assert state.balance == expected


# Runs


@pytest.fixture
def trained(tmp_path, harness):
    """Runs `harness train` under the tiny profile and reads the checkpoint."""
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "tiny.yaml")

    def train(method="edsr-liif", results="results", *more):
        out = harness.good(*command(method, file, root, results), *more, "--json")
        return torch.load(json.loads(out)["checkpoint"], weights_only=True)

    return train


def command(method, profile, root, results="results"):
    return (
        *("train", method, "--profile", profile, "--data-root", root),
        *("--results", results, "--device", "cpu"),
    )


def checkpoint(results: Path) -> dict:
    (path,) = results.rglob("checkpoint.pt")
    return torch.load(path, weights_only=True)


def log(results: Path) -> list[dict]:
    (path,) = results.rglob("log.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def assert_same_weights(one: dict, other: dict) -> None:
    assert one["step"] == other["step"]
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for name, value in one["state_dict"].items():
        assert torch.equal(value, other["state_dict"][name]), name


ABLATIONS = ["edsr-liif-3layer", "edsr-moeisr-liif-b-m1", "edsr-moeisr-lte-s-w1=3.7"]


@pytest.mark.parametrize("method", [*NETWORKS, *FIXED, *ABLATIONS])
def test_a_run_ends_and_its_checkpoint_loads(method, trained):
    trained(method)
    content = checkpoint(Path("results"))
    (path,) = Path("results").rglob("checkpoint.pt")
    assert load_model(path, method=method).state_dict().keys() == content["state_dict"].keys()
    assert content["step"] == content["total_steps"] == STEPS
    assert content["finished"] is True


def test_a_checkpoint_carries_its_history(trained, tmp_path):
    content = trained()
    assert content["method"] == "edsr-liif"
    assert content["build"] == {"encoder": ENCODER, "decoder": DECODER}
    assert content["recipe"]["seed"] == 0
    assert content["recipe"]["data"] == find("DIV2K_train", tmp_path / "data").fingerprint
    assert content["recipe"]["training"]["patch"] == 8
    assert content["profile"]["name"] == "tiny"
    assert {"python", "torch", "pillow", "numpy", "harness", "commit"} <= content["versions"].keys()
    assert content["optimizer"]["state"][0]["step"] == STEPS
    assert content["rng"]["seed"] == 0
    (path,) = Path("results").rglob("checkpoint.pt")
    model = load_model(path, method="edsr-liif")
    assert not model.training


def test_a_full_size_among_smaller_ones_is_said_before_training(tmp_path, harness):
    """A decoder that the profile does not name, over an encoder that it makes small."""
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "tiny.yaml")
    for method, said in (("edsr-ipe", True), ("edsr-liif", False)):
        status, _, err = harness(*command(method, file, root))
        assert status == 0
        warning = "FULL SIZE: ipe decoder. These keep the published size, while profile"
        assert (warning in err.partition("Training")[0]) == said


def test_another_seed_is_another_run(trained):
    trained()
    (first,) = Path("results").rglob("checkpoint.pt")
    before = first.read_bytes()
    trained("edsr-liif", "results", "--seed", 1)
    assert first.read_bytes() == before
    contents = [
        torch.load(p, weights_only=True) for p in sorted(Path("results").rglob("checkpoint.pt"))
    ]
    assert [c["recipe"]["seed"] for c in contents] == [0, 1]
    name = "encoder.head.0.weight"
    assert not torch.equal(*(c["state_dict"][name] for c in contents))


def test_trained_twice_is_trained_once(trained, tmp_path):
    trained()
    (path,) = Path("results").rglob("checkpoint.pt")
    before = path.read_bytes(), path.stat().st_mtime_ns
    trained()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


# Each place where kill -9 can hurt: between two steps, in the middle of writing a checkpoint
# (half of the file is there), and after the log was written but not the checkpoint.
KILL = """
import os, signal, sys
from pathlib import Path
import torch
from harness.commands import main
from harness.training.source import ImageSource

def die():
    os.kill(os.getpid(), signal.SIGKILL)

where, real_of_step, real_save = sys.argv.pop(1), ImageSource._of_step, torch.save
real_write, steps = Path.write_bytes, [0]

def of_step(self, step):
    if where == "step" and step == 7:
        die()
    return real_of_step(self, step)

def save(content, file):
    steps.append(content["step"])
    return real_save(content, file)

def write(self, data):
    if (where, steps[-1]) in (("save", 10), ("log", 12)):
        real_write(self, bytes(data)[: len(data) // 2])
        die()
    return real_write(self, data)

ImageSource._of_step, torch.save, Path.write_bytes = of_step, save, write
main()
"""


DENSE = {
    **{"dense": True, "frequency": 0.1, "betas": [0.9, 0.99], "ema": 0.8},
    **{"iterations": STEPS, "milestones": [6, 9]},
}


@pytest.mark.parametrize("method", ["edsr-liif", "edsr-moeisr-lte-s", "edsr-x3"])
def test_killed_and_started_again_ends_with_the_same_weights(method, tmp_path, harness):
    root = write_data(tmp_path / "data")
    content = profile_with(overrides={"edsr-x3": DENSE})
    arguments = (method, write_profile(tmp_path / "tiny.yaml", content), root)
    for place, step in (("step", 5), ("save", 5), ("log", 10)):
        process = start(place, *command(*arguments, "killed"), code=KILL)
        _, err = process.communicate(timeout=120)
        assert process.returncode == -signal.SIGKILL, err
        assert checkpoint(Path("killed"))["step"] == step
    for results in ("killed", "whole"):
        harness.good(*command(*arguments, results))
    whole, killed = (checkpoint(Path(results)) for results in ("whole", "killed"))
    assert_same_weights(whole, killed)
    assert_same_weights(*({**c, "state_dict": c.get("unaveraged", {})} for c in (whole, killed)))
    assert ("unaveraged" in killed) == (method == "edsr-x3")
    for name, state in whole["optimizer"]["state"].items():
        assert all(torch.equal(v, killed["optimizer"]["state"][name][k]) for k, v in state.items())
    left = [p.name for p in Path("killed").rglob("*") if p.is_file()]
    assert sorted(left) == ["checkpoint.pt", "lock", "log.jsonl"]
    assert [line["step"] for line in log(Path("killed"))] == (
        [line["step"] for line in log(Path("whole"))]
    )


def wait_for(condition, process, seconds=90):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_kill_at_any_moment_of_a_longer_run(tmp_path, harness):
    """The signal comes from outside, when checkpoints are being written all the time."""
    root = write_data(tmp_path / "data")
    longer = profile_with(epochs=30, milestones=[20], checkpoint_every=1)
    validation = {"dataset": "DIV2K_valid", "scale": 2, "images": 1, "every_epochs": 6}
    longer["training"]["validation"] = validation
    file = write_profile(tmp_path / "tiny.yaml", longer)
    process = start(*command("edsr-moeisr-liif-b", file, root, "killed"))
    wait_for(lambda: len(list(Path("killed").rglob("checkpoint.pt"))), process)
    time.sleep(0.3)
    process.kill()
    _, err = process.communicate()
    assert process.returncode == -signal.SIGKILL, err
    assert 0 < checkpoint(Path("killed"))["step"] < 120
    for results in ("killed", "whole"):
        harness.good(*command("edsr-moeisr-liif-b", file, root, results))
    assert_same_weights(checkpoint(Path("whole")), checkpoint(Path("killed")))
    steps = [(line["step"], "validation_psnr" in line) for line in log(Path("killed"))]
    assert steps == sorted(set(steps))
    assert steps == [(line["step"], "validation_psnr" in line) for line in log(Path("whole"))]
    lines = [
        [x for k, x in line.items() if k not in ("seconds", "checksum")]
        for line in log(Path("killed"))
    ]
    assert lines == [
        [x for k, x in line.items() if k not in ("seconds", "checksum")]
        for line in log(Path("whole"))
    ]


# Raises the signal in the middle of a step, as Ctrl-C in a terminal does for the whole group.
INTERRUPT = """
import os, signal, sys
from harness.training import loop
from harness.commands import main

number, at, real, calls = int(sys.argv.pop(1)), int(sys.argv.pop(1)), loop.losses, []

def losses(*arguments):
    calls.append(1)
    if len(calls) == at:
        os.killpg(os.getpid(), number)
    return real(*arguments)

loop.losses = losses
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_saves_and_goes_on(number, trained, tmp_path):
    arguments = command("edsr-lte", tmp_path / "tiny.yaml", tmp_path / "data", "stopped")
    process = start(int(number), 7, *arguments, code=INTERRUPT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "goes on from there" in err
    assert checkpoint(Path("stopped"))["step"] == 7
    assert_same_weights(trained("edsr-lte", "whole"), trained("edsr-lte", "stopped"))


def test_the_paper_profile_runs_unchanged_on_a_miniature_of_div2k(tmp_path):
    sizes = {f"{n:04d}": (192 + n, 200) for n in range(1, 5)}
    write_photos(tmp_path / "DIV2K" / "DIV2K_train_HR", sizes)
    write_photos(tmp_path / "DIV2K" / "DIV2K_valid_HR", {"0801": (96, 100), "0802": (90, 80)})
    process = start(
        *(int(signal.SIGINT), 1, "train", "edsr-lte", "--profile", "paper"),
        *("--data-root", tmp_path, "--device", "cpu"),
        code=INTERRUPT,
        threads=os.cpu_count() or 1,
    )
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    content = checkpoint(Path("results"))
    assert content["step"] == 1
    assert content["total_steps"] == 4 * 20 // 16 * 1000
    assert content["profile"] == profiles.load("paper").model_dump(mode="json")
    assert content["recipe"]["data"] == find("DIV2K_train", tmp_path).fingerprint
    assert sum(v.numel() for v in content["state_dict"].values()) == 1_714_243
    assert content["optimizer"]["param_groups"][0]["lr"] == 1e-4
    assert all(v.isfinite().all() for v in content["state_dict"].values())


def test_a_run_has_one_trainer(trained, tmp_path, harness):
    trained()
    (folder,) = (p.parent for p in Path("results").rglob("checkpoint.pt"))
    with FileLock(str(folder / "lock")):
        status, _, err = harness(*command("edsr-liif", tmp_path / "tiny.yaml", tmp_path / "data"))
    assert status == 1
    assert "Another process is training" in err


def test_every_step_of_every_seed_has_noise_of_its_own():
    """And none has the noise that initial weights are drawn with."""
    seeds, steps = range(4), range(300)
    noise = {_step_seed(seed, step) for seed in seeds for step in steps}
    assert len(noise) == len(seeds) * len(steps)
    assert noise.isdisjoint(seeds)


def test_no_seed_is_larger_than_the_noise_of_its_steps_can_have(tmp_path, harness):
    profile = profiles.load("quick")
    assert make_recipe(profile, "edsr-lte", LARGEST_SEED, "").seed == LARGEST_SEED
    torch.manual_seed(_step_seed(LARGEST_SEED, 10**12))
    with pytest.raises(UsageError, match="is too large; the largest is 18000000000000"):
        make_recipe(profile, "edsr-lte", LARGEST_SEED + 1, "")
    file, root = write_profile(tmp_path / "tiny.yaml"), write_data(tmp_path / "data")
    status, _, err = harness(*command("edsr-lte", file, root), "--seed", 30_000_000_000_000)
    assert (status, "is too large" in err) == (2, True)


def test_a_damaged_log_does_not_stop_training(trained, tmp_path, harness):
    trained()
    (path,) = Path("results").rglob("log.jsonl")
    (weights,) = Path("results").rglob("checkpoint.pt")
    lines = path.read_bytes()
    path.write_bytes(b"[1, 2]\n\xff\xfe\n" + lines + b'{"step": []}\n\0\0\0')
    weights.unlink()
    harness.good(*command("edsr-liif", tmp_path / "tiny.yaml", tmp_path / "data"))
    assert [line["step"] for line in log(Path("results"))] == [12]
    assert path.with_suffix(".damaged").read_bytes() == b"[1, 2]\n\xff\xfe\n"


def test_a_loss_that_is_not_finite_ends_training_and_keeps_the_good_checkpoint(tmp_path, harness):
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "tiny.yaml", profile_with(lr=1e30, checkpoint_every=1))
    status, _, err = harness(*command("edsr-liif", file, root))
    assert status == 1
    assert "the loss is" in err
    assert "Traceback" not in err
    for path in Path("results").rglob("checkpoint.pt"):
        state = torch.load(path, weights_only=True)["state_dict"]
        assert all(value.isfinite().all() for value in state.values())


def test_a_validation_image_that_is_too_small_is_named_before_training(tmp_path, harness):
    root = write_data(tmp_path / "data")
    write_photos(root / "DIV2K" / "DIV2K_valid_HR", {"0800": (15, 60)})
    content = profile_with(validation={"dataset": "DIV2K_valid", "scale": 4, "images": 2})
    status, _, err = harness(
        *command("edsr-liif", write_profile(tmp_path / "t.yaml", content), root)
    )
    assert status == 1
    assert "0800" in err
    assert not list(Path("results").rglob("*.pt"))


@pytest.mark.parametrize("weights", [[1, 1, 1, 3.7], [1, 2]])
def test_balance_weights_fit_the_experts(weights, tmp_path, harness):
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "tiny.yaml", profile_with(balance_weights={"liif": weights}))
    status, _, err = harness(*command("edsr-moeisr-liif-s", file, root))
    assert (status, "balance_weights" in err) == ((0, False) if len(weights) == 4 else (2, True))


def test_another_recipes_checkpoint_is_not_measured_under_this_ones_name(tmp_path, harness):
    root = write_data(tmp_path / "data")
    for epochs in (3, 2):
        file = write_profile(tmp_path / "tiny.yaml", profile_with(epochs=epochs, milestones=[1]))
        harness.good(*command("edsr-liif", file, root))
    first, second = Path("results").rglob("checkpoint.pt")
    contents = first.read_bytes(), second.read_bytes()
    second.write_bytes(contents[0])
    first.write_bytes(contents[1])
    table = ("run", "table1", "--methods", "edsr-liif", "--profile", file, "--data-root", root)
    status, _, err = harness(*table)
    assert (status, "another recipe" in err) == (1, True)


def test_a_foreign_file_in_the_place_of_a_checkpoint_is_refused(trained, tmp_path, harness):
    trained()
    (path,) = Path("results").rglob("checkpoint.pt")
    torch.save({"weight": torch.zeros(3)}, path)
    before = path.read_bytes()
    status, _, err = harness(*command("edsr-liif", tmp_path / "tiny.yaml", tmp_path / "data"))
    assert status == 1
    assert "another recipe" in err
    assert path.read_bytes() == before


# Over the encoder of a shipped network


def over_shipped(shipped: str) -> Profile:
    networks = {"encoder": {"edsr": {"blocks": 8, "features": 32}}, "decoder": {"liif": DECODER}}
    content = {**profile_with(frozen_encoder=shipped), "networks": networks}
    return Profile.model_validate(content)


def shipped(name: str = "edsr-liif") -> str:
    return f"{name}@{reference.about(name).shipped.weights[:10]}"


def test_a_frozen_encoder_is_the_shipped_one_before_and_after_a_step():
    profile = over_shipped(shipped())
    recipe = make_recipe(profile, "edsr-moeisr-liif-s", 0, "data")
    assert recipe.training["frozen_encoder"] == shipped()
    settings = profile.training.for_method(parse(recipe.method))
    state = new_state(recipe, settings, torch.device("cpu"))
    before = {name: value.clone() for name, value in state.model.state_dict().items()}
    source = PatchSource(images((60, 64)), settings, 0)
    optimise(state, source.batch(0), settings, 1e-3, 0, losses)
    theirs = load_model("reference:edsr-liif").state_dict()
    for name, value in state.model.state_dict().items():
        if name.startswith("encoder."):
            assert torch.equal(value, theirs[name])
    changed = [n for n, v in state.model.state_dict().items() if not torch.equal(v, before[n])]
    assert changed and not any(name.startswith("encoder.") for name in changed)


def test_an_encoder_of_another_version_or_size_is_refused():
    def begin(profile: Profile, method: str = "edsr-liif") -> None:
        recipe = make_recipe(profile, method, 0, "data")
        new_state(recipe, profile.training.for_method(parse(method)), torch.device("cpu"))

    with pytest.raises(UsageError, match=f"comes with this version is {shipped()}"):
        begin(over_shipped("edsr-liif@0123456789"))
    with pytest.raises(UsageError, match="edsr-lif"):
        begin(over_shipped("edsr-lif@0123456789"))
    with pytest.raises(HarnessError, match="the encoder of edsr-liif"):
        begin(Profile.model_validate(profile_with(frozen_encoder=shipped())))
    with pytest.raises(UsageError, match="has no encoder of its own"):
        begin(over_shipped(shipped()), "edsr-x2")
