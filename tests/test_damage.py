"""Checkpoints that lie: damaged bytes, other fields, false sizes, names that lead away.

Whatever is done to a file, it is refused in words, or its network has the very weights that it had.
`python tests/test_damage.py 400` tries as many damages of each kind and counts what came of them.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import random
import re
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import test_official as official
import torch
from damage import bytes_damaged, fields_damaged, saved, zipped_anew
from pydantic import ValidationError
from tiny import DECODER, ENCODERS, Harness, network, write_data

from baselines import build
from harness import checkpoints
from harness.checkpoints import importing, open_checkpoint, state_dicts
from harness.checkpoints.subject import open_subject
from harness.commands.check.golden import Golden
from harness.common.errors import HarnessError
from harness.common.files import plain_name, plain_path
from harness.measure.crops import load_samples
from harness.profiles import Region
from harness.profiles.recipe import Recipe
from harness.runs.plan import PlannedUnit, StoredPlan, load_plan, plan_path, save_plan
from harness.training.step import State

SIZES = {"encoder": ENCODERS["edsr"], "decoder": DECODER}


def ours(steps: int = 1) -> dict[str, Any]:
    """A checkpoint as training writes it."""
    model = network("edsr-liif")
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    for step in range(steps):
        for weight in model.parameters():
            weight.grad = torch.full_like(weight, 0.1 + step)
        optimizer.step()
    recipe = Recipe("edsr-liif", SIZES, {"lr": 1e-4}, "0123456789", seed=3)
    return {
        "format": checkpoints.FORMAT,
        "method": "edsr-liif",
        "build": SIZES,
        "rng": {"seed": 3},
        "recipe": asdict(recipe),
        "recipe_fingerprint": recipe.fingerprint,
        "profile": {"name": "tiny"},
        "origin": "trained here",
        "trained_on": {"caption": "a", "images": 4, "complete": True, "fingerprint": "b"},
        "versions": {"torch": "2"},
        **State(model, optimizer, step=steps, validation={"step": 1, "psnr": 30.0}).content(),
        "total_steps": steps,
        "finished": True,
    }


def imported() -> dict[str, Any]:
    """An official network in our format, with all that is remembered of its file."""
    torch.save({"params": official.swinir_state()}, "official.pth")
    loaded = open_checkpoint("official.pth")
    state = {key: value.detach() for key, value in loaded.model.state_dict().items()}
    return {"format": checkpoints.FORMAT, **loaded.meta, "state_dict": state}


CONTENTS: dict[str, Callable[[], Any]] = {
    "ours": ours,
    "imported": imported,
    "liif": official.liif_file,
    "swinir": lambda: {"params": official.swinir_state()},
    "edsr": lambda: official.OWN_FILES["EDSR project"],
}


def use(path: Path) -> str:
    """Do with a checkpoint all that commands do with one; its weights."""
    loaded = open_checkpoint(path)
    importing.describe(loaded)
    subject = open_subject(path, torch.device("cpu"))
    assert Path(subject.method).name == subject.method
    assert subject.seed in (0, 3)
    importing.save_import(loaded, path, Path("out.pt"))
    with contextlib.suppress(HarnessError):  # what was remembered of an official file is damaged
        importing.save_export(loaded, Path("out.pth"))
    content = checkpoints.read(path)
    if "optimizer" in content:
        model = build("edsr-liif", **SIZES)
        state = State(model, torch.optim.Adam(model.parameters(), fused=True))
        state.restore(content, str(path))
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        state.optimizer.step()
        assert json.dumps(state.validation)
    return checkpoints.weights_hash(loaded.model.state_dict())


def tried(data: bytes, expected: str, path: Path = Path("damaged.pt")) -> str:
    """What became of a file: "refused", "the same", or "OTHER WEIGHTS"."""
    path.write_bytes(data)
    try:
        return "the same" if use(path) == expected else "OTHER WEIGHTS"
    except HarnessError as error:
        assert str(error), "an error says something"
        return "refused"


def outcomes(kind: str, damage: str, count: int, old: bool = False) -> Counter[str]:
    """How often files of a kind were what, after so many random damages."""
    content = CONTENTS[kind]()
    whole = saved(content, old)
    Path("whole.pt").write_bytes(whole)
    expected = use(Path("whole.pt"))
    found: Counter[str] = Counter()
    for seed in range(count):
        rng = random.Random(f"{kind} {damage} {seed}")
        if damage == "bytes":
            data, what = bytes_damaged(whole, rng), ""
        else:
            damaged, what = fields_damaged(content, rng)
            data = saved(damaged, old)
        try:
            came = tried(data, expected)
        except Exception as error:  # a traceback for the user
            came = f"TRACEBACK {type(error).__name__}"
            print(kind, damage, seed, what, f"{error!r:.300}", file=sys.stderr)
        found[came] += 1
    return found


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("damage", ["bytes", "fields"])
def test_damage_is_refused_or_harmless(kind, damage, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = outcomes(kind, damage, 24)
    assert set(found) <= {"refused", "the same"}, found
    assert found["refused"] > 8


# Files as a whole


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder of the test's own that it works in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def assert_refused(data: bytes, reason: str) -> None:
    """A file is refused for this reason."""
    Path("file.pt").write_bytes(data)
    with pytest.raises(HarnessError, match=reason):
        open_checkpoint("file.pt")


@pytest.mark.parametrize("kind", ["ours", "liif"])
def test_every_record_is_held_against_its_checksum(kind, folder):
    whole = saved(CONTENTS[kind]())
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        records = [(record, archive.read(record)) for record in archive.infolist()]
    for record, content in records:
        data = bytearray(whole)
        data[whole.index(content, record.header_offset + 30) + len(content) // 2] ^= 4
        assert_refused(bytes(data), re.escape(record.filename))


def test_files_that_two_readers_take_for_different_things(folder):
    whole = saved(official.liif_file())
    assert_refused(zipped_anew(whole, kind=zipfile.ZIP_DEFLATED), "is compressed")
    assert_refused(zipped_anew(whole, {"data/2": b"12"}), "is damaged|cannot be read")
    assert_refused(zipped_anew(whole, {"data/2": bytes(10_000)}), "as large as it says|record size")
    for twice in ("archive/DATA.pkl", "archive/data/99"):
        Path("two.pt").write_bytes(whole)
        with zipfile.ZipFile("two.pt", "a") as archive:
            archive.writestr(twice, bytes(8))
        assert_refused(Path("two.pt").read_bytes(), "is damaged")
    assert_refused(b"PK\x03\x04" + whole, "its directory")
    # A bit of each entry makes it a folder for PyTorch, which then makes weights of whatever its
    # memory held before.
    entries = [found.start() for found in re.finditer(b"PK\x01\x02", whole)]
    assert len(entries) > 8
    for entry in entries:
        data = bytearray(whole)
        data[entry + 38] |= 0x10
        assert_refused(bytes(data), "its directory has a folder")


def test_records_that_have_changed_names(folder):
    """Two of the same size, in the headers and in the directory; their checksums still hold."""
    for old, new in (("archive/data/0", "archive/data/1"), ("archive/data/2", "archive/data/10")):
        swapped = {old: new, new: old}
        state = {f"{n}.weight": torch.full((3,), float(n)) for n in range(12)}
        with zipfile.ZipFile(io.BytesIO(saved(state))) as archive:
            records = [(record.filename, archive.read(record)) for record in archive.infolist()]
        data = io.BytesIO()
        with zipfile.ZipFile(data, "w") as archive:
            for name, content in records:
                archive.writestr(swapped.get(name, name), content)
        assert_refused(data.getvalue(), "out of order")


def test_a_record_is_not_counted_twice(folder):
    """A directory in which many records are the same bytes of the file."""
    record = bytes(1000)
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("archive/data/0", record)
        (entry,) = archive.filelist
        archive.filelist += [copy.copy(entry) for _ in range(3)]
        for number, other in enumerate(archive.filelist):
            other.filename = f"archive/data/{number}"
    assert_refused(data.getvalue(), "one over another|cannot be read")


class Made:
    """Pickled as a call."""

    def __init__(self, what: Callable[..., object], *arguments: object) -> None:
        self.call = (what, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("made", [(bytearray, 10**11), (torch.Tensor, 10**6, 10**6)])
def test_a_file_does_not_ask_for_memory_by_a_number(made, folder):
    assert_refused(saved({**official.liif_file(), "epoch": Made(*made)}), "it names")


def test_values_within_values(folder):
    deep: list[Any] = []
    for _ in range(100):
        deep = [deep]
    assert_refused(saved({**ours(), "rng": deep}), "too deep")
    wide: list[Any] = []
    for _ in range(25):
        wide = [wide, wide]
    assert_refused(saved({**ours(), "rng": wide}), "too many values")


# PyTorch before 1.6


def test_an_old_file_says_that_it_has_no_checksums(folder):
    content = official.OWN_FILES["EDSR project"]
    weights = set()
    for old in (False, True):
        Path("edsr.pt").write_bytes(saved(content, old))
        loaded = open_checkpoint("edsr.pt")
        weights.add(loaded.weights)
        said = importing.describe(loaded)
        assert ("no checksums" in said["origin"]) == ("no checksums" in said["assumed"]) == old
    assert len(weights) == 1


def test_what_an_old_file_tells_is_verified(folder):
    old = saved({"a.weight": torch.ones(3), "b.weight": torch.ones(3)}, old=True)
    assert_refused(old + b"\0", "does not end where its weights do")
    assert_refused(old[:-1], "cannot be read")
    first, second = sorted(set(re.findall(rb"\d{9,}", old)))
    once = old.rindex(second)
    assert_refused(old[:once] + first + old[once + len(second) :], "does not end|cannot be read")
    assert_refused(saved(ours(), old=True), "format of before 1.6")


# Sizes


def never_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, networks have shapes and no values."""

    def shapes_alone(method: str, **options: Any) -> torch.nn.Module:
        model = build(method, **options)
        assert all(weight.is_meta for weight in model.parameters()), "built with values"
        return model

    monkeypatch.setattr(state_dicts, "build", shapes_alone)


