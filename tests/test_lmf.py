"""LM-LIIF and LM-LTE: sizes, counts, and what the cell does."""

from __future__ import annotations

import pytest
import torch
from tiny import network

from baselines import build, methods
from baselines.shapes import shapes_only
from harness.checkpoints.subject import Subject


@pytest.mark.parametrize(
    ("method", "decoder", "encoder"),
    [
        ("edsr-lmliif", 165_651, 1_220_416),
        ("rdn-lmliif", 165_651, 21_973_952),
        ("swinir-lmliif", 179_571, None),
        ("edsr-lmlte", 270_467, 1_220_416),
        ("swinir-lmlte", 270_467, None),
    ],
)
def test_parameters_of_the_published_settings(method, decoder, encoder):
    """Counted on the official networks; EDSR without its switched-off colour shifts (24)."""
    with shapes_only():
        model = build(method)
    parts = dict.fromkeys(("encoder", "decoder", "head"), 0)
    for name, parameter in model.named_parameters():
        parts[name.split(".")[0]] += parameter.numel()
    assert parts["decoder"] + parts["head"] == decoder
    assert encoder in (None, parts["encoder"])


@pytest.mark.parametrize(
    ("method", "per_pixel", "per_pair"),
    [("edsr-lmliif", 163_488, 1_648), ("edsr-lmlte", 119_808, 2_096)],
)
def test_multiply_adds(method, per_pixel, per_pair):
    """By fvcore on the official networks: per LR pixel, and per latent code of a query."""
    with shapes_only():
        model = build(method)
    macs = model.count((10, 12), (40, 48))
    assert macs.latent == 120 * per_pixel
    assert macs.head == 4 * 1920 * per_pair
    assert macs.decoder == macs.latent + macs.head


@pytest.mark.parametrize(
    ("method", "figures"),
    [
        ("edsr-lmliif", {1: 9.1, 2: 10.1, 4: 14.4, 6: 21.2, 8: 31}),
        ("edsr-lmlte", {1: 14.9, 2: 16.2, 4: 21.7, 6: 30.8, 8: 43}),
    ],
)
def test_costs_of_the_papers_figure(method, figures):
    """LR of 320x180; read off the plot to 3 %, whose G is 2^30 and counts LTE's convolutions."""
    with shapes_only():
        model = build(method)
    for scale, giga in figures.items():
        macs = model.count((180, 320), (180 * scale, 320 * scale))
        assert (macs.decoder + macs.estimator) / 2**30 == pytest.approx(giga, rel=0.03)


def test_the_cell_reaches_the_latent_mlp():
    model = network("edsr-lmliif")
    features = model.encode(torch.rand(1, 3, 5, 6))
    wide, narrow = (model.tabulate(features, torch.full((1, 2), c)).codes for c in (0.2, 0.1))
    assert not torch.equal(wide, narrow)
    with_out = network("edsr-lmliif", decoder={"cell": False})
    features = with_out.encode(torch.rand(1, 3, 5, 6))
    wide, narrow = (with_out.tabulate(features, torch.full((1, 2), c)).codes for c in (0.2, 0.1))
    assert torch.equal(wide, narrow)


@pytest.mark.parametrize("method", ["edsr-lmliif", "edsr-lmlte"])
def test_the_latent_mlp_is_no_expert(method):
    assert Subject(method, network(method), torch.device("cpu")).expert_depths == []
    mixture = Subject("", network("edsr-moeisr-liif-b"), torch.device("cpu"))
    assert mixture.expert_depths == [2, 3, 4, 5]


def test_lmf_has_no_mixture():
    assert "edsr-lmliif" in methods()
    assert not [name for name in methods() if "moeisr-lm" in name]


def test_unsuitable_sizes_are_refused():
    with pytest.raises(ValueError, match="hidden layer to modulate"):
        build("edsr-lmliif", decoder={"depth": 1})
    with pytest.raises(ValueError, match="even"):
        build("edsr-lmlte", decoder={"width": 7})
    with pytest.raises(ValueError, match="one width"):
        build("edsr-lmliif", head={"hidden": [16, 8]})
