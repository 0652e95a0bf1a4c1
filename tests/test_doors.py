"""What a user adds is one file: a network or a part of one, a metric, a dataset, an experiment."""

# ruff: noqa: ARG002, ARG005  (the toy takes what the protocol hands over)

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from archives_for_tests import png, write_zip
from tiny import ENCODERS, PROFILE, network, profile_with, write_data, write_profile
from torch import Tensor, nn

import baselines.decoders
import baselines.encoders
import baselines.systems
import baselines.upsamplers
from baselines import Method, build, methods, parse, registry
from baselines.base import Request, SRModel, Streamed, cut
from baselines.fast.queries import l1_loss
from baselines.geometry import make_coord, nearest_index, table_rows
from baselines.macs import MacCount
from baselines.plain import decode_plain
from baselines.systems.implicit import ImplicitSR
from harness import experiments, metrics
from harness.data import sets
from harness.data.sets.base import Archive
from harness.measure.rows import flat
from harness.report.sections.curves import Curves
from harness.report.sections.scores import ScoreTable
from harness.runs.experiment import Block
from harness.upscale.network import upscale


class Splat(SRModel):
    """One Gaussian for each LR pixel, in its place; what is near a query is blended."""

    any_size = True

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.width = width
        self.layers = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 4, 1)
        )

    def forward(self, lr: Tensor, coord: Tensor) -> Tensor:
        """RGB (B, Q, 3) in [-1, 1] of queries (B, Q, 2)."""
        h, w = lr.shape[-2:]
        splats = self.layers(lr).flatten(2).transpose(1, 2)
        at = make_coord((h, w)).expand(len(lr), -1, -1)
        index = nearest_index(coord[..., 0], h) * w + nearest_index(coord[..., 1], w)
        near = table_rows(splats, index).reshape(*index.shape, 4)
        offset = (coord - table_rows(at, index).reshape(*index.shape, 2)).square().sum(-1, True)
        return near[..., :3] * (1 + (-near[..., 3:].exp() * offset).exp()) / 2

    def query_loss(self, lr, coord, cell, target):
        return (self(lr, coord).float() - target).abs().mean(), None

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        rgb = self(lr * 2 - 1, make_coord(request.size)[None]) / 2 + 0.5
        sr = rgb.transpose(1, 2).reshape(1, 3, *request.size)
        return Streamed(iter([cut(sr, request.box)]), (lr.shape[-2], lr.shape[-1]))

    def count(self, lr_size, hr_size, choice=None, shares=None) -> MacCount:
        return MacCount(encoder=lr_size[0] * lr_size[1] * 31 * self.width)

    def training_macs(self, patch, queries, scales, batch) -> int:
        return patch**2 * 31 * self.width


def make(method: Method, encoder: dict[str, int] | None = None, **_: object) -> SRModel:
    """What builds it, with its options in a profile."""
    return Splat(**(encoder or {}))


@pytest.fixture
def splat() -> Iterator[Method]:
    """The method, registered the public way."""
    yield registry.register(Method("splat", "Splat", make=make))
    registry.unregister("splat")


def test_a_network_of_a_new_kind_is_measured_like_all_others(splat, harness, tmp_path):
    root = write_data(tmp_path / "data")
    content = profile_with()
    content["networks"] = {
        **content["networks"],
        "encoder": {**content["networks"]["encoder"], "splat": {"width": 5}},
    }
    file = write_profile(tmp_path / "p.yaml", content)
    places = ("--profile", file, "--data-root", root)

    listed = json.loads(harness.good("methods", "--json"))
    assert next(line for line in listed if line["method"] == "splat")["paper"] == "Splat"

    trained = json.loads(harness.good("train", "splat", *places, "--json"))
    assert trained["steps"] == 12

    measured = harness.good(
        "eval", "splat", "--dataset", "DIV2K_valid", "--scale", 2, "--scale", 3.3, "--json", *places
    )
    assert all(10 < line["psnr"] < 60 for line in json.loads(measured)["cells"])

    counted = json.loads(harness.good("flops", "splat", "--size", "10x12", "--scale", 3, "--json"))
    assert counted["encoder_macs"] == 120 * 31 * 6

    cost = json.loads(
        harness.good("run", "table1", *places, "--methods", "bicubic", "--dry-run", "--json")
    )
    assert cost


