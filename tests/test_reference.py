"""Networks that come with the package, and the profile that they were trained under."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from tiny import (
    PROFILE,
    TRAIN_SIZES,
    VALID_SIZES,
    files_below,
    photo,
    write_data,
    write_photos,
    write_profile,
)

from baselines import parse
from harness import checkpoints, experiments, profiles, report
from harness.checkpoints import load_model, open_checkpoint, read, reference
from harness.checkpoints.safetensors_files import read_safetensors
from harness.common.errors import HarnessError, UsageError
from harness.profiles.recipe import make_recipe
from harness.training.shipping import TOLERANCE

LIIF = "edsr-liif"
# Of `find("BSDS399", ...).fingerprint`, and of the training runs that the package ships.
BSDS399 = "bf682dc038"
RECIPES = {
    "edsr-liif": "84a0151bec",
    "edsr-moeisr-liif-s": "e523e0b27e",
    "edsr-moeisr-liif-b": "8a42d2ab98",
}
ROLES = {"DIV2K_valid": ["DIV2K_valid", "B100", "embedded-eval"]}
SHIPS = {**PROFILE, "roles": ROLES, "trains": False}
TINY = ("--profile", "tiny.yaml", "--data-root", "data")
RUN = ("run", "table1", *TINY, "--methods", "bicubic,edsr-liif,edsr-lte", "--no-figures")


# The rows in this repository


@pytest.mark.parametrize("name", ["table2-edsr", "budget"])
def test_the_committed_rows_give_the_committed_report(name: str, tmp_path: Path):
    root = Path(__file__).parents[1]
    chosen, formats = experiments.get(name), ["markdown", "csv", "latex"]
    made = report.write_report(root / "results", "reference", chosen, tmp_path, formats)
    committed = root / "reports" / "reference"
    for path in (committed / path.relative_to(tmp_path) for path in made if path.suffix != ".pdf"):
        assert path.exists(), f"not committed: {path}"
        if path.suffix != ".png":  # whose bytes depend on the versions of matplotlib and FreeType
            again = (tmp_path / path.relative_to(committed)).read_bytes()
            assert path.read_bytes() == again, "see results/reference/README.md"


def test_the_summary_is_what_the_rows_say():
    """The mean of the four sets' mean differences at x2 to x4, computed here from the files."""
    folder = Path(__file__).parents[1] / "results" / "reference" / "measurements"

    def rows(method: str, name: str, scale: int) -> dict[str, dict]:
        (path,) = folder.glob(f"{name}/x{scale}/{method}.s0.*.jsonl")
        return {row["image"]: row for row in map(json.loads, path.read_text().splitlines())}

    gaps, shares = [], []
    for name in ("Set5", "Set14", "B100", "Urban100"):
        for scale in (2, 3, 4):
            own, base = (rows(m, name, scale) for m in ("edsr-moeisr-liif-s", "edsr-liif"))
            psnr = [each[image]["metrics"]["psnr"] for each in (own, base) for image in own]
            gaps.append((sum(psnr[: len(own)]) - sum(psnr[len(own) :])) / len(own))
            macs = [sum(row["macs"]["decoder"] for row in each.values()) for each in (own, base)]
            shares.append(100 * macs[0] / macs[1])
    printed = (folder.parents[2] / "reports/reference/table2-edsr.md").read_text()
    (line,) = (
        x for x in printed.split("## In brief")[1].split("##")[1].splitlines() if "LIIF)-s" in x
    )
    entries = [entry.strip().replace("\u2212", "-") for entry in line.split("|")[2:4]]
    assert entries[0].split()[0] == f"{sum(gaps) / 12:.2f}"
    assert entries[0].endswith("]")
    assert entries[1] == f"{sum(shares) / 12:.0f} %"


# The networks in this package


def test_the_profile_has_the_recipes_of_the_trainings():
    profile = profiles.load("reference")
    for method, fingerprint in RECIPES.items():
        assert make_recipe(profile, method, 0, BSDS399).fingerprint == fingerprint


@pytest.mark.parametrize("name", reference.names())
def test_a_shipped_network_is_what_it_says(name):
    about = reference.about(name)
    content, facts = about.content, about.shipped
    loaded = open_checkpoint(f"reference:{name}", about.method)
    assert loaded.weights == facts.weights
    recipe = make_recipe(
        profiles.load("reference"), about.method, content["recipe"]["seed"], BSDS399
    )
    assert content["recipe_fingerprint"] == recipe.fingerprint
    assert name == reference.name_of(about.method, content["recipe"]["seed"])
    assert (content["finished"], content["step"]) == (True, content["total_steps"])
    assert abs(facts.psnr - facts.original_psnr) <= TOLERANCE
    assert "non-commercial research" in facts.terms
    assert facts.curve[-1]["step"] == content["step"]
    assert {key for point in facts.curve for key in point} == {"step", "loss", "l1", "psnr"}
    assert all(value.isfinite().all() for value in loaded.model.state_dict().values())


