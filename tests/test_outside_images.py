"""SR images of other programs: folders, names and files that are understood, and those named."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import shared
from PIL import Image
from tiny import Harness, photo, write_photos

from harness.common.errors import HarnessError, MethodError, UsageError
from harness.data.images import read_rgb
from harness.metrics import psnr
from harness.outside.images import read_sr
from harness.outside.layout import find_images

NAMES = {"Set5": ["baby", "bird", "bird_2", "woman"], "Set14": ["man"]}
SIZES = {"baby": (50, 61), "bird": (48, 48), "butterfly": (40, 53), "head": (45, 45)}
SIZES |= {"woman": (57, 40)}


def write_set5(root: Path) -> Path:
    """Five small pictures under the names of Set5."""
    write_photos(root / "benchmark/Set5/HR", SIZES)
    return root


def hr_pixels(root: Path, name: str) -> np.ndarray:
    with Image.open(root / f"benchmark/Set5/HR/{name}.png") as image:
        return np.asarray(image.convert("RGB"))


def sr_pixels(root: Path, name: str, scale: int, strength: float) -> np.ndarray:
    """HR with errors, cut as the LR image of the scale wants it; float in [0, 255]."""
    hr = hr_pixels(root, name).astype(np.float64)
    h, w = (side // scale * scale for side in hr.shape[:2])
    noise = np.random.default_rng(len(name)).normal(0, strength, (h, w, 3))
    return (hr[:h, :w] + noise).clip(0, 255)


def write_sr(
    root: Path, folder: Path, scale: int, form: str = "{name}", strength: float = 6
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in SIZES:
        values = sr_pixels(root, name, scale, strength).round().astype(np.uint8)
        Image.fromarray(values).save(folder / f"{form.format(name=name, scale=scale)}.png")
    return folder


def own_psnr(sr: np.ndarray, hr: np.ndarray, scale: int, whole_y: bool = False) -> float:
    """PSNR of Y by hand, of values in [0, 255]."""
    h, w = sr.shape[:2]
    y = [x.astype(np.float64)[:h, :w] @ [65.481, 128.553, 24.966] / 255 + 16 for x in (sr, hr)]
    if whole_y:
        y = [np.floor(x + 0.5) for x in y]
    error = (y[0] - y[1])[scale:-scale, scale:-scale]
    return float(10 * np.log10(255**2 / (error**2).mean()))


def evaluated(harness: Harness, root: Path, folder: Path, *more: object) -> dict:
    command = ("eval", "--images", folder, "--dataset", "Set5", "--data-root", root, *more)
    return json.loads(harness.good(*command, "--json"))


def test_two_networks_equal_an_evaluation_by_hand(harness, tmp_path):
    """Two networks as the zoo has them: 8 bits, a folder for each network and scale."""
    root = write_set5(tmp_path / "data")
    zoo = tmp_path / "zoo"
    write_sr(root, zoo / "net-a_x2", 2)
    write_sr(root, zoo / "net-b_x4", 4, strength=11)
    for protocol, whole in (("basicsr", False), ("matlab", True)):
        content = evaluated(harness, root, zoo, "--protocol", protocol)
        found = {each["method"]: each["cells"] for each in content["networks"]}
        for method, scale, strength in (("net-a@images", 2, 6), ("net-b@images", 4, 11)):
            (unit,) = found[method]
            made = [
                own_psnr(
                    sr_pixels(root, name, scale, strength).round(),
                    hr_pixels(root, name),
                    scale,
                    whole,
                )
                for name in SIZES
            ]
            assert unit["psnr"] == pytest.approx(np.mean(made), abs=1e-4)
            assert (unit["images"], unit["protocol"]) == (5, f"{protocol}-1")
            assert (unit["scale"], unit["lr_source"]) == (scale, "unknown")


def test_eight_bits_have_the_protocol_of_published_values(harness, tmp_path):
    root = write_set5(tmp_path / "data")
    content = evaluated(harness, root, write_sr(root, tmp_path / "mine_x3", 3))
    (unit,) = content["cells"]
    assert (content["method"], unit["protocol"]) == ("mine@images", "basicsr-1")
    assert any("8 bits are rounded" in note for note in content["notes"])
    row = content["images"][0]
    assert (row["parameters"], row.get("decoder_macs")) == (None, None), "nothing is known of it"
    assert row["seconds"] == 0


@pytest.mark.parametrize("form", ["array", "array-chw", "bytes", "signed", "png16"])
def test_deeper_files_are_read_without_rounding(form, harness, tmp_path):
    root = write_set5(tmp_path / "data")
    folder = tmp_path / "net_x2"
    folder.mkdir()
    expected = []
    for name in SIZES:
        sr = sr_pixels(root, name, 2, 6)
        expected.append(own_psnr(sr, hr_pixels(root, name), 2))
        if form == "png16":
            write_png16(folder / f"{name}.png", (sr * 257).round().astype(np.uint16))
            continue
        values = {"bytes": sr, "signed": sr / 127.5 - 1}.get(form, sr / 255).astype(np.float32)
        np.save(folder / f"{name}.npy", values.transpose(2, 0, 1) if form[-3:] == "chw" else values)
    more = ("--values", form) if form in ("bytes", "signed") else ()
    (unit,) = evaluated(harness, root, folder, *more)["cells"]
    assert unit["protocol"] == "benchmark"
    assert unit["psnr"] == pytest.approx(np.mean(expected), abs=2e-3)


def write_png16(path: Path, values: np.ndarray) -> None:
    """A PNG of 16-bit colour, which Pillow does not write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    h, w = values.shape[:2]
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


