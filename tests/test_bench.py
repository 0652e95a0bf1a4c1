"""`harness bench` and `python -m benchmarks`, at tiny sizes. Nothing here asserts on a time."""

from __future__ import annotations

import ctypes
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tiny import PROFILE, Benchmarks, network, profile_with, write_profile

from baselines import build
from baselines.shapes import shapes_only
from benchmarks.decode import make_case
from benchmarks.pillow_samples import PlainSamples, plain_loader
from benchmarks.train import spared_macs
from harness.common.device import keep_freed_memory
from harness.measure.machine import machine
from harness.measure.timing import Times, alternate, spread
from harness.profiles import Training


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Benchmarks:
    """`python -m benchmarks` in this process."""
    return Benchmarks(monkeypatch, capsys)


# The user's command

SMALL = ("--lr", "6x5", "--rounds", 2, "--device", "cpu")


def test_latency_and_peak_memory_of_shipped_networks(harness):
    content = json.loads(harness.good("bench", "--scale", 3.5, *SMALL, "--json"))
    assert (content["schema"], content["scale"], content["lr_size"]) == (2, 3.5, [6, 5])
    assert content["machine"]["cores"] >= 1
    named = {line["network"]: line for line in content["lines"]}
    assert "reference:edsr-liif" in named
    assert "reference:edsr-x4" not in named
    for line in named.values():
        low, median, high = line["seconds"]
        assert 0 < low <= median <= high
        assert 0 <= line["peak_bytes"] < 1 << 30
        assert line["weights"]
        assert line["reason"] == ""


def test_methods_and_files_are_measured_side_by_side(harness):
    out = harness.good("bench", "bicubic", "edsr-liif", "reference:edsr-liif", *SMALL)
    assert [line.split()[0] for line in out.splitlines()[-3:]] == [
        "bicubic",
        "edsr-liif",
        "reference:edsr-liif",
    ]
    assert "kpx/s" in out
    assert "peak MiB" in out


@pytest.mark.parametrize(
    ("given", "status", "message"),
    [
        (("edsr-lif",), 2, "Did you mean 'edsr-liif'"),
        (("swinir-lte",), 1, "swinir-lte is not trained under profile 'reference'"),
        (("nowhere.pt",), 1, "nowhere.pt"),
        (("edsr-liif", "--lr", "48"), 2, "'--lr': it takes HEIGHTxWIDTH"),
        (("edsr-liif", "--scale", "0.5"), 2, "out of range"),
    ],
)
def test_bench_refuses_what_it_cannot_measure(harness, given, status, message):
    found, _, error = harness("bench", *given)
    assert (found, message in error) == (status, True)


# Timing


def test_calls_take_turns():
    calls: list[str] = []
    rounds: list[int] = []
    work = {name: (lambda name=name: calls.append(name)) for name in ("a", "b")}
    times = alternate(work, 3, torch.device("cpu"), 1, lambda: rounds.append(1))
    assert calls == ["a", "b"] * 4
    assert len(rounds) == 4
    assert {name: len(values) for name, values in times.seconds.items()} == {"a": 3, "b": 3}


def test_ratios_are_of_neighbours():
    """A machine that slows down half-way changes no ratio."""
    times = Times({"slow": [2.0, 2.0, 20.0, 20.0], "fast": [1.0, 1.0, 10.0, 10.0]})
    assert times.ratio("slow", "fast") == spread([2.0])
    assert times.rate("fast").median == pytest.approx(0.55)


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=20))
def test_a_median_lies_between_its_quartiles(values):
    found = spread(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)


def test_the_plain_way_makes_the_same_kind_of_batch():
    settings = Training(dataset="x", patch=6, queries=20, batch=3, scale_min=2, scale_max=2)
    images = [torch.full((3, 12, 12), value, dtype=torch.uint8) for value in (0, 255)]
    samples = PlainSamples(images, settings, 0, 2)
    for made, again in zip(plain_loader(samples, 0), plain_loader(samples, 1), strict=True):
        assert made.lr.shape == (3, 3, 6, 6)
        assert made.coord.shape == made.cell.shape == (3, 20, 2)
        assert torch.equal(made.lr[:, :, 0, 0], made.target[:, 0])
        assert made.cell.unique().item() == pytest.approx(2 / 12)
        assert torch.equal(made.lr, again.lr)
        assert torch.equal(made.coord, again.coord)


@pytest.mark.parametrize(
    ("method", "promised"),
    [("edsr-liif", 1.2), ("edsr-moeisr-liif-s", 1.45), ("edsr-moeisr-liif-b", 1.5),
     ("edsr-lte", 1.0)],
)  # fmt: skip
def test_what_the_multiply_adds_promise(method, promised):
    """At the paper's sizes; with the encoder, whose work nothing spares."""
    settings = Training(dataset="x")
    with shapes_only():
        model = build(method).train()
        spared = spared_macs(model, 48**2, 4 * 2304)
    plain = model.training_macs(settings.patch, settings.queries, settings.scales, settings.batch)
    assert plain / (plain - spared) == pytest.approx(promised, abs=0.06)


