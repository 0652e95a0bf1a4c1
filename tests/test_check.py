"""`harness check`: made-up results against accepted numbers, and the committed golden ones."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import torch
import yaml
from report_fixtures import METHODS, PLAN, ROLE, Edit, edited, write_results
from test_cli import strict
from tiny import Harness, files_below, network

from harness import checkpoints, experiments, profiles
from harness.checkpoints.subject import open_subject
from harness.commands import cli
from harness.commands.check.accept import run_update
from harness.commands.check.comparison import Check, Finding, run_check
from harness.commands.check.golden import dump, load_golden
from harness.commands.check.outputs import SHOWN, github, junit, markdown
from harness.measure.evaluate import measure_unit
from harness.measure.rows import Measurement, UnitFile, flat
from harness.profiles import places
from harness.profiles.recipe import make_recipe
from harness.runs.job import prepare
from harness.runs.plan import load_plan, plan_path, save_plan

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "results" / "golden"
QUICK = profiles.load("quick")
STORED = replace(PLAN, profile_settings=QUICK.numbers())
SCALES = (2, 30)
LIIF, MIXTURE = ("edsr-liif", 2), ("edsr-moeisr-lte-b", 30)
FILE = Path("results/golden/quick.json")


def store(edit: Edit = lambda row: row, **options: object) -> None:
    """Results of seven methods at two scales in the folder where they are looked for."""
    write_results(Path("results"), **{"plan": STORED, "scales": SCALES, "edit": edit, **options})


def changed(result: tuple[str, float] = LIIF, **fields: object) -> Edit:
    """Other values in the rows of a result; a function is called with the old one."""

    def edit(row: Measurement) -> Measurement | None:
        if (row.method, row.scale) != result:
            return row
        old = flat(asdict(row))
        new = {k: f(old[k]) if callable(f) else f for k, f in fields.items()}
        return edited(row, **new)

    return edit


def lower(drop: float) -> Callable[[float], float]:
    return lambda psnr: psnr - drop


class UnderQuick(Harness):
    """The command under `quick`, which the stored numbers are of, unless a profile is named."""

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        named = "--profile" in arguments
        return super().__call__(*arguments, *(() if named else ("--profile", "quick")))


@pytest.fixture
def harness(monkeypatch, capsys):
    """The command."""
    return UnderQuick(monkeypatch, capsys)


@pytest.fixture(autouse=True)
def one_profile(monkeypatch):
    """Reading a profile builds every network; once is enough here."""
    monkeypatch.setattr(profiles, "load", cache(profiles.load))


@pytest.fixture(scope="module")
def first_numbers(tmp_path_factory):
    """A folder with results that were accepted as they are."""
    folder = tmp_path_factory.mktemp("accepted")
    write_results(folder / "results", plan=STORED, scales=SCALES)
    run_update((), QUICK, folder / "results", folder / FILE, "first numbers")
    return folder


@pytest.fixture
def accepted(harness, first_numbers):
    """The command, where results were accepted as they are."""
    shutil.copytree(first_numbers, Path(), dirs_exist_ok=True)
    return harness


def findings(harness, *options: object) -> tuple[int, dict[str, list[str]], dict[str, object]]:
    """Exit status, the results of each verdict that is not ok, and all that is printed as JSON."""
    status, out, _ = harness("check", "--json", *options)
    content = strict(out)
    found: dict[str, list[str]] = {}
    for finding in content["findings"]:
        if finding["verdict"] != "ok":
            place = f"{finding['method']} x{finding['scale'] or 0:g}"
            found.setdefault(finding["verdict"], []).append(place)
    return status, found, content


# What is compared


def test_unchanged_results_pass(accepted):
    out = accepted.good("check")
    assert "14 results: 14 ok; tolerance 0.02 dB.\n" in out
    said = (
        "Reduced setting and substitute data, not the paper's setting (profile quick): measured on"
    )
    assert out.startswith(said)
    assert "edsr-liif" not in out
    assert accepted.good("check", "table1", "--all").count("edsr-liif") == 2


@pytest.mark.parametrize(
    ("drop", "status"), [(0.05, 1), (0.0201, 1), (0.02, 0), (0.01, 0), (-0.01, 0)]
)
def test_a_planted_drop(drop, status, accepted):
    store(changed(psnr=lower(drop)))
    found, out, err = accepted("check")
    assert found == status, err
    if status:
        assert "13 ok, 1 drop" in out
        assert f"x2: drop: {drop:.4f} dB, tolerance 0.02 dB; the weights are the accepted" in out
        assert err.startswith("Error: The check failed: 1 of 14 comparisons with ")
        assert "--update --reason" in err
    else:
        assert "14 results: 14 ok" in out


def test_every_result_is_compared(accepted):
    for method in METHODS:
        for scale in SCALES:
            store(changed((method, scale), psnr=lower(0.05)))
            assert findings(accepted)[:2] == (1, {"drop": [f"{method} x{scale}"]})


@pytest.mark.parametrize(
    ("tolerance", "drop", "status"),
    [(0.1, 0.05, 0), (0.1, 0.11, 1), (0, 1e-6, 1), (0, 0, 0), (0, 1e-12, 0), (0.001, 0.002, 1)],
)
def test_another_tolerance(tolerance, drop, status, accepted):
    store(changed(psnr=lower(drop)))
    assert findings(accepted, "--tolerance", tolerance)[0] == status


@pytest.mark.parametrize("tolerance", ["-0.01", "nan", "inf", "-inf", "two", ""])
def test_impossible_tolerances(tolerance, accepted):
    status, out, err = accepted("check", f"--tolerance={tolerance}")
    assert (status, out) == (2, "")
    assert "tolerance" in err


OTHERS = {
    "protocol": ({"protocol": "full"}, "other protocol", "protocol div2k was accepted, full"),
    "lr": ({"lr_source": "matlab"}, "other LR source", "official was accepted, matlab measured"),
    "data": ({"dataset_fingerprint": "0ther"}, "other data", "f00d was accepted, 0ther"),
    "lr-data": ({"lr_fingerprint": "0ther"}, "other data", "none was accepted, 0ther"),
    "precision": ({"precision": "bf16"}, "other precision", "float32 was accepted, bf16"),
    "recipe": ({"recipe": "another"}, "other settings", "recipe-1 was accepted, another"),
    "images": ({"psnr": None, "reason": "too small"}, "missing", "no image is large enough"),
    "nan": ({"psnr": float("nan")}, "missing", "PSNR is not a number for 3 images"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_comparable_fails(name, accepted):
    """Whatever the PSNR; and it is not called a drop, which it may not be."""
    fields, verdict, reason = OTHERS[name]
    for rise in (1, -1):
        moved = fields if "psnr" in fields else {**fields, "psnr": lower(-rise)}
        store(changed(**moved))
        status, found, content = findings(accepted)
        assert (status, found) == (1, {verdict: ["edsr-liif x2"]})
        assert f"14 results: 13 ok, 1 {verdict}; " in content["summary"]
        assert reason in json.dumps(content)
    assert f"{verdict}: " in accepted("check")[1]


def test_several_reasons_are_all_told(accepted):
    store(changed(protocol="full", lr_source="pil", precision="bf16"))
    out = accepted("check")[1]
    assert all(f"other {what}: " in out for what in ("protocol", "LR source", "precision"))
    assert "13 ok, 1 other protocol" in out


def test_fewer_images_fail(accepted):
    store(changed(psnr=lambda p: None if p < 34 else p, reason="too small"))
    status, found, content = findings(accepted)
    assert (status, list(found)) == (1, ["other images"])
    assert "3 was accepted" in json.dumps(content)


def test_a_half_measured_result_is_missing(accepted):
    store(lambda row: None if row.method == "bicubic" and "2" in row.image else row)
    status, out, _ = accepted("check")
    assert status == 1
    assert "table1: bicubic on made-up in place of DIV2K_valid x2 and 1 more" in out
    assert "missing: not measured (2 of 3 images)" in out


def test_a_method_that_left_the_plan_is_missing(accepted):
    path = plan_path(Path("results"), "quick", "table1")
    plan = load_plan(path)
    save_plan(replace(plan, units=[u for u in plan.units if u.method != "edsr-lte"]), path)
    assert findings(accepted)[:2] == (1, {"missing": ["edsr-lte x2", "edsr-lte x30"]})


def test_nothing_stored_is_missing(accepted):
    status, found, content = findings(accepted, "--results", "elsewhere")
    assert (status, len(found["missing"])) == (1, 14)
    assert "elsewhere/quick/table1/plan.json is not there" in json.dumps(content)


def test_other_seeds_fail(accepted):
    store(seeds=(0, 1))
    status, found, content = findings(accepted)
    assert (status, len(found["other seeds"])) == (1, 14)
    assert "seeds 0 was accepted, 0+1 measured" in json.dumps(content)


def test_another_set_fails(accepted):
    role = replace(PLAN.roles[0], dataset="another")
    store(plan=replace(STORED, roles=[role]))
    status, found, _ = findings(accepted)
    assert (status, len(found["other data"])) == (1, 14)


@pytest.mark.parametrize(
    ("result", "factor", "status", "verdict"),
    [
        (LIIF, 1.001, 1, "other MACs"),
        (LIIF, 0.999, 1, "other MACs"),
        (MIXTURE, 1.005, 0, ""),
        (MIXTURE, 1.02, 1, "other MACs"),
        (MIXTURE, 0.98, 0, "other routing"),
    ],
)
def test_multiply_adds(result, factor, status, verdict, accepted):
    """Exact for a plain network; those of a mixture follow its routing, within one per cent."""
    store(changed(result, decoder_macs=lambda macs: int(macs * factor)))
    found = findings(accepted)
    assert found[:2] == (status, {verdict: [f"{result[0]} x{result[1]}"]} if verdict else {})


def test_other_settings_are_told_plainly(accepted):
    settings = json.loads(json.dumps(STORED.profile_settings))
    settings["training"]["epochs"] = 30
    settings["networks"]["encoder"]["edsr"] = {"blocks": 4}
    store(plan=replace(STORED, profile_settings=settings))
    status, out, _ = accepted("check")
    assert status == 1
    assert "training.epochs: 25 was accepted, 30 stored" in out
    assert "networks.encoder.edsr.features: 32 was accepted, nothing stored" in out
    assert "training.epochs: stored results have 30, the profile now 25" in out
    assert "other settings: table1" in out


def test_better_numbers_are_information(accepted):
    store(changed(psnr=lower(-0.05)))
    out = accepted.good("check")
    assert "13 ok, 1 better" in out
    assert "better: 0.0500 dB; accept it with --update" in out


def test_new_results_are_information(accepted):
    store(scales=(2, 4, 30))
    status, found, _ = findings(accepted)
    assert (status, list(found), len(found["new"])) == (0, ["new"], 7)
    assert "21 results: 14 ok, 7 new" in accepted.good("check")


def test_exact_reconstruction(accepted):
    """Infinite PSNR is a number, also in JSON."""
    exact = changed(psnr=float("inf"))
    store(exact)
    status, found, _ = findings(accepted)
    assert (status, found) == (0, {"better": ["edsr-liif x2"]})
    accepted.good("check", "--update", "--reason", "exact")
    assert '"psnr": "Infinity"' in FILE.read_text()
    assert findings(accepted)[:2] == (0, {})
    store()
    assert findings(accepted)[:2] == (1, {"drop": ["edsr-liif x2"]})


# Networks that were trained anew


def anew(drop: float) -> Edit:
    return changed(psnr=lower(drop), checkpoint="0ther")


def test_training_anew_has_the_tolerance_that_was_accepted(accepted):
    store(anew(0.3))
    status, out, _ = accepted("check")
    assert status == 1
    assert "tolerance 0.02 dB; the network was trained anew" in out
    store()
    accepted.good("check", "--update", "--retrained", 0.5, "--reason", "measured spread")
    for drop, expected in ((0.3, 0), (0.6, 1)):
        store(anew(drop))
        assert findings(accepted)[0] == expected
    store(anew(0.3))
    assert "tolerance 0.02 dB, 0.5 dB in 1 results of networks trained anew." in accepted.good(
        "check"
    )
    assert findings(accepted, "--tolerance", 0.02)[0] == 1, "asked for, so it holds everywhere"
    store(changed(psnr=lower(0.05)))
    assert findings(accepted)[0] == 1, "the same weights"
    for factor, expected in ((1.4, 0), (1.6, 1)):
        more = changed(MIXTURE, checkpoint="0ther", decoder_macs=lambda m, f=factor: int(m * f))
        store(more)
        assert findings(accepted)[0] == expected, "routing differs after training anew"


# Accepting


def test_the_first_update_makes_the_file(harness):
    store()
    out = harness.good("check", "--update", "--reason", "first")
    assert out == f"{FILE}: 14 results added.\n"
    lines = FILE.read_text().splitlines()
    assert sum('"psnr"' in line for line in lines) == 14
    keys = [json.loads(line.rstrip(",")) for line in lines if '"psnr"' in line]
    assert [(k["method"], k["scale"]) for k in keys] == sorted(
        (k["method"], k["scale"]) for k in keys
    )
    (entry,) = strict(FILE.read_text())["history"]
    assert (entry["reason"], entry["versions"]) == ("first", ["torch 0.0.0"])


def test_an_experiment_without_a_psnr_is_not_accepted_with_the_others(harness):
    """Of which multiply-adds alone are counted, say: there is nothing to compare."""
    store()
    path = plan_path(Path("results"), "quick", "table2")
    save_plan(replace(STORED, experiment="table2", units=[]), path)
    assert harness.good("check", "--update", "--reason", "first") == f"{FILE}: 14 results added.\n"
    golden = load_golden(FILE)
    assert (golden.names, golden.history[0].experiments) == (["table1"], ("table1",))
    assert "Stored, but never accepted: table2." in harness.good("check")
    status, _, err = harness("check", "table2", "--update", "--reason", "x")
    assert (status, "no result of table2 has a number" in err) == (1, True)


def test_an_update_says_what_changed(accepted):
    before = load_golden(FILE)
    store(changed(psnr=lower(0.05)), scales=(2, 4, 30))
    out = accepted.good("check", "--update", "--reason", " a better recipe ")
    assert "-0.0500" in out
    assert f"{FILE}: 7 results added, 1 results changed, PSNR -0.0500 to -0.0500 dB.\n" in out
    after = load_golden(FILE)
    assert [e.reason for e in after.history] == ["first numbers", "a better recipe"]
    assert len(set(before.accepted) - set(after.accepted)) == 1
    assert findings(accepted)[:2] == (0, {})


def test_update_as_json(accepted):
    store(changed(psnr=lower(0.05)))
    content = strict(accepted.good("check", "--update", "--reason", "why", "--json"))
    assert content["reason"] == "why"
    assert [f["verdict"] for f in content["findings"]] == ["drop"]


BAD_OPTIONS = {
    "no-reason": (("--update",), 2, "--reason"),
    "blank-reason": (("--update", "--reason", "  "), 2, "--reason"),
    "only-reason": (("--reason", "why"), 2, "--reason belongs to --update"),
    "only-networks": (("--keep-networks",), 2, "--keep-networks belongs to --update"),
    "only-retrained": (("--retrained", 0), 2, "--retrained belongs to --update"),
    "junit": (("--update", "--reason", "x", "--junit", "j.xml"), 2, "--junit belongs"),
    "github": (("--update", "--reason", "x", "--github"), 2, "--github belongs"),
    "tolerance": (("--update", "--reason", "x", "--tolerance", 0), 2, "--tolerance belongs"),
    "experiment": (("tabel1",), 2, "Did you mean 'table1'"),
    "profile": (("--profile", "bsds", "--baseline", FILE), 2, "of profile 'quick'"),
    "absent": (("--baseline", "no.json"), 1, "no.json is not there"),
    "networks-gone": (
        ("--update", "--reason", "x", "--keep-networks"), 1, "bicubic are not in results/quick"),
    "unmeasured": (("--update", "--reason", "x", "--results", "no"), 1, "Nothing to accept"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_mistakes_change_nothing(name, accepted):
    options, expected, part = BAD_OPTIONS[name]
    before = files_below(Path())
    status, out, err = accepted("check", *options)
    assert (status, out) == (expected, ""), err
    assert part in err.replace("\n", " ")
    assert err.count("Error: ") == 1
    assert files_below(Path()) == before


def test_incomplete_results_are_not_accepted(accepted):
    before = FILE.read_bytes()
    store(lambda row: None if row.method == "bicubic" and "2" in row.image else row)
    status, out, err = accepted("check", "--update", "--reason", "x")
    assert (status, out) == (1, "")
    assert "2 results of table1 have no number" in err
    assert "bicubic on DIV2K_valid x30: not measured (2 of 3 images)" in err
    store(scales=(2,))
    status, _, err = accepted("check", "--update", "--reason", "x")
    assert status == 1
    assert "x30: left out of this run, or not trained" in err
    assert FILE.read_bytes() == before


def test_a_result_that_is_gone_for_good_can_be_deleted(accepted):
    lines = FILE.read_text().splitlines(keepends=True)
    FILE.write_text(
        "".join(line for line in lines if '"scale": 30' not in line).replace("},\n ]", "}\n ]")
    )
    store(scales=(2,))
    assert findings(accepted)[:2] == (0, {})


def test_results_of_other_settings_are_not_accepted(accepted):
    store(plan=PLAN)
    status, _, err = accepted("check", "--update", "--reason", "x")
    assert status == 1
    assert "measured under other settings than profile 'quick' has now" in err


def test_other_experiments_stay(accepted):
    content = json.loads(FILE.read_text())
    entry, result = content["experiments"][0], content["cells"][0]
    content["experiments"].append({**entry, "experiment": "table0"})
    content["cells"].append({**result, "experiment": "table0"})
    FILE.write_text(json.dumps(content))
    status, found, whole = findings(accepted)
    assert (status, list(found)) == (1, ["missing"])
    assert "this version has no experiment table0" in json.dumps(whole)
    assert findings(accepted, "table1")[:2] == (0, {})
    accepted.good("check", "table1", "--update", "--reason", "again")
    assert load_golden(FILE).names == ["table0", "table1"]
    content["experiments"], content["cells"] = [content["experiments"][1]], [content["cells"][-1]]
    FILE.write_text(json.dumps(content))
    assert "Stored, but never accepted: table1." in accepted("check")[1]
    status, _, err = accepted("check", "table1")
    assert (status, "no accepted numbers of table1; there are of table0" in err) == (1, True)


def save_networks(results: Path) -> dict[str, str]:
    """Checkpoints of the plan's networks; their hashes by method."""
    hashes = {}
    for place, method in enumerate(METHODS):
        if place:
            state = network(method, seed=place).state_dict()
            optimizer = {"state": {0: torch.ones(9)}, "param_groups": [{"lr": 1.0}]}
            content = {"method": method, "state_dict": state, "optimizer": optimizer}
            folder = results / "quick" / "training" / method / f"s0-recipe-{place}"
            checkpoints.save(folder / "checkpoint.pt", content)
            hashes[method] = checkpoints.weights_hash(state)
    return hashes


