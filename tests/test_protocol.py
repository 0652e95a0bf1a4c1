"""PSNR, SSIM, LR images and coordinates are those of the official evaluation code."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import shared
from parity import RECORDED, SOURCES
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity
from tiny import ENCODERS, network, pixels, seen_by

from baselines.fast.engine import GridDecoder
from baselines.geometry import make_cell, make_coord
from baselines.systems import implicit
from harness.common.errors import UsageError
from harness.data.degrade import make_pair, pil_bicubic, unit
from harness.data.images import save_png
from harness.data.sets import Dataset, ImageItem
from harness.data.sets.base import memory_item
from harness.metrics import psnr, ssim, too_small
from harness.profiles import Training
from harness.training.patches import PatchSource
from harness.upscale.network import upscale


def recorded(name: str, source: str = SOURCES[0]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """A file of the recorded protocol and its arrays."""
    here = source == SOURCES[0]
    folder = RECORDED / "protocol" if here else shared("parity", "protocol")
    with np.load(folder / f"{name}.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return json.loads((folder / f"{name}.json").read_text()), tensors


@pytest.mark.parametrize("source", SOURCES)
def test_lr_images_are_the_official_ones(source):
    spec, arrays = recorded("downsample", source)
    hr = arrays["hr"].permute(2, 0, 1)
    for case in spec["cases"]:
        lr, cropped = pil_bicubic(hr, case["scale"])
        expected = arrays[f"lr/{case['scale']}"].permute(2, 0, 1)
        assert torch.equal(lr, expected), case["scale"]
        assert list(cropped.shape[-2:]) == case["hr_cropped"]
        assert torch.equal(cropped, hr[:, : cropped.shape[1], : cropped.shape[2]])
        assert make_cell(tuple(cropped.shape[-2:])).tolist() == case["cell"]


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("index", range(5))
def test_recorded_psnr(index, source):
    spec, arrays = recorded("psnr", source)
    case = spec["expected"][index]
    protocol, _, scale = case["eval_type"].partition("-")
    means = []
    for i in range(spec["pairs"]):
        hr = unit(arrays[f"hr/{i}"]).permute(2, 0, 1)
        sr = unit(arrays[f"sr/{i}"]).permute(2, 0, 1)
        prediction = (arrays[f"pred/{i}"].float() / 8192).permute(2, 0, 1)
        name, s = ("full", 1) if protocol == "none" else (protocol, int(scale))
        assert psnr(sr, hr, name, s).item() == pytest.approx(case["calc_psnr_sr"][i], abs=1e-4)
        means.append(psnr(prediction, hr, name, s).item())
        assert means[-1] == pytest.approx(case["calc_psnr_pred"][i], abs=1e-4)
    assert sum(means) / len(means) == pytest.approx(case["eval_psnr_mean"], abs=1e-4)


def test_recorded_coordinates():
    spec, arrays = recorded("geometry")
    for case in spec["make_coord"]["cases"]:
        ranges = case["ranges"] and [tuple(r) for r in case["ranges"]]
        error = (make_coord(case["shape"], ranges) - arrays[case["key"]]).abs().max()
        assert error <= 2e-7, case["key"]


def test_recorded_paired_crops(tmp_path):
    spec, _ = recorded("geometry")
    for case in spec["paired"]["cases"]:
        hr, lr = pixels(*case["hr"]), pixels(*case["lr"], seed=1)
        path = tmp_path / "lr.png"
        save_png(lr, path)
        scale = case["scale_used"]
        pair = make_pair(item_with_lr(hr, path), hr, scale, None)
        assert list(pair.hr.shape[-2:]) == case["hr_cropped"]
        assert torch.equal(pair.hr, hr[:, : pair.hr.shape[1], : pair.hr.shape[2]])
        assert pair.lr.shape == lr.shape
        if scale <= 4:
            assert torch.equal(pair.lr, lr)
            assert pair.source == "official"
        assert make_cell(tuple(pair.hr.shape[-2:])).tolist() == case["cell"]


def item_with_lr(hr: torch.Tensor, lr: Path) -> ImageItem:
    plain = memory_item("image", lambda: hr)
    return ImageItem(plain.name, plain.load, plain.size, plain.fingerprint, lambda _: lr)


def test_recorded_training_crops():
    spec, _ = recorded("geometry")
    image = memory_item("image", lambda: pixels(200, 200))
    for case in spec["training_crop"]["cases"]:
        size, scale = case["lr_size"], case["scale"]
        settings = Training(
            dataset="x", patch=size, scale_min=scale, scale_max=scale, queries=5, batch=1
        )
        batch = PatchSource(Dataset("x", "", (image,), None, "full"), settings, 0).batch(0)
        assert batch.lr.shape[-2:] == (size, size)
        assert batch.cell.unique().item() == pytest.approx(2 / case["hr_size"], rel=1e-6)


@pytest.mark.parametrize("repository", ["liif", "lte"])
def test_recorded_queries_of_an_image(repository):
    spec, _ = recorded("geometry")
    cases = [
        case
        for case in spec["evaluation_shapes"]["cases"]
        if case["repo"] == repository and case["window"] == 0 and case["eval_bsize"]
    ]
    assert len(cases) == 3
    for case in cases:
        model = network(f"edsr-{repository}")
        lr = torch.rand(1, 3, *case["lr"])
        with recorded_queries() as queries:
            made = upscale(model, lr, case["scale"])
        (asked,) = queries
        assert list(made.image.shape) == case["scored_shape"]
        assert len(asked.coord) == case["queries"]
        for found, expected in (
            (asked.coord[0], case["first_coord"]),
            (asked.coord[-1], case["last_coord"]),
            (asked.cell, case["cell"]),
        ):
            assert found.tolist() == pytest.approx(expected, abs=2e-7)


@dataclass(frozen=True)
class Asked:
    """Queries (Q, 2) of one decoding, row by row, and their cell (2,)."""

    coord: torch.Tensor
    cell: torch.Tensor


@contextmanager
def recorded_queries() -> Iterator[list[Asked]]:
    """What is asked of the engine inside the block."""
    made: list[Asked] = []

    class Spy(GridDecoder):
        def strips(self):
            coord = torch.stack(torch.meshgrid(*self.coords, indexing="ij"), dim=-1)
            made.append(Asked(coord.reshape(-1, 2), self.cell))
            return super().strips()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(implicit, "GridDecoder", Spy)
        yield made


def window_cases() -> list[dict[str, Any]]:
    spec, _ = recorded("geometry")
    cases = spec["evaluation_shapes"]["cases"]
    return [case for case in cases if case["repo"] == "lte" and case["window"]]


@pytest.mark.parametrize("index", range(4))
def test_recorded_queries_of_an_extended_image(index):
    """Networks with windows see a larger image; only the part that is kept is decoded here."""
    cases = window_cases()
    assert len(cases) == 4
    case = cases[index]
    sizes = {**ENCODERS["swinir"], "window": case["window"]}
    model = network("swinir-lte", encoder=sizes)
    seen = []
    encode = model.encode
    model.encode = lambda lr: seen.append(lr) or encode(lr)
    lr, scale = torch.rand(1, 3, *case["lr"]), case["scale"]
    with recorded_queries() as asked:
        made = upscale(model, lr, scale, tuple(case["scored_shape"][-2:])).image

    assert list(made.shape) == case["scored_shape"]
    assert list(seen[0].shape) == case["network_input"]
    hr = tuple(side * scale for side in case["network_input"][-2:])
    whole = make_coord(hr)
    assert len(whole) == case["queries"]
    for corner, expected in ((whole[0], case["first_coord"]), (whole[-1], case["last_coord"])):
        assert corner.tolist() == pytest.approx(expected, abs=2e-7)
    height, width = made.shape[-2:]
    kept = whole.reshape(*hr, 2)[:height, :width].reshape(-1, 2)
    assert torch.equal(asked[0].coord, kept)
    assert asked[0].cell.tolist() == pytest.approx(case["cell"], abs=2e-9)

    official, answer_size = seen_by(model, lr, (height, width))
    assert answer_size == hr
    cells = torch.tensor(case["cell"]).expand(1, len(whole), 2)
    with torch.no_grad():
        plain = model(official * 2 - 1, whole[None], cells) * 0.5 + 0.5
    plain = plain.reshape(1, *hr, 3).permute(0, 3, 1, 2)[..., :height, :width]
    assert (made - plain).abs().max() < 1e-6


@pytest.mark.parametrize(("scale", "stretch"), [(1, 1), (4, 1), (6, 1.5), (30, 7.5)])
def test_lte_keeps_the_cell_of_x4_above_it_and_liif_does_not(scale, stretch):
    assert network("edsr-lte").cell_stretch(scale) == stretch
    assert network("edsr-moeisr-lte-s").cell_stretch(scale) == stretch
    assert network("edsr-liif").cell_stretch(scale) == 1


# Red, green and blue are off by these; the expected mean squared errors are worked out by hand:
# luma: ((65.738 * 0.1 + 129.057 * 0.2 - 25.064 * 0.3) / 256)^2, RGB: (0.01 + 0.04 + 0.09) / 3.
OFFSET = torch.tensor([0.1, 0.2, -0.3])
LUMA_ERROR = ((65.738 * 0.1 + 129.057 * 0.2 - 25.064 * 0.3) / 256) ** 2
RGB_ERROR = 0.14 / 3


@pytest.mark.parametrize(
    ("protocol", "error"), [("benchmark", LUMA_ERROR), ("div2k", RGB_ERROR), ("full", RGB_ERROR)]
)
@pytest.mark.parametrize("scale", [1, 2, 2.5, 4])
def test_psnr_by_hand(protocol, error, scale):
    hr = torch.full((3, 30, 27), 0.5)
    sr = hr + OFFSET[:, None, None]
    expected = -10 * math.log10(error)
    assert psnr(sr, hr, protocol, scale).item() == pytest.approx(expected, abs=1e-4)


BORDERS = [
    ("benchmark", 2, 2),
    ("benchmark", 3.7, 4),
    ("benchmark", 2.0000000001, 2),
    ("div2k", 2, 8),
    ("div2k", 3.2, 10),
    ("full", 4, 0),
]


@pytest.mark.parametrize(("protocol", "scale", "border"), BORDERS)
def test_what_is_shaved(protocol, scale, border):
    hr = torch.full((3, 40, 50), 0.5)
    outside, inside = torch.ones(40, 50), torch.zeros(40, 50)
    outside[border : 40 - border, border : 50 - border] = 0
    inside[border, border] = inside[40 - border - 1, 50 - border - 1] = 1
    assert psnr(hr + 0.2 * outside, hr, protocol, scale).item() == math.inf
    expected = 2 / ((40 - 2 * border) * (50 - 2 * border)) * 0.2**2
    if protocol == "benchmark":
        expected *= ((65.738 + 129.057 + 25.064) / 256) ** 2
    found = psnr(hr + 0.2 * inside, hr, protocol, scale).item()
    assert found == pytest.approx(-10 * math.log10(expected), abs=1e-3)


def test_predictions_are_clamped_but_not_rounded():
    white = torch.ones(3, 20, 20)
    assert psnr(white + 0.5, white, "full", 2).item() == math.inf
    assert psnr(white - 0.001, white, "full", 2).item() == pytest.approx(60, abs=1e-2)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_one_number_per_image(metric):
    sr, hr = torch.rand(2, 2, 3, 40, 36), torch.rand(2, 2, 3, 40, 36)
    found = metric(sr, hr, "benchmark", 2)
    assert found.shape == (2, 2)
    assert found[1, 0] == pytest.approx(metric(sr[1, 0], hr[1, 0], "benchmark", 2).item())
    assert metric(sr[0, 0], hr[0, 0], "benchmark", 2).shape == ()


@pytest.mark.parametrize(("protocol", "scale", "border"), BORDERS)
def test_ssim_is_that_of_scikit_image(protocol, scale, border):
    rng = np.random.default_rng(3)
    hr = rng.random((40, 50, 3))
    sr = hr + 0.2 * rng.standard_normal(hr.shape)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    inside = (slice(border, 40 - border), slice(border, 50 - border))
    if protocol == "benchmark":
        pair = (rgb2ycbcr(x)[..., 0] for x in (sr.clip(0, 1), hr))
        expected = structural_similarity(*(x[inside] for x in pair), data_range=255, **options)
    else:
        pair = (x[inside] for x in (sr.clip(0, 1), hr))
        expected = structural_similarity(*pair, data_range=1, channel_axis=-1, **options)
    tensors = (torch.from_numpy(x).permute(2, 0, 1) for x in (sr, hr))
    assert ssim(*tensors, protocol, scale).item() == pytest.approx(expected, abs=2e-5)


def test_ssim_of_equal_images_is_one():
    image = unit(pixels(30, 30))
    assert ssim(image, image, "full", 2).item() == pytest.approx(1)


@pytest.mark.parametrize(("protocol", "scale", "side"), [("benchmark", 4, 8), ("div2k", 2, 16)])
def test_an_image_without_inside_is_refused(protocol, scale, side):
    image = torch.rand(3, side, 100)
    assert too_small((side, 100), protocol, scale)
    with pytest.raises(ValueError, match="smaller than two borders"):
        psnr(image, image, protocol, scale)
    assert not too_small((side + 1, 100), protocol, scale)
    larger = torch.rand(3, side + 1, 100)
    assert psnr(larger * 0.5, larger, protocol, scale).isfinite()
    with pytest.raises(ValueError, match="SSIM needs 11 pixels"):
        ssim(larger, larger, protocol, scale)


@pytest.mark.parametrize("metric", [psnr, ssim])
def test_shapes_and_protocols_are_checked(metric):
    image = torch.rand(3, 40, 40)
    with pytest.raises(UsageError, match=r"Unknown protocol 'bench'.*benchmark"):
        metric(image, image, "bench", 2)
    for other in (image[:, 1:], image[:1], image[0], image[None]):
        with pytest.raises(ValueError, match="expected two tensors"):
            metric(other, image, "full", 2)
