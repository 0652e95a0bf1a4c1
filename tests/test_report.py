"""Reports keep their promises: right numbers, named provenance, nothing hidden."""

from __future__ import annotations

import html
import io
import json
import math
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from PIL import Image
from report_fixtures import (
    GENUINE,
    METHODS,
    PLAN,
    ROLE,
    SUBSTITUTE,
    TABLE1,
    edited,
    made_up_psnr,
    rendered,
    reported,
    write_results,
    write_sample,
)

from harness.common import checksums
from harness.common.errors import HarnessError, UsageError
from harness.data.published import published
from harness.experiments import get
from harness.measure.rows import Measurement
from harness.report import ALL_FORMATS
from harness.report.formats import escape
from harness.report.text import MINUS, decimals, signed
from harness.results import differences, frame, means
from harness.runs.plan import StoredPlan, measurements_dir, plan_path

PUBLISHED = TABLE1.published[0]
TABLES = 11
GENUINE_PLAN = replace(
    PLAN,
    **{"roles": [GENUINE], "reduced": False, "profile": "paper", "warnings": []},
    methods=[replace(note, reduced=False) for note in PLAN.methods],
)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run in a reduced setting, with samples."""
    root = write_results(tmp_path_factory.mktemp("results"))
    write_sample(root, size=64)
    write_sample(root, name="astronaut-x8", scale=8, size=64)
    return root


@pytest.fixture(scope="module")
def written(results: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Path]]:
    out = tmp_path_factory.mktemp("reports")
    return out, reported(results, "quick", "table1", out)


def records(root: Path, profile: str = "quick") -> dict[tuple[str, float], dict]:
    document = json.loads(rendered(root, profile, "table1", "json"))
    return {(r["method"], r["scale"]): r for r in document["records"]}


def line(text: str, method: str, table: str = "PSNR (dB)") -> list[str]:
    """Entries of a Markdown table's line."""
    section = text[text.index(f"### {table}") :]
    rows = [[c.strip() for c in row.split("|")[1:-1]] for row in section.splitlines() if "|" in row]
    return next(row[1:] for row in rows if row[0] == method)


def measured(entries: list[str]) -> list[str]:
    """What stands before the published values."""
    return [re.sub(r" \(.*", "", entry) for entry in entries]


def test_psnr_is_the_mean_of_each_images_value(results: Path) -> None:
    for (method, scale), record in records(results).items():
        if method not in METHODS:
            assert record["psnr"] is None
            continue
        values = [made_up_psnr(method, scale, image) for image in range(3)]
        assert record["psnr"] == pytest.approx(sum(values) / 3, abs=1e-12)
        assert record["images"] == 3


def test_the_published_value_stands_beside_the_measured_one(results: Path) -> None:
    text = rendered(results, "quick", "table1", "markdown")
    entries = line(text, "EDSR-MoEISR(LTE)-s")
    stored = records(results)
    for place, scale in enumerate(TABLE1.scales):
        paper = published(*PUBLISHED, "edsr-moeisr-lte-s", ROLE, scale)
        assert paper is not None
        own = decimals(stored["edsr-moeisr-lte-s", scale]["psnr"])
        assert re.sub("</?u>", "", entries[place].replace("**", "")) == f"{own} ({paper:.2f})"


def test_difference_to_the_printed_value_where_it_means_something(
    results: Path, tmp_path: Path
) -> None:
    genuine = records(write_results(tmp_path, plan=GENUINE_PLAN), "paper")
    reduced = records(results)
    for method in METHODS:
        for scale in TABLE1.scales:
            paper = published(*PUBLISHED, method, ROLE, scale)
            record = genuine[method, scale]
            assert record["psnr_difference"] == record["psnr"] - paper
            assert reduced[method, scale]["psnr_difference"] is None