def test_networks_are_kept_without_their_optimiser(harness):
    hashes = save_networks(Path("results"))
    none = {"bicubic": {"checkpoint": "", "recipe": ""}}

    def edit(row: Measurement) -> Measurement:
        return replace(row, **none.get(row.method, {"checkpoint": hashes.get(row.method, "")}))

    store(edit)
    folder = FILE.parent / "quick" / "training"
    stale = folder / "edsr-lte" / "s0-old" / "checkpoint.pt"
    stale.parent.mkdir(parents=True)
    stale.touch()
    update = ("check", "--update", "--reason", "x", "--keep-networks")
    out = harness.good(*update)
    assert out.count("kept ") == 6
    assert f"no longer needed: {stale}\n" in out
    content = checkpoints.read(folder / "edsr-lte" / "s0-recipe-4" / "checkpoint.pt")
    assert content["optimizer"] == {"state": {}, "param_groups": [{"lr": 1.0}]}
    assert checkpoints.weights_hash(content["state_dict"]) == hashes["edsr-lte"]
    before = files_below(FILE.parent)
    other = {"edsr-moeisr-lte-b": {"checkpoint": "0ther"}}
    store(lambda row: replace(edit(row), **other.get(row.method, {})))
    status, _, err = harness(*update)
    assert (status, "has other weights than those" in err) == (1, True)
    assert files_below(FILE.parent) == before