def sized(**options: Any) -> dict[str, Any]:
    """Our checkpoint with other options than its weights."""
    build = {part: {**SIZES.get(part, {}), **given} for part, given in options.items()}
    kept = ("format", "state_dict")
    return {
        "method": "edsr-liif",
        **{k: v for k, v in ours().items() if k in kept},
        "build": {**SIZES, **build},
    }


TABLE = "layers.0.residual_group.blocks.0.attn.relative_position_bias_table"
LARGE = {
    "width": sized(decoder={"width": 4000, "depth": 9}),
    "widest": sized(decoder={"width": 10**6}),
    "blocks": sized(encoder={"blocks": 4000}),
    "endless": sized(encoder={"blocks": 10**15}),
    "product": {**sized(), "method": "rcan-liif",
                "build": {"encoder": {"groups": 4000, "blocks": 4000}}},
    "experts": {**sized(decoder={"depth": 4000}), "method": "edsr-moeisr-liif-b"},
    "window": {**sized(), "method": "swinir-liif", "build": {"encoder": {"window": 1000}}},
    "recursion": {**sized(), "method": "seemore-t-x2", "build": {"encoder": {"recursion": 60}}},
    "scales": {**sized(), "method": "edsr-igconv", "build": {"upsampler": {"scales": [2, 999]}}},
    "not-a-number": sized(encoder={"residual_scale": float("nan")}),
    "huge": sized(decoder={"width": 2**600}),
    "tensor": sized(decoder={"width": torch.ones(())}),
    "official-width": official.liif_file(imnet_spec={
        "name": "mlp", "args": {"out_dim": 3, "hidden_list": [4000] * 9}}),
    "official-blocks": official.other({"name": "edsr-baseline", "args": {
        "n_resblocks": 10**9, "n_feats": 8, "no_upsampling": True}}),
    "official-window": {"params": {**official.swinir_state(), TABLE: torch.zeros(3999**2, 0)}},
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_nothing_is_built_that_is_larger_than_its_weights(name, folder, monkeypatch):
    never_built(monkeypatch)
    assert_refused(saved(LARGE[name]), "file.pt")


def test_tables_are_bounded_by_the_weights(folder):
    """Index tables of windows are not in the file, and grow faster than what is."""
    assert open_checkpoint(write(imported())).weights
    model = network("swinir-x2", encoder={**ENCODERS["swinir"], "window": 32, "depths": [9]})
    content = {"method": "swinir-x2", "build": {"encoder": {**ENCODERS["swinir"], "window": 32,
               "depths": [9]}}, "state_dict": model.state_dict()}  # fmt: skip
    with pytest.raises(HarnessError, match="its tables take"):
        open_checkpoint(write(content))


def test_weights_in_each_others_places_are_refused(folder):
    """With right checksums: as a file whose records were exchanged by somebody."""
    content = torch.load(write(ours()))
    state = content["state_dict"]
    first, second = [key for key, value in state.items() if value.shape == (8, 8, 3, 3)][:2]
    state[first], state[second] = state[second], state[first]
    torch.save(content, "ours.pt")
    with pytest.raises(HarnessError, match="not those that were written"):
        open_checkpoint("ours.pt")


def write(content: dict[str, Any]) -> Path:
    """One of our checkpoints as a file."""
    checkpoints.save(Path("ours.pt"), {k: v for k, v in content.items() if k != "format"})
    return Path("ours.pt")


HEAD = "encoder.head.0.weight"


@pytest.mark.parametrize("kind", ["ours", "liif"])
def test_weights_are_stored_whole_and_finite_in_the_networks_own_type(kind, folder):
    content = CONTENTS[kind]()
    state = content["state_dict"] if kind == "ours" else content["model"]["sd"]
    good = state[HEAD]
    state[HEAD] = good.double()
    Path("file.pt").write_bytes(saved(content))
    assert torch.equal(open_checkpoint("file.pt").model.state_dict()[HEAD], good)
    for value in (1e39, -1e39, float("nan")):
        state[HEAD] = torch.full_like(good, value, dtype=torch.float64)
        assert_refused(saved(content), f"{HEAD} holds values that are not finite")
    state[HEAD] = torch.zeros(1).expand(good.shape)
    assert_refused(saved(content), "not stored as a whole")
    state[HEAD] = good
    for number in range(20_000):
        state[f"more.{number}"] = good
    assert_refused(saved(content), "bytes large, the file")


# Fields of our checkpoints


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("finished", False, "finished before its last step"),
        ("step", -1, "step"),
        ("step", "1", "step"),
        ("recipe", None, ""),
        ("recipe", ["seed"], "recipe"),
        ("recipe_fingerprint", "other", "not that of its fingerprint"),
        ("build", {**SIZES, "ensemble": False}, "recipe is of another network"),
        ("profile", "quick", "profile"),
        ("trained_on", {"images": 3}, "trained_on.caption"),
        ("state_dict", {"a": 1}, "state_dict.a"),
        ("name", "a/b", "no plain name"),
    ],
)
def test_fields_have_their_types_and_belong_together(field, value, reason, folder):
    data = saved({**ours(), field: value})
    if reason:
        assert_refused(data, re.escape(reason))
    else:
        assert tried(data, use(write(ours()))) == "the same"


