"""`harness run compare`: every system, its costs, and what it cannot do."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from compare_fixtures import (
    COMPARE,
    LEFT_OUT,
    OTHER,
    TIMED,
    Edit,
    made_up_cost,
    unchanged,
    write_comparison,
)
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_fixtures import rendered, reported, unit_path, write_results
from tiny import PROFILE, Harness, write_data, write_profile

import baselines
from baselines import parse
from baselines.systems.implicit import ImplicitSR
from harness import checkpoints, experiments
from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.stopping import Stop
from harness.measure import latency
from harness.measure.costs import CALLS, KIND, LATENCY, MEMORY, TURN
from harness.measure.peak_memory import MemoryCase, Peak, peaks
from harness.measure.rows import Measurement, UnitFile
from harness.report import ALL_FORMATS
from harness.report.data import load_report
from harness.report.looks import looks
from harness.report.sections.limits import limits
from harness.report.sections.pareto import panel_scales, pareto_front
from harness.report.text import MISSING, TIMES
from harness.runs import costs
from harness.runs.experiment import Block, method_at, scales_of_row
from harness.runs.plan import PlannedUnit, measurements_dir, unit_rows

SYSTEMS = COMPARE.blocks
ON_A_GPU = {**OTHER, "cpu": "Made-up CPU", "device": "cuda: made up"}
CHOSEN = "bicubic,edsr-xN,edsr-liif,edsr-moeisr-lte-s,edsr-lmliif"


# Scales of methods and rows


def test_the_scales_of_methods():
    assert parse("edsr-x3").only_scales == (3,)
    assert parse("edsr-igconv").only_scales == (2, 3, 4)
    assert parse("edsr-liif").only_scales is parse("bicubic").only_scales is None
    assert parse("edsr-x3").can_do(3)
    assert not parse("edsr-x3").can_do(2)
    assert not parse("edsr-igconv").can_do(2.5)
    assert parse("edsr-liif").can_do(3.7)


def test_the_scales_of_rows():
    assert scales_of_row("edsr-xN") == (2, 3, 4)
    assert scales_of_row("edsr-x2") == (2,)
    assert scales_of_row("seemore-t-xN") == scales_of_row("edsr-igconv") == (2, 3, 4)
    assert scales_of_row("edsr-moeisr-liif-s") is None
    assert method_at("edsr-x2", 3) is None
    assert method_at("edsr-xN", 2.5) is None


def test_every_method_has_a_look_of_its_own():
    assert all(block.name for block in COMPARE.blocks)
    found = looks(COMPARE.rows, COMPARE.common)
    assert list(found) == list(COMPARE.rows)
    assert len(set(found.values())) == len(found)
    # The same in every figure: a method keeps its colour and marker beside others.
    table1 = experiments.get("table1")
    other = looks(table1.rows, table1.common)
    for method in ("edsr-liif", "edsr-moeisr-liif-s", "edsr-lte", "bicubic"):
        assert found[method] == other[method]


# Pareto fronts


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_the_front_is_what_nothing_dominates(points: list[tuple[float, float]]):
    def dominated(point: tuple[float, float]) -> bool:
        return any(
            other != point and other[0] <= point[0] and other[1] >= point[1] for other in points
        )

    expected = {i for i, point in enumerate(points) if not dominated(point)}
    front = pareto_front(points)
    assert len(front) == len(set(front))
    assert set(front) == expected
    assert [points[i] for i in front] == sorted(points[i] for i in expected)


# From start to end


@pytest.fixture
def job(tmp_path: Path) -> tuple[object, ...]:
    """`harness run compare` under a tiny profile."""
    write_data(tmp_path / "data")
    costs = {"lr_size": [12, 10], "rounds": 3, "warm_up": 0}
    decoders = {**PROFILE["networks"]["decoder"], "lmliif": {"latent_width": 8}}
    networks = {**PROFILE["networks"], "decoder": decoders}
    write_profile(tmp_path / "tiny.yaml", {**PROFILE, "costs": costs, "networks": networks})
    return (
        *("run", "compare", "--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu"),
        *("--methods", CHOSEN),
    )


def cost_files(size: str = "12x10") -> dict[str, dict[str, Any]]:
    """The row of every unit of costs."""
    folder = Path(f"results/tiny/measurements/photograph-{size}")
    return {
        path.relative_to(folder).as_posix(): json.loads(path.read_text())
        for path in folder.rglob("*.jsonl")
    }


def test_from_training_to_the_page(job, harness: Harness):
    out = json.loads(harness.good(*job, "--json"))
    found = {(r["method"], r["scale"]): r for r in out["records"]}
    stored = cost_files()
    check_rows(stored)
    liif, fixed = found["edsr-liif", 4], found["edsr-xN", 4]
    for record in (liif, fixed, found["bicubic", 12], found["edsr-lmliif", 6]):
        assert record["psnr"] > 5
        assert record["latency_s"] > 0
        assert record["peak_memory_bytes"] >= 0
    assert liif["macs"] == liif["decoder_macs"] + liif["encoder_macs"]
    assert fixed["macs"] == fixed["executed_macs"] == fixed["encoder_macs"]
    assert found["edsr-moeisr-lte-s", 8]["expert_depths"] == [2, 3, 4]
    assert found["edsr-lmliif", 8]["expert_depths"] == []
    for scale in (6, 8, 12):
        empty = found["edsr-xN", scale]
        assert empty["psnr"] is empty["latency_s"] is empty["peak_memory_bytes"] is None
        for key in ("missing", "latency_missing", "peak_memory_missing"):
            assert f"trained for {TIMES}2, {TIMES}3, {TIMES}4 only" in empty[key]
    assert "not trained" in found["edsr-ipe", 2]["latency_missing"]
    figures = {path.name for path in Path("reports/tiny/compare/figures").iterdir()}
    names, suffixes = ("pareto_macs", "pareto_latency"), ("png", "pdf", "txt")
    assert figures == {f"{name}.{suffix}" for name in names for suffix in suffixes}
    # Nothing is done twice, and the report is the same, byte for byte.
    page = Path("reports/tiny/compare.html").read_bytes()
    status, _, err = harness(*job)
    assert (status, "Every unit is measured already" in err) == (0, True)
    assert cost_files() == stored
    assert Path("reports/tiny/compare.html").read_bytes() == page
    harness.good("report", "compare", "--profile", "tiny.yaml")
    assert Path("reports/tiny/compare.html").read_bytes() == page


def check_rows(stored: dict[str, dict[str, Any]]) -> None:
    """What the rows of a finished run must say."""
    names = {f.name for f in fields(Measurement)}
    seen = set()
    turns: dict[float, set[str]] = {}
    for name, row in stored.items():
        assert set(row) == names | {"checksum"}
        assert name.startswith(f"x{row['scale']:g}/{row['method']}.s0.")
        assert (row["lr_size"], row["profile"], row["macs"]) == ([12, 10], "tiny", {})
        assert row["machine"]["threads"] == torch.get_num_threads()
        assert bool(row["checkpoint"]) == (row["method"] != "bicubic")
        seen.add((row["method"], row["scale"]))
        turns.setdefault(row["scale"], set()).add(row["facts"][TURN])
        calls = sorted(row["facts"][CALLS])
        assert len(calls) == 3
        assert calls[0] > 0
        assert row["metrics"][LATENCY] == calls[1]
        assert row["facts"]["baseline_bytes"] > 20 << 20
        assert 0 <= row["metrics"][MEMORY] < 200 << 20
    assert all(len(of_scale) == 1 for of_scale in turns.values())
    chosen = {"bicubic", "edsr-liif", "edsr-moeisr-lte-s", "edsr-lmliif"}
    assert seen == {(m, s) for m in chosen for s in COMPARE.scales} | {
        (f"edsr-x{s}", s) for s in (2, 3, 4)
    }


@pytest.fixture
def without_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peaks that need no processes."""

    def made_up(cases: list[MemoryCase]) -> Any:
        return (Peak(1 << 20, 1 << 24, "made up") for _ in cases)

    monkeypatch.setattr(costs, "peaks", made_up)


