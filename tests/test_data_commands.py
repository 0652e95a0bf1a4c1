"""`harness data list`, `verify` and `prepare`, and that prepared LR images are never `official`."""

from __future__ import annotations

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import shared
from PIL import Image, PngImagePlugin
from tiny import VALID_SIZES, files_below, photo, pixels, write_photos

from harness.data import prepare as preparing
from harness.data.degrade import (
    RULE,
    make_pair,
    matlab_imresize,
    mod_crop,
    read_mark,
    read_prepared,
)
from harness.data.images import read_rgb
from harness.data.sets import SPECS, find, manifest
from harness.data.sets.base import MARKER, file_hash, scale_label
from harness.data.sets.manifest import ALTERED, OTHER_VERSION, SAME, UNKNOWN
from harness.profiles.places import resolve

HR = "DIV2K/DIV2K_valid_HR"
LR = "DIV2K/DIV2K_valid_LR_bicubic"


@pytest.fixture
def root(tmp_path):
    """A data root with two images of DIV2K's validation set."""
    write_photos(tmp_path / "data" / HR, VALID_SIZES)
    return tmp_path / "data"


def copy_of(tmp_path: Path, *names: str) -> Path:
    """A writable data root with some shared sets."""
    for name in names:
        layout = SPECS[name].layout
        folder = Path(layout.hr if layout.lr is None else layout.hr.removesuffix("/HR"))
        shutil.copytree(shared("data", *folder.parts), tmp_path / "data" / folder)
    return tmp_path / "data"


def as_json(result) -> dict:
    status, out, err = result
    content = json.loads(out)
    assert status in (0, 1), err
    return content


# list


def lines(harness, *arguments) -> dict[str, dict]:
    content = json.loads(harness.good("data", "list", "--json", *arguments))
    return {line["dataset"]: line for line in content["datasets"]}


def test_list_without_a_data_root(harness):
    found = lines(harness)
    assert set(found) == set(SPECS)
    assert {line["state"] for line in found.values()} == {"built in", "no data root"}
    assert "none named" in harness.good("data", "list")


def test_list(root, harness):
    write_photos(root / LR / "X2", {"0801x2": (31, 35)})
    write_photos(root / "benchmark/Set5/HR", dict.fromkeys("abcde", (8, 8)))
    write_photos(root / "benchmark/Set14/HR", dict.fromkeys("abcdefghijklmno", (8, 8)))
    found = lines(harness, "--data-root", root)
    states = {
        name: found[name]["state"] for name in ("DIV2K_valid", "DIV2K_train", "Set5", "Set14")
    }
    assert states == {
        "DIV2K_valid": "incomplete",
        "DIV2K_train": "absent",
        "Set5": "complete",
        "Set14": "too many images",
    }
    assert found["DIV2K_valid"]["lr"] == [{"scale": "X2", "images": 1, "kind": "own"}]
    assert (found["DIV2K_valid"]["images"], found["DIV2K_valid"]["expected"]) == (2, 100)
    text = harness.good("data", "list", "--data-root", root)
    assert "X2 (1 own)" in text
    assert "harness data fetch DIV2K_train" in text


def test_list_tells_prepared_folders(root, harness):
    harness.good("data", "prepare", "DIV2K_valid", "--scale", 2.5, "--data-root", root)
    found = lines(harness, "--data-root", root)
    assert found["DIV2K_valid"]["lr"] == [{"scale": "X2.5", "images": 2, "kind": "prepared"}]
    assert "X2.5 (2 prepared)" in harness.good("data", "list", "--data-root", root)


@pytest.mark.parametrize("command", ["list", "fetch", "verify", "prepare"])
def test_help_has_an_example(command, harness):
    out = " ".join(harness.good("data", command, "--help").split())
    assert f"Example: harness data {command}" in out


