"""A third implicit decoder: its encoding, and the mixture that it gets for nothing."""

from __future__ import annotations

import math

import pytest
import torch
from tiny import network

from baselines import build, methods
from baselines.decoders.ipe import integrated
from baselines.shapes import shapes_only


def test_the_encoding_is_the_mean_over_the_pixel():
    """Against 1,000 points of the pixel's side."""
    centre, side = torch.tensor([0.3, -0.8]), torch.tensor(0.5)
    found = integrated(centre, side, 4)
    points = centre[:, None] + side * ((torch.arange(1000) + 0.5) / 1000 - 0.5)
    for octave in range(4):
        angle = math.pi * 2**octave * points
        expected = torch.stack([angle.sin().mean(dim=1), angle.cos().mean(dim=1)], dim=1)
        assert torch.allclose(found[:, [octave, 4 + octave]], expected, atol=1e-4)


def test_a_pixel_of_an_lr_pixel_has_no_frequency_left():
    assert integrated(torch.tensor([0.1]), torch.tensor(2.0), 6).abs().max() < 1e-6


@pytest.mark.parametrize(("size", "saving"), [("b", 0.27), ("s", 0.69)])
def test_moeisr_comes_with_the_decoder(size, saving):
    """Nothing of MoEISR names it; multiply-adds as the paper counts them, even shares, x4."""
    method = f"edsr-moeisr-ipe-{size}"
    assert method in methods()
    with shapes_only():
        plain, mixture = build("edsr-ipe"), build(method)
    assert [len(mlp.linears) for mlp in mixture.head.mlps] == [2, 3, 4, 5]
    own = mixture.count((48, 48), (192, 192), shares=[0.25] * 4).decoder
    base = plain.count((48, 48), (192, 192)).decoder
    assert 1 - own / base == pytest.approx(saving, abs=0.02)


def test_gradients_reach_every_expert():
    model = network("edsr-moeisr-ipe-s").train()
    coord = torch.rand(1, 9, 2) * 2 - 1
    model(torch.rand(1, 3, 6, 6), coord, torch.full_like(coord, 0.1)).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.head.parameters())