def test_the_shipped_networks_are_small():
    sizes = [reference.located(f"reference:{n}").stat().st_size for n in reference.names()]
    assert 0 < sum(sizes) < 12e6


def test_the_best_is_the_one_with_the_highest_psnr():
    psnr = {name: reference.about(name).shipped.psnr for name in reference.names()}
    of_any_scale = [name for name in psnr if parse(reference.about(name).method).decoder]
    assert reference.best() == f"reference:{max(of_any_scale, key=psnr.__getitem__)}"


def test_a_shipped_network_loads_by_name():
    model = load_model("reference:edsr-liif", LIIF, scale=3.7)
    assert not model.training
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}
    with pytest.raises(HarnessError, match="reference:edsr-liif belongs to edsr-liif"):
        load_model("reference:edsr-liif", "edsr-lte")


def test_an_unknown_name_is_told_the_nearest_and_all():
    with pytest.raises(UsageError) as error:
        load_model("reference:edsr-lif")
    assert "Did you mean 'edsr-liif'? Available: edsr-liif" in str(error.value)
    with pytest.raises(UsageError, match="Unknown shipped network"):
        load_model("reference:../edsr-liif")


def test_it_beats_bicubic_on_photographs(harness):
    where = ("--dataset", "embedded-eval", "--scale", 4, "--json")
    units = [
        json.loads(harness.good("eval", *network, *where))["cells"][0]
        for network in (("bicubic",), ("--checkpoint", "reference:edsr-liif"))
    ]
    assert units[1]["psnr"] > units[0]["psnr"] + 0.8


def test_methods_lists_what_is_shipped(harness):
    lines = {line["method"]: line for line in json.loads(harness.good("methods", "--json"))}
    assert LIIF in lines[LIIF]["shipped"].split()
    assert lines["rdn-lte"]["shipped"] == ""
    text = harness.good("methods")
    assert "reference:edsr-liif: 36.85 dB on Set5 at x2" in text
    assert "as fp16; 245,539 parameters" in text
    assert "_" not in text.partition("Suffixes")[0]


def test_the_first_command_shows_trained_networks(harness):
    status, out, err = harness("run", "table1", "--dry-run", "--json")
    assert status == 0, err
    plan = {line["method"]: line for line in json.loads(out)["plan"]}
    for name in (LIIF, "edsr-moeisr-liif-s"):
        assert plan[name]["cells"] == plan["bicubic"]["cells"]
    assert sum(line["runs_to_train"] for line in plan.values()) == 0
    assert {parse(name).encoder for name in plan} == {"", "edsr"}


def test_upscale_takes_the_best_network(harness):
    photo(9, 7).save("in.jpg")
    out = harness.good("upscale", "in.jpg", "--scale", 3.7)
    assert out.startswith(f"in_x3.7.jpg: 26x33 by {reference.best()} in ")
    out = harness.good("upscale", "in.jpg", "out.png", "--size", "20x30", "--verbose")
    assert "REDUCED SETTING" in out
    assert "by bicubic" in harness.good("upscale", "in.jpg", "--scale", 2, "--method", "bicubic")


# Shipping, with networks that are trained in the test


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harness) -> Path:
    """A folder of shipped networks with a tiny one in it; data and profile beside it."""
    write_data(tmp_path / "data")
    write_photos(tmp_path / "data/benchmark/Set5/HR", {f"{n}": (24, 30) for n in range(5)})
    write_profile(tmp_path / "tiny.yaml", SHIPS)
    harness.good("train", LIIF, *TINY)
    folder = tmp_path / "shipped"
    monkeypatch.setattr(reference, "FOLDER", folder)
    harness.good("ship", trained(), *TINY[2:])
    shutil.move("results", "elsewhere")
    return folder


def trained(method: str = LIIF) -> Path:
    (path,) = Path("results/tiny/training", method).glob("*/checkpoint.pt")
    return path


