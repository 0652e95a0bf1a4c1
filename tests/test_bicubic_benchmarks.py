"""Bicubic on the real benchmarks: the numbers that the field quotes.

`MEASURED` is the "unrounded Y" column of ../shared/data/README.md, `PUBLISHED` what papers print.
SR is made by the MATLAB-compatible resize, as there. B100 and Urban100 have no LR files, so
theirs are made here. All images of every set are measured; only Urban100 at x2 is left out.
"""

from __future__ import annotations

import json
import math

import pytest
import torch
from conftest import shared

from baselines import build
from harness.data.degrade import make_pair, unit
from harness.data.sets import find
from harness.metrics import psnr
from harness.upscale.network import upscale

MEASURED = {
    "Set5": {2: 33.673, 3: 30.403, 4: 28.429},
    "Set14": {2: 30.230, 3: 27.537, 4: 25.994},
    "B100": {2: 29.560, 3: 27.209, 4: 25.961},
    "Urban100": {3: 24.458, 4: 23.140},
}
PUBLISHED = {
    "Set5": {2: 33.66, 3: 30.39, 4: 28.42},
    "B100": {2: 29.56, 3: 27.21, 4: 25.96},
    "Urban100": {3: 24.46, 4: 23.14},
}
# Set14's grey image opened as RGB: its luma spans 219 of 255 levels, which is
# 20 log10(255 / 219) = 1.322 dB for one of 14 images.
GREY_AS_RGB = 20 * math.log10(255 / 219) / 14


def mean_psnr(name: str, scale: int) -> float:
    model = build("bicubic")
    values = []
    for item in find(name, shared("data")).items:
        pair = make_pair(item, item.load(), scale, None)
        size = (pair.hr.shape[-2], pair.hr.shape[-1])
        sr = upscale(model, unit(pair.lr)[None], scale, size).image[0]
        values.append(psnr(sr, unit(pair.hr), "benchmark", scale).double())
    return torch.stack(values).mean().item()


@pytest.mark.parametrize(
    ("name", "scale"), [(n, s) for n in MEASURED for s in MEASURED[n] if n != "Set14"]
)
def test_benchmark(name, scale):
    found = mean_psnr(name, scale)
    assert found == pytest.approx(MEASURED[name][scale], abs=0.01)
    assert found == pytest.approx(PUBLISHED[name][scale], abs=0.05)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_set14_with_its_grey_image_as_rgb(scale):
    assert pytest.approx(0.0945, abs=1e-4) == GREY_AS_RGB
    assert mean_psnr("Set14", scale) == pytest.approx(
        MEASURED["Set14"][scale] + GREY_AS_RGB, abs=0.01
    )


def test_the_command_says_the_same_and_how_it_was_made(harness):
    arguments = ("eval", "bicubic", "--dataset", "Set5", "--data-root", shared("data"), "--json")
    content = json.loads(harness.good(*arguments))
    found = {line["scale"]: line for line in content["cells"]}
    for scale, expected in MEASURED["Set5"].items():
        line = found[scale]
        assert line["psnr"] == pytest.approx(expected, abs=0.01)
        assert line["published_psnr"] == PUBLISHED["Set5"][scale]
        assert (line["images"], line["lr_source"]) == (5, "official")
    assert found[2]["ssim"] == pytest.approx(0.9299, abs=0.001)
    assert any("MATLAB-compatible" in note for note in content["notes"])
