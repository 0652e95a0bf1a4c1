"""Programs of others: run for each image, measured, and named where they fail, hang or lie."""

from __future__ import annotations

import json
import os
import shlex
import sys
import textwrap
import time
from pathlib import Path

import pytest
from tiny import write_photos

from harness.outside.command import CommandModel

SIZES = {"a": (41, 52), "b": (38, 30), "c": (38, 30)}

PROGRAM = """
    import sys, time, subprocess
    import numpy as np
    from PIL import Image
    lr, out, scale, kind = sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]
    image = Image.open(lr)
    small = image.size[0] < 20
    size = tuple(round(side * scale) for side in image.size)
    made = image.resize(size, Image.Resampling.NEAREST)
    if kind == "fails" and small:
        print("first line"); sys.exit("no memory left on the device")
    if kind == "hangs" and small:
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        time.sleep(1000)
    if kind == "silent" and small:
        sys.exit(0)
    if kind == "crashes" and small:
        import os; os.abort()
    if kind == "size" and small:
        made = image
    if kind == "swapped":
        made = Image.fromarray(np.asarray(made)[..., ::-1].copy())
    if kind == "two":
        made = Image.fromarray(np.asarray(made)[..., [1, 0, 2]].copy())
    if kind == "grey":
        made = made.convert("L")
    if kind == "leftover":
        made = Image.new("RGB", size)
        made.putpixel((0, 0), (200, 10, 10))
    if kind == "hungry":
        block = np.ones(150 << 20, dtype=np.uint8)
    if out.endswith(".npy"):
        values = np.asarray(made) / 255
        if kind == "nan" and small:
            values[0, 0, 0] = np.nan
        np.save(out, values)
    else:
        made.save(out)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_photos(tmp_path / "data/benchmark/Set5/HR", SIZES)
    (tmp_path / "mysr.py").write_text(textwrap.dedent(PROGRAM))
    return tmp_path / "data"


def run(harness, data: Path, kind: str, *more: object, out: str = "{sr}") -> dict:
    program = shlex.quote(str(data.parent / "mysr.py"))
    command = f"{sys.executable} {program} {{lr}} {out} {{scale}} {kind}"
    given = ("eval", "mysr", "--command", command, "--dataset", "Set5", "--data-root", data)
    return json.loads(harness.good(*given, "--scale", 2, "--json", *more))


def test_a_program_is_measured(harness, data):
    """The same by PNG and by array; seconds and memory are those of the process."""
    content = run(harness, data, "well")
    (unit,) = content["cells"]
    assert (content["method"], unit["images"], unit["failed"]) == ("mysr@command", 3, {})
    array = run(harness, data, "well", out="{npy}")
    hungry = run(harness, data, "hungry")
    assert array["cells"][0]["psnr"] == pytest.approx(unit["psnr"], abs=1e-6)
    for row, more in zip(content["images"], hungry["images"], strict=True):
        assert row["seconds"] > 0
        assert row["memory_kind"] == "peak of the process"
        assert 5 << 20 < row["peak_memory_bytes"] < 400 << 20
        assert more["peak_memory_bytes"] - row["peak_memory_bytes"] > 100 << 20
        assert row["parameters"] is None
    assert run(harness, data, "well")["images"] == content["images"], "measured again"
    four = run(harness, data, "well", "--self-ensemble", "4")
    assert four["cells"][0]["rendering"] == "ensemble 4"
    assert four["cells"][0]["psnr"] == pytest.approx(unit["psnr"], abs=1e-3)


BAD = {
    "fails": "ended with status 1: no memory left on the device",
    "silent": "made no SR image",
    "crashes": "ended by signal 6",
    "size": "(the LR image's size), not",
    "nan": "1 of its values are NaN",
}


@pytest.mark.parametrize("kind", BAD)
def test_failing_and_lying_are_units_with_a_reason(kind, harness, data):
    (unit,) = run(harness, data, kind, out="{npy}" if kind == "nan" else "{sr}")["cells"]
    assert unit["psnr"] is None
    assert unit["images"] == 1, "the others are measured"
    assert unit["failed"].keys() == {"b", "c"}
    assert BAD[kind] in unit["failed"]["b"]


def test_hanging_ends_with_its_children(harness, data):
    start = time.monotonic()
    (unit,) = run(harness, data, "hangs", "--time-limit", 8)["cells"]
    assert unit["images"] == 1
    assert "longer than 8 s" in unit["failed"]["b"]
    assert time.monotonic() - start < 120


def test_swapped_channels_and_the_image_before(harness, data):
    (unit,) = run(harness, data, "swapped")["cells"]
    assert all("BGR" in reason for reason in unit["failed"].values())
    assert len(unit["failed"]) == 3
    (unit,) = run(harness, data, "two")["cells"]
    assert all("order GRB" in reason for reason in unit["failed"].values())
    (unit,) = run(harness, data, "grey")["cells"]
    assert all("the LR image has colours" in reason for reason in unit["failed"].values())
    (unit,) = run(harness, data, "leftover")["cells"]
    assert unit["failed"] == {"c": "the SR image is that of the image before"}


def test_files_that_a_command_names_are_its_identity(tmp_path):
    weights, huge = tmp_path / "net.pth", tmp_path / "huge.pth"
    weights.write_text("a")
    with huge.open("wb") as file:
        file.truncate((1 << 30) + 1)  # a hole, which takes no room
    model = CommandModel(f"{sys.executable} --weights={weights} {huge} {{lr}} {{sr}}", 1)
    before = model.identity
    assert before == model.identity
    weights.write_text("b")
    other = model.identity
    os.utime(huge, (1, 1))
    assert len({before, other, model.identity}) == 3


def test_commands_that_cannot_be_run_are_refused(harness, data):
    said = {
        "mysr {lr}": "either {sr}",
        "mysr {lr} {sr} {npy}": "either {sr}",
        "mysr {lr} {sr} {factor}": "{factor}; there are {lr}",
        "mysr '{lr} {sr}": "cannot be read",
        "no-such-program {lr} {sr}": "no program no-such-program",
    }
    for command, words in said.items():
        given = ("eval", "--command", command, "--dataset", "Set5", "--data-root", data)
        status, out, err = harness(*given, "--scale", 2)
        assert (status in (1, 2), out) == (True, "")
        assert words in err, err
    status, _, err = harness("eval", "bicubic", "--dataset", "Set5", "--time-limit", 3)
    assert (status, "--command" in err) == (2, True)
