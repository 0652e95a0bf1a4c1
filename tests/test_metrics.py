"""Metrics beyond PSNR and SSIM, each against another implementation or a known value."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import image, photo, pixels, write_data, write_profile
from torch import Tensor, nn

from harness import metrics
from harness.data.degrade import matlab_imresize, unit
from harness.metrics import METRICS, Given
from harness.metrics import learned as learned_metrics
from harness.metrics.ms_ssim import WEIGHTS

NETWORK = [name for name, metric in METRICS.items() if metric.needs == "network"]
LEARNED = ("lpips", "dists", "niqe", "musiq")


def given(lr: Tensor, enlarge=None, scale: int = 2) -> Given:
    def shrink(sr: Tensor) -> Tensor:
        return unit(matlab_imresize((sr.clamp(0, 1) * 255).round().to(torch.uint8), 1 / scale))

    return Given(lr, shrink, enlarge)


def nearest(lr, *, scale=None, size=None, tile=None, memory=None) -> Tensor:
    """A network without any gap."""
    factor = scale or size[0] / lr.shape[-2]
    return lr.repeat_interleave(int(factor), -2).repeat_interleave(int(factor), -1)


def value(name: str, sr: Tensor, lr: Tensor, enlarge=nearest, scale: float = 2) -> float:
    return METRICS[name].measure(sr, sr, "full", scale, given(lr, enlarge, int(scale)))


def test_psnr_and_ssim_come_first_and_files_are_found():
    assert list(METRICS)[:2] == ["psnr", "ssim"]
    assert {"ms_ssim", "gmsd", "lr_psnr", "scale_consistency", *NETWORK, *LEARNED} < set(METRICS)


def test_the_weights_of_ms_ssim_are_the_paper_s():
    assert WEIGHTS == (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    assert sum(WEIGHTS) == pytest.approx(1, abs=1e-3)


def test_ms_ssim_follows_channels_and_border_of_the_protocol():
    hr = image(3, 190, 200)
    sr = (hr + 0.1 * image(3, 190, 200, seed=1)).clamp(0, 1)
    luma = (65.738 * hr[0] + 129.057 * hr[1] + 25.064 * hr[2]) / 256 + 16 / 255
    other = (65.738 * sr[0] + 129.057 * sr[1] + 25.064 * sr[2]) / 256 + 16 / 255
    cut = [np.repeat(x[4:-4, 4:-4, None].double().numpy(), 3, axis=2) for x in (other, luma)]
    found = METRICS["ms_ssim"].value(sr, hr, "benchmark", 4).item()
    assert found == pytest.approx(METRICS["ms_ssim"].oracle(*cut), abs=1e-6)
    with pytest.raises(ValueError, match="161 pixels"):
        METRICS["ms_ssim"].value(sr[:, :160], hr[:, :160], "full", 2)


def test_gmsd_of_a_step_against_nothing_is_computed_by_hand():
    """Half of the pixels see the step: with similarity T / (g^2 + T) there and 1 elsewhere."""
    hr = torch.zeros(3, 16, 16)
    sr = hr.clone()
    sr[..., 8:] = 0.2
    g = 0.2 * 255
    rows = np.ones((8, 8))
    for row in range(8):
        outside = row in (0, 7)  # zeros around the image
        across = g * (2 / 3 if outside else 1)
        for column in (3, 4):
            down = g / 3 * (1 if column == 3 else 2) if outside else 0
            rows[row, column] = 170 / (across**2 + down**2 + 170)
        for column in (5, 6, 7):
            down = g * (1 if column < 7 else 2 / 3) if outside else 0
            side = 0 if column < 7 else across
            rows[row, column] = 170 / (side**2 + down**2 + 170)
    found = METRICS["gmsd"].value(sr, hr, "full", 2).item()
    assert found == pytest.approx(rows.std(ddof=1), abs=1e-6)


def test_lr_psnr_of_hr_is_infinite_and_of_a_bias_what_it_is():
    hr = pixels(48, 40)
    lr = unit(matlab_imresize(hr, 1 / 2))
    assert math.isinf(value("lr_psnr", unit(hr), lr))
    flat = torch.full((3, 24, 24), 100 / 255)
    lr = torch.full((3, 12, 12), 90 / 255)
    expected = -20 * math.log10(10 / 255)
    assert value("lr_psnr", flat, lr) == pytest.approx(expected, abs=1e-6)


def test_scale_consistency_of_nearest_pixels_is_infinite():
    """Shrunk by 2, x4 of flat patches is x2 of them; against another x2 it is their PSNR."""
    lr = torch.full((3, 12, 12), 0.4)
    sr = nearest(lr, size=(48, 48))
    assert value("scale_consistency", sr, lr, scale=4) > 50  # rounding to 8 bits alone

    def brighter(lr, *, scale=None, **_) -> Tensor:
        return nearest(lr, scale=scale) + 0.1

    assert value("scale_consistency", sr, lr, brighter, 4) == pytest.approx(20, abs=0.1)
    with pytest.raises(ValueError, match="above x2"):
        value("scale_consistency", sr, lr, scale=2)


@pytest.mark.parametrize("name", ["flip_gap", "shift_gap", "band_gap", "tile_gap"])
def test_a_network_without_a_gap_has_none(name):
    lr = image(3, 60, 64)
    assert value(name, nearest(lr, scale=2), lr) == 0


def test_gaps_are_in_levels():
    lr = image(3, 60, 64) * 0.5
    sr = nearest(lr, scale=2)

    def brighter(lr, **options) -> Tensor:
        return nearest(lr, **options) + 10 / 255

    for name in ("flip_gap", "shift_gap", "band_gap", "tile_gap"):
        assert value(name, sr, lr, brighter) == pytest.approx(10, abs=1e-4)


def test_the_flip_gap_sees_a_network_with_a_side():
    lr = torch.zeros(3, 20, 20)

    def sided(lr, **options) -> Tensor:
        made = nearest(lr, **options)
        made[..., :1] = 1
        return made

    sr = sided(lr, scale=2)
    assert value("flip_gap", sr, lr, sided) == pytest.approx(255 * math.sqrt(2 / 40), abs=1e-6)


def test_a_shift_is_a_whole_number_of_sr_pixels():
    seen = []

    def note(lr, *, size=None, **_) -> Tensor:
        seen.append((tuple(lr.shape), size))
        return torch.zeros(3, *size)

    lr = image(3, 50, 52)
    METRICS["shift_gap"].measure(torch.zeros(3, 125, 130), lr, "full", 2.5, given(lr, note))
    assert seen == [((3, 48, 50), (120, 125))]
    with pytest.raises(ValueError, match="no shift"):
        METRICS["shift_gap"].measure(torch.zeros(3, 157, 163), lr, "full", math.pi, given(lr, note))
    with pytest.raises(ValueError, match="34 LR pixels"):
        METRICS["shift_gap"].measure(
            torch.zeros(3, 60, 60), lr, "full", 2, given(lr[:, :30, :30], note)
        )


def test_tiles_and_bands_are_asked_for_as_such():
    asked = []

    def note(lr, **options) -> Tensor:
        asked.append(options)
        return nearest(lr, size=options["size"])

    lr = image(3, 60, 64)
    for name in ("tile_gap", "band_gap"):
        METRICS[name].measure(nearest(lr, scale=2), lr, "full", 2, given(lr, note))
    assert asked[0] == {"size": (120, 128), "tile": (48, 8)}
    assert asked[1] == {"size": (120, 128), "memory": 1 << 20}
    for small, scale, why in ((lr, 2.5, "whole scale"), (lr[:, :40, :48], 2, "no larger")):
        with pytest.raises(ValueError, match=why):
            METRICS["tile_gap"].measure(lr, lr, "full", scale, given(small, note))


def rows_of(folder: Path) -> dict[str, dict]:
    files = (folder / "results" / "eval").rglob("*.jsonl")
    lines = [line for file in files for line in file.read_text().splitlines()]
    return {(row := json.loads(line))["image"]: row for line in lines}


@pytest.fixture
def places(tmp_path):
    root = write_data(tmp_path / "data")
    for name in ("0801", "0802"):
        photo(168, 180, int(name)).save(root / "DIV2K/DIV2K_valid_HR" / f"{name}.png")
    return ("--profile", write_profile(tmp_path / "p.yaml"), "--data-root", root)


def test_eval_measures_them_and_no_other_again(harness, tmp_path, places, monkeypatch):
    command = ("eval", "edsr-liif", "--dataset", "DIV2K_valid", "--scale", 4, *places)
    harness.good("train", "edsr-liif", *places)
    harness.good(*command)
    before = rows_of(tmp_path)

    def again(*_: object) -> Tensor:
        raise AssertionError("measured again")

    monkeypatch.setitem(METRICS, "psnr", replace(METRICS["psnr"], value=again))
    wanted = ("ms_ssim", "gmsd", "lr_psnr", *NETWORK)
    # The largest image side inside the protocol's border is 148: too small for MS-SSIM.
    out = harness.good(*command, *(f"--metric={name}" for name in wanted))
    after = rows_of(tmp_path)
    for name, row in after.items():
        assert row["metrics"]["psnr"] == before[name]["metrics"]["psnr"]
        assert set(row["metrics"]) == {"psnr", "ssim", *wanted}
        assert row["metrics"]["ms_ssim"] is None
        assert row["metrics"]["tile_gap"] is None
        assert row["metrics"]["flip_gap"] > 0
        assert row["metrics"]["band_gap"] < 0.01
        assert row["metrics"]["scale_consistency"] > 15
        assert row["metrics"]["lr_psnr"] > 10
    assert "DIV2K_valid x4, 2 images: no MS-SSIM: it needs 161 pixels" in out
    assert "2 images: no Tile gap: the LR image is no larger than a tile" in out
    assert "Flip gap (levels)" in out


def test_self_ensembles_have_no_flip_gap(harness, places):
    out = harness.good(
        *("eval", "edsr-liif", "--checkpoint", trained(harness, places), "--scale", 4),
        *("--dataset", "DIV2K_valid", "--self-ensemble", 8, "--metric", "flip_gap", "--json"),
        *places,
    )
    (line,) = json.loads(out)["cells"]
    assert line["others"]["flip_gap"] < 1e-3


def trained(harness, places) -> str:
    harness.good("train", "edsr-liif", *places)
    return str(next(Path("results").rglob("checkpoint.pt")))


def test_image_folders_say_that_they_have_no_network(harness, tmp_path, places):
    folder = tmp_path / "sr"
    folder.mkdir()
    for file in (tmp_path / "data/DIV2K/DIV2K_valid_HR").glob("*.png"):
        with Image.open(file) as hr:
            hr.rotate(180).save(folder / file.name)
    names = ("flip_gap", "scale_consistency", "lr_psnr", "gmsd")
    out = harness.good(
        *("eval", "theirs", "--images", folder, "--dataset", "DIV2K_valid", "--scale", 4),
        *(f"--metric={name}" for name in names),
        *places,
    )
    assert "2 images: no Flip gap: not measured: needs the network" in out
    assert "no Scale consistency: not measured: needs the network" in out
    for row in rows_of(tmp_path).values():
        assert row["metrics"]["flip_gap"] is None
        assert row["metrics"]["lr_psnr"] > 0
        assert row["metrics"]["gmsd"] > 0


class FakeJudge(nn.Module):
    """What pyiqa's `create_metric` returns, as far as it is used."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Linear(1, 1)
        nn.init.constant_(self.net.weight, 2)
        nn.init.constant_(self.net.bias, 0)

    def forward(self, target: Tensor, ref: Tensor | None = None) -> Tensor:
        assert target.shape[:2] == (1, 3)
        compared = target if ref is None else (target - ref).abs()
        return self.net(compared.mean().reshape(1, 1))