def test_spared_multiply_adds_are_those_of_the_code():
    """One code of 9 x 8 values into 16, 40 times instead of 10 times more often than a pixel."""
    assert spared_macs(network("edsr-liif"), 10, 40) == 30 * 72 * 16


def test_keeping_memory_is_harmless_anywhere(monkeypatch):
    keep_freed_memory()

    def nothing(_):
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", nothing)
    keep_freed_memory()


def test_the_machine_is_described():
    found = machine(torch.device("cpu"))
    assert found["cpu"]
    assert found["cores"] >= 1
    assert found["torch"] == torch.__version__


def test_the_table_of_the_command(tmp_path, benchmarks):
    file = write_profile(tmp_path / "tiny.yaml")
    out = benchmarks.good("train", "--profile", file, "--steps", 1, "--device", "cpu")
    for method in ("edsr-liif", "edsr-moeisr-liif-s", "edsr-moeisr-liif-b", "edsr-moeisr-lte-s"):
        assert method in out
    assert "times as fast" in out
    assert " thread" in out


def test_the_json_of_the_command(tmp_path, benchmarks):
    file = write_profile(tmp_path / "tiny.yaml", profile_with(precision="bf16"))
    out = benchmarks.good(
        *("train", "--profile", file, "--steps", 2, "--device", "cpu"),
        *("--methods", "edsr-liif,edsr-metasr", "--json"),
    )
    content = json.loads(out)
    assert content["schema"] == 1
    assert content["profile"] == PROFILE["name"]
    assert [line["method"] for line in content["methods"]] == ["edsr-liif", "edsr-metasr"]
    for line in content["methods"]:
        assert line["ratio"]["low"] <= line["ratio"]["high"]
        assert line["steps_per_second"]["fast"]["median"] > 0
        assert line["share_of_bf16_matrix_product_peak"] is None
    assert content["methods"][1]["ratio_of_multiply_adds"] == 1


@pytest.mark.parametrize("method", ["bicubic", "edsr-x2", "edsr-lif"])
def test_what_cannot_be_timed_is_said(method, benchmarks):
    status, _, err = benchmarks("train", "--methods", method, "--device", "cpu")
    assert status == 2
    assert method in err
    assert "Traceback" not in err


# Decoding


def test_decode_reports_every_method_beside_its_baseline(benchmarks):
    """LTE's baseline takes part though it was not named; ratios and counts are consistent."""
    given = ("decode", "--methods", "edsr-liif,edsr-moeisr-lte-s", "--lr", "5x6")
    content = json.loads(benchmarks.good(*given, "--scale", 2, "--rounds", 2, "--json"))
    assert (content["schema"], content["bench"], content["rounds"]) == (1, "decode", 2)
    assert content["machine"]["cores"] >= 1
    assert content["matrix_product_macs_per_s"] > 0
    liif, lte = content["lines"]
    assert (liif["baseline"], lte["baseline"]) == ("edsr-liif", "edsr-lte")
    assert liif["ratio_to_own_plain"] == liif["ratio_to_baseline_plain"]
    assert len(lte["ratio_to_baseline_plain_30000"]) == 3
    assert liif["paper_macs"] == 4 * 10 * 12 * 345_856
    assert 0 < liif["executed_macs"] < liif["paper_macs"]
    for line in (liif, lte):
        low, median, high = line["engine_pixels_per_s"]
        assert 0 < low <= median <= high


def test_decode_prints_both_counts_by_their_names(benchmarks):
    given = ("decode", "--methods", "edsr-moeisr-liif-s", "--lr", "4x4", "--rounds", 1)
    out = benchmarks.good(*given)
    assert "paper's GMACs" in out
    assert "executed" in out
    scales = benchmarks.good(*given, "--scales", "2,3.5")
    assert "x3.5" in scales
    assert "us/px" in scales


def test_experts_of_the_benchmark_have_even_shares():
    case = make_case("edsr-moeisr-liif-b", (6, 6), 2, torch.device("cpu"))
    assert case.features.routing.gates[0].sum(dim=0).tolist() == [9, 9, 9, 9]
    assert (case.fast() - case.plain()).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--methods", "edsr-x2"), "decodes nothing"),
        (("--methods", "edsr-lif"), "Did you mean 'edsr-liif'"),
        (("--lr", "48"), "'--lr': it takes HEIGHTxWIDTH"),
        (("--scale", "0.5"), "out of range"),
    ],
)
def test_decode_refuses_what_it_cannot_time(benchmarks, given, message):
    status, _, error = benchmarks("decode", *given)
    assert status == 2
    assert message in error
