"""One network for several integer scales, with every upsampler over every encoder."""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import shared
from PIL import Image
from test_flops import counted_by_fvcore, recorded
from test_networks import snapshot
from tiny import ENCODERS, MULTI, UPSAMPLER, image, moving, network, pixels
from torch import nn

from baselines import build, parse
from baselines.fast.banding import band_memory
from baselines.systems.multiscale import MultiScaleSR
from baselines.windows import Grid
from harness import checkpoints
from harness.common.errors import UsageError
from harness.upscale.network import upscale

# Names and sizes


def test_every_encoder_of_the_project_has_both_methods():
    encoders = {"edsr", "edsr-large", "rdn", "rcan", "swinir", "srformer"}
    expected = {f"{e}-{u}" for e in encoders for u in ("igconv", "igconv-plus")}
    assert set(MULTI) == expected


@pytest.mark.parametrize("method", MULTI)
def test_a_name_says_the_scales_of_its_network(method):
    """Training draws its scales from the name."""
    assert parse(method).scales == network(method).scales
    assert parse(method).makes_images


def test_srformer_has_no_method_of_its_own():
    with pytest.raises(ValueError, match="Unknown method 'srformer-liif'"):
        build("srformer-liif")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"upsampler": {"layer": 3}}, "Unknown upsampler option 'layer'. Did you mean 'layers'"),
        ({"decoder": {"width": 8}}, "Unknown decoder option 'width'"),
        ({"head": {"hidden": []}}, "Unknown head option 'hidden'"),
        ({"lookup": True}, "has no fixed scale"),
    ],
)
def test_options_that_do_not_concern_it_are_refused(options, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        build("edsr-igconv", **options)
    with pytest.raises(TypeError, match="Unknown upsampler option 'width'"):
        build("edsr-liif", upsampler={"width": 8})


@pytest.mark.parametrize("scales", [(), (1, 2), (2, 2.5)])
def test_scales_are_integers_from_two(scales):
    with pytest.raises(ValueError, match="scales are integers from 2 up"):
        build("edsr-igconv", encoder=ENCODERS["edsr"], upsampler={"scales": scales})


def test_an_odd_width_is_refused():
    with pytest.raises(ValueError, match="width 7 is odd"):
        build("edsr-igconv", encoder=ENCODERS["edsr"], upsampler={"width": 7})


# Every network


@pytest.mark.parametrize("method", MULTI)
def test_every_scale_alone(method):
    """With kernels made once, the answer is the same."""
    model, lr = moving(method), image(2, 3, 7, 9)
    for scale in model.scales:
        alone = model.at_scale(scale)
        with torch.no_grad():
            found, expected = alone(lr), model(lr, scale)
        assert expected.shape == (2, 3, 7 * scale, 9 * scale)
        assert torch.allclose(found, expected, atol=1e-6)
        assert torch.equal(upscale(alone, lr[:1], scale).image, upscale(model, lr[:1], scale).image)


def test_a_network_for_one_scale_keeps_its_weights_to_itself():
    model, lr = network("edsr-igconv-plus"), image(1, 3, 4, 5)
    alone = model.at_scale(3)
    assert not any("freq" in name for name in alone.state_dict())
    with torch.no_grad():
        before = alone(lr)
        for parameter in model.parameters():
            parameter.add_(1)
        assert torch.equal(alone(lr), before)


@pytest.mark.parametrize("method", MULTI)
def test_other_scales_are_refused_naming_those_there_are(method):
    model, lr = network(method), image(1, 3, 4, 5)
    words = "2, 3, 4 and 8" if method.startswith("rcan") else "2, 3 and 4"
    for scale in (1, 2.5, 5, 9):
        with pytest.raises(ValueError, match=f"enlarges by {words} only, not {scale}"):
            model(lr, scale)
        with pytest.raises(ValueError, match=f"enlarges by {words} only, not {scale}"):
            model.instantiated(scale)
        with pytest.raises(UsageError, match=f"This network enlarges by {words} only, not {scale}"):
            upscale(model, lr, scale)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("method", MULTI)
def test_nothing_is_left_on_the_module(method, training):
    model = network(method).train(training)
    before = snapshot(model)
    with torch.no_grad():
        torch.manual_seed(1)  # drops the same paths in both
        first = model(image(1, 3, 5, 6), 2)
        model(image(2, 3, 7, 4, seed=1), 3)
        torch.manual_seed(1)
        again = model(image(1, 3, 5, 6), 2)
    assert snapshot(model) == before
    assert torch.equal(first, again)


@pytest.mark.parametrize("method", MULTI)
def test_a_batch_is_its_images(method):
    model, lr = moving(method), image(2, 3, 6, 5)
    with torch.no_grad():
        both = model(lr, 2)
        single = torch.cat([model(lr[i : i + 1], 2) for i in (0, 1)])
    # How sums are split depends on the CPU and on the batch.
    assert torch.allclose(both, single, atol=1e-5)
    assert not torch.allclose(both[0], both[1], atol=1e-3)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (2, 2)])