def test_ties_at_printed_precision_are_all_bold_and_bicubic_never(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        values = {"bicubic": 99.0, "edsr-liif": 30.001, "edsr-moeisr-liif-s": 29.0}
        return edited(row, psnr=values.get(row.method, 30.004))

    text = rendered(write_results(tmp_path, edit=edit), "quick", "table1", "markdown")
    assert set(measured(line(text, "bicubic"))) == {"99.00"}
    assert set(measured(line(text, "EDSR-LIIF"))) == {"**30.00**"}
    assert set(measured(line(text, "EDSR-MoEISR(LIIF)-s"))) == {"<u>29.00</u>"}
    assert set(measured(line(text, "EDSR-MoEISR(LIIF)-b"))) == {"**30.00**"}


def test_the_least_macs_are_bold(results: Path) -> None:
    text = rendered(results, "quick", "table1", "markdown")
    title = "Decoder MACs counted as in the paper (GMACs)"
    assert set(line(text, "EDSR-LIIF", title)) == {"400.00"}
    assert set(line(text, "EDSR-MoEISR(LIIF)-b", title)) == {"**105.26**"}
    title = "Decoder MACs, % of the method's own baseline"
    assert set(line(text, "EDSR-MoEISR(LIIF)-b", title)) == {"26.3"}


def test_differences_to_the_baseline_are_paired_and_have_an_interval(tmp_path: Path) -> None:
    """Eight images: their own differences are large, those between methods small and decided."""
    many = replace(SUBSTITUTE, images=8)

    def edit(row: Measurement) -> Measurement:
        image = int(row.image[5])
        worse = 0.01 * (1 + image % 3) * (row.method == "edsr-moeisr-liif-s")
        noise = 0.02 * (image % 2 - 0.5) * (row.method == "edsr-moeisr-liif-b")
        return edited(row, psnr=20 + 3 * image - worse + noise)

    root = write_results(tmp_path, plan=replace(PLAN, roles=[many]), scales=(2,), edit=edit)
    record = records(root)["edsr-moeisr-liif-s", 2]
    assert record["psnr_to_baseline"] == pytest.approx(-0.01 * 15 / 8)
    assert record["psnr_to_baseline_low"] < -0.01875 < record["psnr_to_baseline_high"] < 0
    assert record["psnr_to_baseline_decided"]
    assert record["psnr_to_baseline_sign_test"] == pytest.approx(2 / 2**8)
    assert not records(root)["edsr-moeisr-liif-b", 2]["psnr_to_baseline_decided"]
    assert record["psnr_low"] < record["psnr"] - 3 < record["psnr"] + 3 < record["psnr_high"]
    text = rendered(root, "quick", "table1", "markdown")
    title = "PSNR (dB), difference to the baseline"
    assert re.fullmatch(MINUS + r"0\.02 \[.*\]", line(text, "EDSR-MoEISR(LIIF)-s", title)[0])
    assert line(text, "EDSR-MoEISR(LIIF)-b", title)[0].endswith(" ?")
    assert "?: sign not decided" in text
    # The same by the public frame, as pandas operations on it.
    tidy = frame("table1", "quick", root)
    found = differences(tidy).set_index(["method", "scale"]).loc[("edsr-moeisr-liif-s", 2)]
    assert found["mean"] == record["psnr_to_baseline"]
    assert found["decided"]
    mean = means(tidy).query("method == 'edsr-liif' and metric == 'psnr'").iloc[0]
    own = records(root)["edsr-liif", 2]
    assert [mean["mean"], mean["low"], mean["high"]] == pytest.approx(
        [own["psnr"], own["psnr_low"], own["psnr_high"]]
    )


def test_the_frame_has_every_number_and_every_reason(results: Path) -> None:
    tidy = frame("table1", "quick", results)
    psnr = tidy[tidy["metric"] == "psnr"].set_index(["method", "scale", "image"]).sort_index()
    found = psnr.loc[("edsr-lte", 6, "image2.png")]
    assert found["value"] == made_up_psnr("edsr-lte", 6, 2)
    assert found["published"] == 26.81
    assert found["cell"].startswith("made-up/x6/edsr-lte.s0.")
    never = tidy[tidy["method"] == "rdn-liif"]
    assert never["value"].isna().all()
    assert set(never["missing"]) == {"left out of this run, or not trained"}
    assert 34.99 in set(never["published"])


def test_methods_that_were_not_run_are_one_line_with_their_command(results: Path) -> None:
    text = rendered(results, "quick", "table1", "markdown")
    assert "| RDN-LIIF" not in text
    assert text.count("Not run: RDN-LIIF, RDN-MoEISR(LIIF)-s, ") == 1
    assert "`harness run table1 --profile quick --methods rdn-liif,rdn-moeisr-liif-s," in text
    assert records(results)["rdn-liif", 2]["published_psnr"] == 34.99


def test_what_is_lost_and_saved_stands_in_one_table(tmp_path: Path) -> None:
    """Means over images and scales, paired; the paper's own difference beside; a gap is a gap."""
    without = "edsr-moeisr-lte-b"
    root = write_results(
        tmp_path, edit=lambda row: None if (row.method, row.scale) == (without, 6) else row
    )
    text = rendered(root, "quick", "table1", "markdown", table="brief")
    lines = [[*map(str.strip, line.split("|"))] for line in text.splitlines() if "| EDSR" in line]
    found = {name: row for _, name, *row in lines}
    # Made-up PSNRs differ by 0.03 dB from row to row, MACs by a factor.
    assert found["EDSR-MoEISR(LIIF)-s"][:2] == ["+0.03 (\u22120.05)", "42 %"]
    assert found["EDSR-MoEISR(LIIF)-b"][0].startswith("+0.06 ")
    assert found["EDSR-MoEISR(LTE)-b"][2].endswith("[a]")
    assert "- [a] made-up at \N{MULTIPLICATION SIGN}6: not measured (0 of 3 images)." in text
    assert "- -s: experts of half the decoder's width" in text
    assert "Without intervals, which take at least 6 images" in text


def _equal(row):
    """Met exactly by one method on one image."""
    exact = (row.method, row.scale, row.image) == ("edsr-moeisr-lte-b", 2, "image0.png")
    return edited(row, psnr=math.inf) if exact else row


def _small(row):
    """Too small at x12 but for one image, on which -s loses 1.03 dB there."""
    if row.scale != 12:
        return row
    if row.image != "image0.png":
        return edited(replace(row, reason="too small"), psnr=None, ssim=None)
    return edited(row, psnr=20 - 1.03 * (row.method == "edsr-moeisr-liif-s"))


@pytest.mark.parametrize(
    ("edit", "entry", "said"),
    [
        (_equal, ("EDSR-MoEISR(LTE)-b", 0, "[a]"), "made-up at \u00d72: an image is met exactly"),
        (
            lambda row: None if (row.method, row.scale) == ("edsr-lte", 3) else row,
            ("EDSR-MoEISR(LTE)-s", 0, "[a]"),
            "its baseline EDSR-LTE, made-up at \u00d73: not measured",
        ),
        # Of the one image that is large enough: 0.03 at x6 and -1.03 at x12.
        (_small, ("EDSR-MoEISR(LIIF)-s", 2, "\u22120.50"), "Mean over the images of made-up"),
    ],
)
def test_a_mean_is_of_the_same_images_everywhere(tmp_path: Path, edit, entry, said: str) -> None:
    root = write_results(tmp_path, scales=(2, 3, 4, 6, 12), edit=edit)
    text = rendered(root, "quick", "table1", "markdown", table="brief")
    name, column, expected = entry
    (line,) = (line for line in text.splitlines() if f"| {name} " in line)
    shown = line.split("|")[2 + column].strip()
    assert shown.endswith(expected) or shown.startswith(expected)
    assert said in text


def test_one_table_for_a_paper(results: Path) -> None:
    """A short caption, and the setting as a note."""
    options = {"table": "psnr", "methods": METHODS[:4], "short": True}
    text = rendered(results, "quick", "table1", "latex", **options)
    assert text.count(r"\begin{table*}") == 1
    assert r"\label{tab:table1-psnr}" in text
    (caption,) = re.findall(r"\\caption\{(.*)\}", text)
    assert len(caption) < 120
    assert "reduced setting, substitute data" in caption
    tabular = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    assert len(re.findall(r"^(?:bicubic|EDSR)", tabular, re.MULTILINE)) == 4
    assert r"{\tiny(34.67)}" in tabular
    assert "trained on 12 made-up photographs" in text[text.index(r"\bottomrule") :]
    alone = rendered(results, "quick", "table1", "latex", published=False, **options)
    assert alone.count("&") == text.count("&")
    assert r"{\tiny(" not in alone
    assert "In parentheses" not in alone
    with pytest.raises(UsageError, match="Did you mean 'psnr'"):
        rendered(results, "quick", "table1", "latex", table="psn")


TEMPLATES = {
    "IEEE": r"\documentclass[conference]{IEEEtran}",
    # As wide as CVPR's, whose class is on no package server.
    "CVPR": r"\documentclass[10pt,twocolumn,letterpaper]{article}"
    r"\usepackage[textwidth=6.875in,textheight=8.875in,columnsep=0.3125in]{geometry}\usepackage{times}",
}


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("template", TEMPLATES)
def test_latex_compiles_in_the_templates_of_papers(
    results: Path, template: str, tmp_path: Path
) -> None:
    """The whole report and the table of a paper; nothing is wider than its column."""
    if template == "IEEE" and not run(["kpsewhich", "IEEEtran.cls"], tmp_path).stdout:
        pytest.skip("IEEEtran is not installed")
    for name, options in {"whole": {}, "short": {"table": "psnr", "short": True}}.items():
        text = rendered(results, "quick", "table1", "latex", **options)
        (tmp_path / "table.tex").write_text(text, encoding="ascii")
        (tmp_path / f"{name}.tex").write_text(
            TEMPLATES[template]
            + r"\usepackage[T1]{fontenc}\usepackage{booktabs}\begin{document}Table~"
            + r"\ref{tab:table1-psnr}.\input{table}\end{document}"
        )
        command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"]
        for _ in range(2):  # the second run knows the labels
            log = run(command, tmp_path).stdout
        assert (tmp_path / f"{name}.pdf").exists(), log[-2000:]
        assert "undefined" not in log
        wide = [float(points) for points in re.findall(r"Overfull .hbox \(([\d.]+)pt", log)]
        assert all(points < 3 for points in wide), log[-2000:]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program of TeX, which must ask nothing and end soon."""
    return subprocess.run(
        command, cwd=folder, timeout=120, check=False, capture_output=True, encoding="latin-1"
    )


def plain(text: str) -> str:
    """Text without what LaTeX, HTML, CSV and JSON put around special characters."""
    for quoted, mark in (
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&amp;", "&"),
        ("&#34;", '"'),
        ('""', '"'),
        ("\\", ""),
    ):
        text = text.replace(quoted, mark)
    return text


@pytest.mark.parametrize("fmt", ALL_FORMATS)
def test_every_format_says_that_setting_and_data_are_not_the_papers(
    results: Path, fmt: str
) -> None:
    text = plain(rendered(results, "quick", "table1", fmt))
    for part in (
        "Reduced setting and substitute data, not the paper's setting (profile quick)",
        f"{SUBSTITUTE.dataset} ({SUBSTITUTE.description}; 3 images) in place of {ROLE}",
        "trained on 12 made-up photographs;",
        PLAN.networks,
        PLAN.schedule,
        PLAN.warnings[0],
    ):
        assert part in text, part


def test_it_is_said_once_at_the_top_and_briefly_at_every_table(results: Path) -> None:
    text = rendered(results, "quick", "table1", "markdown")
    assert text.count("not the paper's setting") == 1
    assert "differences to them are no statement on the methods and are not shown" in text
    assert text.index("not the paper's setting") < text.index("\n## ")
    tables = text.split("\n### ")[1:]
    assert len(tables) == TABLES
    assert all("; reduced setting, substitute data." in table for table in tables)
    assert text.count("Bold: best of a block of rows, underlined: second") == 1
    assert text.count("?: sign not decided, the interval includes 0") == 1
    assert sum(line.startswith("%") for line in latex_lines(results)) <= 5
    captions = re.findall(r"\\caption\{.*\}", rendered(results, "quick", "table1", "latex"))
    assert len(captions) == TABLES
    assert all("reduced setting, substitute data" in caption for caption in captions)


def latex_lines(results: Path) -> list[str]:
    return rendered(results, "quick", "table1", "latex").splitlines()


def test_the_papers_own_setting_is_not_called_reduced(tmp_path: Path) -> None:
    root = write_results(tmp_path, plan=GENUINE_PLAN)
    for fmt in ALL_FORMATS:
        text = rendered(root, "paper", "table1", fmt)
        assert "educed setting" not in text
        assert "ubstitute data" not in text
        assert "no statement" not in text
    for fmt in ("csv", "json"):
        assert "Profile paper: measured on" in rendered(root, "paper", "table1", fmt)


def test_another_training_on_the_papers_set_is_said(tmp_path: Path) -> None:
    root = write_results(tmp_path, plan=replace(PLAN, roles=[GENUINE]))
    text = rendered(root, "quick", "table1", "markdown")
    assert "Reduced setting, not the paper's setting (profile quick)" in text
    assert "ubstitute data" not in text
    assert "no statement on the methods" in text


def partial_plan(*departing: str) -> StoredPlan:
    """Of the paper's setting, but for some methods."""
    methods = [replace(n, reduced=n.method in departing) for n in PLAN.methods]
    return replace(GENUINE_PLAN, reduced=True, methods=methods)


def test_a_row_that_departs_does_not_label_the_table(tmp_path: Path) -> None:
    root = write_results(tmp_path, plan=partial_plan("edsr-moeisr-lte-s"))
    text = rendered(root, "paper", "table1", "markdown")
    tables = text[text.index("\n### ") :]
    names = {
        row[2:].split(" |")[0].strip() for row in tables.splitlines() if row.startswith("| EDSR")
    }
    marked = "EDSR-MoEISR(LTE)-s \N{DOUBLE DAGGER}"
    assert {name for name in names if name.startswith("EDSR-MoEISR(LTE)-s")} == {marked}
    assert {name for name in names if "\N{DOUBLE DAGGER}" in name} == {marked}
    said = "Reduced setting, not the paper's networks or training (\N{DOUBLE DAGGER}): "
    assert f"{said}EDSR-MoEISR(LTE)-s." in text
    assert "; reduced setting" not in text
    assert r"EDSR-MoEISR(LTE)-s $\ddagger$ &" in rendered(root, "paper", "table1", "latex")
    for (method, _), record in records(root, "paper").items():
        departs = method == "edsr-moeisr-lte-s"
        assert record["reduced_setting"] == departs
        assert (record["psnr_difference"] is None) == (departs or method not in METHODS)


def test_figures_name_the_rows_that_depart(tmp_path: Path) -> None:
    root = write_results(tmp_path, plan=partial_plan("edsr-moeisr-lte-s"), scales=(2, 4))
    files = reported(root, "paper", "table1", tmp_path / "out", ["csv"])
    (png,) = (path for path in files if path.name == "psnr_over_scale_edsr.png")
    with Image.open(png) as image:
        said = image.info["Description"]
    assert "Profile paper: measured on" in said
    assert "networks or training (\N{DOUBLE DAGGER}): EDSR-MoEISR(LTE)-s." in said


def test_a_plan_that_does_not_tell_methods_apart_labels_all_of_them(tmp_path: Path) -> None:
    """One of a version that had no labels of single methods."""
    root = write_results(tmp_path, plan=replace(PLAN, roles=[GENUINE]))
    path = plan_path(root, "quick", "table1")
    content = checksums.parse(path.read_text())
    for note in content["methods"]:
        del note["stand_in"]
    path.write_text(json.dumps(content))
    found = records(root).items()
    assert all(r["reduced_setting"] == (m in METHODS[1:]) for (m, _), r in found)
    text = rendered(root, "quick", "table1", "markdown")
    assert "Reduced setting, not the paper's setting (profile quick)" in text
    assert "\N{DOUBLE DAGGER}" not in text


def table_of(text: str) -> dict[tuple[str, float], dict]:
    rows = pd.read_csv(io.StringIO(text), keep_default_na=False)
    return {(row["method"], float(row["scale"])): row for row in rows.to_dict("records")}


def test_csv_says_what_was_never_run(results: Path) -> None:
    """Such a row is no measurement, and nothing was trained for it."""
    rows = table_of(rendered(results, "quick", "table1", "csv"))
    never = rows["rdn-liif", 4]
    assert never["kind"] == "not measured"
    assert never["missing"] == "left out of this run, or not trained"
    assert never["provenance"] == "Without a number: left out of this run, or not trained."
    assert (never["training"], never["networks"], never["schedule"], never["psnr"]) == ("",) * 4
    bicubic = rows["bicubic", 4]
    assert bicubic["kind"] == "measured"
    assert (bicubic["training"], bicubic["schedule"]) == ("", "")
    assert "; nothing was trained." in bicubic["provenance"]
    trained = rows["edsr-liif", 4]
    assert (trained["kind"], trained["training"]) == ("measured", PLAN.training)
    assert "trained on 12 made-up photographs;" in trained["provenance"]
    kinds = {key: record["kind"] for key, record in records(results).items()}
    assert kinds == {key: row["kind"] for key, row in rows.items()}


def test_csv_says_what_was_counted_alone(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        if row.method != "edsr-lte":
            return row
        return replace(row, metrics={}, protocol="macs-lr", checkpoint="shapes-0")

    notes = [replace(n, training="") if n.method == "edsr-lte" else n for n in PLAN.methods]
    root = write_results(tmp_path, plan=replace(PLAN, methods=notes), edit=edit)
    row = table_of(rendered(root, "quick", "table1", "csv"))["edsr-lte", 4]
    assert (row["kind"], row["training"], row["networks"]) == ("counted", "", PLAN.networks)
    assert row["unscored"] == "not trained: its MACs alone are counted"


def test_methods_below_bicubic_are_named_so(results: Path, tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        low = row.method == "edsr-lte" and row.scale == 12
        return edited(row, psnr=1.0) if low else row

    root = write_results(tmp_path, edit=edit)
    for fmt in ALL_FORMATS:
        said = "lie below bicubic"
        assert said not in rendered(results, "quick", "table1", fmt)
        assert f"{said} in 1 of 48 results" in rendered(root, "quick", "table1", fmt)


def test_an_incomplete_result_has_no_number(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement | None:
        dropped = row.method == "edsr-liif" and row.scale == 3 and row.image == "image1.png"
        return None if dropped else row

    root = write_results(tmp_path, edit=edit)
    text = rendered(root, "quick", "table1", "markdown")
    entry = line(text, "EDSR-LIIF")[1]
    mark = re.fullmatch(r"\N{EN DASH} \[(\w)\] \(30\.96\)", entry)
    assert mark
    assert f"- [{mark[1]}] not measured (2 of 3 images)" in text
    # The rest of the block has nothing to be best of.
    assert "**" not in line(text, "EDSR-MoEISR(LIIF)-b")[1]
    record = records(root)["edsr-liif", 3]
    assert record["psnr"] is None
    assert record["psnr_difference"] is None
    assert record["missing"] == "not measured (2 of 3 images)"
    assert r"--\textsuperscript{a}" in rendered(root, "quick", "table1", "latex")


def test_results_without_rows_or_plan_are_shown(tmp_path: Path) -> None:
    root = write_results(tmp_path, scales=(2, 3.7))
    for file in measurements_dir(root, "quick").rglob("edsr-lte.*.jsonl"):
        file.unlink()
    text = rendered(root, "quick", "table1", "markdown")
    assert "not measured (0 of 3 images)" in text
    assert "Not run: RDN-LIIF" in text
    assert "\N{MULTIPLICATION SIGN}3.7" in text
    found = [entry.strip("*") for entry in measured(line(text, "EDSR-MoEISR(LTE)-b"))]
    assert [entry for entry in found if entry[0].isdigit()] == [
        decimals(records(root)["edsr-moeisr-lte-b", scale]["psnr"]) for scale in (2, 3.7)
    ]


def test_images_that_are_too_small_are_left_out_and_counted(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        if row.scale == 24 and row.image == "image2.png":
            return edited(row, psnr=None, ssim=None, reason="LR of 9 x 9")
        return edited(row, psnr=None, ssim=None, reason="tiny") if row.scale == 30 else row

    root = write_results(tmp_path, edit=edit)
    text = rendered(root, "quick", "table1", "markdown")
    assert "1 of 3 images left out: LR of 9 x 9" in text
    assert "no image is large enough (tiny: 3 images)" in text
    record = records(root)["edsr-liif", 24]
    kept = [made_up_psnr("edsr-liif", 24, image) for image in (0, 1)]
    assert record["psnr"] == pytest.approx(sum(kept) / 2, abs=1e-12)
    assert (record["images"], record["images_planned"]) == (2, 3)
    assert record["excluded"] == ["LR of 9 x 9: 1"]
    assert records(root)["edsr-liif", 30]["psnr"] is None


def test_images_without_ssim_are_counted(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        return edited(row, ssim=None) if (row.scale, row.image) == (30, "image0.png") else row

    text = rendered(write_results(tmp_path, edit=edit), "quick", "table1", "markdown")
    assert "30, SSIM is over 2 of 3 images" in text


def test_a_row_that_was_written_twice_weighs_once(results: Path, tmp_path: Path) -> None:
    root = write_results(tmp_path)
    for file in measurements_dir(root, "quick").rglob("edsr-lte.*.jsonl"):
        lines = file.read_text()
        file.write_text(lines + lines.splitlines()[0] + "\n")
    assert records(root)["edsr-lte", 4]["psnr"] == records(results)["edsr-lte", 4]["psnr"]


def test_a_psnr_that_is_no_number_is_not_taken_for_a_small_image(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        reason = "no SSIM: the window does not fit" if row.scale == 30 else ""
        return edited(row, psnr=math.nan, reason=reason)

    root = write_results(tmp_path, edit=edit)
    assert "PSNR is not a number for 3 images" in rendered(root, "quick", "table1", "markdown")
    broken = {
        record["missing"] for (method, _), record in records(root).items() if method in METHODS
    }
    assert broken == {"PSNR is not a number for 3 images"}


def test_infinite_psnr_is_printed(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        return edited(row, psnr=math.inf) if row.scale == 2 else row

    root = write_results(tmp_path, edit=edit, scales=(2, 4))
    for fmt, sign in (("markdown", "\N{INFINITY}"), ("latex", r"\infty"), ("json", '"Infinity"')):
        assert sign in rendered(root, "quick", "table1", fmt)
    assert reported(root, "quick", "table1", tmp_path / "out", ["html"])


def test_lr_source_and_protocol_are_named(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        mixed = row.scale == 3 and row.image == "image0.png"
        return replace(row, lr_source="matlab") if mixed else row

    text = rendered(write_results(tmp_path, edit=edit), "quick", "table1", "markdown")
    times = "\N{MULTIPLICATION SIGN}"
    assert f"; {times}3 matlab (" in text
    assert f"{times}2, {times}3, {times}4 official (" in text
    assert f"{times}3: this column mixes LR sources." in text
    assert "protocol div2k (on RGB, scale + 6 pixels shaved" in text
    assert "The paper prints no SSIM here" in text


def test_columns_over_different_data_say_so(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        other = row.method == "edsr-liif" and row.scale == 4
        return replace(row, dataset_fingerprint="else") if other else row

    text = rendered(write_results(tmp_path, edit=edit), "quick", "table1", "markdown")
    assert "measured on different versions of the data" in text


def test_seeds_are_averaged_and_their_spread_shown(tmp_path: Path) -> None:
    def edit(row: Measurement) -> Measurement:
        return edited(row, psnr=row.metrics["psnr"] + row.seed)

    root = write_results(tmp_path, seeds=(0, 1), edit=edit)
    record = records(root)["edsr-liif", 4]
    single = sum(made_up_psnr("edsr-liif", 4, image) for image in range(3)) / 3
    assert record["psnr"] == pytest.approx(single + 0.5)
    assert record["psnr_seed_sd"] == pytest.approx(math.sqrt(0.5))
    assert (record["images"], record["seeds"]) == (3, [0, 1])
    text = rendered(root, "quick", "table1", "markdown")
    assert all(" \N{PLUS-MINUS SIGN} 0.71 (" in entry for entry in line(text, "EDSR-LIIF"))


def test_rows_of_another_unit_are_refused(tmp_path: Path) -> None:
    root = write_results(tmp_path, edit=lambda row: replace(row, method="edsr-liif"))
    with pytest.raises(HarnessError, match="rows of another unit"):
        rendered(root, "quick", "table1", "json")


def test_latex_is_escaped_and_complete(results: Path) -> None:
    text = rendered(results, "quick", "table1", "latex")
    assert escape("50% of a_b & {c} ~^\\") == (
        r"50\% of a\_b \& \{c\} \textasciitilde{}\textasciicircum{}\textbackslash{}"
    )
    assert r"photographs \& 100\% invented numbers" in text
    assert r"DIV2K\_valid" in text
    assert text.isascii()
    for name, number in {"table": 1, "table*": TABLES - 1, "tabular": TABLES}.items():
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") == number
    for rule in (r"\toprule", r"\bottomrule"):
        assert text.count(rule) == TABLES
    assert r"\multicolumn{3}{c}{in-scale} & \multicolumn{5}{c}{out-of-scale}" in text
    assert r"\usepackage{booktabs}" in text.splitlines()[1]
    assert re.search(r"\\textbf\{\d\d\.\d\d\}", text)
    _, scores = text.split(r"\label{tab:table1-psnr}")
    tabular = scores[scores.index(r"\toprule") : scores.index(r"\bottomrule")]
    lines = [
        row for row in tabular.splitlines() if row.endswith(r"\\") and "multicolumn" not in row
    ]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in lines} == {8}


HOSTILE = (
    '=HYPERLINK("http://x") <script>alert(1)</script>\n\n# Heading\n![image](http://x/y.png) '
    "`code` $x^{ | $ $y$ {} &lt;b&gt; \x1b[31m\x9b2J\r\x00\u202e\u2028"
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reports of a profile, data and machine that are called what no document should obey."""
    root = tmp_path_factory.mktemp("attacked")
    plan = replace(
        PLAN,
        **dict.fromkeys(("summary", "training", "networks", "schedule"), HOSTILE),
        warnings=[HOSTILE],
        roles=[replace(SUBSTITUTE, description=HOSTILE)],
    )
    write_results(root, plan=plan, edit=lambda row: replace(row, device=HOSTILE))
    sample = write_sample(root, size=64) / "sample.json"
    content = json.loads(sample.read_text())
    sample.write_text(json.dumps({**content, "image": HOSTILE}))
    reported(root, "quick", "table1", root / "reports")
    return root / "reports"


@pytest.mark.parametrize("suffix", ["md", "tex", "html", "csv", "json"])
def test_control_characters_reach_no_document(attacked, suffix):
    text = (attacked / f"table1.{suffix}").read_text()
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", text)
    assert "alert(1)" in text


def test_markdown_shows_text_of_others_as_it_is(attacked):
    """By a parser that lets HTML through."""
    page = MarkdownIt("commonmark", {"html": True}).enable("table")
    made = page.render((attacked / "table1.md").read_text())
    assert "<script" not in made
    assert made.count("<h1>") == 1
    assert not re.search("<h[1-6]>Heading", made)
    assert set(re.findall('src="([^"]*)"', made)) == {
        f"table1/figures/{path.name}" for path in (attacked / "table1/figures").glob("*.png")
    }
    assert '=HYPERLINK("http://x") <script>alert(1)</script> # Heading' in html.unescape(made)
    assert "&amp;lt;b" in made, "an entity is text, too"


def test_a_page_and_latex_show_text_of_others_as_it_is(attacked):
    page = (attacked / "table1.html").read_text()
    assert "<script>alert" not in page
    assert "script-src 'sha256-" in page, "and if it were: only the page's own script runs"
    assert "http://x/y.png" not in re.findall('src="([^"]*)"', page)
    for caption in re.findall(r"\\caption\{.*", (attacked / "table1.tex").read_text()):
        assert caption.endswith("}"), "a blank line would end it"


def test_no_cell_of_a_csv_file_is_a_formula(attacked):
    table = pd.read_csv(attacked / "table1.csv", dtype=str, keep_default_na=False)
    cells = [value for column in table for value in table[column]]
    assert any(value.startswith("'=HYPERLINK") for value in cells)
    assert not [value for value in cells if re.match(r"\s*[=+@-](?![\d.]+$)", value)]


def test_dollars_are_no_mathematics_in_figures(attacked):
    """They ended a run after all of its work, and before its tables."""
    assert {p.stem for p in (attacked / "table1/figures").glob("*.pdf")} >= {
        "expert_map_astronaut-x4",
        "crops_astronaut-x4",
    }


def test_csv_and_json_agree_at_full_precision(results: Path) -> None:
    rows = pd.read_csv(io.StringIO(rendered(results, "quick", "table1", "csv")))
    stored = records(results)
    assert len(rows) == len(stored) == len(TABLE1.methods) * len(TABLE1.scales)
    for row in rows.to_dict("records"):
        record = stored[row["method"], row["scale"]]
        for name in ("psnr", "ssim", "published_psnr", "psnr_low", "decoder_macs", "encoder_macs"):
            missing = pd.isna(row[name]) and record[name] is None
            assert missing or row[name] == record[name]
        assert row["role"] == ROLE
        assert row["dataset"] == "made-up"
        assert row["substitute"]
        if record["missing"]:
            assert row["missing"] == record["missing"]
            continue
        assert row["lr_sources"] == ";".join(record["lr_sources"])
        assert row["versions"] == "torch 0.0.0"


def test_figures_and_documents_are_written(written: tuple[Path, list[Path]]) -> None:
    out, files = written
    suffixes = ("md", "tex", "html", "csv", "json")
    names = ("psnr_over_scale_edsr", "pareto_macs_edsr", "expert_map_astronaut-x4")
    names = (*names, "crops_astronaut-x4", "crops_astronaut-x8")
    expected = {out / f"table1.{suffix}" for suffix in suffixes}
    expected |= {
        out / "table1" / "figures" / f"{name}.{suffix}"
        for name in names
        for suffix in ("png", "pdf", "txt")
    }
    assert set(files) == expected == {path for path in out.rglob("*") if path.is_file()}
    for path in files:
        assert path.stat().st_size > (100 if path.suffix == ".txt" else 1000)
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) > 400
                assert "not the paper's setting" in image.info["Description"]
                assert image.info["Description"] in path.with_suffix(".txt").read_text("utf-8")
        if path.suffix == ".pdf":
            assert path.read_bytes().startswith(b"%PDF")


def test_the_page_needs_no_other_file(written: tuple[Path, list[Path]]) -> None:
    page = (written[0] / "table1.html").read_text()
    assert page.count("data:image/webp;base64,") == 3, "curves are drawn by the page"
    assert not re.search(r"""(src|href)=["'](?!data:|#)""", page)
    assert "<table" in page


def test_markdown_links_to_the_figures(written: tuple[Path, list[Path]]) -> None:
    out, _ = written
    links = re.findall(r"!\[[^\]]*\]\(([^)]*)\)", (out / "table1.md").read_text())
    assert len(links) == 5
    assert all((out / link).is_file() for link in links)


def test_the_same_results_give_the_same_bytes(
    results: Path, written: tuple[Path, list[Path]], tmp_path: Path
) -> None:
    out, files = written
    reported(results, "quick", "table1", tmp_path)
    for path in files:
        assert (tmp_path / path.relative_to(out)).read_bytes() == path.read_bytes(), path.name


def test_without_samples_the_page_says_how_to_get_them(tmp_path: Path) -> None:
    root = write_results(tmp_path, scales=(2, 4))
    files = reported(root, "quick", "table1", tmp_path / "out", ["markdown"])
    assert not any("crops" in path.name or "expert_map" in path.name for path in files)
    text = (tmp_path / "out" / "table1.md").read_text()
    assert "no samples are stored: `harness run table1 --profile quick`" in text


def test_an_expert_map_that_is_lost_or_foreign_is_named(tmp_path: Path) -> None:
    root = write_results(tmp_path / "results", scales=(2,))
    folder = write_sample(root, size=64)
    Image.new("L", (16, 16), 7).save(folder / "edsr-moeisr-lte-b-map.png")
    with pytest.raises(HarnessError, match="names an expert"):
        reported(root, "quick", "table1", tmp_path / "out", ["json"])
    (folder / "edsr-moeisr-lte-b-map.png").unlink()
    with pytest.raises(HarnessError, match="Cannot read"):
        reported(root, "quick", "table1", tmp_path / "out", ["json"])


def test_a_folder_that_cannot_be_written_is_an_error(results: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(HarnessError, match="Cannot write"):
        reported(results, "quick", "table1", tmp_path / "file", ["csv"], figures=False)
    with pytest.raises(HarnessError, match="Cannot write"):
        reported(results, "quick", "table1", tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_unknown_names_are_usage_errors(results: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'latex'"):
        rendered(results, "quick", "table1", "latx")
    with pytest.raises(UsageError, match="Unknown format 'pdf'"):
        reported(results, "quick", "table1", tmp_path / "out", ["csv", "pdf"])
    with pytest.raises(UsageError, match="Did you mean 'table"):
        get("table")
    with pytest.raises(HarnessError, match="Nothing has been measured yet"):
        rendered(results, "paper", "table1", "csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.016, "+0.02"), (-0.1, "\N{MINUS SIGN}0.10"), (-0.004, "0.00"), (0.0, "0.00")],
)
def test_signs(value: float, text: str) -> None:
    assert signed(value) == text
