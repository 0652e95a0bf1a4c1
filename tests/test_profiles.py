"""Profiles: what ships loads, what is wrong is named with what was probably meant."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from tiny import PROFILE, write_data, write_profile

from baselines import methods, parse
from harness import profiles
from harness.common.errors import HarnessError, UsageError
from harness.data.sets import SPECS, find
from harness.experiments import EXPERIMENTS, check_regions
from harness.profiles import description
from harness.profiles.recipe import make_recipe


def changed(path: str, value: Any, base: dict[str, Any] = PROFILE) -> dict[str, Any]:
    """The tiny profile with one value set, `a.b.c` deep."""
    content = copy.deepcopy(base)
    target = content
    *way, last = path.split(".")
    for key in way:
        target = target.setdefault(key, {})
    target[last] = value
    return content


def load(content: dict[str, Any]) -> profiles.Profile:
    return profiles.load(str(write_profile(Path("profile.yaml"), content)))


@pytest.mark.parametrize("name", ["quick", "reference", "bsds", "paper"])
def test_shipped_profiles(name):
    profile = profiles.load(name)
    assert profile.name == name
    assert profile.reduced(EXPERIMENTS["table1"].methods) == (name != "paper")
    for experiment in EXPERIMENTS.values():
        for role in experiment.roles:
            assert set(profile.sets(role)) <= set(SPECS)
        shown = profile.regions.get(experiment.name, ())
        assert shown or not experiment.regions_only
        for region in shown:
            assert region.role in experiment.roles
            assert region.scale in experiment.scales


# Steps, batch, first milestone and average of the weights, by encoder.
IGCONV = {
    "edsr": (300_000, 16, 200_000, 0.999),
    "edsr-large": (300_000, 16, 200_000, 0.999),
    "rdn": (1_000_000, 32, 200_000, 0),
    "rcan": (1_000_000, 16, 200_000, 0),
    "srformer": (500_000, 32, 250_000, 0),
    "swinir": (500_000, 32, 250_000, 0),
}


def test_the_paper_profile_is_the_papers_setting():
    """../shared/published/settings.md: LIIF's and LTE's schedule, which MoEISR takes over, and the
    neighbours' own."""
    profile = profiles.load("paper")
    t = profile.training
    assert (t.dataset, profile.roles["DIV2K_valid"]) == ("DIV2K_train", "DIV2K_valid")
    assert (t.patch, t.scale_min, t.scale_max, t.queries, t.batch) == (48, 1, 4, 2304, 16)
    assert (t.lr, t.gamma, t.milestones, t.epochs) == (1e-4, 0.5, (200, 400, 600, 800), 1000)
    assert (t.alpha, t.beta, t.balance_weights, t.precision) == (3000, 1, {}, "fp32")
    assert 800 * t.repeat // t.batch * t.epochs == 1_000_000
    assert profile.networks == profiles.Networks()
    for name in methods():
        own, parts = t.for_method(parse(name)), parse(name)
        if name.startswith("seemore"):
            assert (own.lr, own.batch, own.patch, own.betas) == (1e-3, 32, 64, (0.9, 0.99))
            assert (own.iterations, own.frequency) == (500_000, 0.1)
            assert own.milestones == (250_000, 400_000, 450_000, 475_000)
            assert "DIV2K and Flickr2K" in own.departure
        elif parts.upsampler:
            assert (own.iterations, own.batch, own.milestones[0], own.ema) == IGCONV[parts.encoder]
            assert own.dense and own.scales == parts.scales
            assert own.frequency == (0.05 if parts.upsampler == "igconv-plus" else 0)
        elif parts.encoder == "swinir" and parts.decoder in ("lte", "lmliif", "lmlte"):
            assert (own.lr, own.batch, own.milestones) == (2e-4, 32, (500, 800, 900, 950))
        elif parts.encoder == "edsr" and parts.decoder in ("lmliif", "lmlte"):
            assert (own.lr, own.batch, own.epochs) == (1e-4, 16, 1200)
            assert own.milestones == (200, 400, 600, 800, 1000)
        else:
            assert (own.lr, own.batch, own.milestones) == (t.lr, t.batch, t.milestones)
        scale = parts.scale
        assert (own.scale_min, own.scale_max) == ((scale, scale) if scale else (1, 4))


