"""The command line: help, JSON, and one clear message for every kind of bad input."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from tiny import (
    DECODER,
    ENCODER,
    PROFILE,
    files_below,
    network,
    photo,
    write_data,
    write_photos,
    write_profile,
)

from harness import checkpoints
from harness.commands import cli, main
from harness.common import checksums, progress
from harness.common.errors import HarnessError

COMMANDS = ["run", "report", "check", "train", "eval", "flops", "upscale", "cmsr", "methods"]
COMMANDS += ["data", "import-checkpoint", "export-checkpoint", "bench", "doctor", "versus", "ship"]


def save_checkpoint(path: Path, method: str = "edsr-liif") -> Path:
    """A finished checkpoint of ours."""
    content = {
        "method": method,
        "build": {"encoder": ENCODER, "decoder": DECODER},
        "state_dict": network(method).state_dict(),
    }
    checkpoints.save(path, content)
    return path


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with all that good commands need."""
    write_data(tmp_path / "data")
    write_profile(tmp_path / "tiny.yaml")
    photo(9, 7).save(tmp_path / "in.png")
    save_checkpoint(tmp_path / "liif.pt")
    (tmp_path / "file").write_text("a regular file")
    return tmp_path


# Help and JSON


def test_the_commands_are_those_of_the_help(harness):
    out = harness.good("--help")
    assert set(COMMANDS) <= set(cli.commands)
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example(name, harness):
    out = " ".join(harness.good(name, "--help").split())
    assert f"Example: harness {name}" in out
    assert "Usage: harness" in out


def test_version(harness):
    assert harness.good("--version").startswith("harness, version ")


