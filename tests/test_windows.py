"""SwinIR's LR images are extended as its project's scripts do; others are left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import FIXED, NETWORKS, network, seen_by

from baselines.windows import Grid, extend
from harness.upscale.network import upscale


@pytest.mark.parametrize("size", [(10, 12), (16, 16), (13, 23), (8, 7), (5, 4)])
@pytest.mark.parametrize("window", [8, 4])
def test_an_image_is_mirrored_with_its_edge_repeated(size, window):
    image = torch.rand(2, 3, *size)
    wanted = tuple((side // window + 1) * window for side in size)
    add = [(0, 0), (0, 0), *((0, w - s) for w, s in zip(wanted, size, strict=True))]
    expected = np.pad(image.numpy(), add, mode="symmetric")
    assert torch.equal(extend(image, wanted), torch.from_numpy(expected))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 3)])
def test_images_smaller_than_the_extension_are_mirrored_again(size):
    image = torch.rand(1, 3, *size)
    add = [(0, 0), (0, 0), (0, 8 - size[0]), (0, 8 - size[1])]
    expected = np.pad(image.numpy(), add, mode="symmetric")
    assert torch.equal(extend(image, (8, 8)), torch.from_numpy(expected))


@pytest.mark.parametrize("method", [*NETWORKS, *FIXED])
def test_only_swinir_sees_more_than_its_image(method):
    model = network(method)
    found = model.seen((7, 8), (14, 16))
    assert found == (
        Grid((8, 12), (16, 24)) if method.startswith("swinir") else Grid((7, 8), (14, 16))
    )


@pytest.mark.parametrize("method", FIXED)
def test_a_fixed_scale_network_is_cut_back(method):
    model, scale = network(method), int(method[-1])
    lr = torch.rand(1, 3, 7, 8)
    made = upscale(model, lr, scale).image
    unit = model.input_range == "unit"
    seen, _ = seen_by(model, lr, (7 * scale, 8 * scale))
    with torch.no_grad():
        whole = model(seen) if unit else model(seen * 2 - 1) / 2 + 0.5
    assert made.shape == (1, 3, 7 * scale, 8 * scale)
    assert torch.allclose(made, whole[:, :, : 7 * scale, : 8 * scale], atol=1e-6)
