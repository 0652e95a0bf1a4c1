"""`harness run` of the neighbours' own tables: rows of their papers, architecture figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tiny import Harness

from harness.data.published import published

UNTRAINED = ("--no-train", "--no-figures", "--profile", "quick")
SIZES = ["SeemoRe-T", "SeemoRe-B", "SeemoRe-L"]


def document(harness: Harness, experiment: str, *more: str) -> dict[str, Any]:
    """The JSON report of a run that trains nothing, under `quick`."""
    found: dict[str, Any] = json.loads(harness.good("run", experiment, *UNTRAINED, "--json", *more))
    return found


def test_seemore_costs_what_is_published(harness: Harness):
    """All parameters to the last one; multiply-adds between the cheapest and dearest choice."""
    records = document(harness, "seemore-table1", "--methods", "seemore-*")["records"]
    counted = [r for r in records if r.get("size") and r["macs"] is not None]
    assert [(r["label"], r["scale"]) for r in counted] == [
        (size, scale) for scale in (2, 3, 4) for size in SIZES
    ]
    for record in counted:
        assert record["official_code_parameters_agreement"] == "equal"
        assert record["official_code_macs_agreement"] == "in range"
        assert record["least_macs"] < record["official_code_macs"] < record["macs"]
        assert record["macs"] < 1.025 * record["least_macs"]
        of_t = record["label"] == "SeemoRe-T"
        assert record["printed_parameters_agreement"] == ("equal" if of_t else None)
        # At x2 the printed 45 is the dearest choice, rounded; the cheapest is 44.
        at = {2: "in range", 3: "equal", 4: "equal"}[record["scale"]]
        assert record["printed_macs_agreement"] == (at if of_t else None)
    alone = {r["label"] for r in records if r.get("size") and r["kind"] == "published"}
    assert {"CARN-M", "SAFMN"} <= alone


def test_trained_weights_are_not_needed_for_counts_but_for_scores(harness: Harness):
    records = document(harness, "seemore-table1", "--methods", "seemore-t-x4")["records"]
    scored = [r for r in records if "psnr" in r and r["label"] == "SeemoRe-T"]
    at_x4 = {r["role"]: r for r in scored if r["scale"] == 4}
    assert {r["psnr"] for r in scored} == {None}
    assert at_x4["Urban100"]["published_psnr"] == published(
        "seemore_table1.csv", "1", "seemore-t-x4", "Urban100", 4
    )
    assert at_x4["Manga109"]["kind"] == "published"


@pytest.mark.parametrize("experiment", ["seemore-table1", "igconv-table2", "igconv-table3"])
def test_published_values_stand_beside_those_of_their_own_protocol(
    harness: Harness, experiment: str
):
    """Their code rounds SR images to 8 bits, as BasicSR does."""
    records = document(harness, experiment, "--methods", "bicubic")["records"]
    assert [r for r in records if r["label"] == "bicubic" and r.get("psnr") is not None]
    report = Path(f"reports/quick/{experiment}.md").read_text(encoding="utf-8")
    assert "protocol basicsr-1 (Y, border scale, SR rounded to 8 bits)" in report
    assert "protocol benchmark" not in report


@pytest.mark.parametrize(
    ("table", "file", "backbone", "network"),
    [
        ("2", "igconv_table2_div2k.csv", "EDSR", "edsr-large-igconv-plus"),
        ("3", "igconv_table3_df2k.csv", "SRFormer", "srformer-igconv-plus"),
    ],
)
def test_igconv_beside_the_papers_rows(
    table: str, file: str, backbone: str, network: str, harness: Harness
):
    records = document(harness, f"igconv-table{table}", "--methods", network)["records"]
    records = [r for r in records if "role" in r]  # the others are counts at a fixed size
    urban = [r for r in records if r["role"] == "Urban100" and r["scale"] == 4]
    kinds = {r["label"]: r["kind"] for r in urban}
    assert kinds[f"{backbone}-IGConv+"] == "counted"
    assert kinds[f"{backbone}-SPConv+"] == "published"
    own = next(r for r in urban if r["label"] == f"{backbone}-IGConv+")
    assert own["published_psnr"] == published(file, table, network, "Urban100", 4)
    assert own["macs"] > 0, "counted without weights"
    assert {r["label"] for r in urban if r["published_psnr"]} >= {f"{backbone}-IGConv"}
    assert any(r["role"] == "Manga109" and r["published_psnr"] for r in records)


@pytest.mark.parametrize("experiment", ["seemore-table1", "igconv-table2"])
def test_neighbours_are_not_captioned_as_moeisr(experiment: str, harness: Harness):
    """No expert's MLP, no Table 3 of another paper; and nothing is said of SSIM of no image."""
    harness.good("run", experiment, *UNTRAINED)
    text = Path(f"reports/quick/{experiment}.md").read_text()
    for words in (
        "mapper",
        "Table 3 takes",
        "calls MACs FLOPs",
        "SSIM is over 0",
        "+size",
    ):
        assert words not in text
    dearest = "SeemoRe-T, SeemoRe-B, SeemoRe-L: counted without weights, with the dearest expert"
    assert (dearest in text) == (experiment == "seemore-table1")
    kernels = "Kernels are made once for all images of a scale"
    assert (kernels in text) == (experiment == "igconv-table2")


def test_a_part_that_was_not_counted_says_so(harness: Harness):
    """Rows that a run leaves out are named, with the command that runs them."""
    harness.good("run", "seemore-table1", *UNTRAINED, "--methods", "seemore-t-*")
    text = Path("reports/quick/seemore-table1.md").read_text()
    section = text.partition("### MACs (GMACs), 1280x720 output")[2].partition("\n##")[0]
    assert text.count("Not run: bicubic, SeemoRe-B, SeemoRe-L. Run them with") == 1
    assert "--methods bicubic,seemore-b-xN,seemore-l-xN" in text
    assert "| SeemoRe-T " in section
    assert "| bicubic" not in section, "it has nothing to count"


def test_igconv_costs_what_is_published(harness: Harness):
    """7K and 35K numbers at x2; needs neither data nor training."""
    found: dict[str, Any] = json.loads(harness.good("run", "igconv-costs", "--json"))
    upsampler = {
        (r["method"], r["scale"]): r for r in found["records"] if r.get("part") == "upsampler"
    }
    for method, numbers in (("edsr-igconv", 12 * 576), ("edsr-igconv-plus", (12 + 48) * 576)):
        at_2 = upsampler[method, 2]
        assert at_2["parameters"] == numbers
        assert at_2["printed_parameters_agreement"] == "equal"
        assert at_2["macs"] % (640 * 360) == 0
        assert upsampler[method, 4]["printed_parameters"] is None
    whole = {(r["method"], r["scale"]): r for r in found["records"] if r.get("part") == "all"}
    # The official network's convolutions on 24x24 LR pixels, less those that make its kernels.
    assert whole["edsr-igconv", 2]["macs"] == (701_706_240 + 3_981_312) // 576 * 640 * 360