def strict(text: str) -> object:
    """JSON as other languages read it: without NaN and Infinity."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    return json.loads(text, parse_constant=refuse)


VALID = ("--dataset", "DIV2K_valid", "--data-root", "data")
JSON_COMMANDS = {
    "methods": ("methods",),
    "flops": ("flops", "edsr-liif", "--scale", 3, "--size", "5x4"),
    "shares": ("flops", "edsr-moeisr-lte-b", "--scale", 2, "--size", "5x4", "--shares", "even"),
    "eval": ("eval", "bicubic", *VALID, "--scale", 2),
    "eval-x1": ("eval", "bicubic", *VALID, "--scale", 1),
    "eval-too-small": ("eval", "bicubic", *VALID, "--scale", 90),
    "train": ("train", "edsr-liif", "--profile", "tiny.yaml", "--data-root", "data"),
    "import": ("import-checkpoint", "liif.pt"),
    "export": ("export-checkpoint", "liif.pt", "official.pth", "--force"),
    "dry-run": ("run", "table1", "--profile", "tiny.yaml", "--data-root", "data", "--dry-run"),
}


@pytest.mark.parametrize("name", JSON_COMMANDS)
def test_json_is_all_that_is_printed(name, here, harness):
    assert strict(harness.good(*JSON_COMMANDS[name], "--json"))
    assert harness.good(*JSON_COMMANDS[name])


def test_eval_says_what_was_measured(here, harness):
    content = strict(harness.good("eval", "bicubic", *VALID, "--scale", 30, "--json"))
    (unit,) = content["cells"]
    assert (unit["images"], unit["too_small"], unit["lr_source"]) == (1, 1, "pil")
    assert unit["protocol"] == "div2k"
    assert "inside a border of 36 pixels" in unit["reasons"][0]
    assert harness.good("eval", "bicubic", *VALID, "--scale", 30).count("left out") == 1


def test_eval_has_no_mean_of_what_is_no_number(here, harness):
    """And no image is called too small for it; a row that stands twice weighs once."""
    command = ("eval", "bicubic", *VALID, "--scale", 2)
    (before,) = strict(harness.good(*command, "--json"))["cells"]
    (file,) = Path("results").rglob("*.jsonl")
    rows = [checksums.parse(line) for line in file.read_text().splitlines()]

    def changed(*rows: dict) -> dict:
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        (unit,) = strict(harness.good(*command, "--json"))["cells"]
        return unit

    assert changed(*rows, dict(rows[0])) == before
    for reason in ("", "no SSIM: its window does not fit"):
        unit = changed(
            {**rows[0], "metrics": {"psnr": float("nan"), "ssim": None}, "reason": reason}, rows[1]
        )
        assert (unit["images"], unit["too_small"], unit["not_a_number"]) == (1, 0, 1)
        assert unit["psnr"] is unit["ssim"] is None
    out = harness.good(*command)
    assert "no mean, as PSNR is not a number for 1 images" in out
    assert "left out" not in out


def test_eval_takes_a_checkpoint(here, harness):
    arguments = ("eval", "--checkpoint", "liif.pt", *VALID, "--scale", 3.7, "--json")
    content = strict(harness.good(*arguments))
    assert content["method"] == "edsr-liif"
    assert content["cells"][0]["decoder_macs"] > 0
    again = strict(harness.good(*arguments))
    assert again["images"] == content["images"], "measured again"
    forced = strict(harness.good(*arguments, "--force"))
    assert forced["images"] != content["images"], "--force measured nothing"


# Bad input: (arguments, exit status, what the message must hold)

TINY = ("--profile", "tiny.yaml", "--data-root", "data")
BAD = {
    "method": (("train", "edsr-lif"), 2, "Did you mean 'edsr-liif'"),
    "method-eval": (("eval", "bicubi", *VALID), 2, "Did you mean 'bicubic'"),
    "method-flops": (("flops", "x", "--scale", 2, "--size", "4x4"), 2, "`harness methods` lists"),
    "method-upscale": (("upscale", "in.png", "o.png", "--scale", 2, "--method", "lte"), 2, "lte"),
    "method-run": (("run", "table1", "--methods", "edsr-lte,edsr-lif"), 2, "'edsr-liif'"),
    "untrainable": (("train", "bicubic"), 2, "nothing to train"),
    "experiment": (("run", "table_1"), 2, "Did you mean 'table1'"),
    "experiment-report": (("report", "tabel1"), 2, "Did you mean 'table1'"),
    "command": (("evla",), 2, "No such command"),
    "option": (("flops", "edsr-liif", "--scale", 2, "--sise", "4x4"), 2, "--size"),
    "dataset": (("eval", "bicubic", "--dataset", "Set15"), 2, "Did you mean 'Set5'"),
    "dataset-flops": (("flops", "bicubic", "--dataset", "B10", "--scale", 2), 2, "'B100'"),
    "dataset-absent": (
        ("eval", "bicubic", "--dataset", "Urban100", "--data-root", "data"),
        1,
        "data/benchmark/Urban100/HR does not exist",
    ),
    "dataset-how": (
        ("eval", "bicubic", "--dataset", "Set5", "--data-root", "data"),
        1,
        "cv.snu.ac.kr/research/EDSR/benchmark.tar",
    ),
    "dataset-train": (("train", "edsr-liif", "--profile", "bsds", *VALID[2:]), 1, "302003.jpg"),
    "dataset-paper": (("run", "table1", "--profile", "paper"), 1, "HARNESS_DATA"),
    "data-root-file": (("eval", "bicubic", *VALID[:2], "--data-root", "file"), 2, "is a file"),
    "profile": (("train", "edsr-liif", "--profile", "quik"), 2, "Did you mean 'quick'"),
    "profile-absent": (("train", "edsr-liif", "--profile", "no.yaml"), 1, "no.yaml"),
    "protocol": (("eval", "bicubic", *VALID, "--protocol", "y"), 2, "benchmark, div2k, full"),
    "device": (("eval", "bicubic", *VALID, "--device", "gpu"), 2, "auto, cpu, cuda"),
    "device-absent": (("eval", "bicubic", *VALID, "--device", "cuda:97"), 2, "cuda:97"),
    "untrained": (("eval", "edsr-liif", *VALID, *TINY[:2]), 1, "harness train edsr-liif"),
    "unmeasured": (("report", "table1", *TINY[:2]), 1, "harness run table1"),
    "no-method": (("eval", *VALID), 2, "--checkpoint"),
    "size": (("flops", "edsr-liif", "--scale", 2, "--size", "4"), 2, "HEIGHTxWIDTH"),
    "size-zero": (("flops", "edsr-liif", "--scale", 2, "--size", "0x4"), 2, "at least one"),
    "size-and-set": (("flops", "edsr-liif", "--scale", 2), 2, "either --dataset or --size"),
    "no-shares": (("flops", "edsr-moeisr-liif-s", "--scale", 2, "--size", "4x4"), 2, "--shares"),
    "bad-shares": (
        ("flops", "edsr-moeisr-lte-s", "--scale", 2, "--size", "4x4", "--shares", "1,1,1"),
        2,
        "sum to 1",
    ),
    "nan-shares": (
        ("flops", "edsr-moeisr-lte-s", "--scale", 2, "--size", "4x4", "--shares", "nan,nan,nan"),
        2,
        "sum to 1",
    ),
    "image-absent": (("upscale", "no.png", "o.png", "--scale", 2, "--method", "bicubic"), 1, "no"),
    "image-folder": (("upscale", "data", "o.png", "--scale", 2, "--method", "bicubic"), 1, "data"),
    "image-text": (("upscale", "file", "o.png", "--scale", 2, "--method", "bicubic"), 1, "file"),
    "long-name": (("upscale", "x" * 300, "o.png", "--scale", 2, "--method", "bicubic"), 1, "xxx"),
    "suffix": (("upscale", "in.png", "o.xyz", "--scale", 2, "--method", "bicubic"), 1, ".png"),
    "no-suffix": (("upscale", "in.png", "out", "--scale", 2, "--method", "bicubic"), 1, ".png"),
    "folder-absent": (("upscale", "in.png", "no/o.png", "--scale", 2, "--method", "bicubic"), 1,
                      "no folder no"),
    "in-a-file": (("upscale", "in.png", "file/o.png", "--scale", 2, "--method", "bicubic"), 1,
                  "no folder file"),
    "results-file": (("train", "edsr-liif", *TINY, "--results", "file"), 2, "is a file"),
    "results-in-file": (("train", "edsr-liif", *TINY, "--results", "file/x"), 1, "--results"),
    "results-proc": (("train", "edsr-liif", *TINY, "--results", "/proc/x"), 1, "--results"),
    "results-eval": (("eval", "bicubic", *VALID, "--results", "file/x"), 1, "--results"),
    "results-eval-proc": (("eval", "bicubic", *VALID, "--results", "/proc/x"), 1, "--results"),
    "results-run": (
        ("run", "table1", "--methods", "bicubic", *TINY, "--results", "file/x"), 1, "file/x"),
    "reports": (
        ("run", "table1", "--methods", "bicubic", *TINY, "--reports", "file/x", "--no-figures"),
        1,
        "file/x",
    ),
    "checkpoint-absent": (("eval", "--checkpoint", "no.pt", *VALID), 1, "no.pt"),
    "checkpoint-folder": (("eval", "--checkpoint", "data", *VALID), 2, "is a directory"),
    "checkpoint-text": (("eval", "--checkpoint", "file", *VALID), 1, "file"),
    "checkpoint-other": (
        ("eval", "edsr-lte", "--checkpoint", "liif.pt", *VALID), 1, "belongs to edsr-liif"),
    "checkpoint-upscale": (
        ("upscale", "in.png", "o.png", "--scale", 2, "--method", "edsr-lte",
         "--checkpoint", "liif.pt"), 1, "belongs to edsr-liif"),
    "checkpoint-flops": (
        ("flops", "edsr-lte", "--checkpoint", "liif.pt", "--scale", 2, "--size", "4x4"), 1,
        "belongs to edsr-liif"),
    "checkpoint-bicubic": (("eval", "bicubic", "--checkpoint", "liif.pt", *VALID), 2, "bicubic"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input(name, here, harness):
    arguments, expected, part = BAD[name]
    assert_refused(harness, here, arguments, expected, part)


QUICKLY = """
import sys
from harness.commands import cli
try:
    cli.main(sys.argv[1:], standalone_mode=False)
