"""CMSR against a slow statement of it; its counts; its tables and what they promise."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import DECODER, ENCODER, network, photo, pixels, seen_by, write_data
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from baselines import mlp
from baselines.base import Box
from baselines.cmsr import Cmsr, Level, Tables, levels_at, rendered_queries
from baselines.fast import engine
from baselines.fast.pool import Pool
from baselines.geometry import make_cell, make_coord
from baselines.systems.implicit import ImplicitSR
from harness import checkpoints
from harness.checkpoints.cmsr_table import CmsrTables, load_tables
from harness.checkpoints.subject import Subject, open_subject
from harness.common.errors import HarnessError
from harness.data.sets import Dataset, find
from harness.data.sets.base import memory_item
from harness.measure import cmsr as making
from harness.measure.cmsr import bound, find_levels
from harness.measure.rows import UnitId
from harness.upscale.network import upscale

INF = math.inf
METHODS = ["edsr-lmliif", "edsr-lmlte", "swinir-lmliif"]


# Levels


# Two tables of the official repository (configs/cmsr/result); "1" stands for no bound there.
OFFICIAL: Tables = {
    8: [Level(1, 0.33), Level(2, 0.38), Level(4, 0.56), Level(6, 0.6)],
    12: [Level(1, 0.32), Level(2, 0.39), Level(4, 0.54), Level(6, INF)],
}


@pytest.mark.parametrize(
    ("scale", "expected"),
    [
        (8, [(1, 0.33), (2, 0.38), (4, 0.56), (6, 0.6), (8, INF)]),
        (5, [(1, 0.33), (2, 0.38), (4, 0.56), (5, INF)]),
        (4.5, [(1, 0.33), (2, 0.38), (4, 0.56), (4.5, INF)]),
        (9, [(1, 0.32), (2, 0.39), (4, 0.54), (6, INF)]),
        (12, [(1, 0.32), (2, 0.39), (4, 0.54), (6, INF)]),
        (30, [(1, 0.32), (2, 0.39), (4, 0.54), (6, INF)]),
    ],
)
def test_levels_follow_the_official_rule(scale, expected):
    assert [(level.scale, level.below) for level in levels_at(OFFICIAL, scale)] == expected


# Rendering


@dataclass(frozen=True)
class Slow:
    """What the plain statement of CMSR makes: (3, H, W) in [0, 1], and the queries it renders."""

    image: Tensor
    queries: int


def sampled(image: Tensor, coord: Tensor, mode: str) -> Tensor:
    """(Q, C) of a (1, C, h, w) image at (Q, 2) coordinates."""
    grid = coord.flip(-1)[None, None]
    found = F.grid_sample(image, grid, mode=mode, padding_mode="border", align_corners=False)
    return found[0, :, 0].T


def slowly(
    model: ImplicitSR, lr: Tensor, levels: list[tuple[float, float]], size: tuple[int, int]
) -> Slow:
    """Query by query, level by level, (scale, upper intensity) each; the last is the target."""
    decoder, (h, w) = model.decoder, lr.shape[-2:]
    features = model.encode(lr * 2 - 1)
    scale = levels[-1][0]
    table = model.tabulate(features, make_cell(size)[None] * scale / 4)
    shifts = table.codes[0, :, decoder.modulation_dim // 2 : decoder.modulation_dim]
    intensity = shifts.abs().mean(dim=1).view(1, 1, h, w)
    image, queries, low = lr * 2 - 1, 0, -INF
    for level, high in levels:
        own = size if level == scale else (int(h * level), int(w * level))
        coord = make_coord(own)
        found = sampled(intensity, coord, "nearest")[:, 0]
        asked = (found >= low) & (found < high)
        low = high
        if not asked.any():
            continue
        below = sampled(image, coord, "bilinear")
        cell = make_cell(own) * max(level / 4, 1)
        rgb = model.decode(features, coord[None], cell.expand(1, len(coord), 2), table)[0]
        queries += int(asked.sum())
        image = torch.where(asked[:, None], rgb, below).T.view(1, 3, *own)
    image = sampled(image, make_coord(size), "bilinear").T.view(3, *size)
    return Slow(image / 2 + 0.5, queries)


def bounds_of(model: nn.Module, lr: Tensor, scale: float, shares: list[float]) -> list[float]:
    """Intensities below which about these shares of the LR pixels lie; never that of a pixel."""
    features = model.encode(lr * 2 - 1)
    size = tuple(round(n * scale) for n in lr.shape[-2:])
    codes = model.tabulate(features, make_cell(size)[None] * scale / 4).codes
    found = sorted(model.decoder.intensity(codes).flatten().tolist())
    clear = [(low + high) / 2 for low, high in pairwise(found) if high - low > 1e-6]
    between = [0.0, *clear, 2 * found[-1]]
    return [between[int(share * (len(between) - 1))] for share in shares]


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25, deadline=None)
@given(
    lr=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    scale=st.one_of(st.sampled_from([5.0, 8.0, 12.0]), st.floats(4.1, 9)),
    shares=st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted),
    unbounded=st.booleans(),
    memory=st.sampled_from([1, 4000, None]),
    seed=st.integers(0, 99),
)
@example(lr=(5, 6), scale=6.0, shares=[0.2, 0.5, 0.7], unbounded=False, memory=1, seed=0)
@example(lr=(5, 6), scale=6.0, shares=[0.2, 0.2, 0.9], unbounded=True, memory=None, seed=0)
@example(lr=(5, 6), scale=8.0, shares=[0.0, 0.4, 1.0], unbounded=False, memory=4000, seed=1)
def test_the_image_is_that_of_the_slow_statement(
    method, lr, scale, shares, unbounded, memory, seed
):
    model = network(method)
    image = torch.rand(1, 3, *lr, generator=torch.Generator().manual_seed(seed))
    size = tuple(round(n * scale) for n in lr)
    seen, whole = seen_by(model, image, size)
    with torch.no_grad():
        low = bounds_of(model, seen, scale, shares)
        low[-1] = INF if unbounded else low[-1]
        levels = list(zip((1, 2.5, 4), low, strict=True))
        tables = {scale: [Level(*level) for level in levels]}
        made = upscale(Cmsr(model, tables), image, scale, memory=memory)
        expected = slowly(model, seen, [*levels, (scale, INF)], whole)
    kept = expected.image[:, : size[0], : size[1]]
    assert made.image.shape[1:] == kept.shape
    assert (made.image[0] - kept).abs().max() < 1e-4
    if whole == size:
        assert rendered_queries(model, lr, made.choice) == expected.queries


def test_where_no_pixel_is_weak_all_is_rendered_at_the_target():
    for method in METHODS:
        model, lr = network(method), torch.rand(1, 3, 5, 7)
        tables = {6.0: [Level(1, 0.0), Level(4, 0.0)]}
        made = upscale(Cmsr(model, tables), lr, 5.6)
        assert torch.allclose(made.image, upscale(model, lr, 5.6).image, atol=1e-6)
        seen = model.seen((5, 7), (28, 39)).lr
        assert rendered_queries(model, seen, made.choice) == 28 * 39


def test_where_all_are_weak_all_is_rendered_at_the_lowest_scale():
    model, lr = network("edsr-lmliif"), torch.rand(1, 3, 5, 7)
    made = upscale(Cmsr(model, {6.0: [Level(2, INF)]}), lr, 6)
    assert rendered_queries(model, (5, 7), made.choice) == 10 * 14
    with torch.no_grad():
        features = model.encode(lr * 2 - 1)
        table = model.tabulate(features, make_cell((30, 42))[None] * 6 / 4)
        cell = make_cell((10, 14)).expand(1, 140, 2)
        small = model.decode(features, make_coord((10, 14))[None], cell, table)
    small = small[0].T.view(1, 3, 10, 14) / 2 + 0.5
    expected = F.interpolate(small, (30, 42), mode="bilinear", align_corners=False)
    assert torch.allclose(made.image, expected, atol=1e-5)


@pytest.mark.parametrize("scale", [1, 2.5, 4])
def test_up_to_x4_the_rendering_is_the_plain_one(scale):
    model, lr = network("edsr-lmliif"), torch.rand(1, 3, 5, 7)
    made = upscale(Cmsr(model, {6.0: [Level(1, INF)]}), lr, scale)
    assert made.choice is None
    assert torch.equal(made.image, upscale(model, lr, scale).image)


@settings(max_examples=20, deadline=None)
@given(data=st.data(), method=st.sampled_from(METHODS))
def test_a_region_is_cut_from_the_whole(data, method):
    model, lr = network(method), pixels(5, 6)[None] / 255
    with torch.no_grad():
        low = bounds_of(model, seen_by(model, lr, (25, 30))[0], 5.0, [0.3, 0.6])
    tables = {5.0: [Level(1, low[0]), Level(2, low[1])]}
    top, left = data.draw(st.integers(0, 24)), data.draw(st.integers(0, 29))
    box = Box(top, left, data.draw(st.integers(1, 25 - top)), data.draw(st.integers(1, 30 - left)))
    memory = data.draw(st.sampled_from([1, None]))
    whole = upscale(Cmsr(model, tables), lr, 5).image
    part = upscale(Cmsr(model, tables), lr, 5, box=box, memory=memory).image
    expected = whole[:, :, top : top + box.height, left : left + box.width]
    assert (part - expected).abs().max() < 1e-5


def test_reduced_precision_stays_close():
    model, lr = network("edsr-lmliif"), pixels(8, 9)[None] / 255
    with torch.no_grad():
        tables = {6.0: [Level(2, *bounds_of(model, lr, 6.0, [0.5]))]}
    whole = upscale(Cmsr(model, tables), lr, 6)
    reduced = upscale(Cmsr(model, tables), lr, 6, precision="bf16")
    assert len(whole.choice) == 2
    assert 0 < (reduced.image - whole.image).abs().mean() < 0.005


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_cuda_renders_what_the_cpu_renders(method):
    model, lr = network(method), pixels(9, 11)[None] / 255
    with torch.no_grad():
        low = bounds_of(model, lr, 6.0, [0.3, 0.6])
    tables = {6.0: [Level(2, low[0]), Level(4, low[1])]}
    expected = upscale(Cmsr(model, tables), lr, 6).image
    found = upscale(Cmsr(model.cuda(), tables), lr, 6).image
    assert (found - expected).abs().mean() < 1e-4


# Multiply-adds


def test_rendered_and_executed_multiply_adds(monkeypatch):
    """PyTorch counts the products of a real run, where no border codes are filled up."""
    monkeypatch.setattr(engine, "pool_for", lambda _: Pool(1))
    monkeypatch.setattr(mlp, "FUSED", False)  # a kernel that the counter does not know
    by_shape = engine._by_shape
    monkeypatch.setattr(engine, "_by_shape", lambda rows, columns, _: by_shape(rows, columns, 0))
    model, lr, size = network("edsr-lmliif"), pixels(2, 3)[None] / 255, (12, 18)
    with torch.no_grad():
        low = bounds_of(model, lr, 6.0, [0.3, 0.6])
    tables = {6.0: [Level(2, low[0]), Level(4, low[1])]}
    with FlopCounterMode(display=False) as encoding:
        model.encode(lr * 2 - 1)
    with FlopCounterMode(display=False) as counter:
        made = upscale(Cmsr(model, tables), lr, 6)
    ran = (counter.get_total_flops() - encoding.get_total_flops()) // 2
    plain = model.count((2, 3), size)
    found = Cmsr(model, tables).count((2, 3), size, made.choice)
    queries = rendered_queries(model, (2, 3), made.choice)
    assert found.rendered == plain.latent + queries * plain.head // (12 * 18)
    assert found.decoder == plain.decoder
    assert ran == found.executed < plain.executed


# Tables


@pytest.fixture
def images() -> Dataset:
    """Small photographs; the last one has no pixel left at x30."""
    sizes = [(61, 50), (48, 66), (29, 24)]
    items = tuple(
        memory_item(f"p{n}", lambda n=n, size=size: pixels(*size, seed=n))
        for n, size in enumerate(sizes)
    )
    return Dataset("photos", "for tests", items, None, "div2k")


def subject(method: str = "edsr-lmliif") -> Subject:
    return Subject(method, network(method), torch.device("cpu"), weights=f"weights of {method}")


def slow_errors(
    model: ImplicitSR, lr: Tensor, level: float, scale: int
) -> list[tuple[float, float]]:
    """(intensity, squared error) of every SR pixel, for rendering lower and enlarging."""
    h, w = lr.shape[-2:]
    size = (h * scale, w * scale)
    lowest = slowly(model, lr, [(level, INF), (scale, INF)], size).image
    target = slowly(model, lr, [(scale, INF)], size).image
    features = model.encode(lr * 2 - 1)
    codes = model.tabulate(features, make_cell(size)[None] * scale / 4).codes
    intensity = model.decoder.intensity(codes).view(1, 1, h, w)
    found = sampled(intensity, make_coord(size), "nearest")[:, 0]
    errors = ((lowest - target) * 2).square().mean(dim=0).flatten()
    return list(zip(found.tolist(), errors.tolist(), strict=True))


@pytest.mark.parametrize("method", ["edsr-lmliif", "edsr-lmlte"])
def test_tables_keep_what_they_promise(method, images, tmp_path):
    """In every bin below a bound, of every image, the error is below the MSE; above it is not."""
    chosen = subject(method)
    chosen.model.decoder.hypernet.linears[-1].weight.data.mul_(4)  # spreads the intensities
    width = making.bin_width(chosen)
    errors: dict[tuple[float, int], list[float]] = {}
    with torch.no_grad():
        for item in images.items:
            lr = making.make_pair(item, item.load(), 6, None).lr[None] / 255
            for level in (1.0, 2.0, 4.0):
                per_bin: dict[int, list[float]] = {}
                for intensity, error in slow_errors(chosen.model, lr, level, 6):
                    per_bin.setdefault(int(intensity / width), []).append(error)
                for n, values in per_bin.items():
                    errors.setdefault((level, n), []).append(sum(values) / len(values))
    worst = sorted((n, max(values)) for (level, n), values in errors.items() if level == 4)
    mse = 1.0001 * max(error for _, error in worst[: len(worst) // 3])
    scans = making.Scan(chosen, images, 6.0, (1.0, 2.0, 4.0))
    file = scans.file(tmp_path)
    making.run_scan(scans, file, lambda _: None, making.PairStore())
    for level in scans.levels:
        failing = [n for (own, n), values in errors.items() if own == level and max(values) > mse]
        expected = min(failing, default=INF) * width
        expected *= worst[0][0] not in failing
        assert bound(file.rows(), level, mse, width) == pytest.approx(expected)
    assert 0 < bound(file.rows(), 4.0, mse, width) < INF, "nothing is tested"
    levels = find_levels(file.rows(), scans.levels, mse, width)
    reached = 0.0
    for level in levels:
        for (own, n), values in errors.items():
            if own == level.scale and reached <= n * width < level.bound:
                assert max(values) <= mse
        assert level.bound > reached
        reached = level.bound


def test_a_larger_bound_of_the_error_renders_less(images, tmp_path):
    chosen, reached = subject(), []
    for mse in (0.0, 1e-7, 1e-5, 1e-3, 1.0):
        tables = making.make_tables(chosen, images, (6.0, 12.0), mse, tmp_path)
        reached.append([bound_at(tables, scale) for scale in (6.0, 12.0)])
        assert [table.images for table in tables.tables] == [3, 3]
    assert reached[0] == [0, 0]
    assert reached[-1] == [INF, INF]
    for at_scale in zip(*reached, strict=True):
        assert list(at_scale) == sorted(at_scale)


def bound_at(tables: CmsrTables, scale: float) -> float:
    """Highest intensity that is not rendered at the target scale."""
    levels = tables.levels[scale]
    return levels[-1].below if levels else 0


def test_levels_that_would_render_nothing_are_left_out():
    passing = [(1, 0.01)]
    rows = [
        {"rises": {"1": [*passing, (3, 0.1)], "2": [(1, 0.1)], "4": [*passing, (9, 0.1)]}},
        {"rises": {"1": [(4, 0.1)], "2": [*passing], "4": [*passing]}},
    ]
    for row in rows:
        row["rises"]["6"] = passing
    found = find_levels(rows, (1, 2, 4, 6), 0.05, 0.01)
    assert [(level.scale, level.below) for level in found] == [(1, 0.03), (4, 0.09), (6, None)]


def test_what_was_scanned_is_not_scanned_again(images, tmp_path, monkeypatch):
    chosen = subject()
    first = making.make_tables(chosen, images, (6.0, 30.0), 1e-4, tmp_path)
    assert [table.images for table in first.tables] == [3, 2]
    monkeypatch.setattr(making, "scan_image", lambda *_: pytest.fail("scanned again"))
    again = making.make_tables(chosen, images, (6.0, 30.0), 1e-4, tmp_path)
    assert again.tables == first.tables
    making.make_tables(chosen, images, (6.0,), 1e-6, tmp_path)


def test_a_stopped_scan_goes_on(images, tmp_path, monkeypatch):
    chosen, done = subject(), []
    whole = making.scan_image

    def stops(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(args[1].name)
        return whole(*args)

    monkeypatch.setattr(making, "scan_image", stops)
    with pytest.raises(KeyboardInterrupt):
        making.make_tables(chosen, images, (6.0,), 1e-4, tmp_path)
    monkeypatch.setattr(making, "scan_image", lambda *a: (done.append(a[1].name), whole(*a))[1])
    stopped = making.make_tables(chosen, images, (6.0,), 1e-4, tmp_path)
    assert done == ["p0", "p1", "p2"]
    monkeypatch.setattr(making, "scan_image", whole)
    assert making.make_tables(chosen, images, (6.0,), 1e-4, tmp_path / "b").tables == stopped.tables


def test_images_too_small_for_a_scale(images, tmp_path):
    small = replace(images, items=images.items[2:])
    with pytest.raises(HarnessError, match="No image of photos is large enough for x30"):
        making.make_tables(subject(), small, (30.0,), 1e-4, tmp_path)


# Measurements


def test_units_without_cmsr_keep_their_names():
    plain = UnitId("edsr-liif", 0, "c0ffee", "Set5", "f00d", 4.0, "benchmark", "fp32")
    assert plain.key == "ca08add8fb"
    assert replace(plain, rendering="0123456789").key != plain.key


# The command line


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """Data, an image, and checkpoints of an LMF network, of another one, and of LIIF."""
    write_data(tmp_path / "data")
    photo(9, 7).save(tmp_path / "in.png")
    for name, method, seed in (
        ("lm.pt", "edsr-lmliif", 0),
        ("other.pt", "edsr-lmliif", 1),
        ("liif.pt", "edsr-liif", 0),
    ):
        content = {
            "method": method,
            "build": {"encoder": ENCODER, "decoder": DECODER},
            "state_dict": network(method, seed).state_dict(),
        }
        checkpoints.save(tmp_path / name, content)
    return tmp_path


LM = ("--checkpoint", "lm.pt")
DATA = ("--data-root", "data")
MAKE = ("cmsr", *LM, "--dataset", "DIV2K_train", *DATA, "--scales", "6,12", "--mse", "1e-6")
EVAL = ("eval", *LM, "--dataset", "DIV2K_valid", *DATA)


def test_tables_are_made_and_used(here, harness):
    out = harness.good(*MAKE, "-o", "t.json")
    assert (
        "SUBSTITUTE DATA for all of DIV2K's training set: DIV2K_train (4 images; ONLY 4 of" in out
    )
    stored = load_tables(here / "t.json")
    assert stored.checkpoint == open_subject(here / "lm.pt", torch.device("cpu")).weights
    assert (stored.mse, stored.method) == (1e-6, "edsr-lmliif")
    assert stored.data.fingerprint == find("DIV2K_train", Path("data")).fingerprint
    assert [table.scale for table in stored.tables] == [6, 12]
    scales = ("--scale", 4, "--scale", 6, "--scale", 18)
    plain = json.loads(harness.good(*EVAL, *scales, "--json"))
    found = json.loads(harness.good(*EVAL, *scales, "--cmsr", "t.json", "--json"))
    assert [c["rendering"] for c in plain["cells"]] == ["plain"] * 3
    assert [c["rendering"] for c in found["cells"]] == ["plain", "CMSR 1e-06", "CMSR 1e-06"]
    by_cmsr = [row for row in found["images"] if row["scale"] > 4]
    assert {row["rendering"] for row in by_cmsr} == {stored.identity}
    assert {row["cmsr_mse"] for row in by_cmsr} == {1e-6}
    for row in by_cmsr:
        assert 0 < row["rendered_macs"] <= row["decoder_macs"]
    # At x4 nothing differs, so the plain rows serve; they are not measured again.
    at_x4 = [[r for r in content["images"] if r["scale"] == 4] for content in (plain, found)]
    assert at_x4[0] == at_x4[1]
    again = json.loads(harness.good(*EVAL, *scales, "--json"))
    assert again["images"] == plain["images"], "plain rows are mixed with others"
    notes = "\n".join(found["notes"])
    assert "x4: rendered plainly; CMSR is for scales above x4" in notes
    assert "x18: no table reaches so far; that of x12 is used" in notes
    assert "SUBSTITUTE DATA" in notes
    printed = harness.good(*EVAL, *scales, "--cmsr", "t.json")
    assert "CMSR 1e-06" in printed
    assert "saving" in printed
    assert "saving" not in harness.good(*EVAL, *scales)


def test_an_image_file_by_cmsr(here, harness):
    harness.good(*MAKE, "-o", "t.json")
    arguments = ("upscale", "in.png", "out.png", *LM, "--cmsr", "t.json", "--force")
    assert harness.good(*arguments, "--scale", 6).count("\n") == 1
    arguments += ("--verbose",)
    out = harness.good(*arguments, "--scale", 6)
    assert "GMACs rendered of" in out
    assert "CMSR: MSE 1e-06" in out
    out = harness.good(*arguments[:-1], "--scale", 3)
    assert "GMACs" not in out
    assert "x3: rendered plainly" in out


def test_tables_of_other_weights_are_refused_unless_told_otherwise(here, harness):
    harness.good(*MAKE, "-o", "t.json")
    other = (*EVAL[:1], "--checkpoint", "other.pt", *EVAL[3:], "--scale", 6, "--cmsr", "t.json")
    status, out, err = harness(*other)
    assert (status, out) == (1, "")
    assert "was made for other weights" in err
    assert "--foreign-tables" in err
    content = json.loads(harness.good(*other, "--foreign-tables", "--json"))
    assert content["cells"][0]["rendering"] == "CMSR 1e-06 FOREIGN"
    assert {row["rendering"][10:] for row in content["images"]} == {"-foreign"}
    assert "FOREIGN TABLES" in "\n".join(content["notes"])
    own = json.loads(
        harness.good(*EVAL, "--scale", 6, "--cmsr", "t.json", "--foreign-tables", "--json")
    )
    assert own["cells"][0]["rendering"] == "CMSR 1e-06"


def broken(path: Path, **changes: object) -> None:
    content = json.loads(path.read_text())
    del content["checksum"]
    path.with_name("broken.json").write_text(json.dumps({**content, **changes}))


REFUSED = {
    "not-lmf": (("cmsr", "--checkpoint", "liif.pt", "-o", "o.json"), 2, "edsr-lmliif, edsr-lmlte"),
    "bicubic": (("cmsr", "bicubic", "-o", "o.json"), 2, "has no modulations"),
    "x4": (("cmsr", *LM, "--scales", "4,6", "-o", "o.json"), 2, "x4 is within the training range"),
    "no-scale": (("cmsr", *LM, "--scales", ",", "-o", "o.json"), 2, "lists nothing"),
    "bad-scale": (("cmsr", *LM, "--scales", "6,x", "-o", "o.json"), 2, "is no number"),
    "nan": (("cmsr", *LM, "--mse", "nan", "-o", "o.json"), 2, "--mse"),
    "negative": (("cmsr", *LM, "--mse", "-1", "-o", "o.json"), 2, "--mse"),
    "dataset": (("cmsr", *LM, "--dataset", "DIV2K", "-o", "o.json"), 2, "Did you mean"),
    "absent": (("cmsr", *LM, "--dataset", "Set5", *DATA, "-o", "o.json"), 1, "does not exist"),
    "no-output": (("cmsr", *LM), 2, "--output"),
    "there": ((*MAKE, "-o", "t.json"), 1, "is there already"),
    "folder": ((*MAKE, "-o", "data"), 1, "is a folder"),
    "the-checkpoint": ((*MAKE, "-o", "lm.pt", "--force"), 1, "is the file that is read"),
    "in-a-file": ((*MAKE, "-o", "in.png/t.json"), 1, "in.png"),
    "too-small": ((*MAKE[:-4], "--scales", "60", "-o", "o.json"), 1, "large enough for x60"),
    "eval-liif": (
        ("eval", "--checkpoint", "liif.pt", *EVAL[3:], "--cmsr", "t.json"), 2, "no modulations"),
    "eval-absent": ((*EVAL, "--cmsr", "no.json"), 1, "no.json cannot be read"),
    "eval-image": ((*EVAL, "--cmsr", "in.png"), 1, "in.png holds no CMSR tables"),
    "eval-broken": ((*EVAL, "--cmsr", "broken.json"), 1, "must not fall"),
    "upscale-liif": (
        ("upscale", "in.png", "o.png", "--scale", 6, "--checkpoint", "liif.pt", "--cmsr", "t.json"),
        2,
        "no modulations",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_said(name, here, harness):
    harness.good(*MAKE, "-o", "t.json")
    levels = [{"scale": 1, "below": 0.2}, {"scale": 2, "below": 0.1}]
    broken(here / "t.json", tables=[{"scale": 6, "images": 4, "levels": levels}])
    arguments, expected, part = REFUSED[name]
    before = (here / "t.json").read_bytes()
    status, out, err = harness(*arguments)
    assert (status, out) == (expected, ""), err
    assert part in err.replace("\n", " ")
    assert err.count("Error: ") == 1
    assert not (here / "o.json").exists()
    assert (here / "t.json").read_bytes() == before
