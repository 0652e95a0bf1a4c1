"""Rows and sets that only the paper has: in its order, labelled, never in the measured lines."""

from __future__ import annotations

import csv
import io
import json
from importlib.resources import files
from pathlib import Path

import pytest
from tiny import PROFILE, Harness, write_data, write_profile

from harness.experiments import EXPERIMENTS
from harness.report.paper import blocks, others
from harness.report.sections.networks import Networks
from harness.report.sections.scores import ScoreTable
from harness.runs.experiment import Block, Experiment

SEEMORE = Experiment(
    name="neighbour",
    title="A neighbour's table",
    source="SeemoRe (arXiv 2402.03412), Table 1",
    common=("bicubic",),
    blocks=(Block(("edsr-xN",)),),
    roles=("Set5", "Urban100"),
    scales=(2, 3, 4),
    published=(("seemore_table1.csv", "1"),),
    sections=(ScoreTable("psnr"), ScoreTable("ssim"), Networks()),
    published_rows=True,
    published_roles=("Manga109",),
)
OTHERS = ["CARN-M", "IMDN", "PAN", "DRSAN", "DDistill-SR", "ShuffleMixer", "SAFMN", "SeemoRe-T"]


def liif_blocks(*methods: tuple[str, ...]) -> Experiment:
    """An experiment whose published table is the figure of LMF."""
    return Experiment(
        name="blocks",
        title="",
        source="",
        blocks=tuple(Block(names) for names in methods),
        roles=(),
        scales=(2,),
        published=(("lmf_claims_figure.csv", "figure"),),
        published_rows=True,
    )


def test_blocks_stay_whole_and_others_follow_in_the_papers_order():
    """The paper has LIIF, LTE, CiaoSR, then their LM versions."""
    pairs = ("edsr-liif", "edsr-lmliif"), ("edsr-lte", "edsr-lmlte"), ("rdn-liif", "rdn-lmliif")
    found = liif_blocks(pairs[2], pairs[0], pairs[1])
    assert blocks(found) == ((), *pairs[:2], ("EDSR-CiaoSR", "EDSR-LM-CiaoSR"), pairs[2])
    assert list(others(liif_blocks(("edsr-lte",)))) == [
        *("EDSR-LIIF", "EDSR-CiaoSR", "EDSR-LM-LIIF", "EDSR-LM-LTE", "EDSR-LM-CiaoSR")
    ]


def test_others_before_ours_are_before_it():
    placed = blocks(liif_blocks(("edsr-lte",)))
    assert placed == (
        (),
        ("EDSR-LIIF",),
        ("edsr-lte",),
        ("EDSR-CiaoSR", "EDSR-LM-LIIF", "EDSR-LM-LTE", "EDSR-LM-CiaoSR"),
    )


def test_a_table_shows_them_only_where_it_says_so():
    for experiment in EXPERIMENTS.values():
        if not experiment.published_rows:
            assert not others(experiment)
            assert blocks(experiment) == (
                experiment.common,
                *(block.methods for block in experiment.blocks),
            )


@pytest.fixture
def text(tmp_path: Path, harness: Harness, monkeypatch: pytest.MonkeyPatch) -> str:
    """The Markdown report of a run with bicubic alone."""
    monkeypatch.setitem(EXPERIMENTS, "neighbour", SEEMORE)
    write_data(tmp_path / "data")
    roles = dict.fromkeys(("Set5", "Urban100"), "DIV2K_valid")
    write_profile(tmp_path / "tiny.yaml", {**PROFILE, "roles": roles})
    command = ("run", "neighbour", "--profile", "tiny.yaml", "--data-root", "data")
    harness.good(*command, "--methods", "bicubic", "--device", "cpu")
    return Path("reports/tiny/neighbour.md").read_text()


def lines(text: str, title: str) -> list[list[str]]:
    section = text.partition(f"### {title}")[2].partition("\n##")[0]
    rows = [row for row in section.splitlines() if row.startswith("|")]
    return [[entry.strip() for entry in row.split("|")[1:-1]] for row in rows]


def test_others_have_published_values_alone(text):
    for title in ("PSNR (dB), DIV2K_valid in place of Set5", "SSIM, DIV2K_valid in place of Set5"):
        rows = lines(text, title)
        named = [
            row[0].removesuffix(" \N{DAGGER}") for row in rows if row[0].endswith("\N{DAGGER}")
        ]
        assert named == OTHERS
        for row in (row for row in rows if row[0].endswith("\N{DAGGER}")):
            assert all(entry.startswith("(") for entry in row[1:] if entry)
            assert any(row[1:])
    assert "Not a system of this harness" in text
    assert "not a system of ours" not in text, "it has no number that would want a reason"
    assert "Not run: EDSR." in text


def test_a_missing_set_is_shown_and_said(text):
    section = text.partition("### PSNR (dB), Manga109, published values alone")[2]
    assert "Nothing is measured on Manga109 in this experiment" in section[:200]
    rows = {row[0]: row for row in lines(text, "PSNR (dB), Manga109, published values alone")}
    assert rows["SAFMN \N{DAGGER}"][1:] == ["(38.71)", "(33.52)", "(30.43)"]
    assert rows["bicubic"][1].startswith("(")
    assert "educed setting" not in section.partition("\n##")[0]


def test_every_published_score_is_in_csv_and_json(text, harness: Harness):
    with (files("harness.data.published") / "seemore_table1.csv").open(encoding="utf-8") as stream:
        wanted = {
            (row["method"].replace("Bicubic", "bicubic"), row["dataset"], float(row["scale"]))
            for row in csv.DictReader(stream)
            if row["dataset"] in ("Set5", "Urban100", "Manga109")
        }
    document = json.loads(Path("reports/tiny/neighbour.json").read_text())
    found = {
        (r["label"], r["role"], r["scale"]): r
        for r in document["records"]
        if r["published_psnr"] is not None and r["published_ssim"] is not None
    }
    assert set(found) == wanted
    kinds = {key: r["kind"] for key, r in found.items()}
    assert kinds["IMDN", "Set5", 2] == kinds["bicubic", "Manga109", 2] == "published"
    assert kinds["bicubic", "Set5", 2] == "measured"
    assert not found["IMDN", "Set5", 2]["reduced_setting"]
    table = csv.DictReader(io.StringIO(Path("reports/tiny/neighbour.csv").read_text()))
    imdn = next(row for row in table if row["label"] == "IMDN")
    assert imdn["provenance"].startswith("Printed by SeemoRe (arXiv 2402.03412), Table 1; not me")
    assert "trained" not in imdn["provenance"]


def test_every_document_marks_them(text):
    assert r"IMDN $\dagger$ &" in Path("reports/tiny/neighbour.tex").read_text()
    assert Path("reports/tiny/neighbour.tex").read_text().isascii()
    assert "IMDN \N{DAGGER}" in Path("reports/tiny/neighbour.html").read_text()