def test_a_new_kind_stands_in_a_table(splat, harness, tmp_path, monkeypatch):
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "p.yaml")
    table = replace(
        experiments.get("table1"),
        name="mine",
        blocks=(Block(("edsr-liif", "splat")),),
        scales=(2, 4),
        sections=(Curves(), ScoreTable("psnr")),
    )
    monkeypatch.setitem(experiments.EXPERIMENTS, "mine", table)
    harness.good("run", "mine", "--profile", file, "--data-root", root)
    rows = list(csv.DictReader((tmp_path / "reports" / "tiny" / "mine.csv").open()))
    ours = [row for row in rows if "splat" in row.values()]
    assert ours
    assert any("Splat" in str(row) for row in ours)


def test_a_network_that_does_not_say_what_it_costs_is_refused():
    class Silent(Splat):
        def count(self, lr_size, hr_size, choice=None, shares=None) -> MacCount:
            return MacCount()

    with pytest.raises(ValueError, match="counts 0 MACs"):
        registry.register(Method("silent", make=lambda method, **options: Silent()))

    class Unsaid(SRModel):
        pass

    with pytest.raises(TypeError, match="abstract"):
        registry.register(Method("unsaid", make=lambda method, **options: Unsaid()))


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ValueError, match="already"):
        registry.register(Method("edsr-liif", make=make))


def test_queries_of_the_toy_are_what_it_is_trained_on(splat):
    model = make(splat)
    lr, coord = torch.rand(2, 3, 4, 5) * 2 - 1, torch.rand(2, 7, 2) * 2 - 1
    loss, routing = model.query_loss(lr, coord, coord, torch.zeros(2, 7, 3))
    assert (loss > 0, routing) == (True, None)


