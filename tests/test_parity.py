"""Our networks answer what the official ones do, on their own checkpoint files."""

from __future__ import annotations

import pytest
import torch
from parity import load_case, write_checkpoint

from harness.checkpoints import load_model
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
    "metasr-edsr-baseline",
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


def test_swinir_is_measured_as_its_own_script_does(tmp_path):
    """The image is extended by at least a pixel to whole windows, and the answer is cut."""
    _, arrays = load_case("swinir-classical-x4")
    model = load_model(write_checkpoint("swinir-classical-x4", tmp_path / "model.pth"))
    made = upscale(model, arrays["inp"][:1], 4).image
    expected = arrays["out_protocol"][:1]
    assert (made - expected).abs().max() <= TOLERANCE
    assert not torch.allclose(arrays["out"][:1], expected, atol=1e-2), "padding must matter here"


@pytest.mark.parametrize("case", FIXED_SCALE)
def test_fixed_scale(case, tmp_path):
    _, arrays = load_case(case)
    model = load_model(write_checkpoint(case, tmp_path / "model.pth"), scale=int(case[-1]))
    with torch.no_grad():
        out = model(arrays["inp"])
    assert (out - arrays["out"]).abs().max() <= TOLERANCE
