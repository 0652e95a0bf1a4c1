"""Costs that follow from the architecture: counted without images, equal to what is published."""

from __future__ import annotations

import csv
import io
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_published_rows import SEEMORE, lines
from tiny import PROFILE, Harness, write_data, write_profile

from harness.commands import main
from harness.experiments import EXPERIMENTS
from harness.report.sections.counts import Counts, Reference

PARAMETERS = {
    "LIIF": 346_883,
    "LTE": 493_827,
    "LM-LIIF": 165_651,
    "LM-LTE": 270_467,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where `harness run lmf-costs` was run, without data and without a profile."""
    found = tmp_path_factory.mktemp("lmf")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found)
        patch.setattr(sys, "argv", ["harness", "run", "lmf-costs"])
        with pytest.raises(SystemExit) as ending:
            main()
    assert not ending.value.code
    return found


@pytest.fixture(scope="module")
def document(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "reports/lmf-costs.json").read_text())
    return found


def counted(document: dict[str, Any]) -> dict[tuple[str, float], dict[str, Any]]:
    return {(r["label"], r["scale"]): r for r in document["records"] if "size" in r}


def test_every_figure_of_the_architecture_is_equal(document):
    """Of the official code exactly, of print at the printed digit."""
    records = counted(document)
    equal = dict.fromkeys(("official_code_parameters", "printed_parameters"), 0)
    for record in records.values():
        for key in equal:
            if record["kind"] == "counted" and record[key] is not None:
                assert record[f"{key}_agreement"] == "equal", (record["label"], record[key])
                equal[key] += 1
    # Eight networks of the official code, six of print, at five scales each.
    assert equal == {"official_code_parameters": 8 * 5, "printed_parameters": 6 * 5}
    for (label, _), record in records.items():
        encoder, _, decoder = label.partition("-")
        if record["kind"] == "counted" and (encoder, decoder) != ("SwinIR", "LM-LIIF"):
            assert record["parameters"] == PARAMETERS[decoder]
    assert records["SwinIR-LM-LIIF", 4]["parameters"] == 179_571


def test_multiply_adds_are_those_of_the_figure(document):
    """To 3 %, as well as the figure can be read."""
    shown = {
        key: (record["macs"], record["read_off_a_figure_macs"])
        for key, record in counted(document).items()
        if record["kind"] == "counted" and record["read_off_a_figure_macs"]
    }
    assert len(shown) == 16
    for macs, figure in shown.values():
        assert macs == pytest.approx(figure, rel=0.03)
    # A LIIF query costs 345,856 for each of four codes.
    assert shown["EDSR-LIIF", 8][0] == 4 * 345_856 * 64 * 320 * 180


def test_the_papers_other_systems_have_published_figures_alone(document):
    records = counted(document)
    labels = list(dict.fromkeys(label for label, _ in records))
    assert labels[-2:] == ["EDSR-CiaoSR", "EDSR-LM-CiaoSR"]
    for label in labels[-2:]:
        assert records[label, 4]["kind"] == "published"
        assert records[label, 4]["macs"] is None
    assert records["EDSR-CiaoSR", 4]["read_off_a_figure_macs"] == 3800 * 2**30
    assert records["EDSR-LM-CiaoSR", 2]["official_code_parameters"] == 734_998


def test_claims_stand_beside_what_follows(document):
    found = [(v["paper"].partition(" (")[0], v["ours"], v["verdict"]) for v in document["verdicts"]]
    limit, parameters = (100 * (1 - n) for n in (1648 / 345_856, 165_651 / 346_883))
    assert [each[0] for each in found] == ["99.9%", "99.9%", "57 times", "76%"]
    assert found[0][1].startswith("at most 99.34 % (")
    assert "EDSR-LIIF, \N{MULTIPLICATION SIGN}8" in found[0][1]
    assert found[1][1].startswith(f"at most {limit:.2f} % (")
    assert found[3][1].startswith(f"at most {parameters:.2f} % (")
    # CiaoSR, which the abstract speaks of too, is not counted here.
    assert [each[2] for each in found] == [*["not decided"] * 2, "not measured", "not decided"]


def test_the_report_in_every_format(folder):
    reports = folder / "reports"
    text = (reports / "lmf-costs.md").read_text()
    rows = lines(text, "Parameters behind the encoder")
    assert ["EDSR-LIIF", "346,883", "346,883, equal", "0.35 M, equal"] in rows
    # The pairs stay together, the paper's others stand behind EDSR's, as in the figure.
    assert [row[0] for row in rows[3:10]] == [
        *("EDSR-LIIF", "EDSR-LM-LIIF", "EDSR-LTE", "EDSR-LM-LTE"),
        *("EDSR-CiaoSR \N{DAGGER}", "EDSR-LM-CiaoSR \N{DAGGER}", "RDN-LIIF"),
    ]
    assert "read off a figure" in text
    assert "to about 3 %" in text
    assert "educed setting" not in text
    latex = (reports / "lmf-costs.tex").read_text()
    assert latex.isascii()
    assert latex.count(r"\begin{table*}") == latex.count(r"\end{table*}") == 1
    page = (reports / "lmf-costs.html").read_text()
    assert "Counted on networks of the published sizes" in page
    table = list(csv.DictReader(io.StringIO((reports / "lmf-costs.csv").read_text())))
    assert len(table) == len(counted(json.loads((reports / "lmf-costs.json").read_text())))


@pytest.fixture
def tiny(tmp_path: Path) -> tuple[str, ...]:
    """A profile with other sizes and with data, as arguments."""
    write_data(tmp_path / "data")
    roles = dict.fromkeys(("Set5", "Urban100"), "DIV2K_valid")
    write_profile(tmp_path / "tiny.yaml", {**PROFILE, "roles": roles})
    return ("--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu")


def test_a_profiles_sizes_change_nothing(tiny, harness: Harness):
    chosen = ("run", "lmf-costs", "--methods", "edsr-l*", *tiny)
    plan = harness.good(*chosen, "--dry-run", "--json")
    assert {line["cells"] for line in json.loads(plan)["plan"]} == {5}
    found = counted(json.loads(harness.good(*chosen, "--json")))
    assert found["EDSR-LM-LIIF", 2]["parameters"] == PARAMETERS["LM-LIIF"]
    assert found["RDN-LIIF", 2]["missing"] == "left out of this run, or not trained"
    # What was counted before stays, and nothing is counted twice.
    more = ("run", "lmf-costs", "--methods", "edsr-liif,rdn-liif", *tiny)
    status, out, err = harness(*more, "--json")
    assert status == 0
    assert "Measuring 5 of 10" in err
    found = counted(json.loads(out))
    assert found["RDN-LIIF", 2]["parameters"] == PARAMETERS["LIIF"]
    assert found["EDSR-LM-LTE", 2]["macs"] > 0


def printed(metric: str, dataset: str = "none") -> Reference:
    return Reference("published", "Table 1", SEEMORE.published[0], metric, dataset=dataset)


WITH_COSTS = replace(
    SEEMORE,
    sections=(
        Counts(
            size="1280x720 output",
            parameters=(printed("params"),),
            macs_beside=(printed("macs", "1280x720 output"),),
        ),
        *SEEMORE.sections,
    ),
)


def test_costs_beside_scores(tiny, harness: Harness, monkeypatch: pytest.MonkeyPatch):
    """Counted for a 1280x720 output; the profile's small networks do not come into it."""
    monkeypatch.setitem(EXPERIMENTS, "neighbour", WITH_COSTS)
    status, _, err = harness("run", "neighbour", *tiny, "--no-train")
    assert status == 0
    assert "Left out but for their costs: edsr-x2, edsr-x3, edsr-x4 (not trained under" in err
    records = json.loads(Path("reports/tiny/neighbour.json").read_text())["records"]
    found = {(r["label"], r["scale"]): r for r in records if "size" in r}
    # EDSR-baseline by the official code: 790,622,208 for 24x24 LR pixels.
    assert found["EDSR", 2]["macs"] == 790_622_208 // 576 * 640 * 360
    assert found["EDSR", 3]["macs"] == 901_767_168 // 576 * 426 * 240
    assert found["EDSR", 2]["parameters"] == 1_369_859
    assert found["CARN-M", 4]["published_macs"] == 33e9
    text = Path("reports/tiny/neighbour.md").read_text()
    rows = {row[0]: row for row in lines(text, "MACs (GMACs), 1280x720 output")}
    assert rows["EDSR"] == ["EDSR", "316.25", "160.06", "114.23", *[""] * 3]
    assert rows["SAFMN \N{DAGGER}"] == ["SAFMN \N{DAGGER}", *[""] * 3, "52", "23", "14"]
    rows = {row[0]: row for row in lines(text, "Parameters")}
    carn = "CARN-M \N{DAGGER}"
    assert rows[carn] == [carn, *[""] * 3, "412K", "415K", "415K"]
    assert "bicubic" not in rows
    # Tables of scores still speak of the profile's networks, those of costs do not.
    assert "educed setting" not in text.partition("### Parameters")[2].partition("\n## PSNR")[0]
    assert "reduced setting" in text.partition("\n## PSNR")[2]