except Exception as error:
    print(error)
print("torch" in sys.modules)
"""


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (("--help",), "Usage"),
        (("upscale", "--help"), "Usage"),
        (("upscale", "no.jpg", "--scale", "2"), "There is no image no.jpg"),
        (("upscale", "in.png"), "Name --scale or --size"),
        (("eval", "--checkpoint", "no.pt", "--dataset", "Set5"), "There is no file no.pt"),
        (("eval", "bicubic", "--profile", "no.yaml", "--dataset", "Set5"), "There is no profile"),
        (("run", "no.yaml"), "There is no experiment"),
        (("eval", "--with", "x"), "No such option"),
    ],
)
def test_what_needs_no_network_is_said_before_torch_is_imported(command, part, here):
    asked = [sys.executable, "-c", QUICKLY, *command]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    assert part in done.stdout
    assert done.stdout.splitlines()[-1] == "False"


def assert_refused(harness, folder, arguments, expected, part):
    """One message that helps, and every file as it was."""
    before = files_below(folder)
    status, out, err = harness(*arguments)
    assert (status, out) == (expected, ""), err
    assert part in err.replace("\n", " ")
    assert err.count("Error: ") == 1
    assert "Traceback" not in err
    new = set(files_below(folder)) - set(before)
    # Rows and plans that were complete before the error stay.
    assert {Path(n).parts[0] for n in new} <= {"results"}, new
    assert all(not Path(n).name.startswith(".") for n in new), new
    assert {n: files_below(folder)[n] for n in before} == before


@pytest.mark.parametrize(
    "scale", ["0.5", "0.999", "0", "-2", "nan", "inf", "-inf", "1e9", "two", ""]
)
@pytest.mark.parametrize(
    "arguments",
    [
        ("upscale", "in.png", "o.png", "--method", "bicubic"),
        ("eval", "bicubic", *VALID),
        ("flops", "edsr-liif", "--size", "4x4"),
    ],
    ids=["upscale", "eval", "flops"],
)
def test_impossible_scales(arguments, scale, here, harness):
    assert_refused(harness, here, (*arguments, f"--scale={scale}"), 2, "scale")


def damaged(damage: str, good: bytes) -> bytes:
    cut = {"truncated": len(good) // 2, "header": 40, "empty": 0}
    if damage in cut:
        return good[: cut[damage]]
    return b"no image" if damage == "text" else good[:60] + bytes(255 - x for x in good[60:])


@pytest.mark.parametrize("damage", ["truncated", "header", "empty", "text", "flipped"])
def test_a_damaged_image_is_named(damage, here, harness):
    good = (here / "in.png").read_bytes()
    (here / "in.png").write_bytes(damaged(damage, good))
    command = ("upscale", "in.png", "o.png", "--scale", 2, "--method", "bicubic")
    assert_refused(harness, here, command, 1, "in.png cannot be read as an image")


@pytest.mark.parametrize("damage", ["truncated", "empty", "text"])
def test_a_damaged_image_in_a_dataset_is_named(damage, here, harness):
    path = here / "data" / "DIV2K" / "DIV2K_valid_HR" / "0802.png"
    path.write_bytes(damaged(damage, path.read_bytes()))
    assert_refused(harness, here, ("eval", "bicubic", *VALID), 1, "0802.png")
    sizes = ("flops", "edsr-liif", *VALID, "--scale", 2)
    if damage != "truncated":  # the header alone is read
        assert_refused(harness, here, sizes, 1, "0802.png")


def test_an_incomplete_lr_folder_is_named(here, harness):
    folder = here / "data" / "DIV2K" / "DIV2K_valid_LR_bicubic" / "X2"
    write_photos(folder, {"0801x2": (31, 35)})
    command = ("eval", "bicubic", *VALID, "--scale", 2)
    assert_refused(harness, here, command, 1, "0802x2.png is missing")


# Checkpoints


class Attack:
    """Writes a file when unpickled."""

    def __reduce__(self):
        return (Path.touch, (Path("executed"),))


def bad_checkpoints(folder: Path) -> dict[str, Path]:
    good = torch.load(save_checkpoint(folder / "good.pt"), weights_only=True)
    whole = (folder / "good.pt").read_bytes()
    (folder / "good.pt").unlink()
    state = good["state_dict"]
    name = next(iter(state))
    contents = {
        "state-dict": state,
        "list": [1, 2],
        "tensor": torch.zeros(3),
        "other-format": {**good, "format": "moeisr-harness/99"},
        "no-method": {k: v for k, v in good.items() if k != "method"},
        "unknown-method": {**good, "method": "edsr-lmf"},
        "no-weights": {**good, "state_dict": {}},
        "weights-list": {**good, "state_dict": [1]},
        "weights-numbers": {**good, "state_dict": dict.fromkeys(state, 1)},
        "wrong-shape": {**good, "state_dict": {**state, name: torch.zeros(2)}},
        "extra-key": {**good, "state_dict": {**state, "extra": torch.zeros(2)}},
        "wrong-build": {**good, "build": {"decoder": {"widht": 16}}},
        "odd-build": {**good, "method": "edsr-lte", "build": {"decoder": {"width": 15}}},
        "negative-build": {**good, "build": {"decoder": {"width": -4}}},
        "build-text": {**good, "build": "text"},
        "recipe-text": {**good, "recipe": "text"},
        "official-empty": {"model": {"name": "liif", "sd": {}}},
        "official-unknown": {"model": {"name": "swin", "args": {}, "sd": {}}},
        "official-damaged": {"model": {"name": "lte", "args": {"encoder_spec": 3}, "sd": {}}},
        "official-list": {"model": {"name": "liif", "args": [], "sd": []}},
        "attack": {"model": Attack()},
    }
    files = {name: folder / f"{name}.pt" for name in contents}
    for name, path in files.items():
        torch.save(contents[name], path)
    raw = {
        "truncated": whole[: len(whole) // 2],
        "head": whole[:100],
        "empty": b"",
        "pickle-attack": pickle.dumps(Attack()),
        "pickle": pickle.dumps({"a": 1}),
        "text": b"no checkpoint",
    }
    for name, data in raw.items():
        files[name] = folder / f"{name}.pt"
        files[name].write_bytes(data)
    return files


def test_bad_checkpoints_are_refused_and_execute_nothing(here, harness):
    (here / "bad").mkdir()
    for name, path in bad_checkpoints(here / "bad").items():
        with pytest.raises(HarnessError) as refused:
            checkpoints.open_checkpoint(path)
            pytest.fail(f"{name} was opened")
        assert str(path) in str(refused.value) or "official" in str(refused.value), name
        command = ("eval", "--checkpoint", path, *VALID, "--scale", 2)
        assert_refused(harness, here, command, 1, "")
        assert not Path("executed").exists(), name


def test_random_damage_to_a_checkpoint_is_found(here):
    """Bytes are changed anywhere in the file; it is refused, never trusted nor executed."""
    whole = (here / "liif.pt").read_bytes()
    expected = checkpoints.open_checkpoint(here / "liif.pt").weights
    rng = random.Random(0)
    for trial in range(150):
        data = bytearray(whole)
        # Half of the damage goes into the first kilobytes, where the pickled structure lies.
        last = len(data) if trial % 2 else 6000
        data[rng.randrange(last)] ^= rng.randrange(1, 256)
        path = here / "damaged.pt"
        path.write_bytes(data)
        try:
            loaded = checkpoints.open_checkpoint(path)
        except HarnessError:
            continue
        # What is left is damage to bytes between the parts of the file.
        assert loaded.weights == expected


def test_a_checkpoint_is_opened_as_it_was_saved(here):
    loaded = checkpoints.open_checkpoint(here / "liif.pt", method="edsr-liif")
    expected = network("edsr-liif").state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in loaded.model.state_dict().items())
    assert loaded.weights == checkpoints.weights_hash(expected)


# upscale


def upscaled(harness, name, scale, method=("--method", "bicubic"), out="out.png"):
    harness.good("upscale", name, out, "--scale", scale, *method, "--force")
    return Image.open(out)


def save_modes(folder: Path) -> None:
    colour, alpha = photo(9, 7), photo(9, 7, seed=1).convert("L")
    for mode in ("RGB", "L", "1", "CMYK"):
        colour.convert(mode).save(folder / f"{mode}.tif")
    for mode in ("LA", "RGBA"):
        image = colour.convert("L" if mode == "LA" else "RGB")
        image.putalpha(alpha)
        image.save(folder / f"{mode}.png")
    colour.convert("P").save(folder / "P.png")
    colour.convert("P").save(folder / "Pt.png", transparency=3)
    colour.convert("L").save(folder / "Lt.png", transparency=100)


MODES = {
    "RGB.tif": "RGB",
    "L.tif": "L",
    "1.tif": "L",
    "CMYK.tif": "RGB",
    "LA.png": "LA",
    "RGBA.png": "RGBA",
    "P.png": "RGB",
    "Pt.png": "RGBA",
    "Lt.png": "LA",
}


@pytest.mark.parametrize("method", ["bicubic", "liif"])
@pytest.mark.parametrize("name", MODES)
def test_grey_stays_grey_and_transparency_is_kept(name, method, here, harness):
    save_modes(here)
    chosen = ("--method", "bicubic") if method == "bicubic" else ("--checkpoint", "liif.pt")
    image = upscaled(harness, name, 3.7, chosen)
    assert image.mode == MODES[name]
    assert image.size == (round(7 * 3.7), round(9 * 3.7))


@pytest.mark.parametrize("name", MODES)
def test_enlarging_by_one_changes_nothing(name, here, harness):
    save_modes(here)
    image = upscaled(harness, name, 1)
    original = Image.open(here / name).convert(MODES[name])
    assert np.array_equal(np.array(image), np.array(original))


@pytest.mark.parametrize("scale", [1, 1.5, 2, 2.5, 3.7, 8])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 5)])
def test_the_result_has_the_rounded_size(size, scale, here, harness):
    photo(*size).save("in.png")
    for method in (("--method", "bicubic"), ("--checkpoint", "liif.pt")):
        image = upscaled(harness, "in.png", scale, method)
        assert image.size == (round(size[1] * scale), round(size[0] * scale))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp", ".PNG"])
def test_the_type_follows_the_suffix(suffix, here, harness):
    image = upscaled(harness, "in.png", 2, out=f"out{suffix}")
    kinds = {".jpg": "JPEG", ".tif": "TIFF"}
    assert image.format == kinds.get(suffix, suffix[1:].upper())


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_transparency_is_not_lost_silently(suffix, here, harness):
    save_modes(here)
    command = ("upscale", "RGBA.png", f"o{suffix}", "--scale", 2, "--method", "bicubic")
    assert_refused(harness, here, command, 1, "transparency")


def test_sixteen_bits_are_not_measured(here, harness):
    grey = Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000)
    path = here / "data" / "DIV2K" / "DIV2K_valid_HR" / "0801.png"
    for write in (grey.save, lambda path: path.write_bytes(COLOUR_16)):
        write(path)
        assert_refused(harness, here, ("eval", "bicubic", *VALID, "--scale", 2), 1, "8-bit")


def png_16(width: int, height: int) -> bytes:
    """A 16-bit RGB file, which Pillow cannot write."""
    import struct
    import zlib

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + bytes(range(6 * width)) for _ in range(height))
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


COLOUR_16 = png_16(8, 8)


def test_an_image_is_turned_as_its_camera_says(here, harness):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo(6, 10).save("turned.jpg", exif=exif)
    assert upscaled(harness, "turned.jpg", 2).size == (12, 20)


def test_an_old_result_stays_when_the_new_one_fails(here, harness):
    (here / "o.png").write_bytes(b"old")
    (here / "in.png").write_bytes(b"broken")
    command = ("upscale", "in.png", "o.png", "--scale", 2, "--method", "bicubic")
    assert_refused(harness, here, command, 1, "in.png")
    assert (here / "o.png").read_bytes() == b"old"


def test_an_unfinished_network_is_called_so(harness, tmp_path):
    path = save_checkpoint(tmp_path / "half.pt")
    content = torch.load(path, weights_only=True)
    content.update(finished=False, step=5, total_steps=40, origin="profile tiny")
    torch.save(content, path)
    said = "UNFINISHED, step 5 of 40: profile tiny"
    for command in (
        ("eval", "--checkpoint", path, "--dataset", "embedded-eval", "--scale", 12),
        ("import-checkpoint", path),
    ):
        assert said in harness.good(*command)
    status, _, err = harness("export-checkpoint", path, tmp_path / "out.pth")
    assert (status, "is not finished" in err) == (1, True)
    assert not (tmp_path / "out.pth").exists()


ESCAPES = "\x1b[31m\x9b2J\r\u202e"


def test_what_files_say_and_are_called_moves_no_terminal(harness, tmp_path):
    """Results, messages and progress show control characters instead of sending them."""
    path = save_checkpoint(tmp_path / "x.pt")
    content = torch.load(path, weights_only=True)
    torch.save({**content, "origin": ESCAPES}, tmp_path / "bad.pt")
    out = harness.good("import-checkpoint", tmp_path / "bad.pt")
    assert r"\x1b[31m\x9b2J\r\u202e" in out
    write_photos(tmp_path / "data/DIV2K/DIV2K_valid_HR", {f"0801{ESCAPES}": (62, 70)})
    status, out, err = harness("data", "verify", "DIV2K_valid", "--data-root", "data")
    assert r"0801\x1b[31m" in out
    status, _, message = harness("upscale", f"no{ESCAPES}.png", "o.png", "--method", "bicubic")
    assert status in (1, 2)
    profile = {**PROFILE, "summary": ESCAPES}
    write_profile(tmp_path / "p.yaml", profile)
    command = ("run", "table1", "--profile", "p.yaml", "--data-root", "data", "--dry-run")
    assert r"tiny: \x1b[31m" in harness(*command)[2]
    for text in (out, err, message, harness(*command)[1]):
        assert not {"\x1b", "\x9b", "\r", "\u202e"} & set(text)


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_shows_control_characters(monkeypatch, terminal):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, color_system=None, width=200)
    monkeypatch.setattr(progress, "console", console)
    monkeypatch.setattr(progress, "_QUIET_INTERVAL", 0)
    with progress.bar("label" + ESCAPES, 2) as shown:
        shown.note = "note" + ESCAPES
        shown.advance()
    assert r"label\x1b[31m" in stream.getvalue()
    assert r"note\x1b[31m" in stream.getvalue()
    assert not {"\x9b", "\u202e"} & set(stream.getvalue())


def test_weights_that_are_not_finite_are_refused(harness, tmp_path):
    path = save_checkpoint(tmp_path / "nan.pt")
    content = torch.load(path, weights_only=True)
    name = sorted(content["state_dict"])[0]
    content["state_dict"][name][0] = float("nan")
    checkpoints.save(path, content)
    status, _, err = harness("import-checkpoint", path)
    assert status == 1
    assert f"{name} holds values that are not finite" in err


def test_eval_at_another_precision_is_another_measurement(here, harness):
    """Stored apart from float32's, and said wherever it is printed."""
    given = ("eval", "bicubic", *VALID, "--scale", 2)
    whole = strict(harness.good(*given, "--json"))
    reduced = strict(harness.good(*given, "--precision", "bf16", "--json"))
    assert (whole["precision"], reduced["precision"]) == ("fp32", "bf16")
    assert {row["precision"] for row in reduced["images"]} == {"bf16"}
    assert "in bf16, not float32" in harness.good(*given, "--precision", "bf16")


