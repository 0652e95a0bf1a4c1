"""Bands of rows make the features that the whole image makes."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENCODERS, FIXED, network
from torch import Tensor, nn

from baselines.encoders.rdn import RDN
from baselines.encoders.srformer import SRFormer
from baselines.encoders.swinir import SwinIR
from baselines.fast import banding
from baselines.fast.banding import band_memory, in_bands, spans
from harness.upscale.network import stream, upscale

NEAR = 1e-6


def relative(found: Tensor, expected: Tensor) -> float:
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.mark.parametrize("halo", [1, 2, 3])
@pytest.mark.parametrize("rows", [1, 2, 9, 30])
@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_convolutions_in_bands(form, rows, halo):
    torch.manual_seed(0)
    layers = nn.Sequential(*(nn.Conv2d(4, 4, 3, padding=1) for _ in range(halo)))
    x = torch.randn(2, 4, rows, 7).to(memory_format=form)
    calls = []

    def counted(part: Tensor) -> Tensor:
        calls.append(part.shape[2])
        out: Tensor = layers(part)
        return out

    with torch.no_grad(), band_memory(1):
        found = in_bands(counted, x, halo, 100)
        expected = layers(x)
    assert relative(found, expected) < NEAR
    assert found.stride() == expected.stride()
    assert max(calls) <= min(rows, 6 * halo)


@settings(deadline=None, max_examples=60)
@given(
    rows=st.integers(1, 60),
    memory=st.integers(1, 5000),
    halo=st.integers(0, 3),
    multiple=st.integers(1, 8),
)
def test_bands_follow_each_other(rows, memory, halo, multiple):
    with torch.no_grad(), band_memory(memory):
        found = spans(torch.zeros(1), rows, 100, halo, multiple)
    assert [first for first, _ in found] == [0, *(end for _, end in found)][:-1]
    assert found[-1][1] == rows
    assert all((end - first) % multiple == 0 for first, end in found[:-1])
    assert (len(found) == 1) or 100 * rows > memory


def test_no_bands_for_gradients_nor_for_counting():
    with band_memory(1):
        assert spans(torch.zeros(1), 9, 100) == [(0, 9)]
        with torch.no_grad():
            assert len(spans(torch.zeros(1), 9, 100)) == 9
            assert spans(torch.zeros(1, device="meta"), 9, 100) == [(0, 9)]
    with torch.no_grad():
        assert spans(torch.zeros(1), 9, 100) == [(0, 9)]


def encoder(kind: str) -> RDN | SRFormer | SwinIR:
    torch.manual_seed(0)
    if kind == "rdn":
        return RDN(**ENCODERS["rdn"]).eval()
    made = {"swinir": SwinIR, "srformer": SRFormer}[kind]
    return made(**{**ENCODERS[kind], "depths": [2, 3]}).eval()


@pytest.mark.parametrize("kind", ["rdn", "swinir", "srformer"])
@pytest.mark.parametrize("size", [(1, 1), (4, 8), (40, 12), (37, 13)])
@pytest.mark.parametrize("memory", [None, 1, 10_000])
def test_an_encoder_in_bands(memory, size, kind):
    model = encoder(kind)
    x = torch.rand(2, 3, *size) * 2 - 1
    expected = model(x).detach()  # with gradients: the layers as they are trained
    with torch.no_grad(), band_memory(memory):
        found = model(x)
    assert relative(found, expected) < NEAR


@pytest.mark.parametrize("method", FIXED)
def test_an_upsampler_in_bands(method):
    model = network(method)
    x = torch.rand(2, 3, 37, 12)
    expected = model(x).detach()
    with torch.no_grad(), band_memory(1):
        assert relative(model(x), expected) < NEAR


def test_bands_learn_nothing_of_the_budget():
    """The budget is that of the block of code, and is gone behind it."""
    with band_memory(5):
        with band_memory(7):
            assert banding._budget.get() == 7
        assert banding._budget.get() == 5
    assert banding._budget.get() is None


@pytest.mark.parametrize("method", ["rdn-liif", "swinir-lte", "rdn-x2"])
def test_the_budget_reaches_the_encoder(method, monkeypatch):
    model = network(method)
    lr = torch.rand(1, 3, 40, 12)
    monkeypatch.setattr(banding, "_LEAST", 1)
    seen: list[int | None] = []
    original = banding.spans

    def spying(*arguments: object, **named: object) -> list[tuple[int, int]]:
        seen.append(banding._budget.get())
        return original(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(banding, "spans", spying)
    monkeypatch.setattr("baselines.encoders.swinir.spans", spying)
    whole = upscale(model, lr, 2).image
    assert set(seen) == {None}
    seen.clear()
    parts = upscale(model, lr, 2, memory=1 << 12).image
    assert set(seen) == {1 << 12}
    assert (whole - parts).abs().max() < 1e-5
    assert sum(strip.shape[1] for strip in stream(model, lr, 2, memory=1 << 12).strips) == 80


def test_what_is_counted_does_not_depend_on_bands():
    model = network("rdn-liif")
    with band_memory(1):
        banded = model.count((40, 12), (80, 24))
    assert banded == network("rdn-liif").count((40, 12), (80, 24))