def test_what_is_lost_is_measured_again_and_what_is_forced(job, harness: Harness, without_memory):
    command = (*job[:-2], "--methods", "bicubic", "--no-figures")
    harness.good(*command)
    before = cost_files()
    lost = next(name for name in before if name.startswith("x4/"))
    (Path("results/tiny/measurements/photograph-12x10") / lost).unlink()
    harness.good(*command)
    after = cost_files()
    assert {name for name in after if after[name] != before[name]} == {lost}
    harness.good(*command, "--force")
    forced = cost_files()
    for name, row in forced.items():
        assert row["facts"][TURN] != after[name]["facts"][TURN]
        assert len(row["metrics"]) == 2


def test_a_stopped_run_keeps_finished_scales_and_goes_on(
    job, harness: Harness, without_memory, monkeypatch
):
    command = (*job[:-2], "--methods", "bicubic", "--no-figures")

    class AfterFour(Stop):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls > 4:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(costs, "stoppable", lambda: nullcontext(AfterFour()))
        assert harness(*command)[0] == 130
    ((name, kept),) = cost_files().items()
    assert (kept["scale"], *kept["metrics"]) == (2, LATENCY)
    harness.good(*command)
    after = cost_files()
    assert len(after) == len(COMPARE.scales)
    assert after[name]["facts"][CALLS] == kept["facts"][CALLS]
    assert after[name]["metrics"] == {**kept["metrics"], MEMORY: float(1 << 20)}