def test_networks_that_lie_there_already_are_left_alone(harness):
    hashes = save_networks(Path("results"))
    store(
        lambda row: replace(
            row, recipe=row.recipe * (row.method in hashes), checkpoint=hashes.get(row.method, "")
        )
    )
    before = files_below(Path("results"))
    update = ("--update", "--reason", "x", "--keep-networks", "--baseline", "results/quick.json")
    content = strict(harness.good("check", *update, "--json"))
    assert (len(content["networks"]), content["stale"]) == (6, [])
    after = files_below(Path("results"))
    del after["quick.json"]
    assert after == before


# Files that are no accepted numbers


def damaged(name: str, text: str) -> str:
    content = json.loads(text)
    result = content["cells"][0]
    if name == "twice":
        content["cells"].append(result)
    elif name == "entry":
        content["experiments"] = []
    elif name == "key":
        result["psrn"] = result.pop("psnr")
    else:
        result["psnr"] = {"nan": float("nan"), "text": "high", "null": None}[name]
    return json.dumps(content)


@pytest.mark.parametrize("name", ["twice", "entry", "key", "nan", "text", "null"])
def test_damaged_results_are_refused(name, accepted):
    FILE.write_text(damaged(name, FILE.read_text()))
    status, out, err = accepted("check")
    assert (status, out) == (1, "")
    assert f"{FILE} is damaged: " in err


