"""`harness run`: every unit once, whatever happens in between."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from report_fixtures import METHODS
from tiny import (
    PROFILE,
    VALID_SIZES,
    Harness,
    files_below,
    start,
    write_data,
    write_photos,
    write_profile,
)

from harness import checkpoints, profiles
from harness.checkpoints.subject import Subject
from harness.common.errors import HarnessError
from harness.data.sets import find
from harness.experiments import EXPERIMENTS
from harness.measure.evaluate import Task, measure_unit
from harness.measure.rows import UnitFile, UnitId, flat
from harness.profiles import Evaluation

TABLE1 = EXPERIMENTS["table1"]
ALL = {(m, i, float(s)) for m in METHODS for i in VALID_SIZES for s in TABLE1.scales}
PAIR = ("bicubic", "edsr-moeisr-lte-s")
REGIONS = [
    {"role": "DIV2K_valid", "image": "0802", "scale": scale, "box": [8, 16, 48, 40]}
    for scale in (4, 6)
]


@pytest.fixture
def job(tmp_path: Path) -> tuple[str, ...]:
    """Arguments of the README's main job under the tiny profile; later `--methods` win."""
    write_data(tmp_path / "data")
    write_profile(tmp_path / "tiny.yaml")
    return (
        *("run", "table1", "--profile", "tiny.yaml", "--data-root", "data", "--device", "cpu"),
        *("--methods", "bicubic,edsr-*"),
    )


def unit_files() -> dict[str, bytes]:
    return files_below(Path("results/tiny/measurements"))


def rows() -> list[dict]:
    stored = unit_files().values()
    return [flat(json.loads(line)) for text in stored for line in text.splitlines()]


def triples() -> Counter[tuple[str, str, float]]:
    return Counter((r["method"], r["image"], float(r["scale"])) for r in rows())


def times() -> dict[Path, int]:
    folder = Path("results")
    return {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.suffix in (".jsonl", ".pt")}


def each_once(methods: tuple[str, ...] = METHODS) -> Counter:
    return Counter({triple: 1 for triple in ALL if triple[0] in methods})


def test_the_whole_path(job, harness: Harness):
    out = harness.good(*job)
    assert triples() == each_once()
    assert "tiny" in out
    # Only the default profile writes to reports/ itself; none takes the place of another.
    written = {p.name for p in Path("reports/tiny").rglob("*") if p.is_file()}
    assert {f"table1.{suffix}" for suffix in ("md", "tex", "html", "csv", "json")} <= written
    before, units = times(), unit_files()
    status, _, err = harness(*job, "--no-figures")
    assert status == 0
    assert "Every unit is measured already" in err
    assert times() == before, "trained or measured again"
    assert unit_files() == units


def test_rows_say_where_they_are_from(job, harness: Harness):
    harness.good(*job, "--methods", ",".join(PAIR), "--no-figures")
    data = find("DIV2K_valid", Path("data"))
    for row in rows():
        assert row["dataset_fingerprint"] == data.fingerprint
        assert row["protocol"] == "div2k"
        assert row["lr_source"] == ("matlab" if row["scale"] <= 4 else "pil")
        assert row["profile"] == "tiny"
        assert {"torch", "pillow", "numpy", "python", "commit"} <= row["versions"].keys()
        if row["image"] == "0801" and row["scale"] >= 24:
            assert row["psnr"] is None
            assert "too small" in row["reason"]
        else:
            assert row["psnr"] > 5
            assert row["lr_size"][0] == int(row["hr_size"][0] / row["scale"])
        if row["method"] == "bicubic":
            assert row["checkpoint"] == ""
            assert row["decoder_macs"] == row["parameters"] == 0
        else:
            (path,) = Path("results").rglob("checkpoint.pt")
            content = torch.load(path, weights_only=True)
            assert row["recipe"] == content["recipe_fingerprint"]
            assert row["trained_steps"] == content["step"]
            assert len(row["checkpoint"]) == 64
            if row["psnr"] is not None:
                assert row["decoder_macs"] > 0
                assert sum(row["expert_shares"]) == pytest.approx(1)
                assert len(row["expert_shares"]) == len(row["expert_depths"]) == 3


def test_force_measures_again_but_does_not_train_again(job, harness: Harness):
    pair = ("--methods", ",".join(PAIR), "--no-figures")
    harness.good(*job, *pair)
    before = times()
    harness.good(*job, *pair, "--force")
    after = times()
    assert before.keys() == after.keys()
    assert all((before[p] == after[p]) == (p.suffix == ".pt") or p.name == "log.jsonl"
               for p in before)  # fmt: skip
    assert triples() == each_once(PAIR)


