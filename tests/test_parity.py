"""Our networks answer what the official ones do, on their own checkpoint files."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import shared
from parity import (
    AT_COORDINATES,
    CASES,
    FIXED_SCALE,
    MULTI_SCALE,
    OPTIONAL,
    RECORDED,
    SOURCES,
    Case,
    checkpoint,
    load_case,
)

from baselines.upsamplers.igconv import convolved, geometric_average
from baselines.upsamplers.igsample import offsets_and_scopes, resampled
from harness.checkpoints import load_model
from harness.training.losses import frequency_loss
from harness.upscale.network import upscale

TOLERANCE = 1e-4
REPOSITORIES = (
    *("yinboc/liif", "jaewon-lee-b/lte", "JingyunLiang/SwinIR", "HeZongyao/LMF"),
    *("eduardzamfir/seemoredetails", "dslisleedh/IGConv"),
)
PLUS = "igconv-plus-edsr-small"


@pytest.fixture(params=SOURCES)
def source(request):
    """Where the recorded answers are."""
    return request.param


@pytest.fixture
def recorded(source, record_property):
    """Loads a case and counts it among those that the run's last line tells."""

    def load(name: str) -> Case:
        case = load_case(name, source)
        record_property("parity case", f"{source}: {name}")
        record_property("query sets", len(case.spec.get("queries", [])))
        return case

    return load


def test_every_case_is_there():
    assert {path.stem for path in RECORDED.glob("*.npz")} == set(CASES)


def test_no_case_of_these_networks_is_left_out():
    """The repository's cases are those of `../shared`, with the same weights."""
    found = set()
    for path in sorted(shared("parity").glob("*/spec.json")):
        theirs = json.loads(path.read_text())
        if not theirs["source"].startswith(REPOSITORIES) or path.parent.name in OPTIONAL:
            continue
        found.add(path.parent.name)
        ours = load_case(path.parent.name).spec
        for key in ("source_commit", "model", "checkpoint", "gains", "weights_check", "state_dict"):
            assert ours[key] == theirs[key], (path, key)
    assert found == set(CASES)


def assert_near(found, expected, what):
    assert found.shape == expected.shape, what
    assert (found - expected).abs().max() <= TOLERANCE, what


def assert_recorded(case, found, name):
    """A tensor of ours against the array of this name, where its numbers are recorded."""
    assert_near(case.part(found, name), case.arrays[name], f"{case.spec['case']}, {name}")


@pytest.mark.parametrize("name", AT_COORDINATES)
def test_queries(name, recorded):
    case = recorded(name)
    model = load_model(checkpoint(name))
    for queries in (queries["name"] for queries in case.spec["queries"]):
        asked = (case.arrays[key] for key in ("inp", f"coord/{queries}", f"cell/{queries}"))
        with torch.no_grad():
            out = model(*asked)
        expected = case.arrays[f"out/{queries}"]
        kept = ~case.arrays.get(f"sensitive/{queries}", torch.zeros(out.shape[:2])).bool()
        assert kept.sum() > 0.9 * kept.numel()
        assert_near(out[kept], expected[kept], f"{name}, queries {queries}")


@pytest.mark.parametrize("name", AT_COORDINATES)
def test_feature_maps(name, source):
    case = load_case(name, source)
    lr = case.arrays["inp"]
    model = load_model(checkpoint(name))
    encoder = model.network if name == "liif-no-imnet-x2" else model.encoder
    with torch.no_grad():
        features = encoder(lr)
    assert_recorded(case, features, "feat")
    if "coef" not in case.arrays:
        return
    with torch.no_grad():
        codes = model.tabulate(model.encode(lr), torch.zeros(1, 2)).codes
    maps = codes.transpose(1, 2).unflatten(2, tuple(features.shape[-2:]))
    for part, found in zip(("coef", "freq"), maps.chunk(2, dim=1), strict=True):
        assert_recorded(case, found, part)


@pytest.mark.parametrize("name", [name for name in AT_COORDINATES if name.startswith("lm")])
def test_modulations(name, source):
    """The latent MLP's answer: scales, shifts, compressed code."""
    case = load_case(name, source)
    model = load_model(checkpoint(name))
    with torch.no_grad():
        codes = model.tabulate(model.encode(case.arrays["inp"]), case.arrays["cell/x2"][:, 0]).codes
    channels = case.spec["model"]["args"]["hypernet_spec"]["args"]["out_dim"]
    maps = codes[..., :channels].transpose(1, 2).unflatten(2, tuple(case.arrays["inp"].shape[-2:]))
    assert_recorded(case, maps, "mod/x2")


