"""Every table and figure of the paper: its rows, its published values, its multiply-adds."""

from __future__ import annotations

import csv
import json
import math
import re
from importlib.resources import files
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import shared
from PIL import Image
from tiny import PROFILE, VALID_SIZES, Harness, write_data, write_profile

from baselines import parse
from harness.common.errors import HarnessError
from harness.data.published import label, printed_of
from harness.data.sets import SPECS
from harness.data.sets.sizes import FIXED_SIZES, published_sizes
from harness.experiments import EXPERIMENTS
from harness.measure.statistics import Difference, paired_difference
from harness.report.claims import Claim
from harness.report.model import Verdict
from harness.report.paper import others, paper_system
from harness.runs.experiment import method_at, methods_of

TABLES = [e for e in EXPERIMENTS.values() if e.published and e.name != "claims"]
METRICS = {"psnr_db", "ssim", "decoder_flops", "flops", "flops_percent"}


@pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=lambda e: e.name)
def test_an_experiment_is_consistent(experiment):
    assert all(parse(method) for method in experiment.methods)
    assert all(label(methods_of(row)[0]) for row in experiment.rows)
    assert list(experiment.scales) == sorted(set(experiment.scales))
    assert len(set(experiment.rows)) == len(experiment.rows)
    assert not set(experiment.published_roles) & set(experiment.roles)
    if experiment.sizes:
        assert set(experiment.sizes) <= set(FIXED_SIZES)
        assert not any(parse(method).head for method in experiment.methods), "costs follow shapes"


@pytest.mark.parametrize("experiment", TABLES, ids=lambda e: e.name)
def test_every_published_value_of_a_table_has_its_place(experiment):
    """Read from the paper's file here, found by the rows there: ours, and the paper's others."""
    file, table = experiment.published[0]
    rows = csv.DictReader((files("harness.data.published") / file).open(encoding="utf-8"))
    expected = {
        (
            r["dataset"],
            float(r["scale"]),
            r["metric"],
            float(r["value"]),
            r["backbone"],
            r["method"],
        )
        for r in rows
        if r["table"] == table and r["metric"] in METRICS
    }
    found = 0
    ours = {row: paper_system(row) for row in experiment.rows}
    for row, named in {**ours, **others(experiment)}.items():
        for place in product(
            (*experiment.roles, *experiment.published_roles), experiment.scales, METRICS
        ):
            value = printed_of(experiment.published[:1], named, *place)
            if value is not None and (row not in ours or method_at(row, place[1])):
                assert any(e[:4] == (*place, value.value) for e in expected), (row, place)
                found += 1
    assert found == len(expected)


def test_the_help_of_run_names_every_experiment(harness: Harness):
    """It imports none of them, so that it is quick."""
    out = harness.good("run", "--help")
    tables = [name for name in EXPERIMENTS if name.startswith("table")]
    assert f"{tables[0]} to {tables[-1]}" in out
    assert all(name in out for name in EXPERIMENTS if name not in tables)


def test_rows_of_fixed_scale_networks():
    assert methods_of("rdn-xN") == ("rdn-x2", "rdn-x3", "rdn-x4")
    assert method_at("rdn-xN", 3) == "rdn-x3"
    assert method_at("rdn-xN", 6) is None
    assert method_at("rdn-liif", 6) == "rdn-liif"


# Columns that need no training


def records(out: str) -> list[dict[str, Any]]:
    return json.loads(out)["records"]


def test_table3_without_data_or_training(harness: Harness):
    """All 48 baselines' figures: rounded, cut off, or the one that the paper misprints."""
    out = harness.good("run", "table3", "--no-train", "--profile", "sizes", "--json")
    assert not json.loads(out)["reduced_setting"]
    how = {"rounded": 0, "cut off": 0}
    other = []
    for record in (r for r in records(out) if r["method"].count("-") == 1):
        ours, paper = record["macs"] / 1e12, round(record["published_macs"] / 1e12, 2)
        if round(ours, 2) == paper:
            how["rounded"] += 1
        elif math.floor(ours * 100) / 100 == paper:
            how["cut off"] += 1
            assert not record["method"].startswith("edsr")
        else:
            other.append((record["method"], record["scale"], ours, paper))
    assert how == {"rounded": 33, "cut off": 14}
    assert other == [("edsr-liif", 6.0, pytest.approx(11.46485), 11.47)]


