"""Stochastic depth of SwinIR and SRFormer: as in their official training, and in training alone."""

from __future__ import annotations

import copy

import pytest
import torch
from tiny import ENCODERS, PROFILE, image, profile_with, write_profile
from torch import Tensor, nn

from baselines import parse
from baselines.encoders.srformer import SRFormer, patch_mask, srformer_block
from baselines.encoders.swinir import SwinIR, drop_path, shift_mask, swin_block
from baselines.shapes import shapes_only
from harness import profiles
from harness.checkpoints.official.builds import our_defaults
from harness.checkpoints.official.specifications import ENCODERS as OFFICIAL
from harness.common.errors import UsageError
from harness.profiles.recipe import make_recipe
from harness.training.dense import DenseBatch
from harness.training.losses import losses
from harness.training.patches import Batch
from harness.training.step import State, new_state, optimise

KINDS = {"swinir": SwinIR, "srformer": SRFormer}


@pytest.mark.parametrize("kind", KINDS)
def test_rates_grow_over_all_blocks_from_0_to_a_tenth(kind):
    with shapes_only():
        model = KINDS[kind]()
    rates = [block.rate for group in model.groups for block in group.blocks]
    assert rates == pytest.approx(torch.linspace(0, 0.1, 36).tolist())
    assert (rates[0], rates[-1]) == (0, 0.1)


def test_each_sample_draws_for_itself():
    torch.manual_seed(0)
    found = drop_path(torch.ones(4000, 3, 2, 5), 0.25, training=True)
    assert (found == found[:, :1, :1, :1]).all(), "a sample is dropped as a whole"
    kept = found[:, 0, 0, 0]
    assert set(kept.tolist()) == {0.0, (torch.ones(()) / 0.75).item()}
    assert (kept > 0).float().mean().item() == pytest.approx(0.75, abs=0.03)


BLOCKS = {
    "swinir": lambda: (
        swin_block(8, 2, 4, 2, 0.5, 2),
        shift_mask((8, 8), 4, 2, torch.device("cpu")),
    ),
    "srformer": lambda: (
        srformer_block(8, 2, 4, 2, 0.5, 2),
        patch_mask((8, 8), 4, 2, torch.device("cpu")),
    ),
}


@pytest.mark.parametrize("kind", BLOCKS)
@torch.no_grad()
def test_attention_and_mlp_are_dropped_apart(kind):
    """A sample has both, one of them or none; what stays is twice as large at a rate of 0.5."""
    torch.manual_seed(0)
    block, mask = BLOCKS[kind]()
    x = torch.randn(40, 8, 8, 8)
    block.rate = 0
    attended = []
    hook = block.norm2.register_forward_pre_hook(lambda _, given: attended.append(given[0]))
    block(x, mask)
    hook.remove()
    attention = attended[0] - x
    block.rate = 0.5
    found = block.train()(x, mask)
    seen = set()
    for i in range(len(x)):
        for first in (0, 2):
            middle = x[i : i + 1] + first * attention[i : i + 1]
            mlp = block.mlp(block.norm2(middle))
            for second in (0, 2):
                if torch.allclose(found[i : i + 1], middle + second * mlp, atol=1e-5):
                    seen.add((first, second))
    assert seen == {(0, 0), (0, 2), (2, 0), (2, 2)}


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_evaluation_has_no_part_in_it(kind):
    without, much = (network_of(kind, drop_path=rate, depths=[2, 3]).eval() for rate in (0.0, 0.9))
    lr = image(2, 3, 12, 12)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    assert torch.equal(without(lr), much(lr))
    assert torch.equal(torch.get_rng_state(), before), "nothing is drawn"
    assert torch.equal(without.train()(lr), without.eval()(lr))
    assert not torch.equal(much.train()(lr), much.eval()(lr))


