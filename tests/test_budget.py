"""One checkpoint within any budget of MACs: the experts that it chooses, and what is reported."""

from __future__ import annotations

import json

import pytest
import torch
from test_multiscale import saved
from tiny import network, write_data

from harness.upscale.network import upscale
from moeisr.budget import baseline_macs, within, within_budget

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
    torch.manual_seed(0)
    model, lr = network(method), torch.rand(1, 3, 24, 30)
    size = upscale(model, lr, scale).image.shape[-2:]
    macs, whole = model.expert_macs, baseline_macs(model)
    pairs = 4 * size[0] * size[1]
    mapper = model.head.routing_macs() * 24 * 30
    for share in (0.2, 0.5, 0.9):
        expert = share * (max(macs) - min(macs)) + min(macs)
        budget = (expert * pairs + mapper) / (whole * pairs)
        twin = within_budget(model, budget, scale)
        made = upscale(twin, lr, scale)
        count = twin.count((24, 30), size, made.choice)
        assert count.decoder <= budget * whole * pairs * 1.001
        assert count.decoder >= budget * whole * pairs * 0.98
    assert {id(p) for p in twin.parameters()} == {id(p) for p in model.parameters()}
    whole_budget = within_budget(model, 100, scale)
    assert (upscale(whole_budget, lr, scale).choice == len(macs) - 1).all()


def test_a_budget_is_another_measurement(harness, tmp_path):
    write_data(tmp_path / "data")
    path = saved("edsr-moeisr-liif-b", encoder={"blocks": 1, "features": 8}, decoder={"width": 64})
    where = ("--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 4, "--json")
    command = ("eval", "--checkpoint", path, *where)
    plain = json.loads(harness.good(*command))
    cheap = json.loads(harness.good(*command, "--budget", 0.4))
    dear = json.loads(harness.good(*command, "--budget", 0.9))
    assert [c["cells"][0]["rendering"] for c in (plain, cheap, dear)] == [
        "plain", "budget 0.4", "budget 0.9"
    ]  # fmt: skip
    assert {row["rendering"] for row in cheap["images"]} == {"budget-0.4"}
    assert cheap["cells"][0]["decoder_macs"] < 0.5 * dear["cells"][0]["decoder_macs"]
    assert json.loads(harness.good(*command))["images"] == plain["images"]
    assert any("Budget" in note for note in cheap["notes"])
    assert "budget 0.4" in harness.good(*command[:-1], "--budget", 0.4)


MISTAKES = {
    "no-experts": (("--budget", 0.5), "for networks with experts"),
    "too-small": (("--budget", 0.01), "the cheapest expert alone takes 0."),
    "zero": (("--budget", 0), "--budget"),
    "both": (("--budget", 0.5, "--cmsr", "t.json"), "not both"),
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
