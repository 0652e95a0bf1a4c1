"""LR images: MATLAB's resize, Pillow's rule, and which of them is used when."""

from __future__ import annotations

import math
import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import shared
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import pixels, write_photos
from torch import Tensor

from baselines.resize import imresize
from harness.common.errors import HarnessError
from harness.data import degrade
from harness.data.degrade import TooSmallError, make_pair, matlab_imresize, pil_bicubic
from harness.data.images import read_rgb, save_png
from harness.data.sets import find
from harness.data.sets.base import memory_item


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_set5_bit_for_bit(scale):
    """The set's own LR images, made by MATLAB."""
    items = find("Set5", shared("data")).items
    assert len(items) == 5
    for item in items:
        hr = degrade.mod_crop(item.load(), scale)
        assert torch.equal(matlab_imresize(hr, 1 / scale), read_rgb(item.official_lr(scale)))


def test_set5_pairs_are_the_official_ones():
    for item in find("Set5", shared("data")).items:
        assert make_pair(item, item.load(), 3, None).source == "official"


def cubic(x: Fraction) -> Fraction:
    """Keys's kernel with a = -1/2."""
    x = abs(x)
    if x <= 1:
        return (Fraction(3, 2) * x - Fraction(5, 2)) * x * x + 1
    if x < 2:
        return ((-Fraction(1, 2) * x + Fraction(5, 2)) * x - 4) * x + 2
    return Fraction(0)


def slow_rows(image: list[list[int]], scale: Fraction, n_out: int) -> list[list[int]]:
    """Resize the first axis in exact arithmetic, one output pixel after the other."""
    n_in, out = len(image), []
    widen = min(scale, Fraction(1))
    for i in range(n_out):
        centre = (i + Fraction(1, 2)) / scale - Fraction(1, 2)
        reach = math.ceil(2 / widen) + 1
        total, values = Fraction(0), [Fraction(0)] * len(image[0])
        for p in range(math.floor(centre) - reach, math.floor(centre) + reach + 2):
            weight = cubic(widen * (centre - p))
            mirrored = p % (2 * n_in)
            source = image[min(mirrored, 2 * n_in - 1 - mirrored)]
            total += weight
            values = [v + weight * s for v, s in zip(values, source, strict=True)]
        exact = [v / total for v in values]
        # A tie that floating point cannot represent may be rounded either way.
        assume(not any((2 * v).denominator == 1 and v.denominator == 2 and not dyadic(scale)
                       for v in exact))  # fmt: skip
        out.append([max(0, min(255, math.floor(v + Fraction(1, 2)))) for v in exact])
    return out


def dyadic(scale: Fraction) -> bool:
    return all(n & (n - 1) == 0 for n in (scale.numerator, scale.denominator))


def turned(image: list[list[int]]) -> list[list[int]]:
    return [list(row) for row in zip(*image, strict=True)]


def slow_resize(image: Tensor, size: tuple[int, int], scale: tuple[Fraction, Fraction]) -> Tensor:
    """Rows first unless columns shrink more; 8-bit after each axis."""
    values = image.tolist()
    for axis in (0, 1) if scale[0] <= scale[1] else (1, 0):
        if axis == 0:
            values = slow_rows(values, scale[0], size[0])
        else:
            values = turned(slow_rows(turned(values), scale[1], size[1]))
    return torch.tensor(values, dtype=torch.uint8)


def noise(h: int, w: int, seed: int) -> Tensor:
    values = np.random.default_rng(seed).integers(0, 256, (h, w), dtype=np.uint8)
    # Black and white make the kernel overshoot, so that clipping matters.
    return torch.from_numpy(np.where(values < 60, 0, np.where(values > 200, 255, values)))


sides, seeds = st.integers(1, 9), st.integers(0, 999)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(h=sides, w=sides, out_h=sides, out_w=sides, seed=seeds)
def test_resize_to_a_size_agrees_with_exact_arithmetic(h, w, out_h, out_w, seed):
    image = noise(h, w, seed)
    scale = (Fraction(out_h, h), Fraction(out_w, w))
    expected = slow_resize(image, (out_h, out_w), scale)
    assert imresize(image, (out_h, out_w)).tolist() == expected.tolist()