def test_other_sizes_of_one_encoder_label_its_rows_alone(harness: Harness):
    content = {
        **{"name": "own", "summary": "a smaller EDSR", "roles": {"Set14": "Set14-sizes"}},
        **{
            "training": {"dataset": "DIV2K_train"},
            "networks": {"encoder": {"edsr": {"blocks": 2}}},
        },
    }
    file = write_profile(Path("own.yaml"), content)
    chosen = ("--methods", "edsr-liif,rdn-liif", "--profile", file)
    status, out, err = harness("run", "table3", "--no-train", *chosen, "--json", "--no-figures")
    assert status == 0, err
    assert "REDUCED SETTING (edsr-liif): these numbers are not comparable" in err
    labelled = {record["method"] for record in records(out) if record["reduced_setting"]}
    assert labelled == {"edsr-liif"}
    full = "FULL SIZE: rdn encoder, liif decoder. These keep the published size, while profile"
    texts = [
        Path(f"reports/own/table3.{kind}").read_text() for kind in ("md", "html", "csv", "tex")
    ]
    assert all(full in said for said in (*texts, err, " ".join(json.loads(out)["warnings"])))
    text = texts[0]
    said = "Reduced setting, not the paper's networks or training (\N{DOUBLE DAGGER}): EDSR-LIIF."
    assert said in text
    assert "; reduced setting" not in text


def test_mixtures_are_left_out_and_said_so_where_nothing_is_trained(harness: Harness):
    chosen = ("--methods", "edsr-liif,edsr-moeisr-liif-s")
    status, out, err = harness("run", "table3", "--no-train", "--profile", "sizes", *chosen)
    assert status == 0
    assert "Left out: edsr-moeisr-liif-s (not trained under profile 'sizes')" in err
    assert "### Decoder MACs" in out


def test_table4_on_urban100_as_it_is_here(harness: Harness):
    """HR images cut to multiples of 4: x4 and x8 to the digit, the others smaller."""
    out = harness.good(
        *("run", "table4", "--no-train", "--profile", "paper", "--json"),
        *("--data-root", shared("data")),
    )
    printed_at = {4: (1071.20, 868.22, 665.24, 462.26), 8: (1069.79, 867.08, 664.36, 461.65)}
    rows = [f"rdn-liif{suffix}" for suffix in ("", "-4layer", "-3layer", "-2layer")]
    found = {(r["method"], r["scale"]): r for r in records(out)}
    for scale, values in printed_at.items():
        assert [round(found[row, scale]["macs"] / 1e9, 2) for row in rows] == list(values)
        assert [round(found[row, scale]["published_macs"] / 1e9, 2) for row in rows] == list(values)
    for scale in (2, 3, 6):
        for row in rows:
            record = found[row, scale]
            assert 0.997 < record["macs"] / record["published_macs"] < 1
            assert record["psnr"] is None


# Running them


@pytest.fixture
def job(tmp_path: Path) -> tuple[object, ...]:
    """Arguments after `harness run EXPERIMENT` under a tiny profile that knows every role."""
    write_data(tmp_path / "data")
    roles = dict.fromkeys(("DIV2K_valid", "Set5", "Set14", "B100", "Urban100"), "DIV2K_valid")
    region = {"role": "Urban100", "image": "0802", "box": [8, 16, 48, 40]}
    regions = {
        "figure1": [{**region, "scale": 4}],
        "figure4": [{**region, "scale": 6}],
        "controllable": [{**region, "scale": 4}],
    }
    content = {**PROFILE, "roles": roles, "regions": regions}
    write_profile(tmp_path / "tiny.yaml", content)
    return ("--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu")


def table(text: str, title: str) -> str:
    return text.partition(f"### {title}")[2].partition("\n##")[0]


def test_table2_has_a_row_of_fixed_scale_networks(job, harness: Harness):
    chosen = "bicubic,rdn-xN,swinir-x3,rdn-liif,swinir-moeisr-lte-s"
    out = harness.good("run", "table2", *job, "--methods", chosen, "--json", "--no-figures")
    found = {(r["method"], r["role"], r["scale"]): r for r in records(out)}
    for scale in (2, 3, 4):
        assert found["rdn-xN", "Set14", scale]["psnr"] > 5
    assert "fixed-scale" in found["rdn-xN", "Set14", 6]["missing"]
    assert found["swinir-xN", "Set5", 3]["psnr"] > 5
    assert found["swinir-xN", "Set5", 2]["psnr"] is None
    assert found["swinir-moeisr-lte-s", "Urban100", 8]["psnr"] > 5
    # The same images play every set, under one protocol.
    assert len({found["bicubic", r, 2]["psnr"] for r in ("Set5", "Set14", "B100")}) == 1
    text = Path("reports/tiny/table2.md").read_text()
    assert "### PSNR (dB), DIV2K_valid in place of Set5" in text
    assert "opened as RGB" in table(text, "PSNR (dB), DIV2K_valid in place of Set14")


