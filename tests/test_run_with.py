"""Methods beside an experiment's own, and experiments as files: in one table, from plan to page."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from tiny import PROFILE, Harness, write_photos, write_profile
from torch import Tensor, nn

from baselines import registry
from harness import experiments, results
from harness.checkpoints.subject import open_subject
from harness.common.errors import UsageError
from harness.data.degrade import make_pair, quantise, unit
from harness.data.images import save_png
from harness.data.published.field import FIELD
from harness.data.sets import SPECS, find
from harness.metrics import learned
from harness.outside.entries import read_entry
from harness.report.paper import blocks, others, printed_values
from harness.runs.experiment import with_field
from harness.upscale.network import upscale

SIZES = {"a": (40, 52), "b": (38, 30)}
TABLE = {
    "title": "Mine and others",
    "methods": ["bicubic", {"images": "theirs", "name": "theirs"}],
    "benchmarks": ["Set5"],
    "scales": [2],
    "sections": ["psnr", "ssim", "pareto", "macs", "overview", "latency", "limits", "networks"],
}
PROGRAM = """
import sys
from PIL import Image
image = Image.open(sys.argv[1])
if sys.argv[4:] and image.size[0] < 20:
    sys.exit("out of memory")
size = [round(side * float(sys.argv[3])) for side in image.size]
image.resize(size, Image.Resampling.NEAREST).save(sys.argv[2])
"""


class Nearest(nn.Module):
    """Repeats pixels behind a convolution, so that there are MACs to count."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.conv.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).repeat_interleave(2, 2).repeat_interleave(2, 3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Data, a profile, a program, SR images that have an error of 2 levels, and a table's file."""
    write_photos(tmp_path / "data/benchmark/Set5/HR", SIZES)
    costs = {"lr_size": [8, 8], "rounds": 2, "warm_up": 1}
    profile = {**PROFILE, "roles": {"Set5": "Set5"}, "costs": costs, "seeds": [0]}
    write_profile(tmp_path / "tiny.yaml", profile)
    (tmp_path / "near.py").write_text(PROGRAM)
    (tmp_path / "theirs").mkdir()
    for name in SIZES:
        hr = np.asarray(Image.open(tmp_path / f"data/benchmark/Set5/HR/{name}.png"), dtype=int)
        signs = np.where(np.indices(hr.shape).sum(axis=0) % 2, 2, -2)
        Image.fromarray((hr + signs).clip(0, 255).astype(np.uint8)).save(
            tmp_path / f"theirs/{name}_x2.png"
        )
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(TABLE))
    return tmp_path


def run(harness: Harness, *more: object, table: str = "mine.yaml") -> dict[str, dict[str, Any]]:
    given = ("--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu", "--json")
    content = json.loads(harness.good("run", table, *given, *more))
    return {record["label"]: record for record in content["records"]}


def program(*more: str) -> str:
    return " ".join([sys.executable, "near.py", "{lr}", "{sr}", "{scale}", *more])