def test_the_number_of_threads_is_another_unit(job, harness: Harness, without_memory):
    command = (*job[:-2], "--methods", "bicubic", "--no-figures")
    harness.good(*command)
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        harness.good(*command)
    finally:
        torch.set_num_threads(threads)
    stored = cost_files()
    assert len(stored) == 2 * len(COMPARE.scales)
    found = {row["machine"]["threads"] for row in stored.values()}
    assert found == {threads, threads + 1}


def test_a_process_that_fails_is_no_peak(tmp_path):
    """It says why, and those behind it are measured."""
    image = tmp_path / "lr.png"
    Image.new("RGB", (8, 8)).save(image)
    lost = MemoryCase("edsr-liif", str(tmp_path / "no.pt"), "no.png", 2, "fp32", None, "cpu", 1)
    failed, measured = peaks(
        [lost, MemoryCase("bicubic", "", str(image), 2, "fp32", None, "cpu", 1)]
    )
    assert "There is no checkpoint" in failed.reason
    assert measured.reason == ""
    assert measured.baseline > 20 << 20


def test_a_network_without_memory_is_a_unit_with_a_reason(
    job, harness: Harness, without_memory, monkeypatch
):
    """The others are timed, the report is written, and the next run tries it again."""
    real, short = latency.upscale, [True]

    def upscale(model: Any, lr: Any, scale: float, **options: Any) -> Any:
        if short[0] and scale == 4 and isinstance(model, ImplicitSR):
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")
        return real(model, lr, scale, **options)

    monkeypatch.setattr(latency, "upscale", upscale)
    command = (*job[:-2], "--methods", "bicubic,edsr-liif", "--no-figures", "--json")

    def found() -> dict[tuple[str, float], dict[str, Any]]:
        records = json.loads(harness.good(*command))["records"]
        return {(r["method"], r["scale"]): r for r in records}

    first = found()
    assert first["edsr-liif", 4]["latency_missing"] == "not measured: there is too little memory"
    assert first["edsr-liif", 4]["latency_s"] is None
    assert first["bicubic", 4]["latency_s"] > 0
    assert first["edsr-liif", 2]["latency_s"] > 0
    short[0] = False
    second = found()
    assert second["edsr-liif", 4]["latency_s"] > 0
    assert second["bicubic", 4]["latency_s"] != first["bicubic", 4]["latency_s"], (
        "interleaved again"
    )
    assert second["bicubic", 2]["latency_s"] == first["bicubic", 2]["latency_s"]