@pytest.mark.parametrize("text", ["", "{", "\xff", '{"schema": 1', "no JSON"])
def test_damaged_files_are_refused(text, accepted):
    FILE.write_bytes(text.encode("latin-1"))
    for options in ((), ("--update", "--reason", "x")):
        status, _, err = accepted("check", *options)
        assert (status, f"{FILE} cannot be read" in err) == (1, True)


@pytest.mark.parametrize("text", ['{"schema": 2}', "{}", "[]", "null", '{"schema": "1"}'])
def test_another_schema_is_refused(text, accepted):
    FILE.write_text(text)
    status, _, err = accepted("check")
    assert (status, "is no baseline of this version" in err) == (1, True)


def test_a_file_without_results_checks_nothing_and_says_so(accepted):
    content = {**json.loads(FILE.read_text()), "experiments": [], "cells": []}
    FILE.write_text(json.dumps(content))
    status, _, err = accepted("check")
    assert (status, "nothing would be checked" in err) == (1, True)


# For CI


def test_junit(accepted):
    store(changed(psnr=lower(0.05)), scales=(2, 4, 30))
    status, _, _ = accepted("check", "--junit", "out/check.xml")
    root = ET.parse("out/check.xml").getroot()
    (suite,) = root
    cases = suite.findall("testcase")
    assert (status, root.tag, suite.tag, len(cases)) == (1, "testsuites", "testsuite", 21)
    counts = {k: suite.get(k) for k in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "21", "failures": "1", "errors": "0", "skipped": "7"}
    (failed,) = [case for case in cases if case.find("failure") is not None]
    assert failed.get("classname") == "harness.check.quick.table1"
    assert failed.get("name") == "edsr-liif on made-up in place of DIV2K_valid x2"
    failure = failed.find("failure")
    assert failure is not None
    assert (failure.get("type"), "0.0500 dB" in str(failure.get("message"))) == ("drop", True)
    assert sum(case.find("skipped") is not None for case in cases) == 7
    properties = {p.get("name"): p.get("value") for p in suite.iter("property")}
    assert "Reduced setting" in str(properties["provenance"])
    assert len({(c.get("classname"), c.get("name")) for c in cases}) == 21


