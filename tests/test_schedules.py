"""Training settings by method: overrides, lengths in steps, what a recipe has of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tiny import profile_with, write_profile

from baselines import Method, parse, registry
from harness import profiles
from harness.common.errors import UsageError
from harness.profiles import Training, description
from harness.profiles.recipe import Recipe, make_recipe

STEPS = {"iterations": 500, "milestones": [250, 400]}


def profile(**training: Any) -> profiles.Profile:
    """The tiny profile with other settings; None takes one away."""
    content = profile_with(**training)
    kept = {key: value for key, value in content["training"].items() if value is not None}
    return profiles.load(str(write_profile(Path("p.yaml"), {**content, "training": kept})))


def own(method: str, **training: Any) -> Training:
    return profile(**training).training.for_method(parse(method))


def recipe(method: str, **training: Any) -> Recipe:
    return make_recipe(profile(**training), method, 0, "data")


def refused(message: str, **training: Any) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        profile(**training)


# Overrides


@pytest.mark.parametrize(
    ("family", "methods"),
    [
        (
            "edsr",
            [
                "edsr-x2",
                "edsr-x3",
                "edsr-liif",
                "edsr-liif-3layer",
                "edsr-lte",
                "edsr-moeisr-liif-s",
                "edsr-moeisr-lte-b",
            ],
        ),
        ("edsr-liif", ["edsr-liif", "edsr-moeisr-liif-s", "edsr-liif-3layer"]),
        ("edsr-moeisr", ["edsr-moeisr-liif-s", "edsr-moeisr-lte-b"]),
        ("edsr-moeisr-lte-b", ["edsr-moeisr-lte-b"]),
        ("edsr-x2", ["edsr-x2"]),
    ],
)
def test_overrides_go_by_the_first_words_of_a_name(family, methods):
    every = ["edsr-x2", "edsr-x3", "edsr-liif", "edsr-liif-3layer", "edsr-lte",
             "edsr-moeisr-liif-s", "edsr-moeisr-lte-b", "rdn-liif"]  # fmt: skip
    found = [name for name in every if own(name, overrides={family: {"lr": 0.5}}).lr == 0.5]
    assert found == [name for name in every if name in methods]


def test_more_words_count_more():
    overrides = {"edsr-x2": {"lr": 0.3}, "edsr": {"lr": 0.1, "batch": 2}, "edsr-liif": {"lr": 0.2}}
    names = ("edsr-x2", "edsr-x3", "edsr-liif", "edsr-moeisr-liif-b", "edsr-lte", "rdn-x2")
    rates = [own(name, overrides=overrides).lr for name in names]
    assert rates == [0.3, 0.1, 0.2, 0.2, 0.1, 1e-3]
    assert own("edsr-x2", overrides=overrides).batch == 2


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"bicubic": {"lr": 1}}, "Unknown network 'bicubic'"),
        ({"edsr-x5": {"lr": 1}}, "Unknown network 'edsr-x5'. Did you mean 'edsr-x"),
        ({"edsr-x2": {"in_memory": False}}, "Unknown key 'in_memory'"),
        ({"edsr-liif": {"dense": True}}, "`dense` is for networks that make whole images"),
        ({"edsr-x2": {"iterations": 9}}, "`milestones` count steps where there are `iterations`"),
        ({"edsr-x2": {**STEPS, "epochs": 9}}, "give `epochs` or `iterations`, not both"),
        ({"edsr-x2": {"ema": 1}}, "less than 1"),
    ],
)
def test_overrides_are_checked(overrides, message):
    refused(message, overrides=overrides)


# Lengths


def test_a_length_in_steps():
    settings = own("edsr-x2", overrides={"edsr-x2": STEPS})
    assert settings.total_steps(images=800) == settings.total_steps(images=4) == 500
    assert (settings.epochs, settings.milestones) == (None, (250, 400))
    assert [settings.passed(step, per_epoch=4) for step in (0, 249, 250)] == [0, 249, 250]
    others = own("edsr-x3", overrides={"edsr-x2": STEPS})
    assert (others.total_steps(images=4), others.milestones) == (12, (2,))
    assert [others.passed(step, per_epoch=4) for step in (0, 3, 4)] == [0, 0, 1]


def test_a_profile_in_steps_may_have_networks_in_epochs():
    overrides = {"edsr-liif": {"epochs": 5, "milestones": [3]}, "edsr-lte": {"iterations": 600}}
    settings = {**STEPS, "epochs": None, "overrides": overrides}
    assert own("edsr-x2", **settings).total_steps(4) == 500
    assert own("edsr-lte", **settings).total_steps(4) == 600
    assert own("edsr-lte", **settings).milestones == (250, 400)
    assert own("edsr-liif", **settings).total_steps(4) == 20
    assert "iterations" not in recipe("edsr-liif", **settings).training


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**STEPS, "epochs": 3}, "give `epochs` or `iterations`, not both"),
        ({"iterations": 5, "milestones": None, "epochs": None}, "`milestones` count steps"),
        ({"iterations": 400, "milestones": [400], "epochs": None}, "behind the last step (400)"),
        ({"scales": [3, 2]}, "scales must increase"),
        ({"betas": [0.9, 1]}, "betas"),
        ({"ema": -0.1}, "ema"),
        ({"frequency": -1}, "frequency"),
    ],
)
def test_wrong_settings(changes, message):
    refused(message, **changes)


# Dense training

DENSE = {"overrides": {"edsr-x3": {"dense": True, "patch": 4, "frequency": 0.1}}}


def test_a_dense_method_has_one_whole_scale_and_no_queries():
    settings = own("edsr-x3", **DENSE)
    assert (settings.dense, settings.scales, settings.patch) == (True, (3,), 4)
    assert not own("edsr-x2", **DENSE).dense
    assert own("edsr-x2", dense=True).scales == (2,)
    assert not own("edsr-liif", dense=True).dense
    assert own("edsr-liif", dense=True, scales=[2, 3]).scales == ()


@pytest.mark.parametrize(("chosen", "scales"), [([], (2, 4)), ([2, 3], (2, 3))])
def test_a_network_of_several_scales_is_always_trained_densely(chosen, scales):
    parts = Method("toy-many", encoder="toy", scales=(2, 4))
    settings = profile(scales=chosen).training.for_method(parts)
    assert (settings.dense, settings.scales) == (True, scales)


def test_a_method_may_be_dense_by_itself():
    assert profile().training.for_method(Method("toy-x2", encoder="toy", scale=2, dense=True)).dense


# Recipes


def test_a_recipe_has_what_the_method_is_trained_by():
    dense, sampled = (recipe(name, **DENSE).training for name in ("edsr-x3", "edsr-x2"))
    assert {"dense": True, "scales": [3], "frequency": 0.1}.items() <= dense.items()
    assert not {"queries", "scale_min", "scale_max"} & dense.keys()
    assert not {"dense", "scales", "frequency", "iterations", "betas", "ema"} & sampled.keys()
    steps = recipe("edsr-x2", overrides={"edsr-x2": STEPS}).training
    assert (steps["iterations"], "epochs" in steps) == (500, False)


@pytest.mark.parametrize(
    ("change", "methods"),
    [
        ({"betas": [0.9, 0.99]}, ["edsr-liif", "edsr-x2", "edsr-x3"]),
        ({"ema": 0.9}, ["edsr-liif", "edsr-x2", "edsr-x3"]),
        ({"frequency": 0.2}, []),
        ({"queries": 31}, ["edsr-liif", "edsr-x2"]),
        ({"scales": [2, 3]}, []),
        ({"departure": "other data"}, []),
        ({"betas": [0.9, 0.999], "ema": 0, "scales": []}, []),
    ],
)
def test_a_recipe_changes_with_what_changes_the_weights_only(change, methods):
    every = ("edsr-liif", "edsr-x2", "edsr-x3")
    changed = [
        name
        for name in every
        if recipe(name, **DENSE, **change).fingerprint != recipe(name, **DENSE).fingerprint
    ]
    assert changed == methods


FINGERPRINTS = {
    ("quick", "edsr-moeisr-lte-s"): "d7905e9e6e",
    ("quick", "rcan-x4"): "23ed32d5bb",
    ("bsds", "rdn-liif-3layer"): "dcfc578423",
    ("paper", "edsr-liif"): "3aa7755f6f",
    ("paper", "rdn-moeisr-lte-b"): "eb275929f0",
    ("paper", "rdn-moeisr-liif-b-w4=3.7"): "a8b0b93b36",
}


@pytest.mark.parametrize(("name", "method"), FINGERPRINTS)
def test_recipes_of_schema_2_keep_their_names(name, method):
    """Of the code before `dense`, `iterations`, `betas` and `ema`: results keep their places."""
    found = make_recipe(profiles.load(name), method, 0, "data").fingerprint
    assert found == FINGERPRINTS[name, method]


@pytest.mark.parametrize(
    ("name", "method", "before"),
    [("quick", "swinir-x4", "2772b541c8"), ("paper", "swinir-moeisr-lte-b", "0b94944222")],
)
def test_networks_without_stochastic_depth_are_found_under_their_recipe_only(name, method, before):
    """Of the code before it: what is trained now is another network, and lies elsewhere."""
    now = make_recipe(profiles.load(name), method, 0, "data")
    del now.build["encoder"]["drop_path"]
    assert now.fingerprint == before
    assert make_recipe(profiles.load(name), method, 0, "data").fingerprint != before


# What is the published training, in words


OVERRIDES = {
    "edsr-x2": {"dense": True, "frequency": 0.1, "betas": [0.9, 0.99], "ema": 0.9, **STEPS},
    "edsr-liif": {"epochs": 4, "milestones": []},
}
PAPER = "the paper: 1,000,000 steps of batch 16, patches 48x48, 2304 queries each"


def test_a_schedule_in_words():
    made = profile(overrides=OVERRIDES)
    text = description.schedule(made, 4, ["edsr-x2", "edsr-liif", "edsr-lte", "edsr-x3"])
    assert text == (
        "12 steps of batch 4 (LR patches 8x8, 32 queries each, x1 to x4, fixed-scale networks at "
        "their own), Adam 0.001, times 0.5 at epochs 2 of 3; "
        "edsr-liif: 16 steps of batch 4 (LR patches 8x8, 32 queries each, x1 to x4), Adam 0.001; "
        "edsr-x2: 500 steps of batch 4 (LR patches 8x8 by Pillow's bicubic, whole HR patches, at "
        "their own scale), L1 and 0.1 times the frequency loss, Adam 0.001 (betas 0.9, 0.99), "
        "times 0.5 at steps 250/400 of 500, running average of the weights (decay 0.9) measured; "
        f"fp32 ({PAPER})"
    )


def test_the_same_is_said_once():
    same = {name: {"departure": "other data"} for name in ("edsr-x2", "edsr-x4")}
    text = description.schedule(profile(overrides=same), 4, ["edsr-x2", "edsr-x4", "edsr-lte"])
    assert "; edsr-x2, edsr-x4: 12 steps" in text
    assert text.count("other data") == 1


def test_a_schedule_of_several_scales_in_words(monkeypatch):
    """And the published one beside it, where the paper's profile has one."""
    toys = [Method(f"toy-{word}", encoder="toy", scales=(2, 4)) for word in ("many", "more")]
    for toy in toys:
        monkeypatch.setitem(registry._names(), toy.name, toy)
    theirs = Training(
        dataset="DIV2K_train", overrides={"toy": {**STEPS, "batch": 32, "iterations": 300000}}
    )
    monkeypatch.setattr(description, "published", lambda: theirs)
    made = profile(overrides={"toy-more": {"departure": "other LR images"}})
    one = (
        "12 steps of batch 4 (LR patches 8x8 by Pillow's bicubic, whole HR patches, one of x2, x4 "
    )
    one += "for each batch), Adam 0.001, times 0.5 at epochs 2 of 3"
    paper = "300,000 steps of batch 32, patches 48x48"
    assert description.schedule(made, 4, ["toy-many"]) == f"{one}; fp32 (the paper: {paper})"
    assert description.schedule(made, 4, ["toy-many", "toy-more"]) == (
        f"toy-many: {one}; toy-more: {one}, departs from the published training: other LR images; "
        f"fp32 (the paper: {paper})"
    )
    assert description.schedule(made, 4, ["toy-many", "edsr-lte"]).endswith(
        f"({PAPER}; for toy: {paper})"
    )
    registry.parse.cache_clear()


def test_a_departure_makes_a_reduced_setting():
    paper = profiles.load("paper")
    training = paper.training.model_copy(
        update={"overrides": {**paper.training.overrides, "edsr-lte": {"departure": "other data"}}}
    )
    changed = paper.model_copy(update={"training": training})
    assert changed.reduced(["edsr-moeisr-lte-s"])
    assert not changed.reduced(["edsr-liif", "bicubic", "rdn-lte"])
    assert changed.numbers() == paper.numbers()