def test_memory_grows_with_the_result_and_is_of_one_case_alone(tmp_path):
    image = tmp_path / "lr.png"
    Image.new("RGB", (64, 64)).save(image)
    cases = [MemoryCase("bicubic", "", str(image), s, "fp32", None, "cpu", 1) for s in (2, 16, 2)]
    small, large, again = peaks(cases)
    result = 3 * 4 * (64 * 16) ** 2
    assert result < large.bytes < 8 * result
    assert abs(small.bytes - again.bytes) < 2 << 20
    assert small.bytes < large.bytes / 2


def test_the_same_peak_from_another_process(tmp_path):
    """Nothing that loading left behind is in it, which would differ from start to start."""
    image, stored = tmp_path / "lr.png", tmp_path / "network.pt"
    Image.new("RGB", (24, 24)).save(image)
    build = {"encoder": {"blocks": 1, "features": 8}}
    model = baselines.build("edsr-igconv-plus", **build)
    content = {"method": "edsr-igconv-plus", "build": build, "state_dict": model.state_dict()}
    checkpoints.save(stored, {**content, "origin": "random"})
    case = MemoryCase("edsr-igconv-plus", str(stored), str(image), 4, "fp32", None, "cpu", 1)
    one, other = (next(peaks([case])) for _ in range(2))
    assert one.reason == ""
    assert abs(one.bytes - other.bytes) <= 1 << 20


def test_what_was_not_timed_with_the_others_is_timed_with_them(
    job, harness: Harness, without_memory
):
    """As after a run that was stopped between rows; or with fewer calls than the profile wants."""
    command = (*job[:-2], "--methods", "bicubic,edsr-liif", "--no-figures")
    harness.good(*command)
    (path,) = Path("results/tiny/measurements/photograph-12x10/x4").glob("bicubic.*")
    row = checksums.parse(path.read_bytes())
    other = {**row, "facts": {**row["facts"], TURN: "another"}}
    path.write_text(json.dumps(other) + "\n")
    harness.good(*command)
    before = cost_files()
    of_four = [row["facts"][TURN] for name, row in before.items() if name.startswith("x4/")]
    assert (len(of_four), len(set(of_four))) == (2, 1)
    profile = yaml.safe_load(Path("tiny.yaml").read_text())
    profile["costs"]["rounds"] = 4
    write_profile(Path("tiny.yaml"), profile)
    harness.good(*command)
    for name, row in cost_files().items():
        assert len(row["facts"][CALLS]) == 4
        assert row["metrics"][MEMORY] == before[name]["metrics"][MEMORY]


def test_another_lr_size_starts_a_table_of_its_own(job, harness: Harness, without_memory):
    command = (*job[:-2], "--no-figures", "--json", "--methods")
    harness.good(*command, "bicubic,edsr-liif")
    profile = yaml.safe_load(Path("tiny.yaml").read_text())
    profile["costs"]["lr_size"] = [10, 12]
    write_profile(Path("tiny.yaml"), profile)
    records = json.loads(harness.good(*command, "bicubic"))["records"]
    found = {(r["method"], r["scale"]): r for r in records}
    assert found["bicubic", 2]["costs_lr_size"] == "10x12"
    assert found["bicubic", 2]["latency_s"] > 0
    assert found["edsr-liif", 2]["latency_s"] is None
    assert found["edsr-liif", 2]["psnr"] is not None


# Reports from stored rows


def only(test: Callable[[Measurement], bool], change: Edit) -> Edit:
    """Changes some rows."""
    return lambda row: change(row) if test(row) else row


def drop(row: Measurement) -> None:
    """No row at all."""
    del row


def report_of(root: Path, edit: Edit = unchanged) -> dict[tuple[str, float], dict[str, Any]]:
    write_comparison(root, edit)
    document = json.loads(rendered(root, "quick", "compare", "json"))
    return {(r["method"], r["scale"]): r for r in document["records"]}