def network_of(kind: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    return KINDS[kind](**{**ENCODERS[kind], **options})


@pytest.mark.parametrize("rate", [-0.1, 1, float("nan"), "much"])
def test_what_is_no_rate_is_refused(rate, tmp_path):
    sizes = {**PROFILE["networks"], "encoder": {"swinir": {"drop_path": rate}}}
    with pytest.raises(UsageError, match="swinir"):
        profiles.load(str(write_profile(tmp_path / "p.yaml", {**PROFILE, "networks": sizes})))


# Exact training

METHODS = ["swinir-moeisr-lte-s", "swinir-x2", "srformer-igconv"]


def started(method: str) -> tuple[State, profiles.Training]:
    """A run before its first step, whose paths are dropped often."""
    profile = profiles.Profile.model_validate(profile_with(ema=0.5))
    settings = profile.training.for_method(parse(method))
    recipe = make_recipe(profile, method, 0, "")
    recipe.build["encoder"]["drop_path"] = 0.5
    return new_state(recipe, settings, torch.device("cpu")), settings


def batch(method: str, step: int) -> Batch | DenseBatch:
    made = torch.Generator().manual_seed(step)

    def random(*size: int) -> Tensor:
        return torch.rand(size, generator=made) * 2 - 1

    if parse(method).upsampler:
        return DenseBatch(random(3, 3, 12, 12), random(3, 3, 24, 24), 2)
    cell = torch.full((3, 20, 2), 0.125)
    return Batch(random(3, 3, 8, 8), random(3, 20, 2), cell, random(3, 20, 3))


def step(state: State, settings: profiles.Training, method: str, noise: int) -> float:
    values = optimise(state, batch(method, state.step), settings, 1e-2, noise, losses)
    state.step += 1
    return values["loss"].item()


@pytest.mark.parametrize("method", METHODS)
def test_what_is_dropped_is_a_function_of_seed_and_step(method):
    """Whatever was drawn before the step."""
    found = []
    for noise, before in ((3, 0), (3, 1), (4, 0)):
        state, settings = started(method)
        torch.manual_seed(100 + before)
        torch.rand(before)
        found.append(step(state, settings, method, noise))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_goes_on_ends_with_the_same_weights(method):
    whole, settings = started(method)
    for noise in range(4):
        step(whole, settings, method, noise)
        if noise == 1:
            stopped = copy.deepcopy(whole.content())
    again, _ = started(method)
    again.restore(stopped, "checkpoint")
    for noise in (2, 3):
        step(again, settings, method, noise)
    for part in ("state_dict", "unaveraged"):
        one, other = (state.content()[part] for state in (whole, again))
        assert all(torch.equal(value, other[name]) for name, value in one.items())


# Recipes


@pytest.mark.parametrize(
    ("method", "dropped"),
    [("swinir-lte", True), ("swinir-x2", True), ("srformer-igconv", True), ("edsr-lte", False)],
)
def test_a_recipe_says_the_rate(method, dropped):
    """A network that was trained before there were rates is not taken for trained with them."""
    recipe = make_recipe(profiles.load("paper"), method, 0, "data")
    assert recipe.build["encoder"] == ({"drop_path": 0.1} if dropped else {})


def test_a_profile_may_turn_it_off(tmp_path):
    encoder = {**ENCODERS, "swinir": {**ENCODERS["swinir"], "drop_path": 0}}
    sizes = {**PROFILE["networks"], "encoder": encoder}
    file = write_profile(tmp_path / "p.yaml", {**PROFILE, "networks": sizes})
    profile = profiles.load(str(file))
    recipe = make_recipe(profile, "swinir-lte", 0, "data")
    assert recipe.build["encoder"] == {**ENCODERS["swinir"], "drop_path": 0}
    usual = make_recipe(profiles.Profile.model_validate(PROFILE), "swinir-lte", 0, "data")
    assert recipe.fingerprint != usual.fingerprint


def test_the_official_layout_says_nothing_of_the_rate():
    assert OFFICIAL["swinir"].arguments({**our_defaults("swinir"), "drop_path": 0}) == {}


# The start, which the official code has in common


@pytest.mark.parametrize("kind", KINDS)
def test_linear_layers_start_as_in_the_official_code(kind):
    torch.manual_seed(0)
    model = network_of(kind, channels=32)
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert all((layer.bias == 0).all() for layer in linear)
    weights = torch.cat([layer.weight.flatten() for layer in linear])
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