@pytest.mark.parametrize(
    "state",
    [
        {0: {"step": torch.tensor(1.0), "exp_avg": torch.ones(2), "exp_avg_sq": torch.ones(2)}},
        {99: {"step": torch.tensor(1.0)}},
        {0: {"step": torch.tensor(float("nan"))}},
        {0: {"step": torch.tensor(1.0)}},
        {0: {"step": 1}},
        {"a": 3},
        None,
    ],
)
def test_training_does_not_go_on_from_other_averages(state, folder):
    content = ours()
    content["optimizer"] = {**content["optimizer"], "state": state}
    assert tried(saved(content), "") == "refused"
    del content["optimizer"]
    model = network("edsr-liif")
    with pytest.raises(HarnessError, match="cannot go on from here"):
        State(model, torch.optim.Adam(model.parameters())).restore(content, "here")


@pytest.mark.parametrize(("step", "state"), [(7, None), (1, None), (2, {})])
def test_training_goes_on_from_averages_of_its_own_step(step, state, folder):
    content = {**ours(steps=2), "finished": False, "total_steps": 9, "step": step}
    if state is not None:
        content["optimizer"] = {**content["optimizer"], "state": state}
    model = network("edsr-liif")
    with pytest.raises(HarnessError, match=r"cannot go on from here.*optimizer's"):
        State(model, torch.optim.Adam(model.parameters())).restore(content, "here")


