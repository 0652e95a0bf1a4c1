"""Our networks answer what the official ones do, on their own checkpoint files."""

from __future__ import annotations

import pytest
import torch
from parity import (
    AT_COORDINATES,
    CASES,
    FIXED_SCALE,
    MULTI_SCALE,
    OPTIONAL,
    checkpoint,
    folders,
    load_case,
)

from baselines.frequency import frequency_loss
from baselines.igconv import convolved, geometric_average
from baselines.igsample import offsets_and_scopes, resampled
from harness.checkpoints import load_model
from harness.upscaling import upscale

TOLERANCE = 1e-4
REPOSITORIES = (
    *("yinboc/liif", "jaewon-lee-b/lte", "JingyunLiang/SwinIR", "HeZongyao/LMF"),
    *("eduardzamfir/seemoredetails", "dslisleedh/IGConv"),
)
PLUS = "igconv-plus-edsr-small"


def test_no_case_of_these_networks_is_left_out():
    found = {name for name, source in folders().items() if source.startswith(REPOSITORIES)}
    assert found - OPTIONAL == set(CASES)


def assert_near(found, expected, what):
    assert found.shape == expected.shape, what
    assert (found - expected).abs().max() <= TOLERANCE, what


@pytest.mark.parametrize("case", AT_COORDINATES)
def test_queries(case, record_property):
    spec, arrays = load_case(case)
    record_property("parity case", case)
    record_property("query sets", len(spec["queries"]))
    model = load_model(checkpoint(case))
    for queries in spec["queries"]:
        name = queries["name"]
        with torch.no_grad():
            out = model(arrays["inp"], arrays[f"coord/{name}"], arrays[f"cell/{name}"])
        expected = arrays[f"out/{name}"]
        kept = ~arrays.get(f"sensitive/{name}", torch.zeros(out.shape[:2])).bool()
        assert kept.sum() > 0.9 * kept.numel()
        assert_near(out[kept], expected[kept], f"{case}, queries {name}")


@pytest.mark.parametrize("case", AT_COORDINATES)
def test_feature_maps(case):
    _, arrays = load_case(case)
    model = load_model(checkpoint(case))
    encoder = model.network if case == "liif-no-imnet-x2" else model.encoder
    with torch.no_grad():
        features = encoder(arrays["inp"])
    assert_near(features, arrays["feat"], case)
    if "coef" not in arrays:
        return
    with torch.no_grad():
        codes = model.tabulate(model.encode(arrays["inp"]), torch.zeros(1, 2)).codes
    maps = codes.transpose(1, 2).unflatten(2, tuple(features.shape[-2:]))
    assert_near(maps, torch.cat([arrays["coef"], arrays["freq"]], dim=1), f"{case}, maps")


@pytest.mark.parametrize("case", [case for case in AT_COORDINATES if case.startswith("lm")])
def test_modulations(case):
    """The latent MLP's answer: scales, shifts, compressed code."""
    _, arrays = load_case(case)
    model = load_model(checkpoint(case))
    with torch.no_grad():
        codes = model.tabulate(model.encode(arrays["inp"]), arrays["cell/x2"][:, 0]).codes
    expected = arrays["mod/x2"].flatten(2).transpose(1, 2)
    assert_near(codes[..., : expected.shape[-1]], expected, case)


@pytest.mark.parametrize("case", FIXED_SCALE)
def test_fixed_scale(case, record_property):
    _, arrays = load_case(case)
    record_property("parity case", case)
    model = load_model(checkpoint(case), scale=int(case[-1]))
    with torch.no_grad():
        out = model(arrays["inp"])
    assert_near(out, arrays["out"], case)


@pytest.mark.parametrize("case", ["swinir-classical-x2", "swinir-classical-x4"])
def test_features_of_swinir(case):
    """The tokens after the last group, laid out as an image of whole windows."""
    _, arrays = load_case(case)
    network = load_model(checkpoint(case)).network
    seen = []
    body = network.features_of
    network.features_of = lambda x: seen.append(body(x)) or seen[-1]
    with torch.no_grad():
        network(arrays["inp"])
    assert_near(seen[0], arrays["feat"], case)