def test_a_network_is_shipped_with_its_history(shipped):
    original = read(next(Path("elsewhere").rglob("checkpoint.pt")))
    about = reference.about(LIIF)
    assert about.content["recipe"] == original["recipe"]
    assert about.content["trained_on"]["images"] == len(TRAIN_SIZES)
    assert about.shipped.original_weights != about.shipped.weights
    log = json.loads(next(Path("elsewhere").rglob("log.jsonl")).read_text())
    loss = round(log["loss"], 5)
    assert about.shipped.curve == [{"step": 12, "loss": loss, "l1": loss}]
    assert {"optimizer", "unaveraged", "state_dict"}.isdisjoint(about.content)
    state = load_model("reference:edsr-liif").state_dict()
    for key, value in original["state_dict"].items():
        assert torch.equal(state[key], value.half().float())


def test_shipping_again_writes_the_same(shipped, harness):
    before = (shipped / f"{LIIF}.safetensors").read_bytes()
    shutil.move("elsewhere", "results")
    content = json.loads(harness.good("ship", trained(), *TINY[2:], "--json"))
    assert [(each["name"], each["precision"]) for each in content] == [(LIIF, "fp16")]
    assert (shipped / f"{LIIF}.safetensors").read_bytes() == before


def test_a_training_that_came_with_the_package_is_called_so(shipped, harness):
    """Its folder may have come with the clone."""
    shutil.move("elsewhere", "results")
    assert "done, shipped" in harness.good("status", *TINY[:2])
    (shipped / f"{LIIF}.safetensors").unlink()
    assert "shipped" not in harness.good("status", *TINY[:2])


def test_what_cannot_be_shipped_is_said(shipped, harness, monkeypatch):
    shutil.move("elsewhere", "results")
    content = torch.load(trained(), weights_only=True)
    torch.save({**content, "finished": False, "step": 3}, "half.pt")
    status, out, err = harness("ship", "half.pt", *TINY[2:])
    assert (status, out) == (0, "No network was shipped.\n")
    assert "half.pt is left out: its training is not finished." in err
    kept = {key: content[key] for key in ("method", "build", "state_dict")}
    checkpoints.save(Path("x.pt"), kept)
    assert "x.pt does not say how it was trained" in harness("ship", "x.pt", *TINY[2:])[2]
    trained().with_name("log.jsonl").write_text("{}\n")
    assert "log.jsonl, cannot be read" in harness("ship", trained(), *TINY[2:])[2]


def test_single_precision_where_half_loses(shipped, harness, monkeypatch):
    monkeypatch.setattr("harness.training.shipping.TOLERANCE", 0)
    shutil.move("elsewhere", "results")
    (content,) = json.loads(harness.good("ship", trained(), *TINY[2:], "--json"))
    assert content["precision"] == "fp32"
    assert content["weights"] == content["original_weights"]


def test_damage_is_found(shipped):
    path = shipped / f"{LIIF}.safetensors"
    good = path.read_bytes()
    for place in [*range(0, 200, 7), *range(200, len(good), 97)]:
        bad = bytearray(good)
        bad[place] ^= 1
        path.write_bytes(bad)
        with pytest.raises(HarnessError, match=r"damaged|no checkpoint of ours|not a complete"):
            open_checkpoint("reference:edsr-liif")
    path.write_bytes(good[:-5])
    with pytest.raises(HarnessError, match="damaged"):
        read_safetensors(path)


# Runs under a profile that trains nothing unasked