ODD = '<a & b> "q" 100%\r\n\x00\x1b\ud800 ::error::, |x|'
ODD_FINDING = Finding("table1", "m", "r", "d", 2.5, (("drop", ODD),), 30.0, 29.0, 0.02)


def test_junit_goes_into_a_pipe_which_stays(accepted):
    found, pipe = [], Path("pipe.xml")
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert accepted("check", "--junit", pipe)[0] == 0
    reader.join(10)
    assert len(ET.fromstring(found[0]).findall(".//testcase")) == 14
    assert pipe.is_fifo()


def test_junit_is_xml_whatever_the_text():
    root = ET.fromstring(junit(Check(Path("x"), ODD, [ODD], 0.02, 0.02, [ODD_FINDING])))
    message = root[0].findall("testcase")[0][0].get("message")
    assert '<a & b> "q" 100%' in str(message)
    assert "\N{REPLACEMENT CHARACTER}" * 3 in str(message)


def test_annotations_are_one_line_each():
    (line,) = github([ODD_FINDING])
    assert len(line.splitlines()) == 1
    assert line.startswith(
        "::error title=harness check%3A drop::table1: m on d in place of r x2.5%0A"
    )
    assert "100%25%0D%0A" in line


def test_no_annotation_is_lost_without_a_word():
    lines = github([ODD_FINDING] * (SHOWN + 3))
    assert len(lines) == SHOWN
    assert "4 more results" in lines[-1]
    assert len(github([ODD_FINDING] * SHOWN)) == SHOWN
    better = replace(ODD_FINDING, notes=(("better", "good"),))
    assert github([better])[0].startswith("::notice ")
    assert github([replace(better, notes=())]) == []


