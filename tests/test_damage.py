"""Checkpoints that lie: damaged bytes, other fields, sizes that are not theirs, names that lead away.

Whatever is done to a file, it is refused in words, or its network has the very weights that it had.
`python tests/test_damage.py 400` tries as many damages of each kind and counts what came of them.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
import tracemalloc
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import test_official as official
import torch
from damage import bytes_damaged, fields_damaged, saved, zipped_anew
from tiny import DECODER, ENCODERS, Harness, network, write_data

from baselines import build
from harness import checkpoints, importing
from harness.checkpoints import open_checkpoint
from harness.errors import HarnessError
from harness.recipe import Recipe
from harness.stepping import State
from harness.subject import open_subject

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
    try:
        importing.save_export(loaded, Path("out.pth"))
    except HarnessError:
        pass  # nothing is trusted that was not
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
    found = outcomes(kind, damage, 30)
    assert set(found) <= {"refused", "the same"}, found
    assert found["refused"] > 10


def main(count: int) -> None:
    """All kinds, and files of PyTorch before 1.6, whose weights have no checksums."""
    import os

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for kind in CONTENTS:
            for damage in ("bytes", "fields"):
                for old in (False, True):
                    print(kind, damage, "old format" if old else "zip", flush=True, end=": ")
                    print(dict(outcomes(kind, damage, count, old)), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