# Terminals, file names, memory


def printed(monkeypatch, encoding: str, *arguments: object) -> tuple[int, str]:
    """Exit status, and what comes out on a terminal of that encoding."""
    out = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "argv", ["harness", *map(str, arguments)])
        with pytest.raises(SystemExit) as ending:
            main()
    out.flush()
    return int(ending.value.code or 0), out.buffer.getvalue().decode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "cp437"])
@pytest.mark.parametrize("name", ["\N{GREEK CAPITAL LETTER OMEGA}\N{SNOWMAN}", "caf\udce9"])
def test_any_name_is_said_on_any_terminal(name, encoding, here, monkeypatch):
    """Escaped where the terminal has no letter for it, or where its bytes are no UTF-8."""
    photo(9, 7).save(f"{name}.png")
    command = ("upscale", f"{name}.png", f"{name}2.png", "--scale", 2, "--method", "bicubic")
    status, out = printed(monkeypatch, encoding, *command)
    assert status == 0
    assert "2.png: 14x18 by bicubic" in out
    assert Path(f"{name}2.png").is_file()


def test_names_that_are_no_utf_8_are_measured_and_reported(here, harness):
    """As other names, with %E9 for a byte that is none."""
    for folder in ("DIV2K_valid_HR", "DIV2K_train_HR"):
        first = min((here / "data" / "DIV2K" / folder).iterdir())
        first.rename(first.with_name(os.fsdecode(b"caf\xe9.png")))
    harness.good("data", "prepare", "DIV2K_valid", "--scale", 2, "--data-root", "data")
    rows = strict(harness.good("eval", "bicubic", *VALID, "--scale", 2, "--json"))["images"]
    assert "caf%E9" in {row["image"] for row in rows}
    again = strict(harness.good("eval", "bicubic", *VALID, "--scale", 2, "--json"))["images"]
    assert again == rows, "stored rows were not read"
    harness.good("train", "edsr-liif", *TINY)