@settings(deadline=None, max_examples=60, derandomize=True)
@given(h=sides, w=sides, seed=seeds, scale=st.sampled_from(["1/2", "1/3", "1/4", "2", "3", "3/2"]))
def test_resize_by_a_factor_agrees_with_exact_arithmetic(h, w, seed, scale):
    factor = Fraction(scale)
    image = noise(h, w, seed)
    size = (math.ceil(h * factor), math.ceil(w * factor))
    expected = slow_resize(image, size, (factor, factor))
    found = matlab_imresize(image.expand(3, -1, -1), float(factor))
    assert all(channel.tolist() == expected.tolist() for channel in found)


def test_resize_keeps_leading_axes_apart():
    images = torch.stack([noise(7, 5, seed) for seed in range(6)]).reshape(2, 3, 7, 5)
    found = imresize(images, (4, 9))
    for n in range(6):
        assert torch.equal(found.reshape(6, 4, 9)[n], imresize(images.reshape(6, 7, 5)[n], (4, 9)))


def test_resize_is_for_eight_bits():
    with pytest.raises(TypeError, match="uint8"):
        imresize(torch.rand(3, 4, 4), (2, 2))


@settings(deadline=None, max_examples=60, derandomize=True)
@given(h=st.integers(1, 60), w=st.integers(1, 60), scale=st.floats(1, 12))
def test_the_pillow_rule(h, w, scale):
    hr = pixels(60, 60)[:, :h, :w].contiguous()
    lr_h, lr_w = math.floor(h / scale + 1e-9), math.floor(w / scale + 1e-9)
    if min(lr_h, lr_w) == 0:
        with pytest.raises(TooSmallError, match="no LR pixel"):
            pil_bicubic(hr, scale)
        return
    lr, cropped = pil_bicubic(hr, scale)
    expected = hr[:, : round(lr_h * scale), : round(lr_w * scale)]
    assert torch.equal(cropped, expected)
    assert abs(cropped.shape[-2] / lr.shape[-2] - scale) * lr.shape[-2] <= 0.5 + 1e-6
    image = Image.fromarray(expected.permute(1, 2, 0).numpy())
    small = np.array(image.resize((lr_w, lr_h), Image.Resampling.BICUBIC))
    assert torch.equal(lr, torch.from_numpy(small).permute(2, 0, 1))


@pytest.mark.parametrize(("side", "scale", "lr"), [(33, 1.1, 30), (55, 1.1, 50), (21, 4.2, 5)])
def test_float_noise_costs_no_lr_pixel(side, scale, lr):
    """33 / 1.1 is 29.999999999999996."""
    assert pil_bicubic(pixels(side, side), scale)[0].shape == (3, lr, lr)


# Sources


@pytest.fixture
def set5(tmp_path: Path) -> Path:
    """A data root with two images of Set5's layout and LR images at x2."""
    write_photos(tmp_path / "benchmark/Set5/HR", {"baby": (21, 25), "bird": (20, 24)})
    small = {"babyx2": (10, 12), "birdx2": (10, 12)}
    write_photos(tmp_path / "benchmark/Set5/LR_bicubic/X2", small)
    return tmp_path


def pair_of(root: Path, name: str, scale: float, cache: Path | None = None):
    item = next(i for i in find("Set5", root).items if i.name == name)
    return make_pair(item, item.load(), scale, cache)


@pytest.mark.parametrize(
    ("scale", "source"),
    [(1, "pil"), (2, "official"), (2.0, "official"), (2.5, "pil"), (3, "matlab"), (4, "matlab"),
     (6, "pil")],
)  # fmt: skip
def test_which_lr_image_is_used(set5, scale, source):
    assert pair_of(set5, "baby", scale).source == source


def test_official_lr_images_are_read(set5):
    pair = pair_of(set5, "baby", 2)
    path = set5 / "benchmark/Set5/LR_bicubic/X2/babyx2.png"
    assert torch.equal(pair.lr, read_rgb(path))
    hr = read_rgb(set5 / "benchmark/Set5/HR/baby.png")
    assert torch.equal(pair.hr, hr[:, :20, :24])


def test_lr_images_made_here_belong_to_the_cropped_image(set5):
    hr = read_rgb(set5 / "benchmark/Set5/HR/baby.png")
    pair = pair_of(set5, "baby", 4)
    assert torch.equal(pair.hr, hr[:, :20, :24])
    assert torch.equal(pair.lr, matlab_imresize(hr[:, :20, :24], 1 / 4))