def levels(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> Tensor:
    """Mean absolute error in 8-bit levels."""
    return (sr.clamp(0, 1) - hr).abs().mean(dim=(-3, -2, -1)) * 255


MAE = metrics.Metric(
    "mae",
    "MAE",
    levels,
    lambda sr, hr: float(np.abs(sr - hr).mean() * 255),
    unit="levels",
    digits=1,
    larger_is_better=False,
)


@pytest.fixture
def mae() -> Iterator[metrics.Metric]:
    """The metric, registered the public way."""
    metrics.register(MAE)
    yield MAE
    metrics.unregister("mae")


def test_a_metric_is_added_to_measured_units(mae, harness, tmp_path, monkeypatch):
    """A table of its own, with its unit, digits and direction; others are not measured again."""
    root = write_data(tmp_path / "data")
    command = ("--profile", write_profile(tmp_path / "p.yaml"), "--data-root", root, "--no-figures")
    old = replace(
        experiments.get("table1"),
        name="mine",
        blocks=(Block(("edsr-liif", "edsr-lte")),),
        scales=(2, 4),
        sections=(ScoreTable("psnr"), ScoreTable("ssim")),
    )
    monkeypatch.setitem(experiments.EXPERIMENTS, "mine", old)
    harness.good("run", "mine", *command)
    before = stored(tmp_path)
    new = replace(old, sections=(ScoreTable("psnr"), ScoreTable("mae")))
    monkeypatch.setitem(experiments.EXPERIMENTS, "mine", new)

    def again(*_: object) -> Tensor:
        raise AssertionError("measured again")

    monkeypatch.setitem(metrics.METRICS, "psnr", replace(metrics.METRICS["psnr"], value=again))
    harness.good("run", "mine", *command)
    after = stored(tmp_path)
    assert after.keys() == before.keys()
    for key, row in after.items():
        assert (row["psnr"], row["ssim"]) == (before[key]["psnr"], before[key]["ssim"])
        assert 0 < row["mae"] < 255
    text = (tmp_path / "reports/tiny/mine.md").read_text()
    section = text[text.index("MAE (levels)") :]
    values = {}
    for name in ("EDSR-LIIF", "EDSR-LTE"):
        line = next(line for line in section.splitlines() if line.startswith(f"| {name}"))
        values[name] = line.split("|")[2].strip()
    best = min(values, key=lambda name: float(values[name].strip("*")))
    assert values[best].startswith("**")
    assert re.fullmatch(r"\d+\.\d", values[best].strip("*"))


def stored(folder: Path) -> dict[tuple[str, str, float], dict]:
    """The stored rows, by method, image and scale."""
    rows = [
        flat(json.loads(line))
        for file in (folder / "results").rglob("*.jsonl")
        if "measurements" in file.parts
        for line in file.read_text().splitlines()
    ]
    return {(row["method"], row["image"], row["scale"]): row for row in rows}


# Those without an oracle need more than two images: tests/test_metrics.py.
@pytest.mark.parametrize("name", [n for n, metric in metrics.METRICS.items() if metric.oracle])
def test_every_metric_equals_its_oracle(name):
    rng = np.random.default_rng(0)
    hr = rng.random((177, 183, 3))
    sr = (hr + rng.normal(0, 0.1, hr.shape)).clip(0, 1)
    metric = metrics.METRICS[name]

    def value(image: np.ndarray) -> float:
        pair = (torch.from_numpy(x).permute(2, 0, 1) for x in (image, hr))
        return metric.value(*pair, "full", 2).item()

    assert value(sr) == pytest.approx(metric.oracle(sr, hr), abs=1e-6)
    assert (value(hr * 0.99 + sr * 0.01) > value(sr)) == metric.larger_is_better


def test_a_metric_s_name_is_its_own(mae):
    with pytest.raises(ValueError, match="mae already"):
        metrics.register(replace(MAE, label="Another"))


@contextmanager
def one_file(package: ModuleType, text: str, monkeypatch, tmp_path: Path) -> Iterator[None]:
    """A file in a folder that the package looks into beside its own, and nothing else."""
    folder = tmp_path / package.__name__
    folder.mkdir()
    name = f"mine_{hashlib.sha256(str(folder).encode()).hexdigest()[:8]}"
    (folder / f"{name}.py").write_text(text, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(package, "__path__", [*package.__path__, str(folder)])
        registry.read_folders()
        yield
    registry.read_folders()


SHALLOW = '''
from torch import nn

from baselines.base import Encoder, EncoderSpec


class Shallow(Encoder):
    """An encoder of two layers, with an upsampler of its own."""

    upsampled_range = "signed"

    def __init__(self, features: int = 8, scale: int | None = None) -> None:
        super().__init__()
        self.out_channels, self.scale = features, scale
        self.layers = nn.Sequential(
            nn.Conv2d(3, features, 3, padding=1), nn.ReLU(), nn.Conv2d(features, features, 1)
        )
        if scale is not None:
            self.up = nn.Sequential(nn.Conv2d(features, 3 * scale**2, 1), nn.PixelShuffle(scale))

    def forward(self, lr):
        features = self.layers(lr)
        return features if self.scale is None else self.up(features)


KIND = (EncoderSpec("shallow", Shallow, "Shallow"),)
'''


@pytest.fixture
def shallow(monkeypatch, tmp_path) -> Iterator[None]:
    """The encoder as one file."""
    text = SHALLOW.replace("KIND", "ENCODERS")
    with one_file(baselines.encoders, text, monkeypatch, tmp_path):
        yield


def test_an_encoder_is_there_under_every_decoder_and_alone(shallow, harness, tmp_path):
    """One with its own upsampler; profiles set its size, and its MACs are counted."""
    root = write_data(tmp_path / "data")
    sizes = {**PROFILE["networks"]["encoder"], "shallow": {"features": 6}}
    content = {**PROFILE, "networks": {**PROFILE["networks"], "encoder": sizes}}
    places = ("--profile", write_profile(tmp_path / "p.yaml", content), "--data-root", root)
    listed = {line["method"]: line for line in json.loads(harness.good("methods", "--json"))}
    of_decoders = {f"shallow-{name}" for name in registry.DECODERS}
    made = {f"shallow-x{scale}" for scale in registry.FIXED_SCALES} | of_decoders
    assert made | {"shallow-moeisr-liif-s", "shallow-moeisr-lte-b"} <= listed.keys()
    assert "Shallow" in str(listed["shallow-liif"]["paper"])
    for method, scales in (("shallow-moeisr-liif-s", (2, 3.3)), ("shallow-x2", (2,))):
        harness.good("train", method, *places)
        given = [f"--scale={scale}" for scale in scales]
        out = harness.good("eval", method, "--dataset", "DIV2K_valid", *given, "--json", *places)
        assert [10 < unit["psnr"] < 60 for unit in json.loads(out)["cells"]] == [True] * len(scales)
    counted = json.loads(
        harness.good("flops", "shallow-liif", "--size", "4x5", "--scale", 3, "--json")
    )
    assert counted["encoder_macs"] == 4 * 5 * (27 * 8 + 8 * 8)


def test_a_system_is_one_file(monkeypatch, tmp_path):
    """It has its own upsampler, and no decoder; it is trained on whole crops."""
    text = SHALLOW.replace("KIND", "SYSTEMS")
    with one_file(baselines.systems, text, monkeypatch, tmp_path):
        assert {name for name in methods() if name.startswith("shallow")} == {
            f"shallow-x{scale}" for scale in registry.FIXED_SCALES
        }
        method = parse("shallow-x3")
        assert (method.label, method.over, method.dense) == ("Shallow", "none", True)
        sr = upscale(build("shallow-x3").eval(), torch.rand(1, 3, 4, 5), 3).image
        assert sr.shape == (1, 3, 12, 15)
    assert "shallow-x3" not in methods()


NEAREST = '''
import torch
from torch import nn
from torch.nn.functional import pixel_shuffle

from baselines.systems.multiscale import Backbone, Upsampler


class OneByOne(Upsampler):
    """A 1x1 convolution for every sub-pixel, made of one vector."""

    label = "1x1"
    backbones = {"rdn": Backbone()}
    usual_scales = (2, 3)

    def __init__(self, channels: int, scales: tuple[int, ...] = (2, 3)) -> None:
        super().__init__(scales)
        self.vector = nn.Parameter(torch.randn(channels))

    def kernels(self, scale):
        return (self.vector.expand(3 * scale**2, -1)[..., None, None],)

    @staticmethod
    def enlarge(kernels, image, features, scale):
        return pixel_shuffle(nn.functional.conv2d(features, kernels[0]), scale)

    def macs(self, scale):
        return 0, 3 * scale**2 * len(self.vector)


UPSAMPLERS = {"one": OneByOne}
'''


def test_an_upsampler_is_one_file(monkeypatch, tmp_path):
    with one_file(baselines.upsamplers, NEAREST, monkeypatch, tmp_path):
        model = build("rdn-one", encoder=ENCODERS["rdn"]).eval()
        assert parse("rdn-one").scales == model.scales == (2, 3)
        assert upscale(model, torch.rand(1, 3, 4, 5), 3).image.shape == (1, 3, 12, 15)
        counted = model.count((4, 5), (12, 15))
        assert counted.head == 20 * 27 * ENCODERS["rdn"]["features"]


def test_a_dataset_is_fetched_checked_measured_and_trained_on(harness, tmp_path, monkeypatch):
    """One file with a `DatasetSpec`, found among the package's."""
    images = {f"photos-1.0/{n}.png": png(48 + n, 56, n) for n in range(3)}
    packed = write_zip(tmp_path / "photos.zip", images)
    archive = Archive(
        "https://example.org/photos.zip",
        packed.stat().st_size,
        hashlib.sha256(packed.read_bytes()).hexdigest(),
        "a test",
        {"mine/HR": ("photos-1.0",)},
    )
    text = f"""
from harness.data.sets.base import Archive, DatasetSpec, Layout, from_folder

LAYOUT = Layout("mine/HR", 3, "mine/LR_bicubic/X{{scale}}")
ARCHIVE = {archive}
DATASETS = (
    DatasetSpec(
        "Mine", "my own photographs", "full", "Ask me.", from_folder, LAYOUT, archives=(ARCHIVE,)
    ),
)
"""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "mine_photographs.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(sets, "__path__", [*sets.__path__, str(tmp_path / "more")])
    found = sets.discover()
    assert set(found) == {*sets.SPECS, "Mine"}
    monkeypatch.setitem(sets.SPECS, "Mine", found["Mine"])
    root = ("--data-root", tmp_path / "data")

    def state() -> str:
        listed = json.loads(harness.good("data", "list", *root, "--json"))["datasets"]
        return next(line["state"] for line in listed if line["dataset"] == "Mine")

    assert state() == "absent"
    harness.good("data", "fetch", "Mine", "--mirror", packed, *root)
    assert state() == "complete"
    verified = json.loads(harness.good("data", "verify", "Mine", *root, "--json"))
    assert verified["datasets"][0]["findings"] == []
    harness.good("data", "prepare", "Mine", "--scale", 2, *root)

    content = profile_with(dataset="Mine")
    content["roles"] = {"DIV2K_valid": "Mine"}
    places = ("--profile", write_profile(tmp_path / "p.yaml", content), *root)
    measured = json.loads(
        harness.good("eval", "bicubic", "--dataset", "Mine", "--scale", 2, *places, "--json")
    )
    assert measured["cells"][0]["lr_source"] == "matlab"
    assert measured["cells"][0]["protocol"] == "full"
    harness.good("run", "table1", *places, "--methods", "edsr-liif", "--no-figures")
    page = (tmp_path / "reports/tiny/table1.md").read_text()
    assert "Mine (3 images; my own photographs)" in page


NEARBY = '''
import torch

from baselines.composition import Decoder


class Nearby(Decoder):
    """A decoder with nothing but codes and what it feeds: the feature, damped by distance."""

    label = "Nearby"

    def __init__(self, channels: int, width: int = 8, depth: int = 3) -> None:
        super().__init__()
        self.width, self.depth = width, depth
        self.code_dim, self.fed_dim = channels, channels + 2

    def codes(self, rows, rel_cell):
        return rows[:, :, 1:-1].flatten(2).transpose(1, 2)

    def feed(self, code, rel_coord, rel_cell):
        distance = rel_coord.square().sum(dim=-1, keepdim=True)
        return torch.cat([code * (-distance).exp(), rel_coord], dim=-1)


DECODERS = {"nearby": Nearby}
'''


@pytest.fixture
def nearby(monkeypatch, tmp_path) -> Iterator[None]:
    """The decoder as one file."""
    with one_file(baselines.decoders, NEARBY, monkeypatch, tmp_path):
        yield


@pytest.mark.parametrize("method", ["edsr-nearby", "edsr-moeisr-nearby-s", "edsr-moeisr-nearby-b"])
def test_a_decoder_of_codes_and_feed_is_fast_in_both(method, nearby, monkeypatch):
    """The engine and training's pieces take it unasked, with experts too; MACs are right."""
    model = network(method)
    mlps = model.head.mlps
    lr, size = torch.rand(1, 3, 5, 6), (15, 18)
    with torch.no_grad():
        features = model.encode(lr * 2 - 1)
        plain = decode_plain(model, features, size) / 2 + 0.5
    with monkeypatch.context() as patch:
        patch.setattr(ImplicitSR, "decode", None)  # nobody takes the plain path
        assert torch.allclose(upscale(model, lr, 3).image[0], plain.clamp(0, 1), atol=1e-5)

    counts = model.count((5, 6), size, shares=[1 / len(mlps)] * len(mlps))
    assert mlps[-1].macs == sum(a * b for a, b in widths(mlps[-1]))
    assert counts.head == sum(4 * 15 * 18 * mlp.macs / len(mlps) for mlp in mlps)

    model.train()
    coord, target = torch.rand(2, 40, 2) * 2 - 1, torch.rand(2, 40, 3)
    cell, patches = torch.full((2, 40, 2), 0.1), torch.rand(2, 3, 5, 6) * 2 - 1
    grads = []
    for way in ("plain", "fast"):
        model.zero_grad()
        torch.manual_seed(0)
        features = model.encode(patches)
        if way == "plain":
            loss = (model.decode(features, coord, cell) - target).abs().mean()
        else:
            monkeypatch.setattr(ImplicitSR, "decode", None)
            loss = l1_loss(model, features, coord, cell, target)
        loss.backward()
        grads.append([loss.detach(), *(p.grad for p in model.parameters())])
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*grads, strict=True))