def test_a_reason_in_other_letters_than_the_terminals_is_kept(here, harness, monkeypatch):
    """With an ASCII locale, letters of the command line come as single bytes."""
    given = []
    monkeypatch.setattr(
        "harness.commands.check.accept.run_update", lambda *asked: given.append(asked[4]) or 1 / 0
    )
    reason = "caf\N{LATIN SMALL LETTER E WITH ACUTE}".encode().decode("ascii", "surrogateescape")
    with pytest.raises(ZeroDivisionError):
        harness("check", *TINY[:2], "--update", "--reason", reason)
    assert given == ["caf\N{LATIN SMALL LETTER E WITH ACUTE}"]


def test_a_data_root_that_links_to_itself_is_not_there(here, harness):
    Path("loop").symlink_to("loop")
    command = ("eval", "bicubic", "--dataset", "DIV2K_valid", "--data-root", "loop")
    assert_refused(harness, here, command, 1, "does not exist")


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (RuntimeError("could not create a primitive"), True),
        (RuntimeError("std::bad_alloc"), True),
        (MemoryError(), True),
        (ImportError("libx.so: failed to map segment from shared object"), True),
        (RuntimeError("could not create a primitive descriptor for a convolution"), False),
        (RuntimeError("a mistake of ours"), False),
    ],
)
def test_no_memory_left_is_said_so(error, short, here, harness, monkeypatch):
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("harness.upscale.enlarge.begin", fail)
    command = ("upscale", "in.png", "o.png", "--scale", 2, "--method", "bicubic")
    if not short:  # a traceback is what a mistake of ours deserves
        with pytest.raises(RuntimeError):
            harness(*command)
        return
    assert_refused(harness, here, command, 1, "Not enough memory")


def test_the_package_runs_as_the_console_script(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["harness", "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("harness", run_name="__main__")
    assert ended.value.code == 0
    assert "Usage: python -m harness" in capsys.readouterr().out