def test_markdown_cannot_be_broken_by_names():
    found = replace(ODD_FINDING, method="a|b")
    text = markdown(Check(Path("x"), "quick", ["<b>label"], 0.02, 0.02, [found]))
    assert "a\\|b" in text
    assert "\\<b\\>label" in text
    assert text.startswith("### harness check failed\n\n1 results: 1 drop; ")


def test_github(accepted, monkeypatch):
    summary = Path("summary.md")
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert "::" not in accepted.good("check", "--github")
    store(changed(psnr=lower(0.05)))
    status, out, _ = accepted("check", "--github")
    assert status == 1
    assert out.count("\n::error title=harness check%3A drop::table1: edsr-liif on made-up") == 1
    text = summary.read_text()
    assert text.startswith("before\n### harness check passed\n")
    assert "### harness check failed" in text
    assert "| table1       | edsr-liif |" in text
    status, out, err = accepted("check", "--github", "--json")
    assert strict(out)["passed"] is False
    assert "::error " in err
    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    assert accepted("check", "--github")[0] == 1


def test_json(accepted):
    content = strict(accepted.good("check", "--json", "--tolerance", 0.03))
    assert (content["passed"], content["tolerance"], len(content["findings"])) == (True, 0.03, 14)
    assert content["provenance"][0].startswith("Reduced setting")
    assert content["findings"][0]["change"] == 0


