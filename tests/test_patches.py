"""Training samples: Pillow's resize, random queries, and images held as one run of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import pixels

from harness.common.errors import HarnessError
from harness.data.degrade import pil_resize
from harness.data.sets import Dataset
from harness.data.sets.base import memory_item
from harness.profiles import Training
from harness.training.patches import PatchSource
from harness.training.randomness import ROUNDS, draw, permuted
from harness.training.resampling import resize_crops, resize_weights

# Resizing


def by_pillow(crop: torch.Tensor, side: int, size: int) -> torch.Tensor:
    return pil_resize(crop[:, :side, :side].contiguous(), (size, size)).double()


@settings(deadline=None, max_examples=60)
@given(
    size=st.integers(1, 20),
    sides=st.lists(st.integers(1, 90), min_size=1, max_size=4),
    seed=st.integers(0, 1000),
    hard=st.booleans(),
)
def test_patches_are_pillows(size, sides, seed, hard):
    """Enlarging too; `hard` images are black and white, where cubics overshoot most."""
    sides = sorted(set(sides))
    crops = torch.stack([pixels(max(sides), max(sides), seed=seed + n) for n in range(len(sides))])
    crops = (crops > 127).to(torch.uint8) * 255 if hard else crops
    made = resize_crops(crops, resize_weights(sides, size))
    for crop, side, small in zip(crops, sides, made, strict=True):
        assert torch.equal(small, by_pillow(crop, side, size)), side


def test_every_patch_of_the_papers_training_is_pillows():
    sides = list(range(48, 193))
    weights = resize_weights(sides, 48)
    noise = np.random.default_rng(0).integers(0, 256, (len(sides), 3, 192, 192), dtype=np.uint8)
    for n, side in enumerate(sides):
        crop = torch.from_numpy(noise[n])
        made = resize_crops(crop[None], weights[n : n + 1])[0]
        assert torch.equal(made, by_pillow(crop, side, 48)), side


# Queries


def tables(rng: np.random.Generator, side: int, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    sizes = np.full((batch, 2), side)
    chosen = draw(rng, sizes, side, (1, 1))
    return torch.from_numpy(chosen.side)[:, None], torch.from_numpy(chosen.tables)


@settings(deadline=None, max_examples=60)
@given(side=st.integers(1, 40), seed=st.integers(0, 1000))
def test_every_pixel_comes_once(side, seed):
    y, x = permuted(side * side, *tables(np.random.default_rng(seed), side, 3))
    for row in (y * side + x).tolist():
        assert sorted(row) == list(range(side * side))


@contextmanager
def chi_square(counts: np.ndarray, share: float) -> Iterator[None]:
    """How far counts are from even ones, against four standard deviations of chance."""
    expected = counts.mean()
    found = ((counts - expected) ** 2 / (expected * (1 - share))).sum()
    free = counts.size - 1
    assert abs(found - free) < 4 * (2 * free) ** 0.5, (found, free)
    yield


@pytest.mark.parametrize(("side", "queries"), [(24, 288), (13, 100), (48, 200)])
def test_every_pixel_is_as_likely_as_any_other(side, queries):
    """And so is every distance between two queries of a sample."""
    batch = 6000
    y, x = permuted(queries, *tables(np.random.default_rng(7), side, batch))
    places = np.bincount((y * side + x).flatten().numpy(), minlength=side**2)
    with chi_square(places, queries / side**2):
        assert places.sum() == batch * queries
    for other in (1, side if queries > side else 2):
        dy, dx = ((v[:, 0] - v[:, other]) % side for v in (y, x))
        ways = np.bincount((dy * side + dx).numpy(), minlength=side**2)
        assert ways[0] == 0
        with chi_square(ways[1:], 0):
            pass


def test_draws_stay_inside_and_reach_the_edges():
    sizes = np.array([[10, 14], [9, 8]] * 2000)
    chosen = draw(np.random.default_rng(0), sizes, 4, (1, 2))
    assert set(chosen.side) == {4, 5, 6, 7, 8}
    assert chosen.tables.shape == (4000, ROUNDS, 8)
    assert (chosen.tables < chosen.side[:, None, None]).all()
    assert chosen.tables.min() == 0
    for first, axis in ((chosen.top, 0), (chosen.left, 1)):
        room = sizes[:, axis] - chosen.side - first
        assert first.min() == 0 == room.min()
    assert chosen.flips.mean(axis=0) == pytest.approx([0.5] * 3, abs=0.05)


# Images


def source(*sizes: tuple[int, int], **changed: object) -> PatchSource:
    items = tuple(
        memory_item(f"i{n}", lambda n=n, size=size: pixels(*size, seed=n))
        for n, size in enumerate(sizes)
    )
    training = {"dataset": "x", "patch": 6, "queries": 20, "batch": 4, "repeat": 4, **changed}
    return PatchSource(Dataset("x", "", items, None, "full"), Training(**training), 0)


def test_images_are_held_once_as_bytes():
    sizes = (30, 34), (40, 26)
    held = source(*sizes).held
    assert held.pixels.dtype == torch.uint8
    assert held.pixels.numel() == 3 * sum(h * w for h, w in sizes) + 24


def test_an_image_just_large_enough_serves():
    """The last line of the last image is read beyond its end."""
    batch = source((24, 24), scale_min=3.9).batch(0)
    assert batch.lr.isfinite().all()
    assert batch.lr.abs().max() <= 1
    assert batch.target.abs().max() <= 1


@pytest.mark.parametrize("in_memory", [True, False])
def test_an_image_that_is_too_small_is_refused(in_memory):
    with pytest.raises(HarnessError, match="i1 is 40x23"):
        source((24, 24), (23, 40), in_memory=in_memory).batch(0)


def test_too_little_memory_says_what_to_do(monkeypatch):
    def full(*_, dtype=None, **__):
        if dtype == torch.uint8:
            raise RuntimeError("CUDA out of memory")
        return torch.empty(*_)

    monkeypatch.setattr(torch, "zeros", full)
    with pytest.raises(HarnessError, match="in_memory: false"):
        source((24, 24))
