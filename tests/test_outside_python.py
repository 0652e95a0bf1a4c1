"""Packages of others by entry points, and models of a notebook."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from tiny import network
from torch import Tensor, nn

from baselines import registry
from harness.common.errors import UsageError
from harness.metrics import METRICS, Given, Metric, unregister
from harness.notebook import run_experiment
from harness.outside import plugins
from harness.outside.python import PythonModel

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "harness-nearest"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which the example is installed as pip does."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("site")
    source = shutil.copytree(EXAMPLE, folder / "source")
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    made = subprocess.run(
        [*pip, "--target", str(folder / "lib"), str(source)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return {**os.environ, "PYTHONPATH": f"{folder / 'lib'}{os.pathsep}{ROOT}"}


def run(environment: dict[str, str], folder: Path, *arguments: str) -> str:
    code = "from harness.commands import main; main()"
    made = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


def test_the_example_package_is_measured(installed, tmp_path):
    """Its method on its dataset by its metric, and nothing in the harness is edited."""
    command = ("eval", "nearest", "--dataset", "gradients", "--scale", "2.5", "--metric", "mae")
    content = json.loads(run(installed, tmp_path, *command, "--json"))
    (unit,) = content["cells"]
    assert (content["method"], unit["images"], unit["failed"]) == ("nearest", 3, {})
    assert 0 < unit["others"]["mae"] < 50
    assert "MAE (levels)" in run(installed, tmp_path, *command)


class Twice(nn.Module):
    """A module of one scale."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)

    def forward(self, lr: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(self.conv(lr), 2)


def nearest(lr: Tensor, scale: float) -> Tensor:
    return nn.functional.interpolate(lr, [round(side * scale) for side in lr.shape[-2:]])


def test_a_model_of_a_notebook(tmp_path):
    torch.manual_seed(0)
    model = Twice()
    frame = run_experiment(model, "twice", scales=[2])
    (line,) = frame.to_dict("records")
    assert line["psnr"] > 0
    rows = [
        json.loads(text)
        for file in (tmp_path / "results").rglob("*.jsonl")
        for text in file.read_text().splitlines()
    ]
    for row in rows:
        assert row["method"] == "twice@python"
        assert row["parameters"]["all"] == 3 * 12 * 9 + 12
        assert row["macs"]["encoder"] == 27 * 12 * row["lr_size"][0] * row["lr_size"][1]
    again = run_experiment(model, "twice", scales=[2])
    assert again["psnr"].tolist() == frame["psnr"].tolist()
    assert len(list((tmp_path / "results").rglob("*.jsonl"))) == 1, "measured again"
    with torch.no_grad():
        model.conv.bias += 0.1
    changed = run_experiment(model, "twice", scales=[2])
    assert changed["psnr"].tolist() != frame["psnr"].tolist(), "weights are its identity"


class Sharper(nn.Module):
    """A module without weights, whose result is in its code and in a plain value."""

    def __init__(self, gain: float = 1.0) -> None:
        super().__init__()
        self.gain = gain

    def forward(self, lr: Tensor) -> Tensor:
        return nn.functional.interpolate(lr, scale_factor=2) * self.gain


def test_code_and_plain_values_are_the_identity_of_a_module(monkeypatch):
    identity = PythonModel(Sharper()).identity
    assert PythonModel(Sharper()).identity == identity
    assert PythonModel(Sharper(0.9)).identity != identity
    monkeypatch.setattr(Sharper, "forward", lambda self, lr: lr.repeat(1, 1, 2, 2) * self.gain)
    assert PythonModel(Sharper()).identity != identity


def test_functions_and_networks_of_ours(tmp_path):
    frame = run_experiment(nearest, "nearest", scales=[2, 3.7], protocol="liif")
    assert frame["psnr"].notna().all()
    assert frame["decoder_macs"].isna().all(), "unknown, not 0"
    own = run_experiment(network("edsr-liif"), "mine", scales=[2], protocol="all")
    assert set(own["protocol"]) >= {"basicsr-1", "matlab-1", "gsasr-1"}


def test_models_that_fail_are_units_with_a_reason():
    def breaks(lr: Tensor, scale: float) -> Tensor:
        raise RuntimeError("no kernel image")

    cases = {
        "no kernel image": breaks,
        "returned (1, 3": lambda lr, _: lr[0, 0],
        "the LR image's size": lambda lr, _: lr,
        "values in [0, 1]": lambda lr, scale: nearest(lr, scale) * 255,
        "NaN": lambda lr, scale: nearest(lr, scale) * float("nan"),
        "returned NoneType": lambda *_: None,
    }
    said = {"returned (1, 3": "not (1, 3, H, W)"}
    for words, model in cases.items():
        (line,) = run_experiment(model, "bad", scales=[2]).to_dict("records")
        assert line["psnr"] is None
        reasons = set(line["failed"].values())
        assert all(said.get(words, words) in reason for reason in reasons), reasons
    with pytest.raises(UsageError, match="plain name"):
        run_experiment(nearest, "../up", scales=[2])
    with pytest.raises(UsageError, match="Set5"):
        run_experiment(nearest, "near", datasets=["Set6"])


class Broken:
    """Stands for an entry point that raises."""

    name, group, dist = "broken", "harness.methods", None

    def load(self) -> object:
        raise ImportError("no module named jax")


class Leaving(Broken):
    """Stands for an entry point that ends the program, as a script does that is no module."""

    name = "leaving"

    def load(self) -> object:
        raise SystemExit("usage: train.py")


def divided(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> float:
    del hr, protocol
    return sr.numel() / (scale - 2)


DIVIDED = Metric("divided", "Divided", divided)


def test_entry_points_that_raise_are_named_and_left_out(monkeypatch, capsys):
    found = {
        "harness.methods": [
            Broken(),
            Leaving(),
            EntryPoint("a/b", "test_outside_python:Twice", "harness.methods"),
            EntryPoint("bicubic", "torch.nn:Identity", "harness.methods"),
            EntryPoint("good", "test_outside_python:Twice", "harness.methods"),
        ],
        "harness.metrics": [
            EntryPoint("mean", "torch:mean", "harness.metrics"),
            EntryPoint("divided", "test_outside_python:DIVIDED", "harness.metrics"),
        ],
        "harness.datasets": [EntryPoint("five", "json:nothing", "harness.datasets")],
    }
    monkeypatch.setattr(plugins, "entry_points", lambda group: found[group])
    monkeypatch.setitem(sys.modules, "test_outside_python", sys.modules[__name__])
    plugins.load.__wrapped__()
    said = capsys.readouterr().err
    for words in ("no module named jax", "usage: train.py", "'a/b' is no plain name"):
        assert words in said
    for words in ("called 'bicubic' already", "mean", "five"):
        assert words in said
    assert registry.build("good").parameter_count == 3 * 12 * 9 + 12
    registry.unregister("good")
    sr, found = torch.zeros(3, 2, 2), METRICS["divided"]
    given = Given(sr, lambda image: image, None)
    assert found.measure(sr, sr, "full", 4, given) == 6, "a plain number is a value too"
    with pytest.raises(ValueError, match="it raised ZeroDivisionError: "):
        found.measure(sr, sr, "full", 2, given)
    unregister("divided")
