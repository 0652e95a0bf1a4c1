"""Damaged units, plans and logs: refused by name, or read as what was written; no traceback.

`python tests/test_damaged_results.py 1000` draws more damages than the tests do, and counts what
came of them.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from compare_fixtures import made_up_cost
from report_fixtures import METHODS, PLAN, ROLE, SUBSTITUTE, made_up_row, rendered, write_results

from baselines import UnknownMethodError
from harness.checkpoints.cmsr_table import (
    FORMAT,
    CmsrTables,
    MadeOn,
    StoredLevel,
    StoredTable,
    load_tables,
    save_tables,
)
from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.files import write_text
from harness.measure.cmsr import Scan, ScanRow, scanned
from harness.measure.crops import MethodSample, Sample, load_samples
from harness.measure.rows import Measurement, UnitFile
from harness.runs.make_plan import _earlier
from harness.runs.plan import (
    PLAN_SCHEMA,
    DamagedPlanError,
    MethodNote,
    PlannedUnit,
    load_plan,
    plan_path,
    save_plan,
)
from harness.training.log import Log

DRAWS = 60

# Damages


def flipped(data: bytes, rng: random.Random) -> bytes:
    at, bit = rng.randrange(len(data)), 1 << rng.randrange(8)
    return data[:at] + bytes([data[at] ^ bit]) + data[at + 1 :]


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def zeroed(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    count = min(rng.randrange(1, 600), len(data) - start)
    return data[:start] + bytes(count) + data[start + count :]


def lines_changed(data: bytes, rng: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    at = rng.randrange(len(lines))
    lines[at : at + 1] = [lines[at]] * rng.choice([0, 2])
    return b"".join(lines)


STRANGE: list[Any] = [
    *(None, True, -1, 0, 1, 7.5, 10**400, 1e308, float("nan"), float("inf"), "", "x", "\x1b[2J"),
    *([], [[]], {}, {"a": 1}, [1, "x"], "../../x", 2**63, "\ud800", "12"),
]


def other_value(data: bytes, rng: random.Random) -> bytes:
    """Valid JSON with another value, key or type in some place."""
    whole = data.count(b"\n") != data.count(b"}\n")  # a plan, else lines
    texts = [data] if whole else data.splitlines()
    at = rng.randrange(len(texts))
    content = json.loads(texts[at])
    place: Any = content
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return data
        key = rng.choice(keys)
        if not isinstance(place[key], dict | list) or rng.random() < 0.2:
            break
        place = place[key]
    kind = rng.randrange(3)
    if kind == 0 and isinstance(place, dict):
        place[f"{key}_"] = place.pop(key)
    elif kind == 1:
        del place[key]
    else:
        place[key] = rng.choice(STRANGE)
    texts[at] = json.dumps(content, indent=1 if whole else None).encode()
    return texts[0] + b"\n" if whole else b"\n".join(texts) + b"\n"


DAMAGES = (flipped, flipped, cut, zeroed, lines_changed, other_value, other_value)


def damaged(data: bytes, seed: int) -> bytes:
    rng = random.Random(seed)
    return DAMAGES[seed % len(DAMAGES)](data, rng)


# What is damaged, and what may come of it. Each returns "refused" or "as written".


def rows_of(kind: type) -> list[Any]:
    if kind is Measurement:
        rows = [made_up_row("edsr-moeisr-lte-s", 4, n, SUBSTITUTE, 0) for n in range(3)]
        return [*rows, made_up_cost("edsr-liif", 4)]
    return [ScanRow(f"{n}.png", {"2": [(0, 0.25), (3, 1e-5)]}) for n in range(3)]


def read_unit(kind: type, folder: Path, seed: int) -> str:
    file = UnitFile(folder / "unit.jsonl", kind)
    for row in rows_of(kind):
        file.append(row)
    written = file.rows()
    assert len(written) == len(rows_of(kind))
    file.path.write_bytes(damaged(file.path.read_bytes(), seed))
    try:
        found = file.rows()
        file.drop_superseded()
    except HarnessError as error:
        assert str(file.path) in str(error)
        return "refused"
    assert all(row in written for row in found), "read as something else"
    return "as written"


FULL = replace(
    PLAN,
    units=[PlannedUnit(m, ROLE, SUBSTITUTE.dataset, 2.0, 0, f"{m}.jsonl") for m in METHODS],
    methods=[MethodNote(m, "12 photographs", 12, False, "f00d") for m in METHODS],
    versions={"harness": "0.0.0"},
)


def read_plan(folder: Path, seed: int) -> str:
    path = plan_path(folder, FULL.profile, FULL.experiment)
    save_plan(FULL, path)
    path.write_bytes(damaged(path.read_bytes(), seed))
    try:
        assert load_plan(path) == FULL, "read as something else"
    except HarnessError as error:
        assert str(path) in str(error)
        return "refused"
    return "as written"


def read_log(folder: Path, seed: int) -> str:
    path = folder / "log.jsonl"
    log = Log(path, 0, RUN)
    for step in range(50, 350, 50):
        log.add(step=step, epoch=step // 100, lr=1e-4, seconds=0.1 * step, loss=1 / step, l1=0.5)
    written = [checksums.parse(line) for line in path.read_text().splitlines()]
    path.write_bytes(damaged(path.read_bytes(), seed))
    before = path.read_bytes()
    Log(path, 300, RUN).add(step=350, loss=0.5)
    *found, last = [checksums.parse(line) for line in path.read_bytes().splitlines()]
    assert last == {"step": 350, "loss": 0.5, "run": RUN}
    assert all(line in written for line in found), "read as something else"
    aside = path.with_suffix(".damaged")
    if aside.exists():
        assert set(aside.read_bytes().splitlines()) <= set(
            before.replace(b"\r", b"\n").split(b"\n")
        )
        return "set aside"
    return "as written" if before in path.read_bytes() else "end dropped"


TABLES = CmsrTables(
    format=FORMAT,
    method="edsr-lmliif",
    checkpoint="beef",
    origin="made up",
    mse=2e-5,
    bin_width=0.01,
    data=MadeOn(dataset="Set5", caption="five images", complete=True, fingerprint="f00d"),
    tables=(StoredTable(scale=6, images=5, levels=(StoredLevel(scale=1.5, below=0.25),)),),
    device="made-up device",
    versions={},
    made_at="2000-01-01T00:00:00",
)
SAMPLE = Sample(
    *("Set5", "Set5", "a.png", 2.0, (0, 0, 8, 8), "hr.png", "a.png", "lr.png", "b.png", "full"),
    methods=(MethodSample("edsr-moeisr-liif-s", "c.png", 30.5, "d.png", (2, 3)),),
)


def read_tables(folder: Path, seed: int) -> str:
    path = folder / "tables.json"
    save_tables(TABLES, path)
    return read_whole(path, seed, lambda: load_tables(path) == TABLES)


def read_sample(folder: Path, seed: int) -> str:
    path = folder / "samples/0-a_x2/sample.json"
    content = {key: value for key, value in asdict(SAMPLE).items() if key != "folder"}
    write_text(path, json.dumps(checksums.with_checksum(content), indent=1) + "\n")
    expected = [replace(SAMPLE, folder=path.parent)]
    return read_whole(path, seed, lambda: load_samples(folder / "samples") == expected)


def read_whole(path: Path, seed: int, is_same: Callable[[], bool]) -> str:
    assert is_same()
    path.write_bytes(damaged(path.read_bytes(), seed))
    try:
        assert is_same(), "read as something else"
    except HarnessError as error:
        assert str(path) in str(error)
        return "refused"
    return "as written"


READERS: dict[str, Callable[[Path, int], str]] = {
    "units": lambda folder, seed: read_unit(Measurement, folder, seed),
    "scans": lambda folder, seed: read_unit(ScanRow, folder, seed),
    "plans": read_plan,
    "tables": read_tables,
    "samples": read_sample,
    "logs": read_log,
}


def outcomes(kind: str, seeds: range) -> Counter[str]:
    """What came of some damages, for each kind of damage."""
    found: Counter[str] = Counter()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            name = DAMAGES[seed % len(DAMAGES)].__name__
            found[f"{name}: {READERS[kind](Path(folder), seed)}"] += 1
    return found


@pytest.mark.parametrize("kind", READERS)
def test_nothing_damaged_is_read_as_something_else(kind):
    found = outcomes(kind, range(DRAWS))
    assert found.total() == DRAWS
    assert len({outcome.split(": ")[1] for outcome in found}) > 1, "nothing is tested"


@pytest.mark.parametrize("seed", range(20))
def test_rows_and_plans_without_checksums_end_in_a_message_at_worst(seed):
    """Those of earlier versions; a report is made of them, or says which file is damaged."""
    write_results(Path("results"))
    rng = random.Random(seed)
    paths = sorted(p for p in Path("results").rglob("*.json*") if p.suffix in (".json", ".jsonl"))
    path = rng.choice([p for p in paths if (p.suffix == ".json") == (seed % 2 == 0)])
    if path.suffix == ".json":
        content = json.loads(path.read_text())
        del content["checksum"]
        path.write_text(json.dumps(content, indent=1) + "\n")
    assert b"checksum" not in path.read_bytes()
    path.write_bytes(other_value(path.read_bytes(), rng))
    try:
        for form in ("markdown", "json"):
            rendered(Path("results"), PLAN.profile, PLAN.experiment, form)
    except (HarnessError, UnknownMethodError):
        pass  # one message each


# Files of newer versions


def test_rows_of_a_newer_version_are_refused():
    file = UnitFile(Path("unit.jsonl"))
    row = made_up_row("edsr-liif", 4, 0, SUBSTITUTE, 0)
    file.append(replace(row, schema=3, versions={"harness": "7.1"}))
    message = r"unit.jsonl, line 1, cannot be read: .* version 7.1 .* schema 3.*\nUse that version"
    with pytest.raises(HarnessError, match=message):
        file.rows()


def test_rows_of_another_protocol_or_other_weights_are_refused():
    """A whole file of another unit of the same method, set, scale and seed."""
    for edited in ({"protocol": "full"}, {"checkpoint": "0ther"}, {"precision": "bf16"}):
        root = write_results(Path("here"))
        other = write_results(Path("there"), edit=partial(replace, **edited))
        (file,) = root.rglob("x2/edsr-liif.*.jsonl")
        (foreign,) = other.rglob("x2/edsr-liif.*.jsonl")
        assert file.name != foreign.name
        file.write_bytes(foreign.read_bytes())
        with pytest.raises(HarnessError, match="rows of another unit"):
            rendered(root, PLAN.profile, PLAN.experiment, "json")
        shutil.rmtree(root)
        shutil.rmtree(other)


def test_a_scan_has_no_rows_of_another():
    file = UnitFile(Path("unit.jsonl"), ScanRow)
    wanted = Scan(None, None, 6.0, (1.0, 2.0))  # type: ignore[arg-type]
    for other in (ScanRow("a", {"1": [], "4": []}), ScanRow("a", {"1": [], "2": []}, scan="b")):
        file.append(other)
        with pytest.raises(HarnessError, match="rows of another scan"):
            scanned(wanted, file)
        file.path.unlink()


def test_depths_at_which_only_writing_again_fails():
    for depth in range(700, 1000):
        with suppress(ValueError):
            checksums.load('{"versions":' + "[" * depth + "]" * depth + "}", Measurement, 1)


def test_a_newer_plan_is_refused_and_not_replaced():
    path = plan_path(Path("results"), FULL.profile, FULL.experiment)
    newer = replace(FULL, schema=PLAN_SCHEMA + 1, versions={"harness": "7.1"})
    save_plan(newer, path)
    for read in (load_plan, _earlier):
        with pytest.raises(HarnessError, match=r"version 7.1 .*\nUse that version") as error:
            read(path)
        assert not isinstance(error.value, DamagedPlanError)


def test_a_plan_of_another_experiment_is_refused():
    save_plan(FULL, Path("results/quick/table2/plan.json"))
    with pytest.raises(DamagedPlanError, match="it is the plan of table1"):
        load_plan(Path("results/quick/table2/plan.json"))
    save_plan(FULL, plan_path(Path("results"), "other", "table1"))
    with pytest.raises(DamagedPlanError, match="it is the plan of table1 under quick"):
        load_plan(plan_path(Path("results"), "other", "table1"))


def test_old_rows_and_plans_are_read():
    """Those without a checksum, and without the fields that came later."""
    row = asdict(made_up_row("edsr-liif", 4, 0, SUBSTITUTE, 0))
    old = {key: value for key, value in row.items() if key not in ("memory_mib", "machine")}
    Path("unit.jsonl").write_text(json.dumps(old) + "\n")
    assert UnitFile(Path("unit.jsonl")).rows() == [row]
    later = ("rendering", "facts", "machine", "schema")
    flat = {key: value for key, value in row.items() if key not in later}
    for nested, suffix in {"metrics": "", "macs": "_macs", "parameters": ""}.items():
        flat |= {f"{name}{suffix}": value for name, value in flat.pop(nested).items()}
    flat["parameters"] = flat.pop("all")
    for side in ("hr", "lr"):
        flat[f"{side}_height"], flat[f"{side}_width"] = flat.pop(f"{side}_size")
    text = json.dumps(checksums.with_checksum({**flat, "cmsr": "0123456789", "cmsr_mse": 1e-6}))
    Path("first.jsonl").write_text(text + "\n")
    macs = {**row["macs"], "kernel": 0}
    tables = {"rendering": "0123456789", "facts": {"cmsr_mse": 1e-6}}
    assert UnitFile(Path("first.jsonl")).rows() == [{**row, "macs": macs, **tables}]
    path = plan_path(Path("results"), FULL.profile, FULL.experiment)
    save_plan(FULL, path)
    content = checksums.parse(path.read_text())
    del content["versions"]
    cost = {"method": "edsr-liif", "scale": 2, "seed": 0, "file": "a", "lr_size": [8, 8]}
    path.write_text(json.dumps({**content, "costs": [cost]}))
    read = load_plan(path)
    assert read == replace(FULL, versions={}, warnings=read.warnings)
    assert read.warnings[:-1] == FULL.warnings
    assert "run `harness run table1` to measure them" in read.warnings[-1]


# Logs

RUN = "0123456789"


def test_damaged_lines_of_a_log_are_set_aside_and_those_at_its_end_dropped(capsys):
    good = [b'{"step": 50, "loss": 1.0}', b'{"step": 100, "loss": 0.5}']
    for line in (b"{", b"[]", b"5", b'{"step": "x"}', b'{"step": null}', b"\xff\0", b"[" * 10**5):
        path = Path("log.jsonl")
        path.write_bytes(b"\n".join([good[0], line, good[1], line, b'{"step": 150, "lo']))
        Log(path, 200, RUN)
        assert path.read_bytes().splitlines() == good
        assert path.with_suffix(".damaged").read_bytes() == line + b"\n"
        said = " ".join(capsys.readouterr().err.split())
        assert "log.jsonl has 1 damaged lines, which are moved to log.damaged" in said
        path.with_suffix(".damaged").unlink()


def test_lines_of_a_log_that_stand_twice_or_out_of_order_are_set_aside(capsys):
    steps = [{"step": 50, "l1": 1}, {"step": 50, "validation_psnr": 30}, {"step": 100, "l1": 0.5}]
    first, validated, second = (json.dumps(line).encode() for line in steps)
    for lines, kept in (
        ([first, validated, validated, second], [first, validated, second]),
        ([first, first, validated, second], [first, validated, second]),
        ([first, second, validated], [first, second]),
        ([validated, first, second], [validated, second]),
    ):
        Path("log.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
        Log(Path("log.jsonl"), 200, RUN)
        assert Path("log.jsonl").read_bytes().splitlines() == kept
        assert len(Path("log.damaged").read_bytes().splitlines()) == 1
        assert "1 damaged lines" in " ".join(capsys.readouterr().err.split())
        Path("log.damaged").unlink()


def test_lines_of_another_run_are_set_aside():
    path = Path("log.jsonl")
    for run, at in ((RUN, 50), ("another", 100), (RUN, 150)):
        other = Path(f"{run}.jsonl")
        Log(other, 0, run).add(step=at, loss=0.1)
        with path.open("ab") as file:
            file.write(other.read_bytes())
        other.unlink()
    lines = path.read_bytes().splitlines()
    Log(path, 200, RUN)
    assert path.read_bytes().splitlines() == [lines[0], lines[2]]
    assert path.with_suffix(".damaged").read_bytes() == lines[1] + b"\n"


def test_a_file_of_another_kind_in_the_place_of_a_log_is_set_aside():
    lines = b"".join(b"line %d\n" % n for n in range(5))
    Path("log.jsonl").write_bytes(lines)
    Log(Path("log.jsonl"), 200, RUN)
    assert lines.startswith(Path("log.damaged").read_bytes())
    assert len(Path("log.damaged").read_bytes().splitlines()) == 4


def test_an_unfinished_line_that_happens_to_be_json_is_dropped():
    Path("log.jsonl").write_text('{"step": 50}\n{"step": 100}')
    Log(Path("log.jsonl"), 100, RUN).add(step=100)
    steps = [json.loads(line)["step"] for line in Path("log.jsonl").read_text().splitlines()]
    assert steps == [50, 100]


if __name__ == "__main__":
    for each in READERS:
        for outcome, count in sorted(outcomes(each, range(int(sys.argv[1]))).items()):
            print(f"{each:6} {count:5} {outcome}")