def exported(path: Path) -> Path:
    from test_outside_onnx import saved  # skips where the extra onnx is not installed

    return saved(path, Nearest())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_others_are_in_the_table_and_in_the_figures(folder, harness):
    """An ONNX file, SR images, programs, one that fails and some that are not there."""
    exported(folder / "net.onnx")
    given = ["net.onnx", f"near={program()}", f"bad={program('small')}", "gone.onnx", "none/"]
    beside = [text for each in given for text in ("--with", each)]
    found = run(harness, *beside, "--with", "edsr-x2", "--no-train")
    assert list(found)[:2] == ["bicubic", "theirs (8-bit images)"]
    by_onnx, by_program = found["net (ONNX)"], found["near (program)"]
    assert by_onnx["psnr"] == pytest.approx(by_program["psnr"], abs=1e-4)
    assert by_onnx["parameters"] == 9
    assert by_onnx["macs"] == by_onnx["encoder_macs"] == 9 * by_onnx["lr_pixels"]
    assert (by_program["macs"], by_program["parameters"]) == (None, None), "unknown, not 0"
    assert found["theirs (8-bit images)"]["psnr"] > 40
    assert found["theirs (8-bit images)"]["psnr_low"] is not None, "intervals as ours"
    assert found["theirs (8-bit images)"]["lr_sources"] == ["unknown"]
    for label in ("net (ONNX)", "near (program)", "bicubic"):
        assert found[label]["latency_s"] > 0
    assert found["bad (program)"]["psnr"] is None
    assert "failed on 1 of 2 images" in found["bad (program)"]["missing"]
    assert "out of memory" in found["bad (program)"]["missing"]
    assert "There is no file" in found["gone (ONNX)"]["missing"]
    assert "does not exist" in found["none (SR images)"]["missing"]
    assert "an ONNX file (opset 17)" in by_onnx["provenance"]
    text = Path("reports/tiny/mine.md").read_text()
    for label in found:
        assert label in text
    points = list(csv.DictReader(Path("reports/tiny/mine.csv").read_text().splitlines()))
    assert {point["label"] for point in points} == set(found)
    assert Path("reports/tiny/mine/figures/pareto_latency.png").exists()
    assert "an ONNX file, \N{MULTIPLICATION SIGN}2 only" in text
    assert "only its SR images are known" in text, "the reason why it has no latency"


def test_what_was_measured_is_not_measured_again_and_is_reported_without_it(folder, harness):
    beside = ("--with", f"near={program()}")
    first = run(harness, *beside)
    status, _, err = harness(
        *("run", "mine.yaml", "--profile", "tiny.yaml", "--data-root", "data", *beside)
    )
    assert (status, "Every unit is measured already" in err) == (0, True)
    text = Path("reports/tiny/mine.md").read_text()
    for name in ("near@command", "theirs@images"):
        registry.unregister(name)  # as in another process
    for path in (folder / "near.py", *(folder / "theirs").iterdir()):
        path.unlink()
    harness.good("report", "mine.yaml", "--profile", "tiny.yaml")
    assert Path("reports/tiny/mine.md").read_text() == text
    one = harness.good(
        *("report", "mine.yaml", "--profile", "tiny.yaml", "--format", "markdown"),
        *("--table", "psnr", "--methods", "*@command"),
    )
    assert "near (program)" in one
    assert "theirs" not in one
    assert first["near (program)"]["psnr"] is not None


def test_registered_methods_that_a_table_does_not_list(folder, harness):
    """By name, in `--methods` and in `--with`; a new plan has the rows that it is asked for."""
    profile = {**PROFILE, "roles": {"DIV2K_valid": "Set5"}}
    write_profile(folder / "tiny.yaml", profile)
    given = ("table1", "--profile", "tiny.yaml", "--data-root", "data", "--no-train", "--json")
    content = json.loads(harness.good("run", *given, "--methods", "bicubic,edsr-ipe"))
    assert "edsr-ipe" in {record["method"] for record in content["records"]}
    dry = json.loads(harness.good("run", *given, "--dry-run", "--with", "edsr-lm*"))
    planned = [each["method"] for each in dry["plan"]]
    assert planned[-2:] == ["edsr-lmliif", "edsr-lmlte"]
    assert "edsr-liif" in planned
    status, _, err = harness("run", *given, "--methods", "edsr-lif")
    assert (status, "Did you mean 'edsr-liif'" in err) == (2, True)


def test_entries_that_make_no_sense_are_refused():
    said = {
        "edsr-lif": "Did you mean 'edsr-liif'",
        "": "names no method",
        "x=edsr-liif": "has its own name",
        "{onnx: a.onnx, values: signd}": "values: Input should be",
        "{onnx: a.onnx, command: b}": "onnx and command name two methods",
        "{onnx: a.onnx, pattern: b}": "pattern belongs to images, not to onnx",
        "{onx: a.onnx}": "Did you mean 'onnx'",
        "{label: a}": "it names no method",
        "{a": "is no YAML",
    }
    for text, words in said.items():
        with pytest.raises(
            (UsageError, registry.UnknownMethodError), match=words.replace("|", ".")
        ):
            entry = read_entry(text, "--with")
            experiments.own.rows_of(entry.method)
    kinds = {"a.onnx": "onnx", "out/": "images", "n=prog {lr} {sr}": "command"}
    assert {text: read_entry(text, "--with").kind for text in kinds} == kinds
    assert read_entry("edsr-moeisr-liif-b-w1=3.7", "--with").method == "edsr-moeisr-liif-b-w1=3.7"