LAYOUTS = {
    "plain": (["net_x4/baby.png"], "net", 4),
    "scale-in-name": (["net/babyx4.png"], "net", 4),
    "scale-first": (["net/baby4x.png"], "net", 4),
    "method-in-name": (["net/baby_x4_EDSR.png"], "net", 4),
    "method-first": (["net/SR_baby_X4.png"], "net", 4),
    "basicsr": (["EDSR_Lx4_f256_DIV2K/visualization/Set5/baby_EDSR_Lx4_f256.png"], None, 4),
    "folders": (["net/X2/Set5/baby.png"], "net", 2),
    "folders-turned": (["Set5/net/x2/baby.png"], "net", 2),
    "edsr": (["net/results-Set5/baby_x2_SR.png"], None, 2),
    "array": (["net_x3/baby.npy"], "net", 3),
    "capitals": (["net_x3/Baby.PNG"], "net", 3),
    "real": (["net_x2.5/baby.png"], "net", 2.5),
    "beside": (["net_x4/baby.png", "net_x4/log.txt", "net_x4/.hidden.png"], "net", 4),
    "lr-and-hr": (
        ["net/baby_x2_SR.png", "net/baby_x2_LR.png", "net/baby_x2_HR.png"],
        "net",
        2,
    ),
    "lr-folder": (["net_x2/SR/baby.png", "net_x2/LR/baby.png", "net_x2/GT/baby.png"], "net", 2),
    "other-set": (["net/Set5/baby_x2.png", "net/Set14/baby_x2.png"], "net", 2),
}


@pytest.mark.parametrize("case", LAYOUTS)
def test_layouts(case, tmp_path):
    files, network, scale = LAYOUTS[case]
    found, _ = find_images(touch(tmp_path / "sr", *files), {"Set5": NAMES["Set5"]})
    (images,) = found
    assert images.scale == scale
    assert images.files.keys() == {"baby"}
    assert not images.doubtful
    assert images.files["baby"] == tmp_path / "sr" / files[0]
    assert network is None or images.network == network


def test_the_longest_name_is_meant(tmp_path):
    root = touch(tmp_path / "sr", "bird_2_x4.png", "bird_x4.png")
    (images,) = find_images(root, NAMES)[0]
    assert {name: path.name for name, path in images.files.items()} == {
        "bird": "bird_x4.png",
        "bird_2": "bird_2_x4.png",
    }


def test_scales_of_one_folder_are_apart(tmp_path):
    root = touch(tmp_path / "net", "baby_x2.png", "baby_x3.png", "woman_x3.png")
    found, _ = find_images(root, NAMES)
    assert [(i.scale, sorted(i.files)) for i in found] == [
        (2, ["baby"]),
        (3, ["baby", "woman"]),
    ]
    (only,) = find_images(root, NAMES, [3])[0]
    assert only.scale == 3


def test_a_scale_on_the_command_line_is_that_of_names_without_one(tmp_path):
    root = touch(tmp_path / "net", "baby.png")
    (images,) = find_images(root, NAMES, [3])[0]
    assert images.scale == 3


def test_a_pattern_chooses(tmp_path):
    root = touch(tmp_path / "net", "baby_woman_x2.png", "ours_x2_baby.png", "woman_baby_x2.png")
    (images,) = find_images(root, NAMES, pattern="{name}_woman_x{scale}.png")[0]
    assert images.files["baby"].name == "baby_woman_x2.png"


