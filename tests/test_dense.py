"""Training on whole HR crops: the frequency loss, batches of one scale, runs that resume."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from conftest import shared
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.frequency import frequency_loss

# Frequency loss


@settings(deadline=None, max_examples=30)
@given(
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    batch=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
def test_the_frequency_loss_is_that_of_two_spectra(size, batch, seed):
    rng = np.random.default_rng(seed)
    sr, hr = (rng.normal(size=(batch, 3, *size)) for _ in range(2))
    difference = np.fft.rfft2(sr) - np.fft.rfft2(hr)
    expected = np.abs([difference.real, difference.imag]).mean()
    found = frequency_loss(torch.from_numpy(sr), torch.from_numpy(hr)).item()
    assert found == pytest.approx(expected, rel=1e-9)


def test_the_frequency_loss_has_a_gradient():
    sr, hr = torch.rand(2, 1, 2, 3, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(frequency_loss, (sr.requires_grad_(), hr))


def test_the_frequency_loss_of_the_official_code():
    folder = shared("parity", "igconv-plus-edsr-small")
    case = json.loads((folder / "spec.json").read_text())["frequency_loss"]
    with np.load(folder / "arrays.npz") as arrays:
        sr, hr = (torch.from_numpy(arrays[case[key]]) for key in ("prediction", "target"))
    found = case["weight"] * frequency_loss(sr, hr)
    assert found.item() == pytest.approx(case["value"], rel=1e-6)
    assert (sr - hr).abs().mean().item() == pytest.approx(case["l1"], rel=1e-6)