def test_files_with_mistakes_are_refused_with_all_of_them(folder, harness):
    wrong = {**TABLE, "methods": ["edsr-lif", {"onx": "a"}], "sections": ["psnrr"], "scales": [2]}
    (folder / "wrong.yaml").write_text(yaml.safe_dump({**wrong, "benchmarks": ["Set6"]}))
    status, _, err = harness("run", "wrong.yaml", "--profile", "tiny.yaml")
    assert status == 2
    for words in ("'edsr-liif'", "'onnx'", "'Set5'", "'psnr'"):
        assert f"Did you mean {words}" in err, words
    (folder / "wrong.yaml").write_text(yaml.safe_dump({**TABLE, "benchmark": ["Set5"]}))
    status, _, err = harness("run", "wrong.yaml", "--profile", "tiny.yaml")
    assert (status, "Unknown key 'benchmark'. Did you mean 'benchmarks'" in err) == (2, True)
    texts = {"- a": "holds no keys", "a: [": "is no YAML", "a: 1\na: 2": "the key a twice"}
    for text, words in texts.items():
        (folder / "wrong.yaml").write_text(text)
        status, _, err = harness("report", "wrong.yaml", "--profile", "tiny.yaml")
        assert (status, words in err) == (2, True)
    (folder / "table1.yaml").write_text(yaml.safe_dump(TABLE))
    status, _, err = harness("run", "table1.yaml", "--profile", "tiny.yaml")
    assert (status, "is called table1" in err) == (2, True)
    status, _, err = harness("run", "absent.yaml", "--profile", "tiny.yaml")
    assert (status, "There is no experiment" in err) == (1, True)
    twice = ("--with", f"near={program()}", "--with", f"near={program('x')}")
    given = ("--profile", "tiny.yaml", "--data-root", "data")
    status, _, err = harness("run", "mine.yaml", *given, *twice)
    assert (status, "Two methods would be called near@command" in err) == (2, True)