@pytest.mark.parametrize(
    ("arguments", "status", "part"),
    [
        (("verify", "Set6", "--data-root", "data"), 2, "Did you mean 'Set5'"),
        (("verify", "embedded-eval", "--data-root", "data"), 2, "installed package"),
        (("verify",), 2, "--data-root"),
        (("verify", "--data-root", "nothing"), 1, "no dataset below"),
        (("prepare", "Set6", "--scale", 2, "--data-root", "data"), 2, "Did you mean 'Set5'"),
        (("prepare", "BSDS399", "--scale", 2, "--data-root", "data"), 2, "no LR folders"),
        (("prepare", "embedded-eval", "--scale", 2, "--data-root", "data"), 2, "no LR folders"),
        (("prepare", "Set5", "--scale", 2, "--data-root", "data"), 1, "does not exist"),
        (("prepare", "Set5", "--scale", 2), 2, "--data-root"),
        (("prepare", "Set5", "--data-root", "data"), 2, "--scale"),
        (("prepare", "Set5", "--scale", "0.5", "--data-root", "data"), 2, "scale"),
    ],
)
def test_bad_input(arguments, status, part, root, harness):
    before = files_below(root.parent)
    found, out, err = harness("data", *arguments)
    assert (found, out) == (status, ""), err
    assert part in " ".join(err.split())
    assert "Traceback" not in err
    assert files_below(root.parent) == before


# prepare


def test_prepare_set5_bit_for_bit(tmp_path, harness):
    """Against the set's own files, which MATLAB made."""
    scales = ("--scale", 2, "--scale", 3, "--scale", 4)
    out = tmp_path / "out"
    root = tmp_path / "data"
    shutil.copytree(shared("data", "benchmark", "Set5", "HR"), root / "benchmark/Set5/HR")
    harness.good("data", "prepare", "Set5", *scales, "--data-root", root, "--out", out)
    names = set()
    for path in sorted(shared("data", "benchmark", "Set5", "LR_bicubic").rglob("*.png")):
        ours = out / "benchmark/Set5/LR_bicubic" / path.parent.name / path.name
        assert np.array_equal(np.array(Image.open(ours)), np.array(Image.open(path))), path.name
        assert Image.open(ours).mode == Image.open(path).mode
        names.add(path.name)
    assert len(names) == 15
    assert not (root / "benchmark/Set5/LR_bicubic").exists()


def test_prepare_any_scale(root, harness):
    scales = (2, 2.5, 3.7, 6, 30)
    options = [word for scale in scales for word in ("--scale", scale)]
    harness.good("data", "prepare", "DIV2K_valid", *options, "--data-root", root)
    for scale in scales:
        label = f"{scale:g}"
        for name, (height, width) in VALID_SIZES.items():
            lr = read_rgb(root / LR / f"X{label}" / f"{name}x{label}.png")
            assert tuple(lr.shape[-2:]) == (int(height / scale), int(width / scale))
            if isinstance(scale, int):
                hr = mod_crop(read_rgb(root / HR / f"{name}.png"), scale)
                assert torch.equal(lr, matlab_imresize(hr, 1 / scale))


@pytest.mark.parametrize("scale", [1, 1.1, 1.15, 2.5, 3.7, 4, 7.9])
@pytest.mark.parametrize("size", [(30, 31), (33, 55), (23, 115)])
def test_the_crop_is_what_fits(scale, size):
    """MATLAB's own rule for the size, ceil(side * scale), gives the LR size."""
    hr = pixels(*size)
    cropped = mod_crop(hr, scale)
    lr = matlab_imresize(cropped, 1 / scale)
    for full, cut, small in zip(size, cropped.shape[-2:], lr.shape[-2:], strict=True):
        assert small == int(full / scale + 1e-9)
        assert cut == int(small * scale + 1e-9)
        assert full - cut < scale + 1
    assert torch.equal(cropped, hr[:, : cropped.shape[-2], : cropped.shape[-1]])


def test_grey_images_stay_grey(tmp_path, harness):
    folder = tmp_path / "data" / HR
    folder.mkdir(parents=True)
    photo(20, 24).convert("L").save(folder / "0801.png")
    harness.good("data", "prepare", "DIV2K_valid", "--scale", 2, "--data-root", tmp_path / "data")
    path = tmp_path / "data" / LR / "X2/0801x2.png"
    assert Image.open(path).mode == "L"
    assert read_prepared(path, read_rgb(folder / "0801.png"), 2) is not None


def prepare(harness, root, *options, scale=2):
    return harness(
        "data", "prepare", "DIV2K_valid", "--scale", scale, "--data-root", root, *options
    )