def test_adams_settings_are_the_recipes(folder):
    content = ours()
    content["optimizer"]["param_groups"][0]["betas"] = "text"
    model = network("edsr-liif")
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.8, 0.9), fused=True)
    State(model, optimizer).restore(content, "here")
    assert optimizer.param_groups[0]["betas"] == (0.8, 0.9)
    assert torch.equal(
        optimizer.state[next(model.parameters())]["exp_avg"],
        content["optimizer"]["state"][0]["exp_avg"],
    )


# Names


@pytest.mark.parametrize(
    "name",
    ["../../../victim", "/tmp/victim", "..", ".hidden", "a/b", "a\\b", "", " ", "a\nb", "a\x1b[2J",
     "a\0b", "\udcff", "x" * 151, 7, None],
)  # fmt: skip
def test_a_name_from_a_file_is_one_plain_name(name):
    with pytest.raises(ValueError, match=r"is no plain name|is longer than 150 bytes"):
        plain_name(name)


def test_paths_from_files_go_down():
    assert plain_path("Set5/x2.5/edsr-liif (1).s0.jsonl") == "Set5/x2.5/edsr-liif (1).s0.jsonl"
    for path in ("/etc/passwd", "Set5/../../victim", "Set5//x2", "./x2", "x2/", "x" * 256):
        with pytest.raises(ValueError, match=r"no plain name|longer"):
            plain_path(path)