@pytest.mark.parametrize("method", MULTI)
def test_the_smallest_images(method, size):
    model, lr = moving(method), image(1, 3, *size)
    for scale in model.scales:
        made = upscale(model, lr, scale).image
        assert made.shape == (1, 3, size[0] * scale, size[1] * scale)
        assert made.isfinite().all()


@pytest.mark.parametrize("method", MULTI)
def test_bands_of_rows_make_the_same_image(method):
    model, lr = moving(method), image(2, 3, 37, 12)
    expected = model(lr, 3).detach()  # with gradients there are no bands
    with torch.no_grad(), band_memory(1):
        found = model(lr, 3)
    assert (found - expected).abs().max() < 1e-5 * expected.abs().max()


@pytest.mark.parametrize("method", MULTI)
def test_one_step_of_training_changes_every_weight(method):
    for scale in (2, 3, 4):
        model = network(method, seed=1).train()
        before = copy.deepcopy(model.state_dict())
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
        hr = image(2, 3, 8 * scale, 9 * scale, seed=2)
        (model(image(2, 3, 8, 9), scale) - hr).abs().mean().backward()
        optimizer.step()
        unchanged = [k for k, v in model.state_dict().items() if torch.equal(v, before[k])]
        assert not unchanged


@pytest.mark.parametrize("encoder", ["srformer", "swinir"])
def test_images_are_padded_by_reflection_to_whole_windows(encoder):
    """As the project's evaluation does; a side of whole windows stays as it is."""
    model, window = moving(f"{encoder}-igconv-plus"), ENCODERS[encoder]["window"]
    assert model.seen((7, 8), (14, 16)) == Grid((7, 8), (14, 16))
    for size in [(window - 1, 2 * window - 2), (window, 2 * window)]:
        lr = image(1, 3, *size)
        add = [(0, 0), (0, 0), *((0, -side % window) for side in size)]
        padded = torch.from_numpy(np.pad(lr.numpy(), add, mode="reflect"))
        with torch.no_grad():
            expected = model(padded, 3)[..., : 3 * size[0], : 3 * size[1]]
        assert torch.allclose(upscale(model, lr, 3).image, expected, atol=1e-6)


def test_half_precision_reads_where_full_precision_does():
    """Shifts are fractions of a pixel, places may be hundreds: rounding their sum would show."""
    model, lr = moving("edsr-igconv-plus"), image(1, 3, 3, 700)
    full, half = (upscale(model, lr, 2, precision=p).image for p in ("fp32", "bf16"))
    assert (full - half).abs().mean() < 0.01 * full.std()


# Multiply-adds


