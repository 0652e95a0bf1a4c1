"""Each protocol equals an independent evaluation; one network under all of them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from skimage.color import rgb2ycbcr
from skimage.metrics import structural_similarity
from test_cli import save_checkpoint
from tiny import network, photo

from baselines.resize import imresize
from harness import checkpoints
from harness.common.errors import UsageError
from harness.data.degrade import matlab_imresize, pil_bicubic
from harness.metrics import FAMILIES, PROTOCOLS, psnr, resolve, ssim
from harness.upscale.network import upscale

HR_SIZE = (413, 437)  # at x2 more than a tile of LR


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A Set5 and a DIV2K of one picture each, and a network."""
    for folder in ("benchmark/Set5/HR", "DIV2K/DIV2K_valid_HR"):
        path = tmp_path / "data" / folder / "0801.png"
        path.parent.mkdir(parents=True)
        photo(*HR_SIZE).save(path)
    save_checkpoint(tmp_path / "liif.pt")
    return tmp_path / "data"


def hr_image() -> np.ndarray:
    return np.asarray(photo(*HR_SIZE))


def tensor(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def enlarged(lr: np.ndarray, scale: int) -> np.ndarray:
    """SR by the network, float in [0, 1] before clipping."""
    model = checkpoints.load_model("liif.pt")
    made = upscale(model, tensor(lr).float()[None] / 255, scale)
    return made.image[0].permute(1, 2, 0).double().numpy()


def shrunk(hr: np.ndarray, scale: int) -> np.ndarray:
    return matlab_imresize(tensor(hr), 1 / scale).permute(1, 2, 0).numpy()


def cut(image: np.ndarray, multiple: int) -> np.ndarray:
    h, w = (side // multiple * multiple for side in image.shape[:2])
    return image[:h, :w]


def rotated(lr: np.ndarray, scale: int, quarters: int = 4) -> np.ndarray:
    """Mean of four rotations, each turned back (Thera)."""
    turns = (np.rot90(enlarged(np.rot90(lr, k), scale), -k) for k in range(quarters))
    return np.mean(list(turns), axis=0)


def tiled(lr: np.ndarray, scale: int, side: int = 192, overlap: int = 32) -> np.ndarray:
    """Tiles averaged where they overlap (SwinIR's and CiaoSR's test code)."""
    h, w = lr.shape[:2]
    side = min(side, h, w)
    total = np.zeros((h * scale, w * scale, 3))
    count = np.zeros((h * scale, w * scale, 1))
    tops, lefts = ([*range(0, length - side, side - overlap), length - side] for length in (h, w))
    for top, left in itertools.product(tops, lefts):
        where = slice(top * scale, (top + side) * scale), slice(left * scale, (left + side) * scale)
        total[where] += enlarged(lr[top : top + side, left : left + side], scale)
        count[where] += 1
    return total / count


def eight_bits(sr: np.ndarray) -> np.ndarray:
    return (sr.clip(0, 1) * 255).round() / 255


def scored(a: np.ndarray, b: np.ndarray, border: int) -> tuple[float, float]:
    """PSNR and SSIM of channels in [0, 255]."""
    inside = slice(border, -border or None)
    a, b = a[inside, inside], b[inside, inside]
    value = 10 * np.log10(255**2 / ((a - b) ** 2).mean())
    return float(value), float(
        structural_similarity(
            a,
            b,
            data_range=255,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=-1,
        )
    )


def y(image: np.ndarray, whole: bool = False) -> np.ndarray:
    values = rgb2ycbcr(image)[..., :1]
    return np.floor(values + 0.5) if whole else values


def by_hand(family: str, scale: int, dataset: str) -> tuple[float, float]:
    """PSNR and SSIM of the network's SR image, as the protocol's script would print them."""
    hr = hr_image()
    if family == "ciaosr":
        hr = cut(hr, 12)
    hr = cut(hr, scale)
    above = family in ("liif", "basicsr", "matlab", "ntire-esr") and scale > 4
    lr = pil_bicubic(tensor(hr), scale)[0].permute(1, 2, 0).numpy() if above else shrunk(hr, scale)
    if family == "thera":
        sr = rotated(lr, scale).clip(0, 1)
    elif family == "ciaosr" and scale <= 4:
        sr = tiled(lr, scale)
    else:
        sr = enlarged(lr, scale).clip(0, 1)
    if family in ("basicsr", "matlab", "gsasr", "ciaosr", "ntire-esr"):
        sr = eight_bits(sr)
    hr = hr / 255
    rgb = family == "ntire-esr" or (family in ("liif", "thera") and dataset == "DIV2K_valid")
    border = {"ntire-esr": 4, "gsasr": min(scale, 8)}.get(family, scale)
    if rgb and family != "ntire-esr":
        border = scale + 6
    if rgb:
        return scored(sr * 255, hr * 255, border)
    return scored(y(sr, family == "matlab"), y(hr, family == "matlab"), border)


@pytest.mark.parametrize("dataset", ["Set5", "DIV2K_valid"])
@pytest.mark.parametrize("scale", [2, 4, 12])
def test_every_protocol_equals_an_evaluation_by_hand(scale, dataset, data, harness):
    """All of them at once, which is one table; those that are not defined are named."""
    command = ("eval", "--checkpoint", "liif.pt", "--dataset", dataset, "--data-root", data)
    content = json.loads(harness.good(*command, "--scale", scale, "--protocol", "all", "--json"))
    found = {PROTOCOLS[unit["protocol"]].family: unit for unit in content["cells"]}
    absent = {family for family in FAMILIES if family not in found}
    assert absent == {
        *(["ntire-esr"] if scale != 4 else []),
        *(["ciaosr"] if dataset != "Set5" else []),
    }
    for family in absent:
        assert any(f"protocol {family}: -" in note for note in content["notes"])
    for family, unit in found.items():
        expected = by_hand(family, scale, dataset)
        assert unit["psnr"] == pytest.approx(expected[0], abs=1e-4), family
        assert unit["ssim"] == pytest.approx(expected[1], abs=1e-5), family


def test_the_table_of_protocols_has_the_effect_of_each(data, harness):
    command = ("eval", "--checkpoint", "liif.pt", "--dataset", "Set5", "--data-root", data)
    content = json.loads(harness.good(*command, "--scale", 4, "--protocol", "all", "--json"))
    text = harness.good(*command, "--scale", 4, "--protocol", "all")
    own = {unit["protocol"]: unit["psnr"] for unit in content["cells"]}
    assert len(own) == 7
    for name, value in own.items():
        (line,) = (line for line in text.splitlines() if f" {name} " in line)
        assert f"{value - own['benchmark']:+.3f}" in line
        assert PROTOCOLS[name].describe() in line


@pytest.mark.parametrize("passes", [4, 8])
def test_self_ensemble(passes, data, harness):
    """The mean over rotations and flips, at as many times the cost, as another measurement."""
    command = ("eval", "--checkpoint", "liif.pt", "--dataset", "Set5", "--data-root", data)
    command = (*command, "--scale", 2, "--json")
    plain = json.loads(harness.good(*command))
    content = json.loads(harness.good(*command, "--self-ensemble", passes))
    hr = cut(hr_image(), 2)
    lr = shrunk(hr, 2)
    sr = rotated(lr, 2)
    if passes == 8:
        sr = (sr + rotated(lr[:, ::-1], 2)[:, ::-1]) / 2
    expected = scored(y(sr.clip(0, 1)), y(hr / 255), 2)
    (unit,) = content["cells"]
    assert unit["psnr"] == pytest.approx(expected[0], abs=1e-4)
    assert unit["rendering"] == f"ensemble {passes}"
    assert unit["decoder_macs"] == passes * plain["cells"][0]["decoder_macs"]
    assert json.loads(harness.good(*command)) == plain, "the plain measurement is another"


def test_what_does_not_fit_is_refused(data, harness):
    command = ("eval", "bicubic", "--dataset", "Set5", "--data-root", data)
    refused = {
        ("--protocol", "thera", "--self-ensemble", "4"): "averages rotations itself",
        ("--protocol", "ntire-esr", "--scale", "2"): "x4 only, not at x2",
        ("--protocol", "thera", "--scale", "2.5"): "whole scales only",
        (
            "--protocol",
            "thera-rgb-1",
        ): "DIV2K",
        ("--protocol", "ciaosr", "--dataset", "DIV2K_valid"): "Set5, Set14, B100 and Urban100",
        (
            "--protocol",
            "liff",
        ): "liif, basicsr",
    }
    for more, said in refused.items():
        status, _, err = harness(*command, *more)
        assert (status, said in err) == (2, True), err


def test_today_s_names_are_those_of_rows():
    assert [resolve("liif", own).name for own in ("benchmark", "div2k", "full")] == [
        "benchmark",
        "div2k",
        "full",
    ]
    assert resolve("benchmark", "div2k").name == "benchmark"
    with pytest.raises(UsageError, match="liif"):
        resolve("lif", "div2k")
    for protocol in PROTOCOLS.values():
        assert protocol.source
        assert protocol.family == "liif" or protocol.name.split("-")[-1].isdigit()


def test_rounded_images_have_the_scores_of_their_protocol():
    """Where SR has 8 bits already, rounding changes nothing; one level more is a level more."""
    hr = torch.randint(0, 256, (3, 40, 50), generator=torch.Generator().manual_seed(0)) / 255
    sr = ((hr * 255 + 3).clamp(0, 255)).round() / 255

    def values(image: torch.Tensor, protocol: str) -> list[float]:
        return [metric(image, hr, protocol, 4).item() for metric in (psnr, ssim)]

    assert values(sr, "basicsr-1") == pytest.approx(values(sr, "benchmark"), abs=1e-4)
    assert values(sr + 0.4 / 255, "basicsr-1") == values(sr, "basicsr-1")
    assert values(sr + 0.4 / 255, "benchmark") != values(sr, "benchmark")


def test_a_network_of_one_scale_is_turned_too(data, harness):
    """Self-ensemble does not ask what kind of network it is."""
    path = data.parent / "x2.pt"
    content = {"method": "edsr-x2", "build": {"encoder": {"blocks": 1, "features": 8}}}
    checkpoints.save(path, {**content, "state_dict": network("edsr-x2").state_dict()})
    command = ("eval", "--checkpoint", path, "--dataset", "Set5", "--data-root", data, "--json")
    (unit,) = json.loads(harness.good(*command, "--self-ensemble", 8))["cells"]
    assert unit["images"] == 1
    assert torch.equal(imresize(tensor(hr_image()), HR_SIZE), tensor(hr_image()))


# What the public evaluation codes themselves give: PSNR, and SSIM where they have it, of
# `scored_pair` (GSASR's calculate_psnr_ssim.py, CiaoSR's metrics.py, utils_image.py of
# NTIRE2024_ESR, Thera's utils.py; run on NumPy arrays).
BY_THEIR_CODE = {
    ("gsasr-1", 2): (35.301737596, 0.857061730),
    ("gsasr-1", 4): (35.307686992, 0.857610286),
    ("gsasr-1", 12): (35.378306094, 0.855994622),
    ("ciaosr-1", 2): (35.301738739, 0.857061730),
    ("ciaosr-1", 4): (35.307689667, 0.857610286),
    ("ciaosr-1", 12): (35.366527557, 0.853703394),
    ("ntire-esr-1", 4): (30.432092396, 0.783824305),
    ("thera-y-1", 2): (35.308554054, None),
    ("thera-y-1", 3): (35.322345242, None),
    ("thera-rgb-1", 2): (30.463464731, None),
    ("thera-rgb-1", 3): (30.452378562, None),
}


def scored_pair(rounded: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """SR, as a file of 8 bits gives it or of floating point, and HR; (3, 96, 108) in [0, 1]."""
    hr = np.asarray(photo(96, 108, seed=1)) / 255
    sr = np.clip(hr + np.random.default_rng(2).normal(0, 0.03, hr.shape), 0, 1)
    images = (np.rint(sr * 255) / 255 if rounded else sr, hr)
    sr_image, hr_image = (torch.from_numpy(x.transpose(2, 0, 1).copy()).float() for x in images)
    return sr_image, hr_image


@pytest.mark.parametrize(("protocol", "scale"), BY_THEIR_CODE)
def test_scores_are_those_of_the_public_codes(protocol, scale):
    sr, hr = scored_pair(PROTOCOLS[protocol].rounded)
    decibels, structure = BY_THEIR_CODE[protocol, scale]
    assert psnr(sr, hr, protocol, scale).item() == pytest.approx(decibels, abs=2e-5)
    if structure is not None:
        assert ssim(sr, hr, protocol, scale).item() == pytest.approx(structure, abs=1e-6)