@pytest.mark.parametrize("name", FIXED_SCALE)
def test_fixed_scale(name, recorded):
    case = recorded(name)
    model = load_model(checkpoint(name), scale=int(name[-1]))
    with torch.no_grad():
        out = model(case.arrays["inp"])
    assert_recorded(case, out, "out")


@pytest.mark.parametrize("name", ["swinir-classical-x2", "swinir-classical-x4"])
def test_features_of_swinir(name, source):
    """The tokens after the last group, laid out as an image of whole windows."""
    case = load_case(name, source)
    network = load_model(checkpoint(name)).network
    seen = []
    network.norm.register_forward_hook(lambda *called: seen.append(called[-1].permute(0, 3, 1, 2)))
    with torch.no_grad():
        network(case.arrays["inp"])
    assert_recorded(case, seen[0], "feat")


@pytest.mark.parametrize("name", ["seemore-t-x2", "seemore-t-x4", "seemore-b-x2"])
def test_features_and_experts_of_seemore(name, source):
    """The deep features before the last norm, and the expert of each image and layer."""
    case = load_case(name, source)
    lr = case.arrays["inp"]
    network = load_model(checkpoint(name), method=name, scale=int(name[-1])).network
    with torch.no_grad():
        features, experts = network.features_of(network.first(network.colours.enter(lr)))
        sr, same = network.enlarge(lr)
    assert_recorded(case, features, "feat")
    assert_recorded(case, sr, "out")
    assert experts.tolist() == same.tolist() == case.arrays["expert"].tolist()


def test_swinir_is_measured_as_its_own_script_does(source):
    """The image is extended by at least a pixel to whole windows, and the answer is cut."""
    case = load_case("swinir-classical-x4", source)
    model = load_model(checkpoint("swinir-classical-x4"))
    made = upscale(model, case.arrays["inp"], 4).image
    assert_recorded(case, made, "out_protocol")
    plain, expected = case.arrays["out"], case.arrays["out_protocol"]
    assert not torch.allclose(plain, expected, atol=1e-2), "padding must matter here"


# Networks for several scales. Whether kernels are averaged is not in the files.


@pytest.mark.parametrize("name", MULTI_SCALE)
def test_multi_scale(name, recorded):
    case = recorded(name)
    lr = case.arrays["inp"]
    model = load_model(checkpoint(name), network=case.spec["model"])
    assert model.scales == (2, 3, 4)
    for scale in model.scales:
        with torch.no_grad():
            out, alone = model(lr, scale), model.at_scale(scale)(lr)
        assert_recorded(case, out, f"out/x{scale}")
        assert_recorded(case, alone, f"out/x{scale}")


@pytest.mark.parametrize("name", MULTI_SCALE)
def test_features_and_kernels_of_multi_scale_networks(name, source):
    case = load_case(name, source)
    model = load_model(checkpoint(name), network=case.spec["model"])
    with torch.no_grad():
        features = model.encoder(model.colours.enter(case.arrays["inp"]))
        assert_recorded(case, features, "feat")
        for scale in (2, 3):
            assert_recorded(case, model.upsampler.convolution(scale), f"kernel/x{scale}")


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_every_part_of_igconv_plus(scale, source):
    """Both paths apart, from the official features; kernels before and after their average."""
    case = load_case(PLUS, source)
    model = load_model(checkpoint(PLUS), network=case.spec["model"])
    image, features = case.arrays["inp"], case.arrays["feat"]
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
    for part, value in found.items():
        assert_recorded(case, value, f"{part}/x{scale}")
    assert_near(geometric_average(found["kernel"]), convolution, "average")


def test_the_frequency_loss(source):
    case = load_case(PLUS, source)
    said = case.spec["frequency_loss"]
    prediction, target = case.arrays[said["prediction"]], case.arrays[said["target"]]
    value = said["weight"] * frequency_loss(prediction, target)
    assert value.item() == pytest.approx(said["value"], rel=1e-6)
    assert (prediction - target).abs().mean().item() == pytest.approx(said["l1"], rel=1e-6)


def test_shared_is_asked_for_inside_tests_alone(monkeypatch):
    """Where it is absent a test is skipped, and collecting tests must not fail."""
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    with pytest.raises(RuntimeError, match="outside of a test"):
        shared("data")