@pytest.fixture
def pyiqa(monkeypatch):
    """A module that stands for pyiqa; `missing` names metrics without weights."""
    module = ModuleType("pyiqa")
    module.missing = set()

    def create_metric(name: str, device: torch.device) -> FakeJudge:
        if name in module.missing:
            raise OSError(f"no weights of {name}, and no connection\nmore")
        return FakeJudge()

    module.create_metric = create_metric
    monkeypatch.setitem(sys.modules, "pyiqa", module)
    about = SimpleNamespace(json={"version": "9.9", "license": "theirs\nlong text"})
    monkeypatch.setattr(learned_metrics, "metadata", lambda _: about)
    forget()
    yield module
    forget()


def forget() -> None:
    learned_metrics._network.cache_clear()
    learned_metrics._about.cache_clear()


@pytest.mark.parametrize("name", LEARNED)
def test_learned_metrics_are_handed_what_they_judge(name, pyiqa):
    hr = image(3, 20, 22) * 0.5
    sr = hr + 0.1
    sr[:, :4] = 1  # inside the border of 4
    compared = 0.1 if name in ("lpips", "dists") else sr[:, 4:-4, 4:-4].mean().item()
    metric = METRICS[name]
    assert metric.value(sr, hr, "benchmark", 4).item() == pytest.approx(2 * compared, abs=1e-6)
    assert metric.larger_is_better == (name == "musiq")