# What the papers' own tables have, or their projects a configuration for, and is trained so here.
IMPLICIT = ("edsr", "rdn", "swinir")
AS_PUBLISHED = [
    *(f"{e}-{d}" for e in IMPLICIT for d in ("liif", "lte", "metasr", "lmliif", "lmlte")),
    *(f"{e}-moeisr-{d}-{v}" for e in IMPLICIT for d in ("liif", "lte") for v in "sb"),
    *(f"{e}-x{scale}" for e in ("edsr", "rdn") for scale in (2, 3, 4)),
    *("edsr-large-igconv", "edsr-large-igconv-plus", "rdn-igconv-plus", "rcan-igconv-plus"),
]


def test_what_is_not_trained_as_published_departs_under_paper():
    paper = profiles.load("paper")
    trained = [name for name in methods() if parse(name).encoder]
    assert {name for name in trained if not paper.reduced([name])} == set(AS_PUBLISHED)
    assert not paper.reduced([*AS_PUBLISHED, "rdn-liif-3layer", "rdn-moeisr-liif-b-tau3"])


@pytest.mark.parametrize(
    ("words", "encoders", "upsampled"),
    [
        ("over RCAN", {"rcan"}, False),
        ("Flickr2K", {"srformer", "seemore-t", "seemore-b", "seemore-l"}, True),
    ],
)
def test_a_departure_says_what_it_is_of_an_encoder(words, encoders, upsampled):
    training = profiles.load("paper").training
    for parts in map(parse, methods()):
        if parts.encoder in encoders and parts.makes_images <= upsampled and parts.decoder != "ipe":
            assert words in training.for_method(parts).departure, parts.name


@pytest.mark.parametrize(
    ("method", "words"),
    [
        ("edsr-igconv", "the large EDSR"),
        ("edsr-igconv-plus", "the large EDSR"),
        ("rcan-igconv", "recipe of IGConv+"),
        ("rdn-moeisr-ipe-s", "our own choice of the encoding's frequencies"),
        ("swinir-moeisr-ipe-b", "our own choice of the encoding's frequencies"),
        ("swinir-igconv", "none is published for SwinIR"),
        ("swinir-x3", "instead of SwinIR's own"),
        ("rcan-x2", "instead of RCAN's own"),
    ],
)
def test_a_departure_says_what_it_is_of_a_method(method, words):
    assert words in profiles.load("paper").training.for_method(parse(method)).departure


def test_sizes_that_differ_concern_their_networks_alone():
    paper = yaml.safe_load((Path(profiles.__file__).parent / "paper.yaml").read_text())
    own = load({**paper, "name": "own", "networks": {"decoder": {"liif": {"width": 128}}}})
    assert own.reduced(["edsr-liif"])
    assert own.reduced(["edsr-lte", "swinir-moeisr-liif-b"])
    assert not own.reduced(["bicubic", "edsr-lte", "rdn-x2"])


