"""The papers' numbers as data: found by name and scale, in the paper's order, to their digit."""

from __future__ import annotations

from importlib.resources import files

import pytest
from conftest import shared

from harness.data import published
from harness.data.published import Printed, System, claims, last_digit, printed_of, system, systems

SEEMORE = ("seemore_table1.csv", "1")
FILES = sorted(p.name for p in files("harness.data.published").iterdir() if p.name.endswith(".csv"))


@pytest.mark.parametrize(
    "name", [n for n in FILES if n.split("_")[0] in ("seemore", "igconv", "lmf")]
)
def test_a_neighbours_file_is_as_it_was_collected(name):
    """With its column of sources."""
    own = (files("harness.data.published") / name).read_bytes()
    assert own == shared("published", name).read_bytes()
    assert own.splitlines()[0].endswith(b",note,source")


def test_systems_come_in_the_papers_order():
    assert [system.label for system in systems(*SEEMORE)] == [
        *("bicubic", "CARN-M", "IMDN", "PAN", "DRSAN", "DDistill-SR", "ShuffleMixer", "SAFMN"),
        "SeemoRe-T",
    ]
    named = [system.label for system in systems("igconv_table2_div2k.csv", "2")]
    assert named[:4] == ["EDSR-SPConv+", "EDSR-IGConv", "EDSR-IGConv+", "HiT-SRF-SPConv"]


def test_a_system_without_a_method_of_ours_is_found_by_its_name():
    found = printed_of([SEEMORE], System("none", "IMDN"), "Urban100", 4, "ssim")
    assert found == Printed(0.7838, "Y channel", ".7838", pytest.approx(1e-4))
    assert printed_of([SEEMORE], System("none", "CARN-M"), "none", 2, "params").text == "412K"


def test_a_files_other_name_of_a_network_is_its_own(monkeypatch):
    """EDSR-baseline is EDSR in LMF's files; in IGConv's they are two networks."""
    file, table = "igconv_table2_div2k.csv", "2"
    (row, *_) = (r for r in published.rows_of(file) if r["backbone"] == "EDSR" and r["value"])
    rows = (row, {**row, "backbone": "EDSR-baseline", "value": "1.5", "printed": ""})
    with monkeypatch.context() as patch:
        patch.setattr(published, "rows_of", lambda _: rows)
        published._index.cache_clear()
        named = [System(edsr, row["method"]) for edsr in ("EDSR", "EDSR-baseline")]
        where = (row["dataset"], float(row["scale"]), row["metric"])
        values = [printed_of([(file, table)], name, *where).value for name in named]
        assert list(systems(file, table)) == named
    published._index.cache_clear()
    assert values == [float(row["value"]), 1.5]


def test_what_belongs_to_no_scale_is_found_at_every_one():
    source = [("lmf_params_computed.csv", "computed")]
    named = system("edsr-lmliif")
    found = [printed_of(source, named, "none", s, "decoder_params") for s in (1, 2, 8)]
    assert {each.value for each in found} == {165_651}


@pytest.mark.parametrize(
    ("text", "value", "digit", "same", "other"),
    [
        ("220K", 220e3, 1e3, 220_499, 220_501),
        ("45", 45e9, 1e9, 44.51e9, 44.49e9),
        ("0.35 M", 35e4, 1e4, 346_883, 344_999),
        (".9608", 0.9608, 1e-4, 0.96084, 0.96086),
        ("1,443", 1443e3, 1e3, 1_443_400, 1_443_600),
    ],
)
def test_agreement_is_to_the_printed_digit(text, value, digit, same, other):
    found = Printed(value, "", text, last_digit(text, value))
    assert found.digit == pytest.approx(digit)
    assert found.agrees(same)
    assert not found.agrees(other)
    assert not Printed(value, "").agrees(value), "no digit is known"


def test_claims_are_read_with_their_words():
    assert [(name, c.text) for name, c in claims("lmf_claims_figure.csv", "abstract")] == [
        ("compute_reduction_percent_max", "99.9%"),
        ("inference_speedup_max", "57 times"),
        ("params_saving_percent_max", "76%"),
    ]