def test_prepare_keeps_what_is_right_and_reports_what_is_wrong(root, harness, monkeypatch):
    assert "2 made, 0 kept" in prepare(harness, root)[1]
    folder = root / LR / "X2"
    before = files_below(folder)
    with monkeypatch.context() as patch:
        patch.setattr(preparing, "matlab_imresize", lambda *_: pytest.fail("made again"))
        assert "0 made, 2 kept" in prepare(harness, root)[1]
    (folder / "0802x2.png").unlink()
    assert "1 made, 1 kept" in prepare(harness, root)[1]
    assert files_below(folder) == before

    photo(31, 35, seed=9).save(folder / "0801x2.png")
    (folder / "0802x2.png").write_bytes(before["0802x2.png"][:100])
    wrong = files_below(folder)
    status, out, _ = prepare(harness, root)
    assert (status, out.count("--force replaces it")) == (1, 2)
    assert files_below(folder) == wrong
    assert "2 made, 0 kept" in prepare(harness, root, "--force")[1]
    assert files_below(folder) == before
    monkeypatch.setattr("harness.data.degrade.RULE", "matlab-2")
    assert prepare(harness, root)[1].count("--force replaces it") == 2, "of another rule"


def test_prepare_that_is_stopped_goes_on(root, harness, monkeypatch):
    """The marker is there before the first image: an unfinished folder is no official one."""
    original, calls = preparing.save_prepared, []

    def interrupted(*arguments, **options):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        original(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(preparing, "save_prepared", interrupted)
        assert prepare(harness, root)[0] == 130
    assert set(files_below(root / LR / "X2")) == {MARKER, "0801x2.png"}
    assert [make_pair(i, i.load(), 2, None).source for i in find("DIV2K_valid", root).items] == [
        "matlab",
        "matlab",
    ]
    assert "1 made, 1 kept" in prepare(harness, root)[1]


def test_prepare_leaves_the_sets_own_images_alone(root, harness):
    write_photos(root / LR / "X2", {"0801x2": (31, 35), "0802x2": (48, 50)})
    before = files_below(root)
    for options in ((), ("--force",)):
        status, out, _ = prepare(harness, root, *options)
        assert (status, "own LR images, left as they are" in out) == (0, True)
    assert files_below(root) == before
    (root / LR / "X2/0802x2.png").unlink()
    status, _, err = prepare(harness, root, "--force")
    assert (status, "lacks 1, such as 0802x2.png" in err, "--out" in err) == (1, True, True)
    assert not (root / LR / "X2" / MARKER).exists()


def test_prepare_names_images_below_the_scale(root, harness):
    assert "0801x65.png would have no pixel" in prepare(harness, root, scale=65)[1]


def test_a_data_root_that_cannot_be_written(root, tmp_path, harness):
    status, _, err = prepare(harness, root, "--out", "/proc/out")
    assert (status, "Cannot write" in err, "Traceback" in err) == (1, True, False)
    (tmp_path / "file").write_text("x")
    shutil.rmtree(root / LR, ignore_errors=True)
    (root / LR).symlink_to(tmp_path / "file")
    status, _, err = prepare(harness, root)
    assert (status, "Cannot write" in err) == (1, True)


def test_prepare_names_a_damaged_hr_image(root, harness):
    path = root / HR / "0802.png"
    path.write_bytes(path.read_bytes()[:500])
    status, _, err = prepare(harness, root)
    assert (status, "0802.png cannot be read as an image" in err) == (1, True)


# Labels: a substitute must never be called official


def sources(root: Path, scale: float) -> Counter[str]:
    items = find("DIV2K_valid", root).items
    return Counter(make_pair(item, item.load(), scale, None).source for item in items)


def test_prepared_images_are_labelled_matlab(root, harness):
    before = find("DIV2K_valid", root)
    fingerprints = [before.lr_fingerprint(2), before.fingerprint]
    assert prepare(harness, root)[0] == 0
    assert sources(root, 2) == {"matlab": 2}
    dataset = find("DIV2K_valid", root)
    assert all(item.official_lr(2) is None for item in dataset.items)
    # The same unit as without the folder: its LR images are the same.
    assert [dataset.lr_fingerprint(2), dataset.fingerprint] == fingerprints
    arguments = ("eval", "bicubic", "--dataset", "DIV2K_valid", "--data-root", root, "--scale", 2)
    content = json.loads(harness.good(*arguments, "--json"))
    assert {row["lr_source"] for row in content["images"]} == {"matlab"}
    assert {unit["lr_source"] for unit in content["cells"]} == {"matlab"}


def test_prepared_images_are_read(root, harness, monkeypatch):
    assert prepare(harness, root)[0] == 0
    item = find("DIV2K_valid", root).items[0]
    made = matlab_imresize(mod_crop(item.load(), 2), 1 / 2)
    monkeypatch.setattr("harness.data.degrade.matlab_imresize", lambda *_: pytest.fail("made"))
    pair = make_pair(item, item.load(), 2, None)
    assert torch.equal(pair.lr, made)
    assert pair.source == "matlab"


@pytest.mark.parametrize("damage", ["missing", "cut", "altered", "other HR", "other rule", "scale"])
def test_prepared_images_that_are_wrong_are_not_read(damage, root, harness, monkeypatch):
    """What is measured is the resize of this HR image, whatever lies in the folder."""
    assert prepare(harness, root)[0] == 0
    assert prepare(harness, root, scale=4)[0] == 0
    path = root / LR / "X2/0801x2.png"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "altered":
        photo(31, 35, seed=9).save(path)
    elif damage == "other HR":
        photo(62, 70, seed=9).save(root / HR / "0801.png")
    elif damage == "other rule":
        monkeypatch.setattr("harness.data.degrade.RULE", "matlab-2")
    else:
        shutil.copy(root / LR / "X4/0801x4.png", path)
    item = find("DIV2K_valid", root).items[0]
    pair = make_pair(item, item.load(), 2, None)
    assert torch.equal(pair.lr, matlab_imresize(mod_crop(item.load(), 2), 1 / 2))
    assert pair.source == "matlab"


def test_prepared_files_that_are_copied_keep_their_label(root, harness, tmp_path):
    """Into a folder without a marker, where the set's own images would lie."""
    assert prepare(harness, root, "--out", tmp_path / "out")[0] == 0
    shutil.copytree(tmp_path / "out" / LR / "X2", root / LR / "X2")
    (root / LR / "X2" / MARKER).unlink()
    assert sources(root, 2) == {"matlab": 2}
    content = as_json(harness("data", "verify", "DIV2K_valid", "--data-root", root, "--json"))
    notes = [f["what"] for f in content["datasets"][0]["findings"] if f["level"] == "note"]
    assert any("2 images that were made by `harness data prepare`" in what for what in notes)


def test_a_damaged_mark_still_is_a_mark(root, harness):
    assert prepare(harness, root)[0] == 0
    path = root / LR / "X2/0801x2.png"
    text = PngImagePlugin.PngInfo()
    text.add_text("moeisr-harness", "no JSON")
    Image.open(path).save(path, pnginfo=text)
    assert read_mark(path) == "no JSON"
    (root / LR / "X2" / MARKER).unlink()
    assert sources(root, 2)["matlab"] == 2


def test_official_images_have_no_mark():
    for path in shared("data", "benchmark", "Set5", "LR_bicubic").rglob("*.png"):
        assert read_mark(path) is None
    item = find("Set5", shared("data")).items[0]
    assert make_pair(item, item.load(), 2, None).source == "official"


def test_fetch_refuses_prepared_folders(root, harness):
    assert prepare(harness, root)[0] == 0
    before = files_below(root)
    status, _, err = harness("data", "fetch", "DIV2K_valid", "--data-root", root)
    assert (status, "Remove that folder" in err) == (1, True)
    assert files_below(root) == before


def test_the_cache_of_lr_images_follows_the_rule():
    assert resolve().lr_cache.name == f"lr-{RULE}"


@pytest.mark.parametrize(("scale", "label"), [(2.0, "2"), (2.5, "2.5"), (3.14159265, "3.14159265")])
def test_scale_labels(scale, label):
    assert scale_label(scale) == label


# verify


def verify(harness, root, *names, status=1):
    """Findings of `verify --json` as (level, file or folder name, what)."""
    found, out, err = harness("data", "verify", *names, "--data-root", root, "--json")
    assert found == status, err or out
    return [
        (f["level"], Path(f["path"]).name, f["what"])
        for dataset in json.loads(out)["datasets"]
        for f in dataset["findings"]
    ]


def problems(findings) -> dict[str, str]:
    return {name: what for level, name, what in findings if level == "problem"}


def test_the_shared_sets_are_as_published(harness):
    """Set14's three cropped images are a known version."""
    findings = verify(harness, shared("data"), "Set5", "Set14", status=0)
    assert [(level, name) for level, name, _ in findings] == [
        ("note", "comic.png"),
        ("note", "ppt3.png"),
        ("note", "zebra.png"),
    ]
    assert "250x360, the original 250x361" in findings[0][2]
    status, out, _ = harness("data", "verify", "Set5", "--data-root", shared("data"))
    assert (status, "X2 (own), X3 (own), X4 (own)" in out) == (0, True)


@pytest.mark.parametrize("name", ["B100", "Urban100", "BSDS399"])
def test_manifests_are_of_the_shared_sets(name):
    """Names and sizes of all images, pixels of some."""
    layout = SPECS[name].layout
    folder = shared("data", *layout.hr.split("/"))
    assert set(manifest.names(name)) == {p.stem for p in folder.iterdir()}
    assert len(manifest.names(name)) == layout.expected
    for path in sorted(folder.iterdir())[::25]:
        assert manifest.compare(name, path, read_rgb(path))[0] == SAME


def test_names_agree_with_the_list_of_b100():
    with shared("data", "b100_ids.csv").open(newline="") as file:
        assert {row["bsds_id"] for row in csv.DictReader(file)} == set(manifest.names("B100"))


def test_verify_finds_what_is_wrong(tmp_path, harness):
    root = copy_of(tmp_path, "Set5")
    hr, lr = root / "benchmark/Set5/HR", root / "benchmark/Set5/LR_bicubic"
    (hr / "baby.png").unlink()
    (hr / "bird.png").write_bytes((hr / "bird.png").read_bytes()[:5000])
    image = np.array(Image.open(hr / "butterfly.png"))
    image[7, 7, 0] ^= 1
    Image.fromarray(image).save(hr / "butterfly.png")
    Image.open(hr / "head.png").convert("P").save(hr / "head.png")
    Image.open(hr / "woman.png").resize((100, 100)).save(hr / "woman.png")
    photo(9, 9).save(hr / "mona.png")
    (lr / "X2/headx2.png").unlink()
    (lr / "X3/headx3.png").write_bytes(b"no image")
    (lr / "X3/birdx3.png").unlink()
    photo(70, 70).save(lr / "X4/headx4.png")
    photo(71, 70).save(lr / "X2/babyx2.png")
    photo(9, 9).save(lr / "X4/monax4.bmp")
    findings = verify(harness, root)
    found = problems(findings)
    palette = "; ".join(what for _, name, what in findings if name == "head.png")
    assert found["baby.png"] == "is missing"
    assert "truncated" in found["bird.png"]
    assert "altered: its pixels" in found["butterfly.png"]
    assert "pixel mode P" in palette
    assert "altered" in palette
    assert "100x100, our manifest has 228x344" in found["woman.png"]
    assert "not an image of the set" in found["mona.png"]
    assert found["headx2.png"] == "is missing"
    assert "cannot be read" in found["headx3.png"]
    assert found["birdx3.png"] == "is missing"
    assert found["headx4.png"] == "is not the MATLAB-compatible resize of its HR image"
    assert found["babyx2.png"] == "belongs to no HR image"
    assert "belongs to no HR image" in found["monax4.bmp"]
    status, out, _ = harness("data", "verify", "--data-root", root)
    assert status == 1
    for name in found:
        assert any(name in line and line.startswith("problem: ") for line in out.splitlines())


@pytest.mark.parametrize("size", [(30, 35), (31, 34), (62, 70)])
def test_lr_images_that_do_not_fit(size, root, harness):
    write_photos(root / LR / "X2", {"0801x2": size, "0802x2": (48, 50)})
    found = problems(verify(harness, root, "DIV2K_valid"))
    expected = f"is {size[1]}x{size[0]}, but 0801 is 70x62: expected 35x31 at x2"
    assert found["0801x2.png"] == expected
    assert "0802x2.png" not in found


def test_own_lr_images_of_another_resize_are_a_note(root, harness):
    write_photos(root / LR / "X2", {"0801x2": (31, 35), "0802x2": (48, 50)})
    findings = verify(harness, root, "DIV2K_valid")
    (what,) = [what for level, name, what in findings if (level, name) == ("note", "X2")]
    assert "2 images that are not the MATLAB-compatible resize" in what
    found = harness("data", "verify", "DIV2K_valid", "--data-root", root, "--no-resize", "--json")
    assert "MATLAB" not in found[1]


def test_prepared_lr_images_that_are_altered_are_a_problem(root, harness):
    assert prepare(harness, root)[0] == 0
    assert not any("x2" in name for name in problems(verify(harness, root, "DIV2K_valid")))
    photo(31, 35, seed=9).save(root / LR / "X2/0801x2.png")
    found = problems(verify(harness, root, "DIV2K_valid"))
    assert found["0801x2.png"] == "is not the MATLAB-compatible resize of its HR image"


def test_div2k_is_known_by_its_names(root, harness):
    photo(9, 9).save(root / HR / "0901.png")
    found = problems(verify(harness, root, "DIV2K_valid"))
    assert found["0901.png"] == "is not an image of the set"
    missing = [name for name, what in found.items() if what == "is missing"]
    assert missing == [f"{n:04d}.png" for n in range(803, 901)]


def test_two_images_of_one_name(root, harness):
    photo(62, 70).save(root / HR / "0801.jpg")
    assert "several images" in problems(verify(harness, root, "DIV2K_valid"))["0801"]


def test_an_absent_dataset_is_a_problem_when_named(root, harness):
    content = as_json(harness("data", "verify", "Set5", "--data-root", root, "--json"))
    (finding,) = content["datasets"][0]["findings"]
    assert (finding["level"], finding["what"]) == ("problem", "does not exist")
    assert "harness data fetch Set5" in finding["remedy"]


# The manifest


def larger(image: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    return torch.nn.functional.pad(image, (0, columns, 0, rows), value=9)


@pytest.mark.parametrize(
    ("dataset", "name", "more", "status"),
    [
        ("Set14", "comic", (1, 0), OTHER_VERSION),
        ("Set14", "ppt3", (0, 1), OTHER_VERSION),
        ("Set14", "zebra", (1, 0), OTHER_VERSION),
        ("Set14", "comic", (0, 1), ALTERED),
        ("Set14", "monarch", (1, 0), ALTERED),
        ("Urban100", "img_001", (3, 2), OTHER_VERSION),
        ("Urban100", "img_001", (0, 4), ALTERED),
        ("B100", "101085", (1, 0), ALTERED),
        ("DIV2K_valid", "0801", (0, 0), UNKNOWN),
    ],
)
def test_known_versions_are_not_called_altered(dataset, name, more, status):
    hr = SPECS[dataset].layout.hr
    path = shared("data").joinpath(hr, f"{name}.png")
    image = read_rgb(path) if path.exists() else pixels(9, 9)
    found, what = manifest.compare(dataset, path, larger(image, *more))
    assert found == status
    if status == OTHER_VERSION:
        assert "their common part is equal" in what
        other = manifest.compare(dataset, path, larger(255 - image, *more))
        assert other[0] == OTHER_VERSION
        assert "cannot be compared" in other[1]


@pytest.mark.parametrize(("size", "status"), [((480, 320), OTHER_VERSION), ((479, 321), ALTERED)])
def test_crops_of_b100(size, status, tmp_path):
    found, what = manifest.compare("B100", tmp_path / "101085.png", pixels(*size))
    assert (found, f"{size[1]}x{size[0]}" in what) == (status, True)


def test_a_jpeg_that_decodes_otherwise_is_known_by_its_file(tmp_path, monkeypatch):
    photo(9, 9).save(tmp_path / "1.jpg")
    entry = manifest.ManifestEntry("1", 9, 9, "of another decoder", file_hash(tmp_path / "1.jpg"))
    monkeypatch.setattr(manifest, "entries", lambda _: {"1": entry})
    assert manifest.compare("BSDS399", tmp_path / "1.jpg", pixels(9, 9))[0] == SAME


def test_manifest_of_files(tmp_path):
    folder = write_photos(tmp_path / "x", {"a": (5, 7)})
    photo(5, 7).save(folder / "b.jpg")
    first, second = map(manifest.entry_of, sorted(folder.iterdir()))
    assert (first.name, first.height, first.width, first.file) == ("a", 5, 7, "")
    assert second.file == file_hash(folder / "b.jpg")


def test_a_scale_that_leaves_no_pixel_makes_no_folder(harness, tmp_path):
    write_photos(tmp_path / "data" / "benchmark" / "Set5" / "HR", {"baby": (40, 44)})
    root = ("--data-root", tmp_path / "data")
    status, _, err = harness("data", "prepare", "Set5", "--scale", 900, *root)
    assert status == 2
    assert "leaves no pixel of any image of Set5" in err
    assert not list(tmp_path.rglob("PREPARED.json"))