def test_a_departure_in_words_is_one_of_every_profile_with_these_settings():
    """One that is written anew, and does not say it."""
    training = {"dataset": "DIV2K_train"}
    own = load({**PROFILE, "networks": {}, "training": training})
    assert own.reduced(["edsr-ipe"])
    assert not own.reduced(["edsr-liif"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"swinr-lte": {"lr": 1e-3}}, "Did you mean 'swinir-lte'"),
        ({"swinir-lte": {"lrr": 1e-3}}, "Unknown key 'lrr'. Did you mean 'lr'"),
        ({"swinir": {"dataset": "DIV2K_valid"}}, "Unknown key 'dataset'"),
        ({"swinir": {"epochs": 1}}, "lies behind the last epoch"),
        ({"swinir": {"batch": 0}}, "greater than or equal to 1"),
    ],
)
def test_overrides_are_checked(overrides, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        load(changed("training.overrides", overrides))


def test_an_ablation_decides_its_own_setting():
    profile = load(changed("networks.head.temperature", 2.0))
    options = profile.networks.options
    assert options(parse("edsr-moeisr-liif-b"))["head"] == {"temperature": 2.0}
    assert options(parse("edsr-moeisr-liif-b-tau3"))["head"] == {}
    assert options(parse("edsr-moeisr-liif-b-m1"))["head"] == {"temperature": 2.0}


def test_the_quick_profile_needs_no_data():
    profile = profiles.load("quick")
    used = {profile.training.dataset, *profile.roles.values()}
    for name in used:
        assert find(name, None).items
    train, held_out = ({i.name for i in find(n, None).items} for n in sorted(used, reverse=True))
    assert not train & held_out


def test_a_file_of_ones_own():
    profile = load(PROFILE)
    assert profile.training.patch == 8
    assert profile.networks.decoder["liif"] == {"width": 16}
    assert profile.evaluation.precision == "fp32"


REGION = {"role": "DIV2K_valid", "image": "0801", "scale": 4, "box": [0, 0, 8, 8]}
UNKNOWN = [
    ("trainig", {}, "Unknown key 'trainig'. Did you mean 'training'?"),
    ("training.bach", 3, "training: Unknown key 'bach'. Did you mean 'batch'?"),
    ("training.validation", {"dataset": "Set5", "scales": 4}, "Did you mean 'scale'?"),
    ("evaluation.memory_mb", 3, "evaluation: Unknown key 'memory_mb'. Did you mean 'memory_mib'?"),
    ("networks.encoders", {}, "networks: Unknown key 'encoders'. Did you mean 'encoder'?"),
    ("networks.encoder.esdr", {}, "Unknown encoder 'esdr'. Did you mean 'edsr'?"),
    ("networks.encoder.edsr.block", 3, "Unknown encoder option 'block'. Did you mean 'blocks'?"),
    ("networks.decoder.lief", {}, "Unknown decoder 'lief'. Did you mean 'liif'?"),
    ("networks.decoder.lte.widht", 3, "Unknown decoder option 'widht'. Did you mean 'width'?"),
    ("networks.head.temperatur", 3, "option 'temperatur'. Did you mean 'temperature'?"),
    ("regions.table1", [{**REGION, "boxes": 1}], "0: Unknown key 'boxes'. Did you mean 'box'?"),
    ("roles.DIV2Kvalid", "B100", "Did you mean 'DIV2K_valid'?"),
    ("regions.tabel1", [], "Did you mean 'table1'?"),
    ("training.balance_weights", {"lief": [1]}, "Did you mean 'liif'?"),
    ("roles.Set5", "Set15", "Unknown dataset 'Set15'. Did you mean 'Set5'?"),
    ("training.dataset", "DIV2K", "Unknown dataset 'DIV2K'. Did you mean 'DIV2K_"),
    ("training.validation", {"dataset": "Set_5"}, "Unknown dataset 'Set_5'. Did you mean 'Set5'?"),
]


@pytest.mark.parametrize(("path", "value", "message"), UNKNOWN)
def test_unknown_keys_and_names(path, value, message):
    with pytest.raises(UsageError) as error:
        check_regions(load(changed(path, value)))
    assert message in str(error.value)
    assert "profile.yaml" in str(error.value)


WRONG = [
    ("name", "../escape"),
    ("name", ""),
    ("roles", []),
    ("seeds", []),
    ("seeds", [-1]),
    ("seeds", [1, 1]),
    ("training.batch", 0),
    ("training.batch", 2.5),
    ("training.batch", "many"),
    ("training.lr", 0),
    ("training.lr", float("nan")),
    ("training.lr", float("inf")),
    ("training.scale_min", 0.5),
    ("training.scale_max", 0.5),
    ("training.scale_min", float("inf")),
    ("training.scale_max", float("inf")),
    ("training.queries", 65),
    ("training.queries", 0),
    ("training.patch", 3),
    ("training.milestones", [3, 2]),
    ("training.milestones", [2, 2]),
    ("training.gamma", 0),
    ("training.beta", -1),
    ("training.balance_unit", "pixel"),
    ("training.precision", "fp8"),
    ("training.checkpoint_every", 0),
    ("training.validation", {"dataset": "Set5", "scale": 0.5}),
    ("evaluation.memory_mib", 0),
    ("evaluation.precision", "double"),
    ("networks.encoder.edsr.blocks", "four"),
    ("networks.encoder.edsr.features", -8),
    ("networks.decoder.lte.width", 15),
    ("networks.decoder.liif.depth", 0),
    ("training.balance_weights", {"liif": [1, 1, 1, -1]}),
    ("networks.head.mapper_layers", 0),
    ("regions.table1", [{**REGION, "box": [0, 0, 0, 8]}]),
    ("regions.table1", [{**REGION, "box": [-1, 0, 8, 8]}]),
    ("regions.table1", [{**REGION, "scale": 0.5}]),
]


NO_YAML = {
    "name: 2024-99-99": "month must be in 1..12",
    "seeds: [!!int x]": "invalid literal",
    "seeds: [!!int '']": "string index",
    "seeds: [" + "9" * 5000 + "]": "limit",
    "x: !!timestamp y": "groupdict",
    "x: !!bool y": "'y'",
    "[" * 1500: "recursion",
    "? {a: b}\n: c": "unhashable",
    "a: [": "expected",
}


@pytest.mark.parametrize("text", NO_YAML)
def test_what_is_no_yaml_is_refused_in_one_message(text):
    Path("own.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"^own\.yaml is no YAML: ") as error:
        profiles.load("own.yaml")
    assert NO_YAML[text] in str(error.value)


@pytest.mark.parametrize("text", ["&a [*a]", "name: &a [*a]", "regions: &r\n  table1: *r"])
def test_a_profile_that_holds_itself_is_wrong(text):
    Path("own.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"own\.yaml is (wrong|no profile)"):
        profiles.load("own.yaml")


@pytest.mark.parametrize(("path", "value"), WRONG)
def test_wrong_values(path, value):
    with pytest.raises(UsageError) as error:
        load(changed(path, value))
    assert path.split(".")[0] in str(error.value) or "milestones" in str(error.value)


def test_all_problems_are_listed_at_once():
    content = changed("training.bach", 3, changed("training.lr", -1, changed("sumary", "")))
    with pytest.raises(UsageError) as error:
        load(content)
    assert all(part in str(error.value) for part in ("key 'bach'", "training.lr", "key 'sumary'"))


def test_missing_keys_are_named():
    for key in ("name", "summary", "roles", "training"):
        with pytest.raises(UsageError, match=key):
            load({k: v for k, v in PROFILE.items() if k != key})


@pytest.mark.parametrize("text", ["", "- a\n", "text", "a: [", "\x00"])
def test_files_that_are_no_profiles(text):
    Path("profile.yaml").write_text(text)
    with pytest.raises(UsageError, match=r"profile\.yaml"):
        profiles.load("profile.yaml")


def test_files_that_cannot_be_read():
    Path("binary.yaml").write_bytes(b"\xff\xfe\xff")
    Path("folder.yaml").mkdir()
    for name in ("absent.yaml", "binary.yaml", "folder.yaml"):
        with pytest.raises(HarnessError, match=name):
            profiles.load(name)


def test_yaml_executes_nothing():
    Path("profile.yaml").write_text('!!python/object/apply:os.mkdir ["executed"]\n')
    with pytest.raises(UsageError):
        profiles.load("profile.yaml")
    assert not Path("executed").exists()


def test_a_role_without_dataset_is_told(harness):
    write_data(Path("data"))
    write_profile(Path("tiny.yaml"), changed("roles", {"Set5": "Set5"}))
    status, _, err = harness("run", "table1", "--profile", "tiny.yaml", "--data-root", "data")
    assert status == 2
    assert "names no dataset for DIV2K_valid" in err


def leaves(content: dict[str, Any], way: str = "") -> list[str]:
    found = []
    for key, value in content.items():
        path = f"{way}.{key}".strip(".")
        found += leaves(value, path) if isinstance(value, dict) else [path]
    return found


INCIDENTAL = {"name": "other", "summary": "other", "training.checkpoint_every": 1}


@pytest.mark.parametrize("path", [p for p in leaves(PROFILE) if p != "training.dataset"])
def test_what_can_change_a_number_is_told_from_what_cannot(path):
    value: Any = PROFILE
    for key in path.split("."):
        value = value[key]
    others = {"roles.DIV2K_valid": "B100", **INCIDENTAL}
    # Kernels are odd.
    more = 3 if path.endswith("kernel") else 2
    value = others.get(path, [1] if isinstance(value, list) else value * more)
    differs = load(changed(path, value)).numbers() != load(PROFILE).numbers()
    assert differs == (path not in INCIDENTAL)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("networks.decoder.liif.width", 128),
        ("networks.head.temperature", 3),
        ("training.dataset", "BSDS399"),
        ("training.epochs", 999),
        ("training.beta", 0.5),
        ("training.precision", "bf16"),
        ("evaluation.precision", "bf16"),
    ],
)
def test_only_the_papers_setting_is_not_reduced(path, value):
    shipped = yaml.safe_load((Path(profiles.__file__).parent / "paper.yaml").read_text())
    paper = {**shipped, "name": "own"}
    methods = EXPERIMENTS["table1"].methods
    assert not load(paper).reduced(methods)
    assert not load(changed("training.in_memory", False, paper)).reduced(methods)
    assert load(changed(path, value, paper)).reduced(methods)


@pytest.mark.parametrize("name", ["quick", "reference", "bsds", "paper"])
def test_a_file_may_not_take_the_name_of_a_shipped_profile(name):
    with pytest.raises(UsageError, match=f"called '{name}'"):
        load({**PROFILE, "name": name})


def recipe(method: str, **training: Any) -> str:
    content = {**PROFILE, "training": {**PROFILE["training"], **training}}
    return make_recipe(load(content), method, 0, "data").fingerprint


def test_a_recipe_changes_with_what_changes_the_weights_only():
    for method in ("edsr-liif", "edsr-moeisr-liif-s"):
        same = recipe(method)
        validation = {"dataset": "Set5"}
        assert recipe(method, compile=True, in_memory=False, checkpoint_every=1,
                      validation=validation) == same  # fmt: skip
        for key, value in (("lr", 1e-2), ("epochs", 4), ("queries", 31), ("precision", "bf16")):
            assert recipe(method, **{key: value}) != same
        assert (recipe(method, beta=2) != same) == (method != "edsr-liif")
        others = {"lte": [1, 1, 1]}
        assert recipe(method, balance_weights=others) == same
        assert make_recipe(load(PROFILE), method, 0, "other data").fingerprint != same
        assert make_recipe(load(PROFILE), method, 1, "data").fingerprint != same


def test_a_dataset_changes_with_its_images():
    data = write_data(Path("data"))
    before = find("DIV2K_train", data).fingerprint
    next((data / "DIV2K" / "DIV2K_train_HR").iterdir()).unlink()
    assert find("DIV2K_train", data).fingerprint != before


def test_options_go_to_the_networks_that_have_them():
    profile = load(changed("networks.decoder.liif.unfold", False))
    for name in (m for m in methods() if parse(m).encoder):
        options = profile.networks.options(parse(name))
        sizes = PROFILE["networks"]["encoder"].get(parse(name).encoder, {})
        assert options["encoder"] == sizes
        assert ("unfold" in options.get("decoder", {})) == (parse(name).decoder == "liif")
        assert ("head" in options) == bool(parse(name).head)


def test_shipped_files_are_yaml_with_a_comment_on_what_they_are():
    for name in profiles.shipped():
        text = (Path(profiles.__file__).parent / f"{name}.yaml").read_text()
        assert text.startswith("# ")
        assert yaml.safe_load(text)["name"] == name


def test_sizes_of_upsamplers_reach_the_network_and_the_words():
    small = load({**PROFILE, "networks": {"upsampler": {"igconv": {"width": 32}}}})
    assert small.networks.options(parse("edsr-igconv"))["upsampler"] == {"width": 32}
    assert "upsampler" not in small.networks.options(parse("edsr-igconv-plus"))
    assert "upsampler" not in small.networks.options(parse("edsr-liif"))
    assert "igconv upsampler width 32" in description.networks(small, ["edsr-igconv"])
    assert "igconv" not in description.networks(small, ["edsr-liif"])
    assert small.reduced(["edsr-igconv"])


def test_what_keeps_its_full_size_beside_smaller_ones_is_named():
    quick, paper = profiles.load("quick"), profiles.load("paper")
    for name in ("table1", "table2", "seemore-table1"):
        assert description.full_size(quick, EXPERIMENTS[name].methods) == []
    chosen = ["bicubic", "edsr-liif", "edsr-igconv", "rdn-igconv-plus"]
    assert description.full_size(quick, chosen) == ["igconv upsampler", "igconv-plus upsampler"]
    words = description.networks(quick, ["edsr-liif", "edsr-igconv"])
    assert words.endswith("liif decoder width 64; igconv upsampler of the paper's size")
    assert description.full_size_warning(paper, chosen) == []
    own = load({**PROFILE, "networks": {"decoder": {"lte": {"width": 16}}}})
    assert description.full_size(own, ["rdn-lte", "seemore-t-x2", "rdn-moeisr-ipe-s"]) == [
        *("rdn encoder", "seemore-t encoder", "ipe decoder"),
    ]


@pytest.mark.parametrize(
    ("networks", "words"),
    [
        ({"upsampler": {"igconf": {}}}, "Did you mean 'igconv'"),
        ({"upsampler": {"igconv": {"widht": 32}}}, "widht"),
        ({"upsampler": {"igconv": {"scales": [2, 3]}}}, "a method's name decides its scales"),
        ({"encoder": {"seemore-l": {"kernel": 4}}}, "kernels are odd"),
        ({"encoder": {"srformer": {"chanels": 8}}}, "chanels"),
    ],
)
def test_wrong_sizes_of_any_network_are_refused(networks, words):
    with pytest.raises(UsageError, match=words):
        load({**PROFILE, "networks": networks})