# The project's own golden numbers, and the workflow for others


def rows_of_golden(drop: float = 0, result: tuple[str, float] = ("", 0)) -> Path:
    """The committed numbers as if they had been measured here; one result's lower by `drop`."""
    golden = load_golden(GOLDEN / "quick.json")
    values = {(r.method, r.scale): r for r in golden.accepted if r.experiment == "table1"}
    entry = golden.experiment("table1")
    assert entry is not None
    sample = next(iter(values.values()))
    role = replace(PLAN.roles[0], dataset=sample.dataset, images=sample.images)

    def edit(row: Measurement) -> Measurement:
        of = values[row.method, row.scale]
        image = int(row.image[5])
        total = round(of.decoder_macs * of.images)
        macs = total // of.images + (total % of.images if image == 0 else 0)
        return edited(
            row,
            psnr=of.psnr - drop * ((row.method, row.scale) == result),
            decoder_macs=macs,
            protocol=of.protocols[0],
            lr_source=of.lr_sources[0],
            dataset_fingerprint=of.fingerprints[0],
            precision=of.precisions[0],
            recipe="".join(of.recipes),
            checkpoint="".join(of.checkpoints),
        )

    plan = replace(PLAN, roles=[role], profile_settings=entry.settings)
    return write_results(Path("measured"), plan=plan, edit=edit)


def test_golden_numbers_cover_table1_under_the_quick_profile():
    golden = load_golden(GOLDEN / "quick.json")
    assert dump(golden) == (GOLDEN / "quick.json").read_text(encoding="utf-8")
    entry = golden.experiment("table1")
    refresh = "see docs/check.md on how to refresh the golden numbers"
    assert entry is not None
    accepted, now = (profiles.concerning(s, METHODS) for s in (entry.settings, QUICK.numbers()))
    assert accepted == now, refresh
    assert entry.reduced
    table1 = experiments.get("table1")
    keys = {(r, m, float(s)) for r in table1.roles for m in METHODS for s in table1.scales}
    assert {key[1:] for key in golden.of("table1")} == keys, refresh