def planned() -> Counter[str]:
    plan = json.loads(Path("results/tiny/table1/plan.json").read_text())
    return Counter(unit["method"] for unit in plan["cells"])


def test_a_subset_keeps_what_others_have_measured(job, harness: Harness):
    harness.good(*job, "--methods", "bicubic", "--no-figures")
    assert planned() == {"bicubic": 8}
    harness.good(*job, "--methods", "edsr-lte", "--no-figures")
    assert planned() == {"bicubic": 8, "edsr-lte": 8}
    assert triples() == each_once(("bicubic", "edsr-lte"))
    harness.good(*job, "--methods", "bicubic", "--no-figures")
    assert planned() == {"bicubic": 8, "edsr-lte": 8}


def test_a_dry_run_does_nothing(job, harness: Harness):
    out = harness.good(*job, "--dry-run")
    assert all(method in out for method in METHODS)
    assert not Path("results").exists()
    assert not Path("reports").exists()


def left(job, harness: Harness) -> tuple[dict, dict]:
    """What a dry run tells of the trained method of the pair, and of both."""
    told = json.loads(harness.good(*job, "--methods", ",".join(PAIR), "--dry-run", "--json"))
    return next(line for line in told["plan"] if line["method"] == PAIR[1]), told["total"]


def test_a_dry_run_subtracts_what_is_finished(job, harness: Harness):
    whole, total = left(job, harness)
    assert (whole["runs_to_train"], whole["cells"], whole["cells_finished"]) == (1, 8, 0)
    assert (total["cells"], total["runs_to_train"]) == (16, 1)

    harness.good("train", PAIR[1], *job[2:-2])
    trained, _ = left(job, harness)
    assert (trained["runs_to_train"], trained["runs_finished"]) == (0, 1)
    assert trained["training_macs"] == 0
    assert trained["evaluation_macs"] == whole["evaluation_macs"]

    harness.good(*job, "--methods", ",".join(PAIR), "--no-figures")
    done, total = left(job, harness)
    assert done["cells_finished"] == 8
    assert (total["cells_finished"], total["training_macs"], total["evaluation_macs"]) == (16, 0, 0)

    # A unit that lacks an image, and a training that was stopped half way.
    (unit,) = Path("results").rglob(f"x6/{PAIR[1]}.*.jsonl")
    unit.write_text(unit.read_text().splitlines(keepends=True)[0])
    lacking, _ = left(job, harness)
    assert lacking["cells_finished"] == 7
    assert 0 < lacking["evaluation_macs"] < whole["evaluation_macs"] / 8
    (path,) = Path("results").rglob("checkpoint.pt")
    content = checkpoints.read(path)
    checkpoints.save(path, {**content, "finished": False, "step": content["step"] // 3})
    half, _ = left(job, harness)
    assert half["runs_to_train"] == 1
    assert half["training_macs"] == pytest.approx(whole["training_macs"] * 2 / 3)


def test_a_dry_run_without_the_data_finds_finished_networks(job, harness: Harness):
    harness.good("train", PAIR[1], *job[2:-2])
    Path("data").rename("elsewhere")
    line, _ = left(job, harness)
    assert (line["runs_finished"], line["training_macs"]) == (1, 0)


def test_the_plan_of_the_paper_has_every_training_once(job, harness: Harness):
    """And says how long it takes, here and on several devices."""
    arguments = ("run", "paper", *job[2:-1], "edsr-*", "--dry-run", "--devices", 2)
    told = json.loads(harness.good(*arguments, "--json"))
    names = [each["method"] for each in told["trainings"]]
    assert len(names) == len(set(names)) == 6
    assert {each["steps"] for each in told["trainings"]} == {12}
    assert told["experiments"][0]["method"] == "table1"
    assert told["time"]["devices"] == 2
    hours, wall = told["time"]["device_hours"], told["time"]["wall_hours"]
    assert hours / 2 <= wall < hours
    macs = hours * told["macs_per_second"]  # which differs between two commands
    assert told["time"]["cited_device_hours"] is None, "networks of other sizes"
    words = harness.good(*arguments)
    assert words.count("edsr-moeisr-lte-s") == 1
    assert "on 2 of them" in words
    assert not Path("results").exists()
    done = ("train", "edsr-lte", *job[2:-2])
    harness.good(*done)
    told = json.loads(harness.good(*arguments, "--json"))
    assert {e["method"]: e["steps"] for e in told["trainings"]}["edsr-lte"] == 0
    assert told["time"]["device_hours"] * told["macs_per_second"] < macs


def test_steps_are_timed_where_that_is_asked_for(job, harness: Harness):
    asked = (*job, "--methods", "edsr-lte", "--dry-run", "--time-steps", "--json")
    told = json.loads(harness.good(*asked))
    (training,) = told["trainings"]
    assert training["step_seconds"] > 0
    expected = training["steps"] * training["step_seconds"] / 3600
    assert told["time"]["device_hours"] == pytest.approx(expected)
    status, _, err = harness(*job, "--time-steps")
    assert (status, "they go with --dry-run" in err) == (2, True)


def test_published_hours_are_those_of_the_whole_training():
    """The LTE networks of LTE's own README, and the others by their MACs."""
    from harness.data.published import rows_of
    from harness.runs.estimate import _cited, _whole_macs

    for row in rows_of("training_hours.csv"):
        hours, gpu = _cited(row["encoder"], _whole_macs(row["method"]))
        assert hours == pytest.approx(float(row["gpu_hours"]))
        assert gpu == "RTX 3090"
    assert _cited("seemore-t", 10**15) == (None, "")
    liif, _ = _cited("edsr", _whole_macs("edsr-liif"))
    assert liif == pytest.approx(23.7, abs=0.3)


def test_a_frozen_encoder_has_no_backward_pass():
    from baselines import build
    from baselines.shapes import shapes_only
    from harness.runs.estimate import sample_macs

    settings = profiles.load("paper").training
    with shapes_only():
        model = build("edsr-liif")
    patch = settings.patch
    whole = model.training_macs(patch, settings.queries, (), settings.batch)
    encoder = model.encoder.count((patch, patch)).encoder
    assert sample_macs(model, settings) == 3 * whole
    frozen = settings.model_copy(update={"frozen_encoder": "edsr-liif@4b9912b95f"})
    assert sample_macs(model, frozen) == encoder + 3 * (whole - encoder)


def test_json_is_the_report(job, harness: Harness):
    out = harness.good(*job, "--methods", "bicubic", "--no-figures", "--json")
    assert len(json.loads(out)["records"]) >= 8


def test_a_damaged_plan_is_made_anew(job, harness: Harness):
    arguments = (*job, "--methods", "bicubic", "--no-figures")
    harness.good(*arguments)
    Path("results/tiny/table1/plan.json").write_text("{")
    harness.good(*arguments)
    assert planned() == {"bicubic": 8}


# Interrupted sweeps. The process is killed when it has handed the n-th row to the disk, or in
# the middle of writing it.
KILL = """
import os, signal, sys
from harness.measure import rows
from harness.commands import main

at, half, calls, real = int(sys.argv.pop(1)), sys.argv.pop(1) == "half", [], os.fsync
number_ = int(sys.argv.pop(1))

def fsync(number):
    real(number)
    calls.append(1)
    if len(calls) == at:
        if half:
            os.ftruncate(number, os.fstat(number).st_size - 40)
        os.kill(os.getpid(), number_)

class Os:
    def __getattr__(self, name):
        return fsync if name == "fsync" else getattr(os, name)

rows.os = Os()
main()
"""


def interrupted(job, at: int, how: str, number: int) -> None:
    process = start(
        at, how, int(number), *job, "--methods", ",".join(PAIR), "--no-figures", code=KILL
    )
    _, err = process.communicate(timeout=120)
    expected = -number if number == signal.SIGKILL else 130
    assert process.returncode == expected, err
    assert "Traceback" not in err


@pytest.mark.parametrize("how", ["whole", "half"])
def test_a_killed_sweep_goes_on_where_it_was(how, job, harness: Harness):
    for at in (9, 7):
        interrupted(job, at, how, signal.SIGKILL)
    kept = {name: text[: text.rfind(b"\n") + 1] for name, text in unit_files().items()}
    assert sum(text.count(b"\n") for text in kept.values()) == (16 if how == "whole" else 14)
    harness.good(*job, "--methods", ",".join(PAIR), "--no-figures")
    assert triples() == each_once(PAIR)
    assert all(unit_files()[name].startswith(text) for name, text in kept.items())
    assert not [p for p in Path("results").rglob(".*") if p.is_file()]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_sweep_goes_on_where_it_was(number, job, harness: Harness):
    interrupted(job, 9, "whole", number)
    assert sum(triples().values()) == 9
    harness.good(*job, "--methods", ",".join(PAIR), "--no-figures")
    assert triples() == each_once(PAIR)


def test_two_processes_share_a_sweep(job, harness: Harness):
    """Nothing is there yet: they train and measure side by side, and draw the same figures."""
    chosen = ("bicubic", "edsr-lte", "edsr-moeisr-lte-s")
    write_profile(Path("tiny.yaml"), {**PROFILE, "regions": {"table1": REGIONS}})
    processes = [start(*job, "--methods", ",".join(chosen)) for _ in range(2)]
    for process in processes:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert "Traceback" not in err
    assert triples() == each_once(chosen)
    assert planned() == dict.fromkeys(chosen, 8)
    samples = list(Path("results/tiny/table1/samples").glob("*/sample.json"))
    assert len(samples) == 2
    for path in samples:
        assert len(json.loads(path.read_text())["methods"]) == len(chosen)


def test_samples_show_the_right_region(job, harness: Harness):
    write_profile(Path("tiny.yaml"), {**PROFILE, "regions": {"table1": REGIONS}})
    harness.good(*job, "--methods", "bicubic,edsr-lte,edsr-moeisr-liif-b")
    for path in Path("results/tiny/table1/samples").glob("*/sample.json"):
        sample = json.loads(path.read_text())
        hr = Image.open(path.parent / sample["hr"])
        crop = Image.open(path.parent / sample["hr_crop"])
        assert crop.tobytes() == hr.crop((16, 8, 16 + 40, 8 + 48)).tobytes()
        found = {r["method"]: r["psnr"] for r in rows()
                 if (r["image"], r["scale"]) == (sample["image"], sample["scale"])}  # fmt: skip
        for method in sample["methods"]:
            assert method["psnr"] == found[method["method"]]
            assert Image.open(path.parent / method["crop"]).size == (40, 48)
            assert bool(method["expert_map"]) == ("moeisr" in method["method"])


def test_a_sample_keeps_the_methods_of_an_earlier_run(job, harness: Harness):
    write_profile(Path("tiny.yaml"), {**PROFILE, "regions": {"table1": REGIONS}})
    harness.good(*job, "--methods", "bicubic,edsr-lte")
    harness.good(*job, "--methods", "edsr-lte")
    for path in Path("results/tiny/table1/samples").glob("*/sample.json"):
        shown = [m["method"] for m in json.loads(path.read_text())["methods"]]
        assert shown == ["bicubic", "edsr-lte"]


# Units


def unit(job, scale: float = 2, **changed) -> tuple[Subject, Task, UnitFile]:
    from baselines import build

    settings = profiles.load("tiny.yaml")
    data = find("DIV2K_valid", Path("data"))
    task = Task(data, "DIV2K_valid", scale, "div2k", "tiny", settings.evaluation, None)
    subject = Subject("bicubic", build("bicubic"), torch.device("cpu"))
    return subject, task, UnitFile(Path("rows") / task.unit(subject).relative_path)


def test_a_row_cut_off_by_a_crash_is_measured_again(job):
    subject, task, file = unit(job)
    measure_unit(subject, task, file)
    whole = file.path.read_bytes()
    first = whole[: whole.index(b"\n") + 1]
    for cut in (b"", b"{", whole[len(first) : -1]):
        file.path.write_bytes(first + cut)
        assert [r["image"] for r in file.rows()] == ["0801"]
        measure_unit(subject, task, file)
        assert [r["image"] for r in file.rows()] == ["0801", "0802"]
        assert file.path.read_bytes().startswith(first)


@pytest.mark.parametrize("garbage", [b"{\n", b"\xff\xfe\n"])
def test_a_damaged_unit_is_named(garbage, job):
    subject, task, file = unit(job)
    measure_unit(subject, task, file)
    file.path.write_bytes(garbage + file.path.read_bytes())
    with pytest.raises(HarnessError, match=r"is damaged.*\nDelete the file"):
        measure_unit(subject, task, file)


def test_a_unit_is_measured_by_one_process(job):
    subject, task, file = unit(job)
    with file.claimed() as mine:
        assert mine
        assert measure_unit(subject, task, UnitFile(file.path)) is None
    assert file.rows() == []
    assert measure_unit(subject, task, file) == file.rows() != []


def images(file: UnitFile) -> list[str]:
    return [row["image"] for row in file.rows()]


def test_a_unit_that_is_measured_again_is_complete_all_the_time(job):
    subject, task, file = unit(job)
    before = measure_unit(subject, task, file)
    seen = []
    found = measure_unit(
        subject, task, file, force=True, measured=lambda _: seen.append(file.by_image())
    )
    assert [set(rows) for rows in seen] == [set(VALID_SIZES)] * 2
    assert seen[0]["0801"] not in before, "it has the new row"
    assert seen[0]["0802"] == before[1], "the other one is still there"
    assert found == file.rows() == list(seen[1].values())


@pytest.mark.parametrize("killed", [True, False])
def test_measuring_again_may_be_interrupted(killed, job, monkeypatch):
    subject, task, file = unit(job)
    measure_unit(subject, task, file)

    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if killed:
            patch.setattr(UnitFile, "drop_superseded", lambda _: None)
        measure_unit(subject, task, file, force=True, measured=stop)
    assert images(file) == (["0801", "0802", "0801"] if killed else ["0801", "0802"])
    found = measure_unit(subject, task, file)
    assert images(file) == ["0801", "0802"]
    assert found == list(file.by_image().values())


def test_only_the_task_s_images_are_measured_again(job):
    """Rows of another experiment's images stay as they are."""
    subject, task, file = unit(job)
    before = measure_unit(subject, task, file)
    found = measure_unit(subject, replace(task, images=("0802",)), file, force=True)
    assert file.rows() == [before[0], *found]
    assert found != before[1:]


def test_what_eval_reports_is_what_it_found_while_it_held_the_unit(job, harness, monkeypatch):
    """Another process may have the unit, and damage it, as soon as it is free."""
    command = ("eval", "bicubic", "--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 2)
    first = json.loads(harness.good(*command, "--json"))
    original = UnitFile.claimed

    @contextmanager
    def emptied(self: UnitFile, wait: bool = False) -> Iterator[bool]:
        with original(self, wait) as mine:
            yield mine
        self.path.write_bytes(b"")

    monkeypatch.setattr(UnitFile, "claimed", emptied)
    again = json.loads(harness.good(*command, "--force", "--json"))
    assert [c["psnr"] for c in again["cells"]] == [c["psnr"] for c in first["cells"]]
    assert [c["images"] for c in again["cells"]] == [2]


def test_rows_of_another_unit_are_not_taken(job):
    subject, task, file = unit(job)
    _, other, wrong = unit(job, scale=3)
    measure_unit(subject, other, wrong)
    file.path.parent.mkdir(parents=True)
    file.path.write_bytes(wrong.path.read_bytes())
    with pytest.raises(HarnessError, match=r"rows of another unit: scale.*\nDelete the file"):
        measure_unit(subject, task, file)


def test_the_memory_of_bands_makes_another_unit(job):
    """Bands of other heights round otherwise, whatever their memory; see docs/memory.md."""
    subject, task, _ = unit(job)
    ids = [
        replace(task, settings=Evaluation(memory_mib=memory)).unit(subject)
        for memory in (None, 1, 4, 8, 32, 64, 1024)
    ]
    assert len({each.key for each in ids}) == len(ids)
    again = replace(task, settings=Evaluation(memory_mib=4))
    found = measure_unit(subject, again, UnitFile(Path("rows.jsonl")))
    assert [row["memory_mib"] for row in found] == [4, 4]


def test_units_keep_their_names():
    """Those that were measured before are found again."""
    fields = ("abc", "Set5", "f00d")
    assert UnitId("edsr-liif", 0, *fields, 2.0, "benchmark", "fp32").key == "66e297a887"
    late = ("fp32", "beef", "cafe")
    assert UnitId("edsr-lmliif", 1, *fields, 6.0, "benchmark", *late).key == "212c245a44"


def test_other_lr_images_are_another_unit(job):
    """Official LR images that arrive later are not passed over for rows made without them."""
    subject, task, _ = unit(job)
    folder = Path("data/DIV2K/DIV2K_valid_LR_bicubic/X2")
    names = {f"{name}x2": (h // 2, w // 2) for name, (h, w) in VALID_SIZES.items()}
    keys = [task.unit(subject).key]
    write_photos(folder, names)
    keys.append(unit(job)[1].unit(subject).key)
    write_photos(folder, dict(reversed(names.items())))
    keys.append(unit(job)[1].unit(subject).key)
    assert len(set(keys)) == 3
    assert unit(job, scale=3)[1].unit(subject).key == unit(job, scale=3)[1].unit(subject).key