def lines(text: str, title: str) -> list[list[str]]:
    """Entries of a Markdown table."""
    section = text[text.index(f"### {title}") :].split("\n##", maxsplit=1)[0]
    return [
        [entry.strip() for entry in row.split("|")[1:-1]]
        for row in section.splitlines()
        if row.startswith("|")
    ]


def test_costs_are_medians_with_quartiles(tmp_path):
    found = report_of(tmp_path)
    record = found["edsr-liif", 4]
    row = made_up_cost("edsr-liif", 4)
    calls = row.facts[CALLS]
    assert record["latency_s"] == row.metrics[LATENCY] == calls[1]
    low, high = record["latency_quartiles_s"]
    assert calls[0] < low < record["latency_s"] < high < calls[2]
    assert record["peak_memory_bytes"] == row.metrics[MEMORY]
    text = rendered(tmp_path, "quick", "compare", "markdown")
    (latency,) = [r for r in lines(text, "Latency (ms)") if r[0] == "LIIF"]
    found = [re.sub(r"</?u>|\*", "", entry) for entry in latency[1:4]]
    assert [entry.partition(" ")[0] for entry in found] == ["12.0", "18.0", "24.0"]
    assert found[0] == "12.0 [11.4\N{EN DASH}13.8]"
    (memory,) = [r for r in lines(text, "Peak memory (MiB)") if r[0] == "LIIF"]
    assert memory[1] == "<u>6.0</u>"
    assert "Load of the machine before the measurements: 0.25 to 0.25, on 2 cores" in text


def test_the_last_of_several_measurements_counts(tmp_path):
    write_comparison(tmp_path)
    row = made_up_cost("edsr-liif", 4)
    path = measurements_dir(tmp_path, "quick") / unit_path(row)
    newer = replace(row, facts={**row.facts, CALLS: [5.0]})
    path.write_text(path.read_text() + json.dumps(asdict(newer)) + "\n")
    report = load_report(tmp_path, "quick", COMPARE)
    value = report.costs.latency.at("edsr-liif", 4)
    assert value is not None
    assert value.median == value.low == 5.0


@pytest.mark.parametrize(
    "change",
    [
        {"machine": OTHER},
        {"machine": {**OTHER, "cpu": "Made-up CPU", "threads": 1}},
        {"machine": ON_A_GPU},
        {"dataset": "photograph-64x96", "lr_size": (64, 96)},
        {"precision": "bf16"},
    ],
)
def test_costs_of_different_machines_or_settings_are_not_mixed(change, tmp_path):
    """The few are left out and say where they are from; the many stay comparable."""
    edit = only(lambda row: row.method == "edsr-lte", lambda row: replace(row, **change))
    apart = change.get("machine", {}) == ON_A_GPU
    why = "measured on another device" if apart else "measured elsewhere, and not comparable: "
    found = report_of(tmp_path, edit)
    for scale in COMPARE.scales:
        record = found["edsr-lte", scale]
        assert record["psnr"] is not None
        assert record["latency_s"] is record["peak_memory_bytes"] is None
        for key in ("latency_missing", "peak_memory_missing"):
            assert record[key].startswith(why)
        assert found["edsr-liif", scale]["latency_s"] is not None
    text = rendered(tmp_path, "quick", "compare", "markdown")
    assert why in text
    # Without it, which one is fastest is not known.
    assert not any("**" in entry for row in lines(text, "Latency (ms)") for entry in row)


def test_of_as_many_costs_the_later_ones_are_shown(tmp_path):
    half = set(TIMED[::2])
    later = "2001-01-01T00:00:00+00:00"
    edit = only(
        lambda row: row.scale == 4 and row.method in half,
        lambda row: replace(row, machine=OTHER, measured_at=later),
    )

    def at_four(row: Measurement) -> Measurement | None:
        return edit(row) if row.scale == 4 and row.method in set(TIMED[:2]) | half else None

    found = report_of(tmp_path, at_four)
    shown = {m for (m, s), r in found.items() if r["latency_s"] is not None}
    assert shown == {row for row in COMPARE.rows if method_at(row, 4) in half}


