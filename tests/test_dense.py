"""Dense batches: whole HR patches of one scale, LR patches by Pillow; the frequency loss."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import pixels

from benchmarks.pillow_samples import augment
from harness.common.errors import HarnessError
from harness.data.degrade import matlab_imresize, pil_resize
from harness.data.sets import Dataset
from harness.data.sets.base import memory_item
from harness.profiles import Training
from harness.training.dense import DenseBatch, DenseSource
from harness.training.losses import frequency_loss

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


# Batches

FLIPS = list(itertools.product((False, True), repeat=3))


def numbered(index: int, height: int, width: int) -> torch.Tensor:
    """An image whose colours say which pixel of which image each is."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([torch.full_like(rows, index), rows, columns]).to(torch.uint8)


def noise(index: int, height: int, width: int) -> torch.Tensor:
    """Black and white pixels, where cubics overshoot most."""
    values = np.random.default_rng(index).integers(0, 2, (3, height, width), dtype=np.uint8)
    return torch.from_numpy(values * 255)


def source(sizes, made=noise, seed=0, **changed: object) -> DenseSource:
    items = tuple(
        memory_item(f"i{n}", lambda n=n, size=size: made(n, *size)) for n, size in enumerate(sizes)
    )
    chosen = {"dataset": "x", "dense": True, "scales": (2, 3), "patch": 6, "batch": 4, "repeat": 4}
    training = Training(**{**chosen, **changed})
    return DenseSource(Dataset("x", "", items, None, "full"), training, seed)


def parts(batch: DenseBatch) -> list[torch.Tensor]:
    return [batch.lr, batch.hr, torch.tensor(batch.scale)]


def as_bytes(values: torch.Tensor) -> torch.Tensor:
    found = (values * 255).round()
    assert torch.equal(found / 255, values), "8-bit values, divided by 255"
    return found.to(torch.uint8)


def place(hr: torch.Tensor) -> tuple[int, int, int]:
    """Image, top and left of a turned crop of a numbered image."""
    index, top, left = hr.flatten(1).min(dim=1).values.tolist()
    return index, top, left


@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_a_batch_is_what_pillow_makes_sample_by_sample(data):
    """Where the samples are from is read off numbered images of the same sizes."""
    patch = data.draw(st.integers(4, 9), "patch")
    scales = tuple(sorted(data.draw(st.sets(st.integers(1, 5), min_size=1), "scales")))
    side = st.integers(patch * scales[-1], patch * scales[-1] + 20)
    sizes = data.draw(st.lists(st.tuples(side, side), min_size=1, max_size=4), "sizes")
    chosen = {
        "patch": patch,
        "scales": scales,
        "batch": data.draw(st.integers(1, 4), "batch"),
        "in_memory": data.draw(st.booleans(), "in_memory"),
        "seed": data.draw(st.integers(0, 99), "seed"),
    }
    step = data.draw(st.integers(0, 9), "step")
    batch, where = (source(sizes, made, **chosen).batch(step) for made in (noise, numbered))
    assert batch.scale == where.scale in scales
    s = patch * batch.scale
    for lr, hr, numbers in zip(*map(as_bytes, (batch.lr, batch.hr, where.hr)), strict=True):
        index, top, left = place(numbers)
        area = slice(None), slice(top, top + s), slice(left, left + s)
        crop = numbered(index, *sizes[index])[area]
        (flips,) = (f for f in FLIPS if torch.equal(augment(crop, *f), numbers))
        expected = augment(noise(index, *sizes[index])[area], *flips).contiguous()
        assert torch.equal(hr, expected)
        assert torch.equal(lr, pil_resize(expected, (patch, patch)))


def test_a_batch_is_a_function_of_seed_and_step():
    sizes = (30, 34), (40, 26)
    first, again = (source(sizes, seed=5) for _ in range(2))
    read = source(sizes, seed=5, in_memory=False)
    for step in (7, 0, 1, 2, 3):
        expected = parts(first.batch(step))
        assert all(map(torch.equal, expected, parts(again.batch(step))))
        assert all(map(torch.equal, expected, parts(read.batch(step))))
    found = {tuple(place(hr) for hr in source(sizes, numbered, seed).batch(0).hr * 255)
             for seed in range(20)}  # fmt: skip
    assert len(found) == 20


def test_scales_places_and_flips_are_as_likely_as_others():
    steps = 3000
    numbers = source([(20, 19)], numbered, batch=1)
    batches = [numbers.batch(step) for step in range(steps)]
    assert_even(Counter(batch.scale for batch in batches), {2, 3})
    large = [as_bytes(batch.hr[0]) for batch in batches if batch.scale == 3]
    places = [place(hr) for hr in large]
    assert_even(Counter(places), {(0, top, left) for top in range(3) for left in range(2)})
    views = [augment(numbered(0, 20, 19)[:, t : t + 18, v : v + 18], *f)
             for f in FLIPS for _, t, v in sorted(set(places))]  # fmt: skip
    seen = [n for hr in large for n, view in enumerate(views) if torch.equal(view, hr)]
    assert_even(Counter(seen), set(range(6 * 8)))


def assert_even(counts: Counter, ways: set) -> None:
    assert counts.keys() == ways
    expected = counts.total() / len(ways)
    assert all(abs(n - expected) < 5 * expected**0.5 for n in counts.values()), counts


def test_an_epoch_shows_every_image_as_often_as_repeat_says():
    numbers = source([(20, 20)] * 6, numbered, batch=3, repeat=4)
    shown = Counter(place(hr)[0] for step in range(8) for hr in as_bytes(numbers.batch(step).hr))
    assert (numbers.per_epoch, shown) == (8, dict.fromkeys(range(6), 4))


def test_an_image_just_large_enough_serves_and_a_smaller_one_is_named():
    assert source([(18, 18)]).batch(0).hr.shape[0] == 4
    with pytest.raises(HarnessError, match="i1 is 17x30; a patch of 6 at x3 needs 18 pixels"):
        source([(18, 18), (30, 17)])


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_the_lr_images_of_seemore_s_project_differ_by_rounding_inside_a_patch(scale):
    """MATLAB's bicubic of the whole image against Pillow's of a crop, in a smooth image."""
    hr = pixels(40 * scale, 40 * scale)
    theirs = matlab_imresize(hr, 1 / scale)[:, 8:32, 8:32].short()
    ours = pil_resize(hr[:, 8 * scale : 32 * scale, 8 * scale : 32 * scale].contiguous(), (24, 24))
    difference = (ours.short() - theirs).abs()
    assert difference[:, 2:-2, 2:-2].max() == 1
    assert difference.max() > 1