REFUSED = {
    "no-folder": ((), {}, "does not exist"),
    "empty": (["log.txt"], {}, "has no images"),
    "names": (["net_x2/lenna.png"], {}, "baby, bird, bird_2"),
    "no-scale": (["net/baby.png"], {}, "--scale"),
    "two-scales": (["net_x2/baby_x4.png"], {}, "x4, and its folder x2"),
    "two-scales-in-one": (["net/baby_x2_x4.png"], {}, "x2 and x4"),
    "two-names": (["net_x2/baby_woman.png"], {}, "several HR images: baby, woman"),
    "other-scale": (["net_x2/baby.png"], {"scales": [3.0]}, "it has x2"),
    "pattern": (["net_x2/baby.png"], {"pattern": "{scale}"}, "{name} once"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_clear_is_refused(case, tmp_path):
    files, options, said = REFUSED[case]
    root = touch(tmp_path / "sr", *files)
    with pytest.raises((HarnessError, UsageError)) as error:
        find_images(root, NAMES, **options)
    assert said in str(error.value)
    assert "\n" in str(error.value) or isinstance(error.value, UsageError), "no remedy"


def test_several_files_for_an_image_are_named(tmp_path):
    root = touch(tmp_path / "net_x2", "baby.png", "baby.npy", "woman.png", "strange.png")
    found, notes = find_images(root, NAMES)
    (images,) = found
    assert "baby.npy, baby.png" in images.doubtful["baby"]
    assert images.files.keys() == {"woman"}
    assert any("strange.png" in note for note in notes)


def spoil(folder: Path, case: str) -> None:
    """Spoil the image of `baby` in one way."""
    path = folder / "baby.png"
    image = Image.open(path)
    image.load()
    if case == "missing":
        path.unlink()
    elif case == "lr-size":
        image.resize((30, 25)).save(path)
    elif case == "turned":
        image.transpose(Image.Transpose.ROTATE_90).save(path)
    elif case == "constant":
        Image.new("RGB", image.size, (9, 8, 7)).save(path)
    elif case in ("swapped", "two", "grey"):
        order = [0, 2, 1] if case == "two" else [2, 1, 0]
        swapped = Image.fromarray(np.asarray(image)[..., order].copy())
        (image.convert("L") if case == "grey" else swapped).save(path)
    elif case == "transparent":
        image.putalpha(100)
        image.save(path)
    elif case == "cut-off":
        path.write_bytes(path.read_bytes()[:300])
    elif case == "copy":
        photo(48, 48, seed=1).save(path)
        photo(48, 48, seed=1).save(folder / "bird.png", compress_level=1)
    elif case == "jpeg":
        path.unlink()
        image.save(folder / "baby.jpg")
    elif case == "several":
        image.save(folder / "baby_x2.png")
    else:
        path.unlink()
        values = np.asarray(image) / 255
        if case == "nan":
            values[3, 4, 1] = np.nan
        arrays = {"nan": values, "range": values * 255, "shape": values[..., :2]}
        arrays |= {"words": np.array(["a", "b"]), "empty": np.zeros((0, 0, 3))}
        arrays |= {"low": np.asarray(image).astype(np.uint16)}
        np.save(folder / "baby.npy", arrays[case])


SPOILT = {
    "missing": "there is no SR image of it",
    "lr-size": "30x25 pixels (the LR image's size), not 60x50",
    "turned": "50x60 pixels (turned by a quarter), not 60x50",
    "constant": "one colour",
    "grey": "is grey",
    "swapped": "order BGR",
    "transparent": "transparent",
    "cut-off": "cannot be read",
    "copy": "the same pixels as the SR image of bird",
    "jpeg": "with loss",
    "several": "several files",
    "nan": "1 of its values are NaN",
    "range": "--values",
    "shape": "shape (50, 60, 2)",
    "words": "no array of numbers",
    "empty": "shape (0, 0, 3)",
    "low": "values of 0 to 255 only",
    "two": "order RBG",
}


@pytest.mark.parametrize("case", SPOILT)
def test_spoilt_images_are_units_with_a_reason(case, harness, tmp_path):
    """No mean, the reason, and the other images' scores; put right, it is measured again."""
    root = write_set5(tmp_path / "data")
    folder = write_sr(root, tmp_path / "net_x2", 2)
    spoil(folder, case)
    command = ("--protocol", "basicsr")
    content = evaluated(harness, root, folder, *command)
    (unit,) = content["cells"]
    assert unit["psnr"] is None
    assert SPOILT[case] in unit["failed"]["baby"]
    assert unit["images"] == (3 if case == "copy" else 4)
    text = harness.good(
        "eval", "--images", folder, "--dataset", "Set5", "--data-root", root, *command
    )
    assert SPOILT[case] in text
    for path in folder.iterdir():
        path.unlink()
    write_sr(root, folder, 2)
    (unit,) = evaluated(harness, root, folder, *command)["cells"]
    assert (unit["images"], unit["failed"]) == (5, {})


def test_an_array_whose_header_lies_is_refused(tmp_path):
    file = tmp_path / "baby.npy"
    np.save(file, np.zeros((1, 1, 3), np.float32))
    file.write_bytes(file.read_bytes().replace(b"(1, 1, 3), }      ", b"(10000000, 900000, 3), }"))
    with pytest.raises(MethodError, match="cannot be read as an array"):
        read_sr(file)


def test_a_protocol_of_lr_images_says_that_ready_ones_are_taken(harness, tmp_path):
    root = write_set5(tmp_path / "data")
    folder = write_sr(root, tmp_path / "net_x2", 2)
    content = evaluated(harness, root, folder, "--protocol", "thera")
    assert any("thera-y-1: SR images are scored as they are" in n for n in content["notes"])
    content = evaluated(harness, root, folder, "--protocol", "matlab")
    assert not any("scored as they are" in note for note in content["notes"])


def test_a_grey_hr_image_may_have_a_grey_sr_image(harness, tmp_path):
    root = write_set5(tmp_path / "data")
    hr = root / "benchmark/Set5/HR/baby.png"
    Image.open(hr).convert("L").save(hr)
    folder = write_sr(root, tmp_path / "net_x2", 2)
    spoil(folder, "grey")
    (unit,) = evaluated(harness, root, folder)["cells"]
    assert unit["failed"] == {}


def test_hr_images_in_place_of_sr_are_noticed(harness, tmp_path):
    root = write_set5(tmp_path / "data")
    folder = write_sr(root, tmp_path / "net_x1", 1, strength=0)
    text = harness.good("eval", "--images", folder, "--dataset", "Set5", "--data-root", root)
    assert "Are these the HR images?" in text


def test_a_network_that_is_named_and_options_that_do_not_fit(harness, tmp_path):
    root = write_set5(tmp_path / "data")
    write_sr(root, tmp_path / "sr/a_x2", 2)
    one = ("--dataset", "Set5", "--data-root", root)
    assert evaluated_name(harness, root, tmp_path / "sr/a_x2") == "theirs@images"
    write_sr(root, tmp_path / "sr/b_x2", 2)
    refused = {
        ("eval", "theirs", "--images", tmp_path / "sr", *one): "several networks (a, b)",
        ("eval", "--images", tmp_path / "sr", *one, "--checkpoint", "x.pt"): "--checkpoint",
        ("eval", "--images", tmp_path / "sr", *one, "--self-ensemble", "4"): "--self-ensemble",
        ("eval", "bicubic", *one, "--pattern", "{name}"): "Add --images.",
        ("eval", "../up", "--images", tmp_path / "sr/a_x2", *one): "no plain name",
    }
    for command, said in refused.items():
        status, out, err = harness(*command)
        assert (status in (1, 2), out) == (True, "")
        assert said in err
        assert "Traceback" not in err


def evaluated_name(harness: Harness, root: Path, folder: Path) -> str:
    command = ("eval", "theirs", "--images", folder, "--dataset", "Set5", "--data-root", root)
    return str(json.loads(harness.good(*command, "--json"))["method"])


@pytest.mark.parametrize("dialect", ["uint8", "matlab"])
def test_trained_official_networks(dialect):
    """Every set of the zoo is within 0.001 dB of an independent script's value."""
    zoo = shared("zoo")
    hr_folder = shared("data", "benchmark", "Set5", "HR")
    names = {"Set5": [path.stem for path in hr_folder.glob("*.png")]}
    hr = {name: read_rgb(hr_folder / f"{name}.png") / 255 for name in names["Set5"]}
    with (zoo / "expected.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["dialect"] == dialect]
    protocol = {"uint8": "basicsr-1", "matlab": "matlab-1"}[dialect]
    found = {(i.network, i.scale): i for i in find_images(zoo / "images", names)[0]}
    assert len(found) == len(rows) == 17
    for row in rows:
        images = found[row["network"], float(row["scale"])]
        scale = int(row["scale"])
        values = []
        for name, path in images.files.items():
            sr = read_sr(path).pixels
            h, w = (side // scale * scale for side in hr[name].shape[-2:])
            assert tuple(sr.shape[-2:]) == (h, w)
            values.append(psnr(sr, hr[name][:, :h, :w], protocol, scale).item())
        assert len(values) == 5
        assert torch.tensor(values).mean().item() == pytest.approx(
            float(row["psnr_measured"]), abs=1e-3
        )