def test_peaks_of_different_kinds_are_not_mixed(tmp_path):
    edit = only(
        lambda row: row.method == "bicubic",
        lambda row: replace(row, facts={**row.facts, KIND: "cuda allocator"}),
    )
    found = report_of(tmp_path, edit)
    assert found["bicubic", 2]["peak_memory_bytes"] is None
    assert found["bicubic", 2]["latency_s"] is not None


def test_latency_and_memory_are_of_one_setting(tmp_path):
    """They stand side by side under one LR size."""
    few = TIMED[:2]

    def edit(row: Measurement) -> Measurement:
        if row.method in few:
            return replace(row, metrics={MEMORY: row.metrics[MEMORY]})
        timed = replace(row, metrics={LATENCY: row.metrics[LATENCY]})
        return replace(timed, dataset="photograph-64x96", lr_size=(64, 96))

    found = report_of(tmp_path, edit)
    for record in found.values():
        sizes = {"latency_s": "64x96", "peak_memory_bytes": "128x96"}
        shown = {size for key, size in sizes.items() if record[key] is not None}
        assert shown <= {record["costs_lr_size"]}
    assert any(record["latency_s"] is not None for record in found.values())
    assert all(record["peak_memory_bytes"] is None for record in found.values())


@pytest.mark.parametrize(
    "change",
    [
        {"scale": 3.0},
        {"seed": 1},
        {"checkpoint": "0ther"},
        {"dataset": "photograph-128x64"},
        {"memory_mib": 64},
        {"machine": OTHER},
        {"machine": {}},
    ],
)
def test_a_file_has_no_costs_of_another_unit(change, tmp_path):
    """A line or a whole file of another unit of the same method."""
    row = made_up_cost("edsr-liif", 4)
    file = UnitFile(tmp_path / unit_path(row))
    path = str(unit_path(row))
    unit = PlannedUnit(row.method, row.role, row.dataset, row.scale, row.seed, path)
    file.append(row)
    assert len(unit_rows(tmp_path, unit)) == 1
    file.append(replace(row, **change))
    with pytest.raises(HarnessError, match=r"rows of another unit .*\nDelete the file"):
        unit_rows(tmp_path, unit)


def test_what_was_not_timed_in_turns_is_said(tmp_path):
    def alone(row: Measurement) -> Measurement:
        return replace(row, facts={**row.facts, TURN: "another day"})

    write_comparison(tmp_path, only(lambda r: (r.method, r.scale) == ("edsr-lte", 8), alone))
    text = rendered(tmp_path, "quick", "compare", "markdown")
    apart = f"NOT all of {TIMES}8 were timed in interleaved runs"
    assert apart in text[text.index("## Latency\n") :]
    assert apart not in text[: text.index("## Latency\n")], "the overview is of another scale"
    reported(tmp_path, "quick", "compare", tmp_path / "out", ["json"])
    with Image.open(tmp_path / "out/compare/figures/pareto_latency.png") as image:
        assert apart in image.info["Description"]


def test_costs_that_are_missing_have_a_reason(tmp_path):
    found = report_of(tmp_path, only(lambda row: row.method == "edsr-lte", drop))
    assert found["edsr-lte", 4]["latency_missing"] == "not measured"
    assert found[LEFT_OUT, 4]["latency_missing"] == "left out of this run, or not trained"


def test_rows_of_another_unit_are_refused(tmp_path):
    write_comparison(tmp_path)
    folder = measurements_dir(tmp_path, "quick")
    lte, liif = (folder / unit_path(made_up_cost(f"edsr-{m}", 4)) for m in ("lte", "liif"))
    lte.write_bytes(liif.read_bytes())
    with pytest.raises(HarnessError, match="rows of another unit"):
        rendered(tmp_path, "quick", "compare", "json")