def test_a_metric_that_is_not_here_is_a_table_of_reasons(folder, harness, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyiqa", None)
    monkeypatch.setattr(learned, "_network", learned._network.__wrapped__)
    table = {**TABLE, "methods": ["bicubic"], "sections": ["psnr", "lpips"]}
    (folder / "learned.yaml").write_text(yaml.safe_dump(table))
    harness.good("run", "learned.yaml", "--profile", "tiny.yaml", "--data-root", "data")
    text = Path("reports/tiny/learned.md").read_text()
    assert "## LPIPS" in text
    assert "] not measured here: pyiqa is not installed" in text
    assert "its window" not in text


# Published rows of the field


def test_the_field_is_shown_where_its_protocol_is_the_same():
    table1 = experiments.get("table1")
    experiment = with_field(table1)
    named = others(experiment)
    assert {"EDSR-CLIT", "RDN-MSIT", "SwinIR-CLIT", "EDSR-Thera Plus, one pass"} <= set(named)
    assert not any(name.endswith(("Thera Plus", "Thera Air", "Thera Pro", "CUF")) for name in named)
    assert "EDSR-LIIF" not in named, "a row of ours"
    assert blocks(experiment)[: len(table1.groups)] == table1.groups

    def psnr(name: str, scale: float) -> float | None:
        found = printed_values(experiment, named[name], "DIV2K_valid", scale).get("psnr")
        return found and found.value

    assert (psnr("EDSR-CLIT", 2), psnr("EDSR-Thera Plus, one pass", 4)) == (34.81, 29.18)
    assert psnr("EDSR-CiaoSR", 6) is None, "Thera's LR images above x4 are not LIIF's"
    assert psnr("EDSR-SRNO", 2) is None, "its LR images up to x4 are not MATLAB's"
    assert psnr("EDSR-SRNO", 6) == pytest.approx(26.9, abs=0.1)
    with pytest.raises(UsageError, match="no published rows"):
        with_field(experiments.get("lmf-costs"))


def test_every_row_of_the_field_has_values():
    for row in FIELD:
        found = {each.method for each in row.systems()}
        assert found == set(row.methods), (row.file, found ^ set(row.methods))


def test_manga109_is_a_dataset_like_the_others(tmp_path, harness):
    assert (SPECS["Manga109"].protocol, SPECS["Manga109"].layout.expected) == ("benchmark", 109)
    status, _, err = harness("eval", "bicubic", "--dataset", "Manga109", "--data-root", tmp_path)
    assert (status, "manga109.org" in err) == (1, True)
    write_photos(tmp_path / "benchmark/Manga109/HR", {"ARMS": (40, 30)})
    found = find("Manga109", tmp_path)
    assert (len(found.items), found.complete) == (1, False)
    assert "Manga109" in harness.good("data", "verify", "Manga109", "--data-root", tmp_path)


# One network by every way

OURS = """
import sys
from pathlib import Path
import numpy as np
import torch
from harness.checkpoints.subject import open_subject
from harness.data.degrade import unit
from harness.data.images import read_rgb
from harness.upscale.network import upscale

torch.set_num_threads(1)
model = open_subject(Path("reference:edsr-liif"), torch.device("cpu")).model
lr = unit(read_rgb(Path(sys.argv[1])))[None]
np.save(sys.argv[2], upscale(model, lr, float(sys.argv[3])).image[0].numpy())
"""


def write_own_images(folder: Path, scale: int) -> None:
    """The shipped network's SR images, as floating point and as PNG of 8 bits."""
    model = open_subject(Path("reference:edsr-liif"), torch.device("cpu")).model
    for item in find("Set5", folder / "data").items:
        pair = make_pair(item, item.load(), scale, None)
        size = (pair.hr.shape[-2], pair.hr.shape[-1])
        sr = upscale(model, unit(pair.lr)[None], scale, size).image[0]
        for kind in ("float", "eightbit"):
            (folder / f"sr/{kind}_x{scale}").mkdir(parents=True, exist_ok=True)
        np.save(folder / f"sr/float_x{scale}/{item.name}.npy", sr.numpy())
        save_png(quantise(sr), folder / f"sr/eightbit_x{scale}/{item.name}.png")


def test_one_network_by_every_way(folder, harness):
    """Natively, as ONNX, as images and by a program: equal as far as each way allows."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    write_own_images(folder, 3)
    (folder / "ours.py").write_text(OURS)
    harness.good("export-checkpoint", "reference:edsr-liif", "liif.onnx", "--format", "onnx")
    table = {"title": "t", "methods": ["edsr-liif"], "benchmarks": ["Set5"], "scales": [3]}
    (folder / "ways.yaml").write_text(yaml.safe_dump({**table, "sections": ["psnr", "macs"]}))
    command = f"ours={sys.executable} ours.py {{lr}} {{npy}} {{scale}}"
    given = ("--with", "liif.onnx", "--with", "sr/", "--with", command)
    harness.good("run", "ways.yaml", "--profile", "reference", "--data-root", "data", *given)
    tidy = results.frame("ways.yaml")
    psnr = tidy[tidy["metric"] == "psnr"].pivot_table("value", "image", "method")
    native = psnr["edsr-liif"]
    assert (psnr["float@images"] == native).all()
    assert (psnr["ours@command"] == native).all()
    assert (psnr["liif@onnx"] - native).abs().max() < 1e-3
    rounded = (psnr["eightbit@images"] - native).abs()
    assert 0 < rounded.max() < 0.1, "8 bits are another image"
    macs = tidy[tidy["metric"] == "macs"].pivot_table("value", "image", "method")
    assert (macs["liif@onnx"] == macs["edsr-liif"]).all()
    assert set(macs) == {"edsr-liif", "liif@onnx"}, "unknown of others"