@pytest.mark.parametrize("result", [("", 0), ("bicubic", 30), ("edsr-liif", 2), MIXTURE])
def test_a_planted_drop_fails_the_project_s_own_check(result):
    check = run_check((), QUICK, rows_of_golden(0.05, result), GOLDEN / "quick.json")
    failed = [(finding.method, finding.scale, finding.verdict) for finding in check.failed]
    assert failed == ([(*result, "drop")] if result[0] else [])
    (caption,) = check.provenance
    assert caption.startswith(
        "Reduced setting and substitute data, not the paper's setting (profile quick): measured on "
    ), "in today's words, whatever the file was written in"


def test_golden_numbers_are_of_the_recipes_that_are_trained_now():
    """New settings of training must leave the recipes alone of networks that do not have them."""
    for path in (GOLDEN / "quick" / "training").glob("*/*/checkpoint.pt"):
        stored = checkpoints.read(path)["recipe"]
        recipe = make_recipe(QUICK, stored["method"], stored["seed"], stored["data"])
        assert asdict(recipe) == stored
        assert path.parent.name == f"s{recipe.seed}-{recipe.fingerprint}"


def test_settings_of_other_methods_are_no_other_settings(accepted):
    """Other networks may join a profile; those of an experiment may not change."""
    settings = json.loads(json.dumps(STORED.profile_settings))
    settings["networks"]["decoder"]["metasr"] = {"width": 3}
    settings["training"]["overrides"] |= {"rdn-metasr": {"lr": 1}, "edsr-x2": {"dense": True}}
    store(plan=replace(STORED, profile_settings=settings))
    assert accepted("check")[0] == 0
    settings["training"]["overrides"] |= {"edsr": {"lr": 1}}
    store(plan=replace(STORED, profile_settings=settings))
    status, out, _ = accepted("check")
    assert status == 1
    assert 'training.overrides.edsr: nothing was accepted, {"lr": 1} stored' in out


@cache
def hash_of(path: Path) -> str:
    return checkpoints.weights_hash(checkpoints.read(path)["state_dict"])


def test_committed_networks_are_those_behind_the_golden_numbers():
    golden = load_golden(GOLDEN / "quick.json")
    for result in golden.accepted:
        for recipe in result.recipes:
            folder = GOLDEN / "quick" / "training" / result.method
            (path,) = folder.glob(f"s*-{recipe}/checkpoint.pt")
            assert hash_of(path) in result.checkpoints, result.method
    method, scale = "edsr-moeisr-liif-b", 24
    (path,) = (GOLDEN / "quick" / "training" / method).glob("*/checkpoint.pt")
    subject = open_subject(path, torch.device("cpu"), method)
    where = places.resolve(results=Path("measured"))
    job = prepare(experiments.get("table1"), QUICK, where, torch.device("cpu"), [method])
    task = next(task for task in job.tasks(subject) if task.scale == scale)
    file = UnitFile(Path("rows.jsonl"))
    assert measure_unit(subject, task, file)
    rows = file.rows()
    expected = golden.of("table1")["table1", ROLE, method, scale]
    assert len(rows) == expected.images
    assert {row["checkpoint"] for row in rows} == set(expected.checkpoints)
    assert sum(row["metrics"]["psnr"] for row in rows) / len(rows) == pytest.approx(
        expected.psnr, abs=0.002
    )


def test_the_project_s_own_ci_checks_both():
    """What was trained there, and the committed networks, against the same numbers."""
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    check = "harness check --profile quick"
    assert {check, f"{check} --results results/golden --tolerance 0.02"} <= set(lines)


def test_the_workflow_file_is_valid():
    path = ROOT / "docs" / "workflows" / "psnr-regression.yml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {"name", True, "jobs", "permissions"} <= set(content)  # YAML 1.1 reads `on` as true
    commands = []
    for job in content["jobs"].values():
        assert {"runs-on", "timeout-minutes", "steps"} <= set(job)
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step), step
            commands += [line.split() for line in step.get("run", "").splitlines()]
    ours = [words[1:] for words in commands if words and words[0] == "harness"]
    assert {words[0] for words in ours} == {"run", "check"}
    for name, *words in ours:
        known = {option for p in cli.commands[name].params for option in p.opts}
        assert {word for word in words if word.startswith("--")} <= known