VALID = ("--dataset", "DIV2K_valid", "--data-root", "data", "--scale", 2)


@pytest.mark.parametrize("name", ["../../../../victim", "{folder}/victim"])
def test_a_checkpoint_names_no_place_outside_the_results(name, folder, monkeypatch, capsys):
    write_data(folder / "data")
    content = imported()
    content["name"] = name.format(folder=folder)
    write(content)
    before = set(folder.rglob("*"))
    status, _, err = Harness(monkeypatch, capsys)("eval", "--checkpoint", "ours.pt", *VALID)
    assert status == 1
    assert "no plain name" in err
    assert set(folder.rglob("*")) == before


def test_a_file_with_an_odd_name_is_to_be_renamed(folder):
    path = Path("a\nb.pth")
    torch.save(official.liif_file(), path)
    with pytest.raises(HarnessError, match="Rename it"):
        open_subject(path, torch.device("cpu"))


def test_names_in_profiles_plans_samples_and_accepted_numbers(folder):
    with pytest.raises(ValidationError, match="no plain name"):
        Region(role="Set5", image="x/../../../victim", scale=2, box=(0, 0, 1, 1))
    unit = {"method": "bicubic", "role": "Set5", "dataset": "Set5", "scale": 2.0, "seed": 0}
    plan = StoredPlan(
        *("table1", "quick", "", False, "", "", "", ""), [],
        [PlannedUnit(**unit, file="Set5/x2/a.jsonl")], [], {},
    )  # fmt: skip
    path = plan_path(Path("results"), "quick", "table1")
    save_plan(plan, path)
    assert load_plan(path) == plan
    for changed in (
        {"profile": "../.."},
        {"units": [PlannedUnit(**unit, file="../../victim")]},
        {"units": [PlannedUnit(**{**unit, "method": "../x"}, file="a")]},
        {"units": [PlannedUnit(**unit, file="/etc/passwd")]},
    ):
        save_plan(replace(plan, **changed), path)
        with pytest.raises(HarnessError, match="no plain name"):
            load_plan(path)
    sample = {
        **{"role": "Set5", "dataset": "Set5", "image": "a", "scale": 2.0, "protocol": "full"},
        **{"box": [0, 0, 1, 1], "hr": "hr.png", "hr_crop": "a.png", "lr": "b.png"},
        "methods": [{"method": "bicubic", "crop": "c.png", "psnr": None, "expert_depths": []}],
    }
    file = Path("samples/0-a_x2/sample.json")
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps({**sample, "lr_crop": "d.png"}))
    assert load_samples(Path("samples"))
    file.write_text(json.dumps({**sample, "lr_crop": "../../secret.png"}))
    with pytest.raises(HarnessError, match="no plain name"):
        load_samples(Path("samples"))
    with pytest.raises(ValidationError, match="no plain name"):
        Golden(profile="../..", summary="", experiments=(), accepted=(), history=())


# By hand


def main(count: int) -> None:
    """All kinds, and files of PyTorch before 1.6, whose weights have no checksums."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for kind in CONTENTS:
            for damage in ("bytes", "fields"):
                # Ours are never in the old format, and refused in it.
                for old in (False, True) if kind in ("liif", "edsr") else (False,):
                    print(kind, damage, "old format" if old else "zip", flush=True, end=": ")
                    print(dict(outcomes(kind, damage, count, old)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