def test_a_row_keeps_licence_and_weights_of_learned_metrics(harness, tmp_path, places, pyiqa):
    command = ("eval", "bicubic", "--dataset", "DIV2K_valid", "--scale", 2, *places)
    pyiqa.missing = {"niqe"}
    out = harness.good(*command, "--metric", "lpips", "--metric", "niqe")
    assert "no NIQE: not measured here: weights absent: no weights of niqe" in out
    for row in rows_of(tmp_path).values():
        assert row["metrics"]["niqe"] is None
        assert row["metrics"]["lpips"] > 0
        assert row["facts"]["lpips_licence"] == "theirs"
        assert row["facts"]["lpips_pyiqa"] == "9.9"
        assert len(row["facts"]["lpips_weights"]) == 16
        assert "niqe_weights" not in row["facts"]
    pyiqa.missing = set()
    out = harness.good(*command, "--metric", "niqe")
    assert "weights absent" not in out
    for row in rows_of(tmp_path).values():
        assert row["metrics"]["niqe"] > 0
        assert row["reason"] == ""
        assert {"niqe_weights", "lpips_weights"} <= set(row["facts"])


def test_without_pyiqa_the_unit_says_so_and_is_tried_again(harness, tmp_path, places, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    forget()
    command = ("eval", "bicubic", "--dataset", "DIV2K_valid", "--scale", 2, *places)
    for _ in range(2):
        out = harness.good(*command, "--metric", "lpips")
        assert "no LPIPS: not measured here: pyiqa is not installed" in out
    for row in rows_of(tmp_path).values():
        assert row["reason"].count("pyiqa") == 1


def test_a_metric_that_needs_the_network_is_refused_without_one():
    with pytest.raises(ValueError, match="needs the network"):
        metrics.METRICS["flip_gap"].measure(
            torch.zeros(3, 8, 8), torch.zeros(3, 8, 8), "full", 2, given(torch.zeros(3, 4, 4))
        )