def test_no_entry_is_silently_empty(tmp_path):
    """Every dash in a line of measured values has a mark, and every mark its note."""
    write_comparison(tmp_path)
    text = rendered(tmp_path, "quick", "compare", "markdown")
    for title in ("PSNR (dB)", "Latency (ms)", "Peak memory (MiB)"):
        entries = [entry for row in lines(text, title) for entry in row[1:]]
        empty = [entry for entry in entries if entry.startswith(MISSING)]
        able = [row for row in COMPARE.rows if row != LEFT_OUT]
        unable = [s for row in able for s in COMPARE.scales if method_at(row, s) is None]
        assert len(empty) == len(unable)
        for entry in empty:
            mark = entry.removeprefix(MISSING).strip()
            assert re.fullmatch(r"\[\w\]", mark)
            assert f"- {mark} " in text
    assert "Not run: MetaSR." in text
    mark = next(r for r in lines(text, "PSNR (dB)") if r[0] == "EDSR-baseline")[-1].removeprefix(
        MISSING
    )
    listed = f"{TIMES}2, {TIMES}3, {TIMES}4"
    note = f"- {mark.strip()} fixed-scale networks, one for each scale, trained for {listed} only"
    assert note in text


def test_the_best_of_a_column_is_bold_among_those_that_can_do_the_scale(tmp_path):
    write_comparison(tmp_path)
    text = rendered(tmp_path, "quick", "compare", "markdown")
    psnr = lines(text, "PSNR (dB)")
    best = {n: row[0] for row in psnr for n, entry in enumerate(row[1:]) if "**" in entry}
    assert list(map(best.get, range(6))) == ["IGConv+"] * 3 + ["LM-LTE"] * 3
    second = {n: row[0] for row in psnr for n, entry in enumerate(row[1:]) if "<u>" in entry}
    assert list(map(second.get, range(6))) == ["IGConv"] * 3 + ["LM-LIIF"] * 3
    latency = {row[0]: row[1:] for row in lines(text, "Latency (ms)")}
    assert ["**" in entry for entry in latency["EDSR-baseline"]] == [True] * 3 + [False] * 3
    assert ["**" in entry for entry in latency["LIIF"]] == [False] * 3 + [True] * 3
    assert not any("**" in entry for entry in latency["bicubic"])
    overview = {row[0]: row for row in lines(text, f"Every system at {TIMES}4")}
    assert overview["EDSR-baseline"][1:3] == ["3,000", "6,000"]
    assert overview["EDSR-baseline"][4:6] == ["**13.00**", "**13.00**"]


def test_what_each_cannot_do_follows_from_the_systems(tmp_path):
    report = load_report(write_comparison(tmp_path), "quick", COMPARE)
    found = limits(report)
    assert len(found) == 1 + len(SYSTEMS)
    bicubic, fixed, metasr, liif, lte, ipe, lmf, seemore, igconv = found
    assert bicubic == "Bicubic: any scale, but nothing is learnt."
    assert fixed == (
        f"Fixed-scale EDSR: {TIMES}2, {TIMES}3 and {TIMES}4 only, no scale between them and none "
        "above; one model for each scale, 3 to train and to keep, with 6,000 parameters in sum; no "
        "answers to queries, so no MoEISR variant."
    )
    for sentence, decoder in ((lte, "LTE"), (ipe, "IPE")):
        assert f"what MoEISR({decoder})-s and MoEISR({decoder})-b cost depends on" in sentence
    assert "no MoEISR variant, as its MLP cannot be replaced by experts" in lmf
    assert "what SeemoRe-T costs depends on the image" in seemore
    assert "3 to train and to keep" in seemore
    assert "one model does them all; no answers to queries" in igconv
    assert "no local ensemble" in metasr
    assert "no MoEISR variant" in metasr
    assert "any scale from one model" in liif
    assert "what MoEISR(LIIF)-s and MoEISR(LIIF)-b cost depends on the image" in liif
    for fmt in set(ALL_FORMATS) - {"csv"}:
        text = rendered(tmp_path, "quick", "compare", fmt)
        assert "one model for each scale, 3 to train and to keep" in text


