"""Differences between two networks: their intervals hold what they promise, and are of the rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_cli import assert_refused, save_checkpoint
from tiny import Harness, network, write_data

from harness import checkpoints
from harness.measure.statistics import paired_difference

CELLS = ("--dataset", "DIV2K_valid", "--scale", 2, "--scale", 3, "--data-root", "data")


@pytest.mark.parametrize("images", [14, 100])
@pytest.mark.parametrize("kind", ["normal", "skewed"])
def test_95_of_100_intervals_hold_the_true_difference(kind, images):
    """2,000 simulated sets of as many images as Set14, and B100 and Urban100, have."""
    rng = np.random.default_rng(1)
    draw = {
        "normal": lambda: rng.normal(0.02, 0.1, images),
        "skewed": lambda: rng.gamma(4, 0.01, images) - 0.02,
    }[kind]
    found = [paired_difference(draw(), resamples=999) for _ in range(2000)]
    held = np.mean([each.low <= 0.02 <= each.high for each in found])
    assert held == pytest.approx(0.95, abs=0.01)


def test_a_mean_over_sets_weighs_each_set_the_same():
    rng = np.random.default_rng(2)
    small, large = rng.normal(0.3, 0.1, 10), rng.normal(-0.1, 0.1, 200)
    both = paired_difference(small, large)
    assert both.mean == pytest.approx((small.mean() + large.mean()) / 2)
    assert both.low < both.mean < both.high and both.images == 210
    # The variance of a mean of two independent means.
    expected = 1.96 * np.sqrt(small.var(ddof=1) / 10 + large.var(ddof=1) / 200) / 2
    assert (both.high - both.low) / 2 == pytest.approx(expected, rel=0.15)


def test_the_sign_test_is_the_binomial_one_without_ties():
    found = paired_difference([0.1, 0.2, 0.0, 0.3, -0.1, 0.2])
    assert (found.better, found.worse, found.images) == (4, 1, 6)
    assert found.sign == pytest.approx(2 * (5 + 1) / 2**5)
    assert paired_difference([0.0, 0.0]).sign == 1


def test_few_images_decide_nothing():
    assert paired_difference([0.3]).low is None
    five, six = paired_difference(*[[0.3, 0.31, 0.32, 0.33, 0.34]]), paired_difference([0.3] * 6)
    assert (five.decided, five.within(1)) == (False, None)
    assert (six.decided, six.within(1), six.within(0.1)) == (True, True, False)
    assert paired_difference([-0.1, 0.1] * 6).within(0.01) is None


def test_the_differences_are_those_of_the_measured_rows(harness: Harness):
    write_data(Path("data"))
    a, b = save_checkpoint(Path("a.pt")), Path("b.pt")
    content = {k: v for k, v in checkpoints.read(a).items() if k != "format"}
    checkpoints.save(b, {**content, "state_dict": network("edsr-liif", seed=1).state_dict()})
    told = json.loads(harness.good("versus", a, b, *CELLS, "--within", 50, "--json"))
    means = {}
    for path in (a, b):
        out = json.loads(harness.good("eval", "--checkpoint", path, *CELLS, "--json"))
        means[path] = {unit["scale"]: unit["psnr"] for unit in out["cells"]}
    for unit in told["cells"]:
        assert unit["a"] == pytest.approx(means[a][unit["scale"]])
        assert unit["mean"] == pytest.approx(means[a][unit["scale"]] - means[b][unit["scale"]])
        assert (unit["images"], unit["decided"], unit["within"]) == (2, False, None)
    assert [told[side]["weights"] for side in "ab"] == [
        checkpoints.open_checkpoint(path).weights for path in (a, b)
    ]
    words = harness.good("versus", a, b, *CELLS)
    assert "not decided" in words and "another seed" in words


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        (("--metric", "psnrr"), "psnr"),
        (("--dataset", "Set6"), "Set6"),
        (("--protocol", "y"), "protocol"),
        (("--within", 0), "within"),
    ],
)
def test_what_cannot_be_compared_is_refused(changed, reason, harness, tmp_path):
    write_data(tmp_path / "data")
    command = ("versus", "bicubic", "bicubic", *CELLS, *changed)
    assert_refused(harness, tmp_path, command, 2, reason)


def test_bicubic_is_as_good_as_itself(harness: Harness):
    write_data(Path("data"))
    told = json.loads(harness.good("versus", "bicubic", "bicubic", *CELLS, "--json"))
    assert {(unit["mean"], unit["better_side"]) for unit in told["cells"]} == {(0.0, "")}