def widths(mlp: nn.Module) -> list[tuple[int, int]]:
    return [(layer.in_features, layer.out_features) for layer in mlp.linears]


EXPERIMENT = '''
"""How many pixels a method makes for each MAC: an experiment, and a section of its own."""

from dataclasses import dataclass

from harness.report.model import Section
from harness.report.sections.scores import ScoreTable
from harness.report.tables import Entry, scale_table
from harness.runs.experiment import Block, Experiment, SectionMaker


@dataclass(frozen=True)
class PixelsPerMac(SectionMaker):
    """Table of the pixels of the LR image for a million MACs."""

    macs = True

    def make(self, report, folder):
        def entry(result):
            macs = result.metric("macs")
            return Entry(f"{1e6 * result.metric('lr_pixels') / macs:.3g}" if macs else "")

        role = report.roles[0]
        table = scale_table(report, role, "pixels", "LR pixels for a million MACs", entry)
        return Section("pixels", "Pixels", tables=(table,))


EXPERIMENT = Experiment(
    name="pixels",
    title="Pixels for MACs",
    source="a test",
    reproduces=False,
    blocks=(Block(("edsr-liif", "edsr-lte")),),
    roles=("DIV2K_valid",),
    scales=(2, 3),
    sections=(PixelsPerMac(), ScoreTable("psnr")),
)
'''


def test_an_experiment_is_one_file_and_so_is_a_section(harness, tmp_path, monkeypatch):
    """Discovered among the package's files; its own kind of table stands in every format."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "pixels.py").write_text(EXPERIMENT, encoding="utf-8")
    monkeypatch.setattr(experiments, "__path__", [*experiments.__path__, str(tmp_path / "more")])
    found = experiments.discover()
    assert set(found) == {*experiments.EXPERIMENTS, "pixels"}
    monkeypatch.setitem(experiments.EXPERIMENTS, "pixels", found["pixels"])
    root = write_data(tmp_path / "data")
    file = write_profile(tmp_path / "p.yaml")
    harness.good("run", "pixels", "--profile", file, "--data-root", root)
    reports = tmp_path / "reports" / "tiny"
    for suffix in ("md", "tex", "html"):
        assert "LR pixels for a million MACs" in (reports / f"pixels.{suffix}").read_text()
    rows = list(csv.DictReader((reports / "pixels.csv").open()))
    assert {row["method"] for row in rows} == {"edsr-liif", "edsr-lte"}