def test_a_family_that_is_added_by_its_line_is_everywhere(tmp_path, monkeypatch):
    added = replace(COMPARE, blocks=(*SYSTEMS, Block(("rdn-xN", "rdn-x4"), name="added")))
    monkeypatch.setitem(experiments.EXPERIMENTS, "compare", added)
    write_comparison(tmp_path)
    report = load_report(tmp_path, "quick", added)
    sentences = [sentence for sentence in limits(report) if sentence.startswith("Added")]
    assert len(sentences) == 2  # two rows that cannot do the same
    assert f"{TIMES}4 only" in sentences[1]
    assert "one model does them all" not in sentences[1]
    assert report.at("rdn-x4", "DIV2K_valid", 2).missing == f"trained for {TIMES}4 only"
    text = rendered(tmp_path, "quick", "compare", "markdown")
    names = [row[0] for row in lines(text, "Scales and models")]
    assert (names.count("EDSR-baseline"), names.count("RDN")) == (1, 2)


@pytest.mark.parametrize("fmt", ALL_FORMATS)
def test_every_format_has_the_costs_and_says_what_is_reduced(fmt, tmp_path):
    write_comparison(tmp_path)
    text = rendered(tmp_path, "quick", "compare", fmt)
    assert "educed setting" in text
    if fmt == "csv":
        rows = list(csv.DictReader(io.StringIO(text)))
        assert len(rows) == len(COMPARE.rows) * len(COMPARE.scales)
        (row,) = [r for r in rows if (r["method"], float(r["scale"])) == ("edsr-liif", 4)]
        assert float(row["latency_s"]) == pytest.approx(0.024)
        assert float(row["peak_memory_bytes"]) == 6 << 20
    else:
        assert "Made-up CPU" in text
        assert "a made-up photograph" in text
    if fmt in ("markdown", "html"):
        assert "From this harness; no paper has it." in text
        assert "Reproduces" not in text


def test_the_pareto_figures(tmp_path):
    root = write_comparison(tmp_path / "results")
    reported(root, "quick", "compare", tmp_path / "out", ["json"])
    folder = tmp_path / "out" / "compare" / "figures"
    for name in ("pareto_macs", "pareto_latency"):
        with Image.open(folder / f"{name}.png") as image:
            assert image.width == 1718  # two columns of a paper, at 240 dots per inch
            assert "not the paper's setting" in image.info["Description"]
        assert (folder / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    report = load_report(root, "quick", COMPARE)
    assert panel_scales(report) == [2, 3, 4, 6, 12]
    # The page's charts have the fronts, too: lines without markers.
    reported(root, "quick", "compare", tmp_path / "out", ["html"])
    page = (tmp_path / "out" / "compare.html").read_text()
    (charts,) = re.findall(r'id="charts">(.*?)</script>', page)
    for name in ("pareto_macs", "pareto_latency"):
        fronts = [s for s in json.loads(charts)[name]["series"] if s["method"] == "front"]
        assert len({s["panel"] for s in fronts}) == len(COMPARE.scales)
        for series in fronts:
            assert series["marker"] == ""
            psnr = [point["y"] for point in series["points"]]
            assert psnr == sorted(psnr)


def test_without_costs_the_tables_and_the_figure_are_left_out(tmp_path):
    write_comparison(tmp_path / "results", drop)
    text = rendered(tmp_path / "results", "quick", "compare", "markdown")
    assert "## Latency" not in text
    assert "### Scales and models" in text
    reported(tmp_path / "results", "quick", "compare", tmp_path / "out", ["json"])
    drawn = {p.name for p in (tmp_path / "out" / "compare" / "figures").glob("*.png")}
    assert drawn == {"pareto_macs.png"}


def test_other_experiments_have_no_costs(tmp_path):
    text = rendered(write_results(tmp_path), "quick", "table1", "csv")
    assert "latency" not in text
