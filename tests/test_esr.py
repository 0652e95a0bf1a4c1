"""Efficiency as the NTIRE challenges rank it: scores, places, and the experiment."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import shared
from tiny import PROFILE, write_profile

from harness.report.sections.esr import (
    CHALLENGES,
    Candidate,
    log_scores,
    places,
    score_text,
)

METHODS = "rlfn-*,efdn-*,span-*,edsr-liif,edsr-igconv,edsr-moeisr-liif-s"


def printed() -> dict[tuple[str, str], float]:
    rows = csv.DictReader(shared("published", "ntire_esr.csv").open())
    return {
        (r["method"], r["metric"]): float(r["value"])
        for r in rows
        if r["dataset"] in ("none", "256x256 input", "mean of valid and test")
        and not (r["table"] == "2024 results" and r["metric"] == "latency_ms")
    }


@pytest.mark.parametrize("challenge", CHALLENGES)
def test_the_baseline_has_the_printed_score(challenge):
    """exp(2), as each year's README works out for its baseline."""
    found, name = printed(), challenge.row.partition("-")[0].upper()
    own = Candidate(
        challenge.row,
        found[name, "params"],
        found[name, "macs"],
        (found[name, "latency_ms"] / 1e3,) * 5,
    )
    assert np.exp(log_scores(challenge, own, own)).round(4).tolist() == [7.3891] * 5
    assert challenge.runtime + challenge.macs + challenge.parameters == pytest.approx(1)


def test_a_system_of_2026_has_the_score_of_the_formula():
    found, span = printed(), CHALLENGES[2]
    base, own = (
        Candidate("", found[n, "params"], found[n, "macs"], (found[n, "latency_ms"],))
        for n in ("SPAN", "SPANV2_ESR_C2")
    )
    by_hand = (
        0.8 * math.exp(2 * 5.24 / 7.74)
        + 0.1 * math.exp(2 * 1.59 / 9.83)
        + 0.1 * math.exp(2 * 139 / 151)
    )
    assert np.exp(log_scores(span, own, base)).item() == pytest.approx(by_hand, rel=1e-9)


def test_a_score_that_no_float_holds_is_printed():
    base = Candidate("base", 1, 1, (1.0,))
    heavy = Candidate("heavy", 1, 1, (1000.0,))
    log = log_scores(CHALLENGES[2], heavy, base).item()
    assert log == pytest.approx(2000 + math.log(0.8))
    assert score_text(log) == "3.1e868"
    assert score_text(math.log(9999)) == "9999.00"


def test_calls_that_overlap_share_their_places():
    rng = np.random.default_rng(0)
    scores = {name: rng.normal(mean, 1, 15) for name, mean in (("a", 0), ("b", 0.1), ("c", 9))}
    assert places(scores) == {"a": (1, 2), "b": (1, 2), "c": (3, 3)}
    # Too few calls tell nothing apart, however far they are.
    assert places({"a": np.array([1.0, 2]), "b": np.array([8.0, 9])}) == {"a": (1, 2), "b": (1, 2)}
    assert places({"alone": np.array([1.0])}) == {"alone": (1, 1)}


@pytest.fixture(scope="module")
def profile():
    return {**PROFILE, "costs": {"lr_size": [16, 16], "rounds": 6, "warm_up": 0}}


def test_the_experiment_ranks_untrained_networks(harness, tmp_path, profile):
    """On a machine without any data; mixtures without a network are left out."""
    file = write_profile(tmp_path / "p.yaml", profile)
    command = ("--profile", file, "--methods", METHODS, "--no-train")
    out = harness.good("run", "esr", *command)
    assert "### Costs at" in out
    text = Path("reports/tiny/esr.md").read_text()
    for part in ("RLFN", "EFDN", "SPAN", "random", "first call (ms)", "places", "GMACs per output"):
        assert part in text
    figures = Path("reports/tiny/esr/figures")
    assert (figures / "cost_per_megapixel.png").stat().st_size > 1000
    document = json.loads(Path("reports/tiny/esr.json").read_text())
    years = document["esr"]
    assert sorted(years) == ["2024", "2025", "2026"]
    for year, base in (("2024", "rlfn-xN"), ("2025", "efdn-xN"), ("2026", "span-xN")):
        assert years[year][base]["log_score"] == pytest.approx(2, abs=1e-9)
        found = [tuple(each["places"]) for each in years[year].values()]
        assert all(1 <= low <= high <= len(found) for low, high in found)
    assert "edsr-moeisr-liif-s" not in years["2026"]
    stored = Path("results/tiny/measurements/photograph-16x16")
    timed = [json.loads(file.read_text()) for file in sorted(stored.rglob("*.jsonl"))]
    assert {row["method"] for row in timed} == {
        *(f"{name}-x{scale}" for name in ("rlfn", "efdn", "span") for scale in (2, 3, 4)),
        *("edsr-liif", "edsr-igconv"),
    }
    assert all(
        row["facts"]["first_call_s"] > 0 and len(row["facts"]["calls_s"]) == 6 for row in timed
    )
    assert all(row["checkpoint"].startswith("shapes-") for row in timed)
    # What is stored is enough, and is not measured again.
    before = Path("reports/tiny/esr.md").read_bytes()
    harness.good("run", "esr", *command)
    harness.good("report", "esr", "--profile", file)
    assert Path("reports/tiny/esr.md").read_bytes() == before
    assert timed == [json.loads(file.read_text()) for file in sorted(stored.rglob("*.jsonl"))]


def test_activations_are_a_fact_of_the_row(harness, tmp_path, profile):
    file = write_profile(tmp_path / "p.yaml", profile)
    harness.good(
        *("run", "esr", "--profile", file, "--methods", "span-*", "--no-train", "--no-figures")
    )
    rows = [
        json.loads(line)
        for file in Path("results/tiny/measurements").rglob("*.jsonl")
        for line in file.read_text().splitlines()
    ]
    counted = {r["method"]: r["facts"]["activations"] for r in rows if r["role"] != "costs"}
    # The tiny SPAN: 2 blocks of three convolutions, three more of 8 channels, and the upsampler.
    assert counted["span-x2"] == 256**2 * (8 * (1 + 2 * 3 + 1 + 1) + 3 * 4)