class _At(nn.Module):
    """A network at one scale, for counters that hand over tensors only."""

    def __init__(self, model: MultiScaleSR, scale: int) -> None:
        super().__init__()
        self.model = model
        self.scale = scale

    def forward(self, lr: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.model(lr, self.scale)
        return out


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("method", MULTI)
def test_multiply_adds_equal_fvcore(method, scale):
    model, lr = network(method), image(1, 3, 7, 9)
    found = model.count((7, 9), (7 * scale, 9 * scale))
    assert found.total == counted_by_fvcore(_At(model, scale), lr)
    alone = model.at_scale(scale)
    once = alone.count((7, 9), (7 * scale, 9 * scale))
    assert once.total == counted_by_fvcore(alone, lr) == found.total - found.kernels
    assert (once.kernels, once.head) == (0, found.head)


@pytest.mark.parametrize("scale", [2, 4])
def test_the_official_network_counts_the_same(scale, harness):
    command = ("flops", "edsr-igconv", "--size", "24x24", "--scale", scale, "--json")
    found = json.loads(harness.good(*command))
    assert found["total_macs"] == recorded(f"igconv-edsr-x{scale}")["conv"]
    assert found["kernel_macs"] == scale**2 * (576 * (4 * 256 * 256 + 3 * 256) + 128)
    assert found["decoder_macs"] == 576 * 3 * scale**2 * 64 * 9


def test_kernels_cost_the_same_for_any_image():
    model = network("edsr-igconv-plus")
    small, large = (model.count((n, n), (3 * n, 3 * n)) for n in (8, 80))
    assert small.kernels == large.kernels > 0
    assert large.head == 100 * small.head


@pytest.mark.parametrize("hr", [(48, 48), (25, 26), (24, 25), (8, 8), (16, 24)])
def test_sizes_that_no_scale_fits_are_refused(hr):
    with pytest.raises(ValueError, match=f"by 2, 3 and 4 only does not lead from 8x8 to {hr[0]}x"):
        network("edsr-igconv").count((8, 8), hr)


def test_a_scale_that_the_network_cannot_do_is_refused(harness):
    status, _, err = harness("flops", "rcan-igconv", "--size", "8x8", "--scale", 6)
    assert status == 2
    assert "rcan-igconv enlarges by 2, 3, 4 and 8 only, not 6" in err


# Commands


def saved(method: str, **options: Mapping[str, object]) -> Path:
    model = build(method, **options)
    content = {"method": method, "build": options, "state_dict": model.state_dict()}
    checkpoints.save(Path("ours.pt"), content)
    return Path("ours.pt")


def test_an_image_file_is_enlarged(harness):
    Image.fromarray(pixels(9, 7).permute(1, 2, 0).numpy()).save("in.png")
    path = saved("edsr-igconv", encoder=ENCODERS["edsr"], upsampler=UPSAMPLER)
    harness.good("upscale", "in.png", "out.png", "--checkpoint", path, "--scale", 3)
    assert Image.open("out.png").size == (21, 27)
    status, _, err = harness("upscale", "in.png", "x.png", "--checkpoint", path, "--scale", 2.5)
    assert status == 2
    assert "enlarges by 2, 3 and 4 only, not 2.5" in err
    assert not Path("x.png").exists()


def test_it_is_measured_at_its_scales(harness):
    path = saved("edsr-igconv", encoder=ENCODERS["edsr"], upsampler={**UPSAMPLER, "scales": [2, 5]})
    command = ("eval", "--checkpoint", path, "--dataset", "Set5", "--data-root", shared("data"))
    content = json.loads(harness.good(*command, "--json"))
    assert [unit["scale"] for unit in content["cells"]] == [2, 5]
    row = content["images"][0]
    assert row["kernel_macs"] == 4 * (72 * (2 * 16 * 16 + 3 * 16) + 8)
    assert row["decoder_macs"] == 3 * 4 * 72 * math.prod(row["lr_size"])


def test_methods_say_their_scales(harness):
    lines = {line["method"]: line for line in json.loads(harness.good("methods", "--json"))}
    assert lines["rcan-igconv-plus"]["scales"] == "2 3 4 8"
    assert (lines["edsr-x2"]["scales"], lines["edsr-liif"]["scales"]) == ("2", "any")
    assert lines["edsr-igconv"]["parameters"] == 1_779_523
