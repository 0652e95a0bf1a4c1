"""Baselines of the efficient SR challenges: what their repositories print of them."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from tiny import network
from torch import nn

from baselines import build
from baselines.shapes import shapes_only

# fvcore, which the printed figures are of, counts four operations for a pixel that is interpolated:
# here for the channels inside of each spatial attention.
INTERPOLATED = {"rlfn-x4": 4 * 16, "efdn-x4": 4 * 12, "span-x4": 0}
SHARED = Path(__file__).parents[2] / "shared" / "published" / "ntire_esr.csv"
# Parameters in thousands, GMACs and millions of activations at 256x256, convolutions, as printed.
PRINTED = {
    "rlfn-x4": (317, 19.67, 80.05, 39),
    "efdn-x4": (276, 16.70, None, None),
    "span-x4": (151, 9.83, 41.68, 22),
}


@pytest.mark.parametrize("method", PRINTED)
def test_counts_are_the_printed_ones(method):
    with shapes_only():
        model = build(method).eval()
    parameters, gmacs, millions, convolutions = PRINTED[method]
    assert round(model.parameter_count / 1e3) == parameters
    total = model.count((256, 256), (1024, 1024)).total + 4 * INTERPOLATED[method] * 256**2
    assert round(total / 1e9, 2) == gmacs
    if millions is not None:
        assert round(model.activations((256, 256)) / 1e6, 2) == millions
        assert sum(isinstance(m, nn.Conv2d) for m in model.modules()) == convolutions


@pytest.mark.skipif(not SHARED.is_file(), reason="the published values are not here")
def test_the_printed_ones_are_those_of_the_shared_file():
    rows = list(csv.DictReader(SHARED.open()))
    for method, (parameters, gmacs, millions, convolutions) in PRINTED.items():
        name = method.partition("-")[0].upper()
        found = {r["metric"]: float(r["value"]) for r in rows if r["method"] == name}
        assert (found["params"], found["macs"]) == (parameters * 1e3, gmacs * 1e9)
        if millions is not None:
            assert (found["activations"], found["conv_layers"]) == (millions * 1e6, convolutions)


@pytest.mark.parametrize("method", PRINTED)
def test_small_images_are_mirrored_and_cut_back(method):
    model = network(method)
    with torch.no_grad():
        assert model(torch.rand(1, 3, 1, 20)).shape == (1, 3, 4, 80)
        whole = torch.rand(1, 3, 20, 24)
        assert torch.equal(model(whole), model.network(whole))