def test_a_missing_official_lr_image_is_an_error(set5):
    (set5 / "benchmark/Set5/LR_bicubic/X2/birdx2.png").unlink()
    assert pair_of(set5, "baby", 2).source == "official"
    with pytest.raises(HarnessError, match=r"birdx2\.png is missing.*\nComplete the folder"):
        pair_of(set5, "bird", 2)


@pytest.mark.parametrize("size", [(9, 12), (10, 13), (11, 12), (20, 24)])
def test_an_lr_image_of_the_wrong_size_is_an_error(set5, size):
    write_photos(set5 / "benchmark/Set5/LR_bicubic/X2", {"birdx2": size})
    with pytest.raises(HarnessError, match=rf"birdx2\.png is {size[1]}x{size[0]}.*24x20.*at x2"):
        pair_of(set5, "bird", 2)


def test_lr_images_are_cached(set5, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    made = pair_of(set5, "baby", 3, cache)
    assert [p.suffix for p in cache.iterdir()] == [".png"]
    calls = []
    monkeypatch.setattr(degrade, "matlab_imresize", lambda *_: calls.append(1))
    again = pair_of(set5, "baby", 3, cache)
    assert torch.equal(made.lr, again.lr)
    assert again.source == "matlab"
    assert calls == []


def test_the_cache_follows_the_pixels(set5, tmp_path):
    cache = tmp_path / "cache"
    first = pair_of(set5, "baby", 3, cache)
    write_photos(set5 / "benchmark/Set5/HR", {"bird": (21, 25), "baby": (21, 25)})
    second = pair_of(set5, "baby", 3, cache)
    assert not torch.equal(first.lr, second.lr)
    assert torch.equal(second.lr, pair_of(set5, "baby", 3).lr)


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_a_damaged_cache_is_made_again(set5, tmp_path, content, capsys):
    cache = tmp_path / "cache"
    made = pair_of(set5, "baby", 3, cache)
    (file,) = cache.iterdir()
    file.write_bytes(content)
    assert torch.equal(pair_of(set5, "baby", 3, cache).lr, made.lr)
    said = "".join(capsys.readouterr().err.split())
    assert f"ThekeptLRimage{file}isdamaged;itismadeanew" in said


def test_no_damage_of_the_cache_is_read_as_other_pixels(set5, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    made = pair_of(set5, "baby", 3, cache)
    (file,) = cache.iterdir()
    whole, said, rng = file.read_bytes(), [], random.Random(0)
    monkeypatch.setattr(degrade, "say", said.append)
    for draw in range(60):
        at, count = rng.randrange(len(whole)), rng.choice([1, 1, 1, 20, 300])
        noise = bytes(byte ^ rng.randrange(1, 256) for byte in whole[at : at + count])
        file.write_bytes(whole[:at] + (noise + whole[at + count :] if draw % 4 else b""))
        assert torch.equal(pair_of(set5, "baby", 3, cache).lr, made.lr)
    assert len(said) > 40, "nothing is tested"


def test_an_image_kept_by_name_and_size_alone_is_not_trusted(set5, tmp_path, monkeypatch):
    """Neither another one with the right name and size, nor those of earlier versions."""
    cache, said = tmp_path / "cache", []
    monkeypatch.setattr(degrade, "say", said.append)
    made = pair_of(set5, "baby", 3, cache)
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    for kept, words in ((pixels(*made.lr.shape[1:]), 1), (made.lr, 0)):
        save_png(kept, file)
        assert torch.equal(pair_of(set5, "baby", 3, cache).lr, made.lr)
        assert file.read_bytes() == whole
        assert len(said) == words
        said.clear()


@pytest.mark.parametrize("scale", [2, 3, 4, 4.5, 30])
def test_an_image_below_the_scale_is_too_small(scale):
    hr = pixels(100, math.ceil(scale) - 1)
    item = memory_item("thin", lambda: hr)
    with pytest.raises(TooSmallError, match=f"no LR pixel at x{scale:g}"):
        make_pair(item, hr, scale, None)
    wide = pixels(100, math.ceil(scale))
    assert min(make_pair(memory_item("", lambda: wide), wide, scale, None).lr.shape) == 1
