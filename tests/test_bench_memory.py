"""`python -m benchmarks memory` at tiny sizes."""

from __future__ import annotations

import json
import signal

import pytest
from tiny import Benchmarks, write_profile

from benchmarks import memory
from harness import profiles
from harness.common.device import process_peak
from harness.common.errors import HarnessError


def test_peaks_of_methods_and_scales(monkeypatch, capsys, tmp_path):
    command = ["memory", "--size", "9x7", "--device", "cpu"]
    command += ["--profile", write_profile(tmp_path / "tiny.yaml")]
    run = Benchmarks(monkeypatch, capsys)
    cases = ("--methods", "edsr-liif,bicubic", "--scales", "2,30")
    content = json.loads(run.good(*command, *cases, "--json"))
    lines = content["lines"]
    assert [(line["method"], line["scale"]) for line in lines] == [
        ("edsr-liif", 2),
        ("edsr-liif", 30),
        ("bicubic", 2),
        ("bicubic", 30),
    ]
    assert [line["hr_size"] for line in lines[:2]] == [[18, 14], [270, 210]]
    for line in lines:
        assert line["finished"]
        assert 50 << 20 < line["peak"] < 2 << 30
        assert line["file"] > 0
    one = ("--methods", "edsr-liif", "--scales", 30, "--memory", 1, "--suffix", ".tif")
    text = run.good(*command, *one)
    assert "210 x 270" in text
    assert "untrained" in text


@pytest.mark.parametrize("ignored", [False, True])
def test_a_case_that_is_stopped_says_so(ignored, tmp_path):
    """Also in a shell's background job, which starts with interruptions ignored."""
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
    try:
        setting = memory.Setting(profiles.load("quick"), (200, 200), limit=1)
        (line,) = memory.measure(["edsr-lte"], [100], setting, tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not line["finished"]
    assert line["file"] == 0
    assert line["peak"] > 50 << 20
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["edsr-lte.pt", "in.png"]


def test_a_failure_is_no_peak(tmp_path, monkeypatch):
    setting = memory.Setting(profiles.load("quick"), (9, 9))
    for name in ("save_png", "open_source", "layout_for"):
        monkeypatch.setattr(memory, name, lambda *_: None)
    wrong = r"--method bicubic --scale 2` failed with status 1:\n.*no image .*in.png"
    with pytest.raises(HarnessError, match=wrong):
        list(memory.measure(["bicubic"], [2], setting, tmp_path))


@pytest.mark.parametrize(
    ("methods", "scales", "suffix", "message"),
    [
        (["bicubic", "nonsense"], [2], ".png", "Unknown method 'nonsense'"),
        (["bicubic", "edsr-x4"], [4, 2], ".png", "edsr-x4 enlarges by 4 only, not 2"),
        (["bicubic"], [2], ".xyz", "no suffix of an image type"),
    ],
)
def test_mistakes_are_known_before_the_first_case(methods, scales, suffix, message, tmp_path):
    setting = memory.Setting(profiles.load("quick"), (9, 9), suffix=suffix)
    with pytest.raises((HarnessError, ValueError), match=message):
        next(memory.measure(methods, scales, setting, tmp_path))


def test_the_peak_grows_with_what_is_held():
    before = process_peak()
    held = bytearray(before + (64 << 20))
    for page in range(0, len(held), 4096):
        held[page] = 1
    assert process_peak() >= len(held) > before