def test_table3_trains_the_mixtures_alone_and_enlarges_nothing(job, harness: Harness):
    chosen = "edsr-liif,swinir-moeisr-liif-s"
    out = harness.good("run", "table3", *job, "--methods", chosen, "--json")
    trained = {path.parent.name for path in Path("results/tiny/training").glob("*/*")}
    assert trained == {"swinir-moeisr-liif-s"}
    found = {(r["method"], r["scale"]): r for r in records(out)}
    pixels = sum(h * w for h, w in VALID_SIZES.values()) / 2
    assert found["edsr-liif", 6]["macs"] == 36 * 4 * pixels * (76 * 16 + 3 * 16 * 16 + 16 * 3)
    mixture = found["swinir-moeisr-liif-s", 6]
    assert mixture["psnr"] is None
    assert 0 < mixture["macs"] < found["edsr-liif", 6]["macs"]
    assert sum(mixture["expert_shares"]) == pytest.approx(1)
    # Cost grows with the square of the scale but for the mapper, which runs once.
    mapper = mixture["macs"] - (found["swinir-moeisr-liif-s", 12]["macs"] - mixture["macs"]) / 3
    assert 0 < mapper < 0.5 * mixture["macs"]


def test_table5_counts_the_encoder_too(job, harness: Harness):
    out = harness.good("run", "table5", *job, "--methods", "*-b,*-m1", "--json")
    measured = [record for record in records(out) if record["psnr"] is not None]
    assert len(measured) == 2
    for record in measured:
        assert record["macs"] > record["decoder_macs"]
        parts = record["decoder_macs"] + record["encoder_macs"] + record["estimator_macs"]
        assert record["macs"] == parts
        assert record["published_ssim"] > 0.8


