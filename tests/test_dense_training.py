"""Training on dense batches: the loss, averaged weights, runs that resume."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from test_dense import source
from test_training import assert_same_weights, checkpoint, command, log
from tiny import network, pixels, profile_with, write_data, write_profile

from baselines import Method, registry
from baselines.base import Request, SRModel, Streamed, cut
from baselines.macs import MacCount
from harness import checkpoints, profiles
from harness.checkpoints import load_model
from harness.common.errors import HarnessError
from harness.data.sets import Dataset, find
from harness.data.sets.base import memory_item
from harness.profiles import Training
from harness.profiles.recipe import make_recipe
from harness.training.dense import DenseSource
from harness.training.losses import compiled, frequency_loss, losses
from harness.training.patches import PatchSource
from harness.training.step import averaged, learning_rate, new_state, optimise
from harness.training.validation import Validator

# Objective


@pytest.mark.parametrize("method", ["edsr-x2", "swinir-x2"])
@pytest.mark.parametrize("weight", [0, 0.1])
def test_the_loss_of_a_dense_batch(method, weight):
    """In [0, 1] units whatever range the network works on."""
    model = network(method).train()
    batch = source([(30, 30)], scales=(2,), patch=8).batch(0)
    signed = method.startswith("edsr")
    torch.manual_seed(1)  # drops the same paths in both
    sr = (model(batch.lr * 2 - 1) + 1) / 2 if signed else model(batch.lr)
    torch.manual_seed(1)
    found = losses(model, batch, Training(dataset="x", frequency=weight))
    l1, frequency = (sr - batch.hr).abs().mean(), frequency_loss(sr, batch.hr)
    assert found["l1"].item() == pytest.approx(l1.item(), rel=1e-5)
    assert found["loss"].item() == pytest.approx((l1 + weight * frequency).item(), rel=1e-5)
    assert ("frequency" in found) == bool(weight)
    if weight:
        assert found["frequency"].item() == pytest.approx(frequency.item(), rel=1e-5)


def test_the_loss_is_of_float32_in_mixed_precision():
    model = network("edsr-x2").train()
    batch = source([(30, 30)], scales=(2,), patch=8).batch(0)
    with torch.autocast("cpu", torch.bfloat16):
        found = losses(model, batch, Training(dataset="x", frequency=0.1))
    assert {value.dtype for value in found.values()} == {torch.float32}
    found["loss"].backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_dense_loss_is_the_same_but_for_rounding():
    model = network("edsr-x2").train()
    batch = source([(30, 30)], scales=(2,), patch=8).batch(0)
    training = Training(dataset="x", frequency=0.1)
    plain, fast = (made(model, batch, training) for made in (losses, compiled(losses)))
    for name, value in plain.items():
        assert fast[name].item() == pytest.approx(value.item(), rel=1e-5), name


def test_queries_are_no_task_for_a_network_that_makes_images():
    items = (memory_item("i", lambda: pixels(30, 30)),)
    training = Training(dataset="x", patch=6, queries=20, batch=1)
    batch = PatchSource(Dataset("x", "", items, None, "full"), training, 0).batch(0)
    with pytest.raises(TypeError, match="Toy answers no queries"):
        losses(Toy(), batch, training)


# Averages


@pytest.mark.parametrize("decay", [0.5, 0.9])
def test_an_average_of_weights(decay):
    model = network("swinir-x2").train()
    average = averaged(model, decay)
    expected = {name: p.detach().clone() for name, p in model.named_parameters()}
    for _ in range(3):
        for name, p in model.named_parameters():
            p.data.normal_()
            expected[name] = decay * expected[name] + (1 - decay) * p.detach()
        average.update_parameters(model)
    found = dict(average.module.named_parameters())
    assert all(torch.allclose(found[name], value, atol=1e-6) for name, value in expected.items())
    assert not average.module.training
    buffers = zip(average.module.buffers(), model.buffers(), strict=True)
    assert all(torch.equal(*pair) for pair in buffers)


# Runs


class Toy(SRModel):
    """The smallest network of several scales: `model(lr, scale)` on [0, 1]."""

    input_range = "unit"

    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 3, 3, padding=1)
        self.asked: list[int] = []
        self.scales = (2, 3)

    def forward(self, lr: torch.Tensor, scale: int) -> torch.Tensor:
        self.asked.append(scale)
        return F.interpolate(self.conv(lr), scale_factor=scale)

    def image(self, lr: torch.Tensor, scale: int) -> torch.Tensor:
        return self(lr, scale)

    def stream(self, lr: torch.Tensor, request: Request) -> Streamed:
        sr = self(lr, int(request.scale))
        return Streamed(iter([cut(sr, request.box)]), (lr.shape[-2], lr.shape[-1]))

    def count(self, lr_size, hr_size, choice=None, shares=None) -> MacCount:
        del hr_size, choice, shares
        return MacCount(encoder=81 * lr_size[0] * lr_size[1])

    def training_macs(self, patch: int, queries: int, scales: Sequence[int], batch: int) -> int:
        del queries, scales, batch
        return 81 * patch**2


@pytest.fixture
def toy():
    """`toy-many`, a method of scales 2 and 3."""
    made: list[Toy] = []

    def make(method: Method, **_: object) -> Toy:
        assert method.name == "toy-many"
        made.append(Toy())
        return made[-1]

    registry.register(Method("toy-many", make=make, encoder="toy", scales=(2, 3)))
    yield made
    registry.unregister("toy-many")


RECIPE = {"frequency": 0.1, "betas": [0.9, 0.99], "iterations": 10, "milestones": [5, 8]}


def test_a_network_of_several_scales_is_trained_and_goes_on_where_it_was(
    toy, tmp_path, harness, monkeypatch
):
    root = write_data(tmp_path / "data")
    content = profile_with(patch=5, queries=20, overrides={"toy": {**RECIPE, "ema": 0.7}})
    file = write_profile(tmp_path / "p.yaml", content)
    real = DenseSource.batch

    def stopped(self, step):
        if step == 7:
            raise HarnessError("stopped")
        return real(self, step)

    with monkeypatch.context() as patch:
        patch.setattr(DenseSource, "batch", stopped)
        assert harness(*command("toy-many", file, root, "stopped"))[0] == 1
    assert checkpoint(Path("stopped"))["step"] == 5
    for results in ("stopped", "whole"):
        harness.good(*command("toy-many", file, root, results))
    first, second, whole = (model.asked for model in toy if model.asked)
    assert (first[:5] + second, set(whole)) == (whole, {2, 3})
    contents = [checkpoint(Path(results)) for results in ("stopped", "whole")]
    assert_same_weights(*contents)
    assert_same_weights(*({**content, "state_dict": content["unaveraged"]} for content in contents))


@pytest.mark.parametrize("method", ["edsr-igconv", "rcan-igconv-plus", "seemore-t-x2"])
def test_published_methods_are_trained_on_whole_patches(method, tmp_path, harness):
    """Their windows and scales fit, RCAN's x8 among them."""
    root = write_data(tmp_path / "data")
    # The smallest training image has 36 pixels on its short side.
    content = profile_with(patch=4, queries=16, overrides={method: {**RECIPE, "ema": 0.7}})
    file = write_profile(tmp_path / "p.yaml", content)
    harness.good(*command(method, file, root))
    assert checkpoint(Path("results"))["step"] == 10
    assert not load_model(next(Path("results").rglob("checkpoint.pt"))).training