@pytest.mark.parametrize("case", ["seemore-t-x2", "seemore-t-x4", "seemore-b-x2"])
def test_features_and_experts_of_seemore(case):
    """The deep features before the last norm, and the expert of each image and layer."""
    _, arrays = load_case(case)
    model = load_model(checkpoint(case), method=case, scale=int(case[-1]))
    network = model.network
    with torch.no_grad():
        features, experts = network.features_of(network.first(network.colours.enter(arrays["inp"])))
        sr, same = network.enlarge(arrays["inp"])
    assert_near(features, arrays["feat"], case)
    assert_near(sr, arrays["out"], case)
    assert experts.tolist() == same.tolist() == arrays["expert"].tolist()


def test_swinir_is_measured_as_its_own_script_does():
    """The image is extended by at least a pixel to whole windows, and the answer is cut."""
    _, arrays = load_case("swinir-classical-x4")
    model = load_model(checkpoint("swinir-classical-x4"))
    made = upscale(model, arrays["inp"][:1], 4).image
    expected = arrays["out_protocol"][:1]
    assert_near(made, expected, "protocol")
    assert not torch.allclose(arrays["out"][:1], expected, atol=1e-2), "padding must matter here"


# Networks for several scales. Whether kernels are averaged is not in the files.


@pytest.mark.parametrize("case", MULTI_SCALE)
def test_multi_scale(case, record_property):
    spec, arrays = load_case(case)
    record_property("parity case", case)
    record_property("query sets", len(spec["queries"]))
    model = load_model(checkpoint(case), network=spec["model"])
    assert model.scales == (2, 3, 4)
    for scale in model.scales:
        with torch.no_grad():
            out, alone = model(arrays["inp"], scale), model.at_scale(scale)(arrays["inp"])
        assert_near(out, arrays[f"out/x{scale}"], f"{case}, x{scale}")
        assert_near(alone, arrays[f"out/x{scale}"], f"{case}, made for x{scale} alone")


@pytest.mark.parametrize("case", MULTI_SCALE)
def test_features_and_kernels_of_multi_scale_networks(case):
    spec, arrays = load_case(case)
    model = load_model(checkpoint(case), network=spec["model"])
    with torch.no_grad():
        assert_near(model.encoder(model.colours.enter(arrays["inp"])), arrays["feat"], case)
        for scale in (2, 3):
            assert_near(model.upsampler.convolution(scale), arrays[f"kernel/x{scale}"], case)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_part_of_igconv_plus(scale):
    """Both paths apart, from the official features; kernels before and after their average."""
    spec, arrays = load_case(PLUS)
    model = load_model(checkpoint(PLUS), network=spec["model"])
    image, features = arrays["inp"], arrays["feat"]
    with torch.no_grad():
        convolution, sampling = model.upsampler.kernels(scale)
        base = model.colours.leave(convolved(features, convolution, scale))
        skip = resampled(image, features, sampling, scale)
        offset, scope = offsets_and_scopes(features, sampling)
        found = {
            "kernel": model.upsampler.convolution(scale),
            "kernel-geo": convolution,
            "skip-kernel": model.upsampler.sampling(scale),
            "offset": offset,
            "scope": scope,
            "base": base,
            "skip": skip,
            "out": base + skip,
        }
    for name, value in found.items():
        assert_near(value, arrays[f"{name}/x{scale}"], f"{name}, x{scale}")
    assert_near(geometric_average(found["kernel"]), convolution, "average")


def test_the_frequency_loss():
    spec, arrays = load_case(PLUS)
    said = spec["frequency_loss"]
    prediction, target = arrays[said["prediction"]], arrays[said["target"]]
    value = said["weight"] * frequency_loss(prediction, target)
    assert value.item() == pytest.approx(said["value"], abs=TOLERANCE)
    assert (prediction - target).abs().mean().item() == pytest.approx(said["l1"], abs=TOLERANCE)