@pytest.mark.parametrize("figure", ["figure1", "figure4", "controllable"])
def test_a_figure_measures_only_what_it_shows(figure, job, harness: Harness):
    chosen = "rdn-moeisr-liif-b*" if figure != "figure4" else "bicubic,rdn-lte"
    harness.good("run", figure, *job, "--methods", chosen)
    rows = [
        json.loads(line)
        for path in Path("results/tiny/measurements").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert {row["image"] for row in rows} == {"0802"}
    drawn = {path.name for path in Path(f"reports/tiny/{figure}/figures").glob("*.png")}
    kind = "crops" if figure == "figure4" else "expert_map"
    assert drawn == {f"{kind}_0-0802_x{6 if kind == 'crops' else 4}.png"}
    # The table that needs the whole set finds this image measured and adds the other.
    if figure == "figure4":
        out = harness.good("run", "table2", *job, "--methods", chosen, "--no-figures", "--json")
        found = {(r["method"], r["role"], r["scale"]): r for r in records(out)}
        assert found["rdn-lte", "Urban100", 6]["images"] == 2


def unit_rows() -> dict[str, int]:
    files = Path("results/tiny/measurements").rglob("*.jsonl")
    return {path.name: len(path.read_text().splitlines()) for path in files}


def test_measuring_a_figure_again_keeps_the_rows_of_tables(job, harness: Harness):
    chosen = ("--methods", "bicubic", "--no-figures")
    harness.good("run", "table2", *job, *chosen)
    before = unit_rows()
    assert set(before.values()) == {len(VALID_SIZES)}
    harness.good("run", "figure4", *job, *chosen, "--force")
    assert unit_rows() == before


def test_plans_of_runs_with_and_without_training_merge(job, harness: Harness):
    """What was trained, and what is only counted, is said of each; nothing finished is lost."""
    counted = harness.good("run", "table4", *job, "--no-train", "--methods", "rdn-liif-*", "--json")
    assert json.loads(counted)["training"] == ""
    both = harness.good("run", "table4", *job, "--methods", "rdn-moeisr-liif-s", "--json")
    found = {(r["method"], r["scale"]): r for r in records(both)}
    assert "DIV2K_train" in json.loads(both)["training"]
    assert found["rdn-moeisr-liif-s", 2]["psnr"] > 5
    assert found["rdn-liif-3layer", 2]["macs"] > 0
    again = harness.good("run", "table4", *job, "--no-train", "--methods", "*-2layer", "--json")
    found = {(r["method"], r["scale"]): r for r in records(again)}
    assert "DIV2K_train" in json.loads(again)["training"], "the trained row is still shown"
    assert found["rdn-moeisr-liif-s", 2]["psnr"] > 5


def test_without_training_missing_seeds_are_said(job, harness: Harness):
    content = yaml.safe_load(Path("tiny.yaml").read_text())
    harness.good("train", "rdn-moeisr-liif-s", *job)
    write_profile(Path("two.yaml"), {**content, "seeds": [0, 1]})
    two = ("--profile", "two.yaml", *job[2:])
    chosen = ("--methods", "rdn-moeisr-liif-s", "--no-train", "--no-figures")
    out = harness.good("run", "table4", *two, *chosen, "--json")
    assert "rdn-moeisr-liif-s: 1 of 2 seeds (0)." in json.loads(out)["warnings"]


def test_a_run_that_draws_nothing_keeps_the_figures(job, harness: Harness):
    harness.good("run", "figure4", *job, "--methods", "bicubic,rdn-lte")
    before = {p.name for p in Path("reports/tiny/figure4/figures").iterdir()}
    harness.good("run", "figure4", *job, "--methods", "rdn-liif", "--no-train")
    assert {p.name for p in Path("reports/tiny/figure4/figures").iterdir()} == before


def test_a_region_at_a_foreign_scale_is_refused_before_training(job, harness: Harness):
    content = yaml.safe_load(Path("tiny.yaml").read_text())
    content["regions"]["figure1"][0]["scale"] = 3
    write_profile(Path("tiny.yaml"), content)
    status, _, err = harness("run", "figure1", *job)
    assert status == 2
    assert "shows 0802 of Urban100 at x3 in figure1, which takes regions of" in err
    assert not list(Path("results").rglob("checkpoint.pt"))


def test_a_region_outside_its_image_is_refused_before_training(job, harness: Harness):
    content = yaml.safe_load(Path("tiny.yaml").read_text())
    content["regions"]["figure1"][0]["box"] = [60, 0, 48, 40]
    write_profile(Path("tiny.yaml"), content)
    status, _, err = harness("run", "figure1", *job, "--dry-run")
    assert status == 2
    assert "(60, 0, 48, 40) of 0802 at x4 in figure1 leaves the image (100x96)" in err


def test_a_dry_run_refuses_what_training_would(job, harness: Harness):
    content = yaml.safe_load(Path("tiny.yaml").read_text())
    content["training"].update(patch=10, queries=50)
    write_profile(Path("tiny.yaml"), content)
    chosen = ("--methods", "bicubic,swinir-lte", "--dry-run")
    status, _, err = harness("run", "table1", *job, *chosen)
    assert status == 2
    assert "swinir-lte works on windows of 4 pixels" in err


def test_the_profile_is_quick_unless_named(harness: Harness, tmp_path):
    """Whatever is trained, and whether or not data was pointed at."""
    root = write_data(tmp_path / "data")
    for data in ((), ("--data-root", root)):
        status, _, err = harness("run", "table2", "--methods", "bicubic", "--dry-run", *data)
        assert status == 0
        assert "SUBSTITUTE DATA embedded-eval" in err
        assert ("data root  NOT USED" in err) == bool(data)
    named = ("--profile", "paper", "--data-root", root)
    status, _, err = harness("run", "table2", "--methods", "bicubic", *named)
    assert status == 1
    assert "Set5 is not there" in err


def test_a_dry_run_needs_no_data(harness: Harness):
    """The published sizes suffice: of B100 as its manifest has them, of DIV2K by their number."""
    command = ("run", "table1", "--profile", "paper", "--methods", "bicubic,edsr-liif,edsr-lte")
    status, out, err = harness(*command, "--dry-run")
    assert status == 0
    assert "DIV2K_valid (100 images; NOT HERE" in err
    assert [line.split()[:4] for line in out.splitlines()[2:6]] == [
        ["bicubic", "0", "of", "8"],
        ["edsr-liif", "0", "of", "1"],
        ["edsr-lte", "0", "of", "1"],
        ["total", "0", "of", "2"],
    ]
    assert "2.88e+17" in out, "as docs/reproduce.md has it"
    assert " days" in out
    assert not re.search(r"\d{7}", out), "no integers that nobody can read"
    assert not Path("results").exists()

    found = json.loads(harness.good(*command, "--dry-run", "--json"))
    assert found["not_here"] == ["DIV2K_train", "DIV2K_valid"]
    for key in ("cells", "runs_to_train", "training_macs", "evaluation_macs"):
        assert found["total"][key] == sum(line[key] for line in found["plan"]) > 0
    status, _, err = harness(*command)
    assert status == 1
    assert "DIV2K_valid" in err


@pytest.mark.parametrize("name", [name for name, spec in SPECS.items() if spec.archives])
def test_the_published_sizes_of_every_set(name):
    found = published_sizes(SPECS[name])
    assert len(found.items) == found.expected == SPECS[name].layout.expected
    assert {min(item.size()) > 100 for item in found.items} == {True}
    with pytest.raises(HarnessError, match=f"{name} knows the size of"):
        found.items[0].load()


def test_a_figure_without_regions_says_what_to_add(job, harness: Harness):
    status, _, err = harness("run", "figure3", *job)
    assert status == 2
    assert "names no regions for figure3" in err
    assert "regions: figure3:" in err


def test_the_controllable_mapper_trains_with_its_weight(job, harness: Harness):
    harness.good("run", "controllable", *job, "--no-figures")
    runs = {path.parent.name for path in Path("results/tiny/training").glob("*/*")}
    assert runs == {f"rdn-moeisr-liif-b{s}" for s in ("", "-w1=3.7", "-w4=3.7")}
    first = [
        json.loads(next(path.open()))["loss"]
        for path in sorted(Path("results/tiny/training").glob("*/*/log.jsonl"))
    ]
    assert len(set(first)) == 3, "the weights change the loss"


def test_a_claim_falls_with_one_scale_outside_and_waits_for_undecided_ones():
    within = paired_difference([0.3, 0.31, 0.32, 0.33, 0.34, 0.35])
    outside = paired_difference([-0.3, -0.31, -0.32, -0.33, -0.34, -0.35])
    few = paired_difference([0.3, 0.31])
    outcome = Claim("better", "at all scales", "edsr-lte", "edsr-liif")._outcome
    assert outcome({2: within, 3: within}) == "holds"
    assert outcome({2: within, 3: few}) == "not decided"
    assert outcome({2: within, 3: outside}) == "does not hold"
    assert outcome({2: within}, [3]) == "not decided", "a scale is not measured"
    assert outcome({2: outside}, [3]) == "does not hold"

    def judged(**sets: Difference) -> Verdict:
        """Verdict on sets that have such distances from the bound."""

        class Given(Claim):
            def _on(self, report, role):
                del report
                return {4: sets[role]}

            def _lacking(self, report, role, found):
                del report, found
                return [6.0] if role == "Urban100" else []

        report = SimpleNamespace(roles=[*sets], role=lambda name: SimpleNamespace(dataset=name))
        return Given("better", "", "edsr-lte", "edsr-liif", roles=tuple(sets)).judge(report)

    # A set that is too small to decide anything has no say.
    assert judged(B100=within, Set5=few).verdict == "holds"
    assert judged(B100=within, Set14=outside).verdict == "does not hold"
    assert judged(Set5=few).verdict == "not decided"
    assert judged(B100=within, Set5=few).ours.startswith("B100 (6 images): ")
    assert "Set5" not in judged(B100=within, Set5=few).ours
    lines = judged(B100=within, Set14=outside).ours.splitlines()
    assert [line.split(", ")[-1] for line in lines] == ["holds", "does not hold"]
    assert [line.partition(":")[0] for line in lines] == ["B100 (6 images)", "Set14 (6 images)"]
    open_ = judged(Urban100=within)
    assert open_.verdict == "not decided"
    assert open_.ours.endswith("(\N{MULTIPLICATION SIGN}6 not measured)")


def test_costs_and_pictures_are_those_of_a_budget(job, harness: Harness):
    """Where experts are counted on HR images, drawn beside crops, and counted without a run."""
    cheap, dear = (f"edsr-moeisr-liif-b-budget{budget}" for budget in (1.2, 100))
    harness.good("run", "figure1", *job, "--methods", dear)
    (drawn,) = Path("results").glob(f"**/{dear}.experts.png")
    assert np.asarray(Image.open(drawn)).min() == 3, "the deepest of four everywhere"

    out = harness.good("run", "table3", *job, "--methods", f"{cheap},{dear}", "--json")
    macs = {(r["method"], r["scale"]): r["macs"] for r in records(out)}
    assert macs[cheap, 2] < 0.9 * macs[dear, 2]

    (path,) = Path("results").glob("*/training/*/*/checkpoint.pt")
    counted = [
        json.loads(
            harness.good(
                *("flops", method, "--checkpoint", path, "--dataset", "DIV2K_valid"),
                *("--data-root", "data", "--scale", 2, "--as-lr", "hr", "--json"),
            )
        )
        for method in (cheap, dear)
    ]
    assert [each["decoder_macs"] for each in counted] == [macs[cheap, 2], macs[dear, 2]]
