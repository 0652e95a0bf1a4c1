"""Our networks answer what the official ones do, on their own checkpoint files."""

from __future__ import annotations

import pytest
import torch
from parity import load_case, write_checkpoint

from harness.checkpoints import load_model
from harness.errors import HarnessError
from harness.upscaling import upscale

TOLERANCE = 1e-4

AT_COORDINATES = [
    "liif-edsr-baseline",
    "liif-no-ensemble",
    "liif-no-unfold",
    "liif-no-cell",
    "liif-no-imnet-x2",
    "lte-edsr-baseline",
    "lte-swinir",
]
FIXED_SCALE = [
    *("edsr-baseline-x2", "edsr-baseline-x3", "edsr-baseline-x4"),
    *("rdn-x2", "rdn-x3", "rdn-x4"),
    *("swinir-classical-x2", "swinir-classical-x4"),
]


@pytest.mark.parametrize("case", AT_COORDINATES)
def test_queries(case, tmp_path):
    spec, arrays = load_case(case)
    model = load_model(write_checkpoint(case, tmp_path / "model.pth"))
    for queries in spec["queries"]:
        name = queries["name"]
        with torch.no_grad():
            out = model(arrays["inp"], arrays[f"coord/{name}"], arrays[f"cell/{name}"])
        error = (out - arrays[f"out/{name}"]).abs()
        if f"sensitive/{name}" in arrays:
            error = error[~arrays[f"sensitive/{name}"].bool()]
        assert error.max() <= TOLERANCE, f"{case}, queries {name}"


@pytest.mark.parametrize("case", ["liif-edsr-baseline", "lte-edsr-baseline"])
def test_encoder(case, tmp_path):
    _, arrays = load_case(case)
    model = load_model(
        write_checkpoint(case, tmp_path / "model.pth"), method=f"edsr-{case.split('-')[0]}"
    )
    with torch.no_grad():
        features = model.encoder(arrays["inp"])
    assert (features - arrays["feat"]).abs().max() <= TOLERANCE


@pytest.mark.parametrize("case", ["lte-swinir", "swinir-classical-x2"])
def test_swinir_is_not_measured_without_its_official_padding(case, tmp_path):
    model = load_model(write_checkpoint(case, tmp_path / "model.pth"))
    with pytest.raises(HarnessError, match="not yet measured"):
        upscale(model, torch.rand(1, 3, 16, 16), 2)


@pytest.mark.parametrize("case", FIXED_SCALE)
def test_fixed_scale(case, tmp_path):
    _, arrays = load_case(case)
    model = load_model(write_checkpoint(case, tmp_path / "model.pth"), scale=int(case[-1]))
    with torch.no_grad():
        out = model(arrays["inp"])
    assert (out - arrays["out"]).abs().max() <= TOLERANCE
