"""A sweep reads each image and makes each LR image once, for all of its methods."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import pixels

from baselines import build
from harness.checkpoints.subject import Subject
from harness.data import pairs as pairing
from harness.data.degrade import TooSmallError, make_pair
from harness.data.images import pixel_hash, save_png
from harness.data.pairs import PairStore
from harness.data.sets import Dataset, ImageItem, find
from harness.data.sets.base import memory_item
from harness.measure import evaluate
from harness.measure.evaluate import Task, measure_unit
from harness.measure.rows import UnitFile
from harness.profiles import Evaluation

SCALES = (2, 3.3, 4, 6)
SIZES = {"a": (64, 50), "b": (47, 71), "c": (60, 60)}


class Counted:
    """Items that count how often they are read, and LR images that are made."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: Counter[str] = Counter()
        self.made: Counter[tuple[str, float]] = Counter()
        self.hashed = 0
        self.items = tuple(self._item(n, size, i) for i, (n, size) in enumerate(SIZES.items()))

        def make(item, hr, scale, cache, *rule):
            self.made[item.name, scale] += 1
            return make_pair(item, hr, scale, cache, *rule)

        def count_hash(image):
            self.hashed += 1
            return pixel_hash(image)

        monkeypatch.setattr(pairing, "make_pair", make)
        monkeypatch.setattr(pairing, "pixel_hash", count_hash)

    def _item(self, name: str, size: tuple[int, int], seed: int) -> ImageItem:
        image = pixels(*size, seed=seed)

        def load() -> torch.Tensor:
            self.read[name] += 1
            return image.clone()

        return replace(memory_item(name, lambda: image), load=load)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(monkeypatch)


def sweep(counted: Counted, folder: Path, methods: int, pairs: PairStore | None) -> list[UnitFile]:
    data = Dataset("set", "", counted.items, None, "benchmark")
    files = []
    for seed in range(methods):
        subject = Subject("bicubic", build("bicubic"), torch.device("cpu"), seed=seed)
        for scale in SCALES:
            task = Task(data, "set", scale, "benchmark", "tiny", Evaluation(), None)
            files.append(UnitFile(folder / task.unit(subject).relative_path))
            assert measure_unit(subject, task, files[-1], pairs=pairs)
    return files


def numbers(files: list[UnitFile]) -> list[dict[str, object]]:
    """Rows without what differs from one measurement to the next."""
    changing = {"seconds", "peak_memory_bytes", "measured_at"}
    return [{k: v for k, v in r.items() if k not in changing} for f in files for r in f.rows()]


def test_each_image_is_read_once_and_each_pair_made_once(counted, tmp_path):
    files = sweep(counted, tmp_path / "once", 3, PairStore())
    assert counted.read == dict.fromkeys(SIZES, 1)
    assert counted.made == {(name, scale): 1 for name in SIZES for scale in SCALES}
    assert counted.hashed == len(SIZES)
    plain = sweep(counted, tmp_path / "plain", 3, None)
    assert counted.read == dict.fromkeys(SIZES, 1 + 3 * len(SCALES))
    assert numbers(files) == numbers(plain)
    assert len(numbers(files)) == 3 * len(SCALES) * len(SIZES)


@pytest.mark.parametrize("budget", [0, 1, 9_600, 20_000, 30_000])
def test_what_does_not_fit_is_read_again(budget, counted, tmp_path):
    pairs = PairStore(budget)
    files = sweep(counted, tmp_path / "some", 2, pairs)
    assert pairs.bytes <= budget
    held = pairs._images.values(), pairs._pairs.values()
    assert sum(i.pixels.nbytes for i in held[0]) + sum(p.lr.nbytes for p in held[1]) == pairs.bytes
    once = [name for name, times in counted.read.items() if times == 1]
    # What is kept stays: the first image that fits serves all, whatever the others need.
    assert len(once) == {0: 0, 1: 0, 9_600: 1, 20_000: 1, 30_000: 2}[budget]
    assert numbers(files) == numbers(sweep(counted, tmp_path / "plain", 2, None))


def test_kept_pairs_are_what_is_made(counted):
    pairs = PairStore()
    for item in counted.items:
        for scale in (*SCALES, 12):
            for _ in range(2):
                image = pairs.image(item)
                assert image.sha256 == pixel_hash(image.pixels)
                found = pairs.pair(item, image, scale, None)
                made = make_pair(item, image.pixels, scale, None)
                assert torch.equal(found.lr, made.lr)
                assert torch.equal(found.hr, made.hr)
                assert found.source == made.source


def test_an_image_that_is_too_small_is_refused_each_time(counted):
    pairs = PairStore()
    image = pairs.image(counted.items[0])
    for _ in range(2):
        with pytest.raises(TooSmallError):
            pairs.pair(counted.items[0], image, 100, None)


def test_what_changes_on_disk_is_read_by_the_next_sweep(tmp_path):
    """Same name, size and even time: a store does not outlive its sweep."""
    folder = tmp_path / "benchmark/Set5/HR"
    for seed in (0, 1):
        image = pixels(30, 40, seed=seed)
        save_png(image, folder / "baby.png")
        pairs = PairStore()
        (item,) = find("Set5", tmp_path).items
        assert torch.equal(pairs.image(item).pixels, image)
        assert pairs.image(item).sha256 == pixel_hash(image)


def test_kept_images_do_not_count_as_a_method_s_memory(monkeypatch):
    from harness.common.device import PeakMemory

    memory, less = (PeakMemory(torch.device("cpu"), beside) for beside in (0, 50_000_000))
    if memory.kind != "process":
        pytest.skip("this system does not let a process's peak be reset")
    assert memory.read() - less.read() == pytest.approx(50_000_000, abs=5_000_000)


def test_a_network_is_warmed_up_once_for_each_precision(monkeypatch):
    calls: list[str] = []

    def enlarge(model, lr, scale, precision, memory):
        calls.append(precision)

    monkeypatch.setattr(evaluate, "upscale", enlarge)
    for _ in range(2):
        model = build("bicubic")
        for precision in ("fp32", "bf16", "fp32"):
            evaluate.warm_up(model, Evaluation(precision=precision))
    assert calls == ["fp32", "bf16"] * 2