def test_a_run_uses_shipped_networks_and_trains_nothing(shipped, harness):
    status, _, err = harness(*RUN)
    assert status == 0, err
    assert f"reference:edsr-liif, weights {reference.about(LIIF).shipped.weights[:10]}" in err
    assert "Left out: edsr-lte (not shipped, and not trained under profile 'tiny'" in err
    assert "--retrain trains them" in err
    assert not Path("results/tiny/training").exists()
    rows = [
        json.loads(line)
        for path in Path("results/tiny/measurements").rglob("edsr-liif*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {row["checkpoint"] for row in rows} == {reference.about(LIIF).shipped.weights}
    assert "Training" not in err
    # A dry run says the same, and trains nothing either.
    assert "0 of 1" not in harness.good(*RUN, "--dry-run")
    several = ("run", "paper", *RUN[2:])
    for chosen in (RUN, several):
        assert "--retrain plans their training" in harness.good(*chosen, "--dry-run")


def test_retrain_trains(shipped, harness):
    status, _, err = harness(*RUN, "--retrain")
    assert status == 0, err
    assert "Training edsr-liif" in err
    assert trained("edsr-lte").exists()
    # What was trained here is not shipped, and used where nothing else is.
    status, _, err = harness(*RUN)
    assert f"{trained('edsr-lte')}, weights" in err
    assert "reference:edsr-liif, weights" in err
    status, _, err = harness(*RUN, "--retrain", "--no-train")
    assert (status, "contradict" in err) == (2, True)


def test_a_name_means_the_shipped_network_where_none_is_trained(shipped, harness):
    given = ("eval", LIIF, *TINY, "--dataset", "DIV2K_valid", "--scale", 2, "--json")
    rows = json.loads(harness.good(*given))["images"]
    assert {row["checkpoint"] for row in rows} == {reference.about(LIIF).shipped.weights}
    shutil.copytree("elsewhere", "results", dirs_exist_ok=True)
    rows = json.loads(harness.good(*given))["images"]
    assert {row["checkpoint"] for row in rows} == {reference.about(LIIF).shipped.original_weights}


def test_other_settings_are_not_the_shipped_networks(shipped, harness):
    training = {**PROFILE["training"], "lr": 2e-3}
    write_profile(Path("tiny.yaml"), {**SHIPS, "training": training})
    assert "Left out: edsr-liif, edsr-lte" in harness(*RUN)[2]
    write_profile(Path("tiny.yaml"), {**SHIPS, "trains": True})
    assert "reference:" not in harness(*RUN, "--no-train")[2]
    rows = files_below(Path("results/tiny/measurements"))
    assert all(b"shapes-" in text for name, text in rows.items() if "edsr-" in name)


def test_nothing_shipped_is_said(tmp_path, monkeypatch, harness):
    monkeypatch.setattr(reference, "FOLDER", tmp_path / "none")
    photo(9, 7).save("in.jpg")
    status, _, err = harness("upscale", "in.jpg", "--scale", 2)
    assert (status, "No network comes with this version" in err) == (2, True)
    assert "Shipped, for --checkpoint:\n  none" in harness.good("methods")


# Roles of several sets


REGION = {"role": "DIV2K_valid", "box": [8, 16, 48, 40]}
BICUBIC = ("run", "table1", *TINY[:2], "--methods", "bicubic", "--no-figures")


def test_a_role_takes_the_first_set_at_hand(harness):
    write_profile(Path("tiny.yaml"), SHIPS)
    _, out, err = harness(*BICUBIC)
    assert "SUBSTITUTE DATA embedded-eval" in err
    assert "embedded-eval in place of DIV2K_valid" in out
    write_photos(Path("data/benchmark/B100/HR"), VALID_SIZES)
    _, out, err = harness(*BICUBIC, "--data-root", "data")
    assert "SUBSTITUTE DATA B100" in err
    assert "B100 in place of DIV2K_valid" in out
    write_data(Path("data"))
    _, out, err = harness(*BICUBIC, "--data-root", "data", "--dry-run")
    assert "SUBSTITUTE DATA DIV2K_valid" in err  # an incomplete copy
    assert "of its 100 images" in err


def test_regions_are_those_of_the_set_at_hand(harness):
    def region(dataset: str, name: str, scale: int) -> dict[str, object]:
        return {**REGION, "dataset": dataset, "image": name, "scale": scale}

    shown = [region("DIV2K_valid", "0802", 6), region("embedded-eval", "coffee", 12)]
    write_profile(Path("tiny.yaml"), {**SHIPS, "regions": {"figure4": shown}})
    run = ("run", "figure4", *TINY[:2], "--methods", "rdn-liif", "--dry-run")
    _, _, err = harness(*run)
    assert "embedded-eval (1 image;" in err
    write_data(Path("data"))
    assert "DIV2K_valid (1 image;" in harness(*run, "--data-root", "data")[2]
    write_profile(Path("tiny.yaml"), {**SHIPS, "regions": {"figure4": shown[:1]}})
    status, _, err = harness(*run)
    assert (status, "of the sets that are at hand (embedded-eval)" in err) == (2, True)


@pytest.mark.parametrize(
    ("roles", "message"),
    [({"DIV2K_valid": []}, "roles.DIV2K_valid"), ({"Set5": ["Set5", "B10"]}, "mean 'B100'")],
)
def test_wrong_lists_of_sets_are_refused(roles, message):
    write_profile(Path("tiny.yaml"), {**SHIPS, "roles": roles})
    with pytest.raises(UsageError, match=message):
        profiles.load("tiny.yaml")


def test_where_no_set_is_at_hand_the_first_is_named(harness):
    write_profile(Path("tiny.yaml"), {**SHIPS, "roles": {"DIV2K_valid": ["DIV2K_valid", "B100"]}})
    status, _, err = harness(*BICUBIC)
    assert (status, "DIV2K_valid needs a data root" in err) == (1, True)
    assert harness(*BICUBIC, "--dry-run")[0] == 0