def test_scales_that_a_network_does_not_have_are_refused(toy, tmp_path, harness):
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "p.yaml", profile_with(scales=[2, 4]))
    status, _, err = harness(*command("toy-many", file, root))
    assert status == 2
    assert "toy-many is to be trained at x2, x4, but has x2, x3." in err


def test_a_dense_run_step_by_step(tmp_path, harness):
    """What ends in the checkpoint is the average; its last weights go on training."""
    root = write_data(tmp_path / "data")
    validation = {"dataset": "DIV2K_valid", "scale": 2, "images": 1, "every_epochs": 1}
    content = profile_with(
        validation=validation, overrides={"edsr-x2": {**RECIPE, "dense": True, "ema": 0.7}}
    )
    file = write_profile(tmp_path / "p.yaml", content)
    harness.good(*command("edsr-x2", file, root))
    stored = checkpoint(Path("results"))

    profile = profiles.load(str(file))
    training = profile.training.for_method(registry.parse("edsr-x2"))
    data = find("DIV2K_train", root)
    recipe = make_recipe(profile, "edsr-x2", 0, data.fingerprint)
    state = new_state(recipe, training, torch.device("cpu"))
    batches = DenseSource(data, training, 0)
    for step in range(10):
        rate = learning_rate(training, step, batches.per_epoch)
        assert rate == 1e-3 * (1 if step < 5 else 0.5 if step < 8 else 0.25)
        values = optimise(state, batches.batch(step), training, rate, 0, losses)
    for part, model in (("unaveraged", state.model), ("state_dict", state.average.module)):
        found = model.state_dict()
        assert all(torch.equal(found[name], value) for name, value in stored[part].items()), part
    assert stored["optimizer"]["param_groups"][0]["betas"] == (0.9, 0.99)
    assert stored["recipe"]["training"]["scales"] == [2]
    assert not torch.equal(*(next(iter(stored[k].values())) for k in ("unaveraged", "state_dict")))

    (path,) = Path("results").rglob("checkpoint.pt")
    loaded = load_model(path, "edsr-x2").state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in stored["state_dict"].items())
    last = log(Path("results"))[-1]
    assert Validator(training.validation, find("DIV2K_valid", root), None)(
        state.average.module
    ) == pytest.approx(last["validation_psnr"], abs=1e-4)
    assert "unaveraged" not in checkpoints.open_checkpoint(path).meta
    lines = [line for line in log(Path("results")) if "loss" in line]
    assert lines[-1]["frequency"] == pytest.approx(values["frequency"].item(), rel=1e-4)
    expected = lines[-1]["l1"] + 0.1 * lines[-1]["frequency"]
    assert lines[-1]["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_dense_patch_must_fit_windows_and_images(tmp_path, harness):
    root = write_data(tmp_path / "data")
    for patch, message in ((6, "windows of 4 pixels"), (16, "patch of 16 at x3 needs 48 pixels")):
        content = profile_with(overrides={"swinir-x3": {"dense": True, "patch": patch}})
        file = write_profile(tmp_path / "p.yaml", content)
        status, _, err = harness(*command("swinir-x3", file, root))
        assert (status, message in err) == (2 if patch == 6 else 1, True), err
