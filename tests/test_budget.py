"""One checkpoint within any budget of MACs: the experts that it chooses, and what is reported."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_cli import save_checkpoint
from test_multiscale import saved
from tiny import image, network, write_data, write_profile

from harness.checkpoints import open_checkpoint
from harness.measure.texture import depth_texture
from harness.upscale.network import upscale
from moeisr.budget import within

MACS = (10, 20, 30, 45)


def mean_macs(weighted: torch.Tensor) -> float:
    return torch.tensor(MACS, dtype=torch.float64)[weighted.argmax(dim=-1)].mean().item()


@pytest.mark.parametrize("seed", range(20))
def test_experts_stay_within_the_limit(seed):
    """Closely from below, whatever the mapper says; more budget never means less depth."""
    torch.manual_seed(seed)
    d = torch.randn(500, 4) * 10 ** (seed % 4 - 1)
    depths = torch.zeros(500)
    for limit in (10, 12, 17, 25, 33, 44, 45, 80):
        weighted = within(d, MACS, limit)
        assert mean_macs(weighted) <= limit
        assert mean_macs(weighted) >= min(limit, 45) - 45 / 500 - 1e-9
        assert (torch.tensor(MACS)[weighted.argmax(dim=-1)] >= depths).all()
        depths = torch.tensor(MACS)[weighted.argmax(dim=-1)]
    assert (within(d, MACS, 45).argmax(dim=-1) == 3).all()
    assert (within(d, MACS, 10).argmax(dim=-1) == 0).all()


def test_tied_scores_stay_within_the_limit():
    for seed in range(200):
        torch.manual_seed(seed)
        scores = torch.randint(-4, 5, (17 * 13, 4)) / 4
        macs = (100, 230, 310, 470)
        limit = 110 + 3 * (seed % 110)
        chosen = within(scores, macs, limit).argmax(dim=-1)
        assert torch.tensor(macs)[chosen].double().mean() <= limit * (1 + 1e-6)


def test_the_mappers_own_cost_is_the_mappers_own_choice():
    torch.manual_seed(0)
    d = torch.randn(300, 4)
    own = torch.tensor(MACS, dtype=torch.float64)[d.argmax(dim=-1)].mean().item()
    assert torch.equal(within(d, MACS, own).argmax(dim=-1), d.argmax(dim=-1))


def test_certain_mappers_and_equal_experts():
    certain = 100 * torch.eye(4)[torch.tensor([0, 3, 3, 3])]
    assert mean_macs(within(certain, MACS, 20)) <= 20
    assert within(torch.eye(2), (7, 7), 7).argmax(dim=-1).tolist() == [0, 1]
    with pytest.raises(ValueError, match="cheapest"):
        within(certain, MACS, 9)


@pytest.mark.parametrize("method", ["edsr-moeisr-liif-b", "edsr-moeisr-lte-s", "edsr-moeisr-ipe-b"])
@pytest.mark.parametrize("scale", [2, 3.7])
def test_an_image_takes_the_budget(method, scale):
    """The mapper included, within a thousandth; weights are those of the checkpoint."""
    lr = image(1, 3, 24, 30)
    model = network(method)
    size = upscale(model, lr, scale).image.shape[-2:]
    macs, whole = model.expert_macs, model.decoder.own_mlp().macs
    pairs = 4 * size[0] * size[1]
    mapper = model.head.routing_macs() * 24 * 30
    for share in (0.2, 0.5, 0.9):
        expert = share * (max(macs) - min(macs)) + min(macs)
        budget = round((expert * pairs + mapper) / (whole * pairs), 6)
        found = network(f"{method}-budget{budget}")
        assert all(torch.equal(found.state_dict()[k], v) for k, v in model.state_dict().items())
        twin = found.at_scale(scale)
        made = upscale(twin, lr, scale)
        count = twin.count((24, 30), size, made.choice)
        assert count.decoder <= budget * whole * pairs * 1.001
        assert count.decoder >= budget * whole * pairs * 0.98
        # A budget is never left out silently.
        with pytest.raises(ValueError, match="at_scale"):
            upscale(found, lr, scale)
    assert model.at_scale(scale) is model
    dear = network(f"{method}-budget100").at_scale(scale)
    assert (upscale(dear, lr, scale).choice == len(macs) - 1).all()
    two = torch.cat([lr, image(1, 3, 24, 30, seed=1)])
    # Each image of a batch has the budget; a batch rounds its features otherwise.
    both, one = (twin.encode(each).routing.probabilities.argmax(dim=-1) for each in (two, lr))
    assert (both[:1] != one).sum() <= 2


def test_a_budget_is_another_measurement(harness, tmp_path):
    write_data(tmp_path / "data")
    method = "edsr-moeisr-liif-b"
    path = saved(method, encoder={"blocks": 1, "features": 8}, decoder={"width": 64})
    where = ("--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 4, "--json")
    command = ("eval", "--checkpoint", path, *where)
    plain = json.loads(harness.good(*command))
    cheap = json.loads(harness.good(*command, "--budget", 0.4))
    dear = json.loads(harness.good(*command, "--budget", 0.9))
    names = [told["method"] for told in (plain, cheap, dear)]
    assert names == [method, f"{method}-budget0.4", f"{method}-budget0.9"]
    assert {row["method"] for row in cheap["images"]} == {names[1]}
    assert {row["checkpoint"] for row in cheap["images"] + plain["images"]} == {
        open_checkpoint(path).weights
    }
    assert cheap["cells"][0]["decoder_macs"] < 0.5 * dear["cells"][0]["decoder_macs"]
    assert json.loads(harness.good(*command))["images"] == plain["images"]
    named = json.loads(harness.good("eval", names[1], "--checkpoint", path, *where))
    assert named == cheap, "the same measurement, found again"


def test_rows_say_whether_texture_gets_deep_experts(harness, tmp_path):
    """An independent writing: squared differences, averaged, and the correlation of the ranks."""
    rng = np.random.default_rng(0)
    lr = rng.random((3, 20, 30)) * np.linspace(0, 1, 30)
    experts = torch.from_numpy(rng.integers(0, 4, (24, 32)))
    experts[:20, :30][torch.from_numpy(lr.mean(0) > 0.4)] = 3
    padded = np.pad(lr.mean(0), 1, mode="symmetric")
    smooth = np.array([1, 2, 1])
    rows = sum(w * padded[i : i + 20] for i, w in enumerate(smooth))
    columns = sum(w * padded[:, i : i + 30] for i, w in enumerate(smooth))
    across, down = rows[:, 2:] - rows[:, :-2], columns[2:] - columns[:-2]
    energy = np.pad(across**2 + down**2, 1, mode="symmetric")
    local = sum(energy[i : i + 20, j : j + 30] for i in range(3) for j in range(3))
    ranks = [pd.Series(values.ravel()).rank() for values in (experts[:20, :30].numpy(), local)]
    expected = np.corrcoef(ranks)[0, 1]
    found = depth_texture(torch.from_numpy(lr), experts, (2, 3, 4, 5))
    assert found == pytest.approx(expected, abs=1e-9) and found > 0.2
    assert depth_texture(torch.from_numpy(lr), experts * 0, (2, 3, 4, 5)) is None

    write_data(tmp_path / "data")
    path = save_checkpoint(tmp_path / "b.pt", "edsr-moeisr-liif-b")
    where = ("--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 2)
    told = json.loads(harness.good("eval", "--checkpoint", path, *where, "--json"))
    values = [row["depth_texture"] for row in told["images"] if "depth_texture" in row]
    assert told["cells"][0]["depth_texture"] == pytest.approx(np.mean(values))
    assert "depth~texture" in harness.good("eval", "--checkpoint", path, *where)


def test_a_budget_takes_the_weights_that_were_trained_without_it(harness, tmp_path):
    write_data(tmp_path / "data")
    profile = write_profile(tmp_path / "tiny.yaml")
    given = ("--profile", profile, "--data-root", "data")
    harness.good("train", "edsr-moeisr-liif-b-budget1.5", *given)
    folders = {path.parts[-3] for path in Path("results").glob("*/training/*/*/checkpoint.pt")}
    assert folders == {"edsr-moeisr-liif-b"}
    asked = (*given, "--dataset", "DIV2K_valid", "--scale", 2, "--json")
    told = json.loads(harness.good("eval", "edsr-moeisr-liif-b", *asked, "--budget", 1.5))
    assert told["method"] == "edsr-moeisr-liif-b-budget1.5"


MISTAKES = {
    "no-experts": (("--budget", 0.5), "for networks with experts"),
    "too-small": (("--budget", 0.01), "the cheapest expert alone takes 0."),
    "zero": (("--budget", 0), "--budget"),
    "both": (("--budget", 0.5, "--cmsr", "t.json"), "modulat"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name, harness, tmp_path):
    write_data(tmp_path / "data")
    method = "edsr-liif" if name == "no-experts" else "edsr-moeisr-liif-s"
    path = saved(method, encoder={"blocks": 1, "features": 8}, decoder={"width": 64})
    given, text = MISTAKES[name]
    where = ("--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 2)
    status, _, err = harness("eval", "--checkpoint", path, *where, *given)
    assert status == 2
    assert text in err
