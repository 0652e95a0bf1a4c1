"""The engine decodes what the plain path decodes: every method, any size, scale and expert map."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import DECODER, ENCODER, network
from torch import Tensor, nn

from baselines import build, mlp
from baselines.composition import Decoder, Features, MLPHead, Routing, Split
from baselines.fast import engine
from baselines.fast.axes import make_axis
from baselines.fast.engine import GridDecoder, GridJob, decode_grid
from baselines.fast.pool import Pool
from baselines.geometry import axis_lookup, make_cell, make_coord, pixel_centers
from baselines.plain import decode_plain
from baselines.systems.implicit import ImplicitSR
from harness.upscale.network import upscale

TOLERANCE = 1e-4
SIDES = st.integers(1, 9)
SCALES = st.one_of(st.sampled_from([1.0, 2.0, 3.0, 4.0, 12.0]), st.floats(1, 8))


class OwnDecoder(Decoder):
    """A decoder that has no split of its own: a product of its code and the distance."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.code_dim, self.width, self.depth = channels, 8, 3
        self.fed_dim = channels + 3

    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        del rel_cell
        return rows[:, :, 1:-1].flatten(2).transpose(1, 2)

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        product = code * rel_coord.prod(dim=-1, keepdim=True)
        return torch.cat([product, rel_coord, rel_cell[:, :1]], dim=-1)


def own_network() -> ImplicitSR:
    """It over a tiny encoder."""
    torch.manual_seed(0)
    decoder = OwnDecoder(8)
    head = MLPHead(decoder.own_mlp())
    return ImplicitSR(network("edsr-liif").encoder, decoder, head).eval()


def without(method: str, **decoder: Any) -> nn.Module:
    return network(method, decoder={**DECODER, **decoder})


def by_pixel(method: str) -> nn.Module:
    return network(method, head={"routing_unit": "pixel"})


KINDS = {
    "liif": lambda: network("edsr-liif"),
    "lte": lambda: network("edsr-lte"),
    "metasr": lambda: network("edsr-metasr"),
    "moeisr-liif-s": lambda: network("edsr-moeisr-liif-s"),
    "moeisr-liif-b": lambda: network("edsr-moeisr-liif-b"),
    "moeisr-lte-s": lambda: network("edsr-moeisr-lte-s"),
    "moeisr-lte-b": lambda: network("edsr-moeisr-lte-b"),
    "rdn-moeisr-lte-b": lambda: network("rdn-moeisr-lte-b"),
    "liif, by pixel": lambda: by_pixel("edsr-moeisr-liif-s"),
    "lte, by pixel": lambda: by_pixel("edsr-moeisr-lte-b"),
    "liif, nearest code": lambda: build(
        "edsr-moeisr-liif-b", encoder=ENCODER, decoder=DECODER, ensemble=False
    ).eval(),
    "liif, no unfolding": lambda: without("edsr-liif", unfold=False),
    "liif, no cell": lambda: without("edsr-moeisr-liif-s", cell=False),
    "liif, two layers": lambda: without("edsr-liif", depth=2),
    "liif, one layer": lambda: without("edsr-liif", depth=1),
    "metasr, one layer": lambda: without("edsr-metasr", depth=1),
    "metasr, three layers": lambda: without("edsr-metasr", depth=3),
    "lm-liif": lambda: network("edsr-lmliif"),
    "lm-lte": lambda: network("edsr-lmlte"),
    "lm-liif, all options off": lambda: build(
        "edsr-lmliif",
        encoder=ENCODER,
        decoder={"unfold": False, "cell": False, "compressed": False, "depth": 3},
        ensemble=False,
    ).eval(),
    "lm-liif, one hidden layer": lambda: without("edsr-lmliif", depth=2),
    "lm-lte, no cell": lambda: without("edsr-lmlte", cell=False, depth=2),
    "ipe": lambda: network("edsr-ipe"),
    "moeisr-ipe-s": lambda: network("edsr-moeisr-ipe-s"),
    "ipe, one layer": lambda: without("edsr-ipe", depth=1),
    "a decoder without a split": own_network,
}


def with_experts(model: ImplicitSR, features: Features, choice: Tensor) -> Features:
    """The features with another expert map (B, h*w), from 0; unchanged without experts."""
    if features.routing is None:
        return features
    experts = len(model.head.mlps)
    gates = torch.nn.functional.one_hot(choice % experts, experts).float()
    return Features(features.lr, features.latent, Routing(gates, gates))


def plainly(model: ImplicitSR, features: Features, size: tuple[int, int], stretch: float) -> Tensor:
    """`ImplicitSR.decode` on every pixel, (B, 3, H, W)."""
    batch = features.latent.shape[0]
    coord = make_coord(size).repeat(batch, 1, 1)
    cell = (make_cell(size) * stretch).expand_as(coord)
    return model.decode(features, coord, cell).transpose(1, 2).reshape(batch, 3, *size)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(
    lr=st.tuples(SIDES, SIDES),
    scales=st.tuples(SCALES, SCALES),
    batch=st.integers(1, 2),
    seed=st.integers(0, 99),
    pairs=st.sampled_from([1, 7, 60, None]),
    memory=st.sampled_from([1, 4000, None]),
)
@example(lr=(1, 1), scales=(3.0, 3.0), batch=1, seed=0, pairs=None, memory=None)
@example(lr=(9, 2), scales=(1.0, 1.0), batch=2, seed=1, pairs=None, memory=None)
@example(lr=(5, 6), scales=(7.3, 2.0), batch=1, seed=2, pairs=7, memory=1)
def test_engine_equals_the_plain_path(kind, lr, scales, batch, seed, pairs, memory):
    assert_equal_to_plain(KINDS[kind](), lr, scales, batch, seed, pairs, memory)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_nothing(kind, threads, monkeypatch):
    monkeypatch.setattr(engine, "pool_for", lambda _: Pool(threads))
    assert_equal_to_plain(KINDS[kind](), (7, 9), (3.3, 4.0), 1, 0, 60, None)


def assert_equal_to_plain(model, lr, scales, batch, seed, pairs, memory):
    generator = torch.Generator().manual_seed(seed)
    size = (max(1, round(lr[0] * scales[0])), max(1, round(lr[1] * scales[1])))
    stretch = model.cell_stretch(scales[0])
    with torch.no_grad():
        features = model.encode(torch.rand(batch, 3, *lr, generator=generator) * 2 - 1)
        choice = torch.randint(0, 4, (batch, lr[0] * lr[1]), generator=generator)
        features = with_experts(model, features, choice)
        job = GridJob(size, (0, size[0]), (0, size[1]), stretch, memory=memory, pairs=pairs)
        found = decode_grid(model, features, job)
        expected = plainly(model, features, size, stretch)
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < TOLERANCE


@settings(max_examples=80, deadline=None)
@given(
    kind=st.sampled_from(sorted(KINDS)),
    lr=st.tuples(SIDES, SIDES),
    scales=st.tuples(SCALES, SCALES),
    share=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    seed=st.integers(0, 99),
    memory=st.sampled_from([1, 4000, None]),
    at_hand=st.booleans(),
)
def test_the_queries_of_some_pixels_alone(kind, lr, scales, share, seed, memory, at_hand):
    """As the plain path, where the nearest code is asked; zero elsewhere."""
    model, generator = KINDS[kind](), torch.Generator().manual_seed(seed)
    size = (max(1, round(lr[0] * scales[0])), max(1, round(lr[1] * scales[1])))
    coord, cell = make_coord(size)[None], make_cell(size)
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, *lr, generator=generator) * 2 - 1)
        choice = torch.randint(0, 4, (1, lr[0] * lr[1]), generator=generator)
        features = with_experts(model, features, choice)
        asked = torch.rand(lr, generator=generator) < share
        job = GridJob(size, (0, size[0]), (0, size[1]), memory=memory, asked=asked)
        table = model.tabulate(features, cell[None]) if at_hand else None
        found = torch.cat(list(GridDecoder(model, features, job, table).strips()))
        expected = plainly(model, features, size, 1)[0].permute(1, 2, 0)
    (nearest,) = model.decoder.locate(coord, cell.expand_as(coord), lr, False)
    answered = asked.flatten()[nearest.index[0]].view(*size, 1)
    assert (found - expected * answered).abs().max() < TOLERANCE
    assert (found * ~answered).count_nonzero() == 0


@pytest.mark.parametrize("kind", ["lm-liif", "moeisr-liif-s", "liif, by pixel", "metasr"])
def test_what_nobody_asks_is_not_computed(kind):
    """As many (query, code) pairs reach the split as the asked pixels have."""
    model, asked = KINDS[kind](), torch.zeros(6, 5, dtype=torch.bool)
    asked[2:4, 3] = True
    seen: list[tuple[int, int]] = []
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, 6, 5) * 2 - 1)
        job = GridJob((24, 20), (0, 24), (0, 20), asked=asked, pairs=1)
        decoder = GridDecoder(model, features, job)
        decoder.splits = [Counting(split, seen) for split in decoder.splits]
        list(decoder.strips())
    codes = 4 if model.ensemble else 1
    assert sum(queries for _, queries in seen) == 2 * 4 * 4 * codes


@settings(max_examples=30, deadline=None)
@given(data=st.data(), kind=st.sampled_from(sorted(KINDS)))
def test_a_region_is_cut_from_the_whole(data, kind):
    model, lr, size = KINDS[kind](), (5, 7), (17, 26)
    spans = []
    for side in size:
        first = data.draw(st.integers(0, side - 1))
        spans.append((first, data.draw(st.integers(first + 1, side))))
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, *lr) * 2 - 1)
        whole = decode_grid(model, features, GridJob(size, (0, 17), (0, 26)))
        part = decode_grid(model, features, GridJob(size, *spans, memory=1))
    (top, bottom), (left, right) = spans
    assert (part - whole[..., top:bottom, left:right]).abs().max() < 1e-5


@pytest.mark.parametrize("expert", range(4))
def test_one_expert_for_all(expert):
    """Experts that nobody chose are not asked, and their absence is no error."""
    model = network("edsr-moeisr-liif-b")
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, 4, 6) * 2 - 1)
        features = with_experts(model, features, torch.full((1, 24), expert))
        found = decode_grid(model, features, GridJob((11, 19), (0, 11), (0, 19)))
        assert (found - plainly(model, features, (11, 19), 1)).abs().max() < TOLERANCE


@pytest.mark.parametrize("method", ["edsr-liif", "edsr-moeisr-liif-s", "edsr-lte"])
def test_full_size_networks_at_odd_sizes(method):
    """The paper's widths, more codes than one chunk takes, a scale that is no integer."""
    torch.manual_seed(0)
    model = build(method, encoder={"blocks": 1}).eval()
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, 37, 23) * 2 - 1)
        for size in ((111, 69), (93, 58)):
            found = decode_grid(model, features, GridJob(size, (0, size[0]), (0, size[1])))
            assert (found - decode_plain(model, features, size)[None]).abs().max() < TOLERANCE


def test_each_part_of_the_work_is_done_once():
    """At x4 a code inside the image serves 8 x 8 queries: its own part is made once for them."""
    model, asked = network("edsr-moeisr-liif-s"), []
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, 6, 5) * 2 - 1)
        # In chunks of one query, so that border codes are not filled up to join the others.
        decoder = GridDecoder(model, features, GridJob((24, 20), (0, 24), (0, 20), pairs=1))
        decoder.splits = [Counting(split, asked) for split in decoder.splits]
        list(decoder.strips())
    assert sum(codes for codes, _ in asked) == 6 * 5
    # Border pixels have their code once, not once for each direction: 2 * 24 - 4 pairs of rows.
    assert sum(queries for _, queries in asked) == (2 * 24 - 4) * (2 * 20 - 4)


class Counting(Split):
    """Notes how many codes are prepared and how many queries answered."""

    def __init__(self, split: Split, asked: list[tuple[int, int]]) -> None:
        self.split, self.asked = split, asked

    @property
    def prepared_dim(self) -> int:
        return self.split.prepared_dim

    def prepare(self, code: Tensor) -> Tensor:
        self.asked.append((code.shape[0], 0))
        return self.split.prepare(code)

    def on_grid(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor) -> Tensor:
        self.asked.append((0, rel_y.numel() * rel_x.shape[1]))
        return self.split.on_grid(prepared, rel_y, rel_x, rel_cell)


@given(n_hr=st.integers(1, 60), n_lr=st.integers(1, 12), ensemble=st.booleans())
def test_an_axis_has_every_lookup_once(n_hr, n_lr, ensemble):
    lookup = axis_lookup(pixel_centers(n_hr), n_lr, ensemble)
    axis = make_axis(lookup, n_lr)
    codes = axis.code.repeat_interleave(axis.count)
    assert torch.equal(codes[axis.where], lookup.index)
    assert torch.equal(axis.rel[axis.where], lookup.rel)
    pixels = list(range(n_hr)) * len(lookup.index)
    assert axis.pairs == len({*zip(lookup.index.flatten().tolist(), pixels, strict=True)})
    assert (axis.where[-1].diff() >= 0).all()


def test_training_mode_is_refused():
    """There all experts are mixed, which is not what the engine does."""
    job = GridJob((8, 8), (0, 8), (0, 8))
    for part in (lambda model: model, lambda model: model.head):
        model = network("edsr-moeisr-liif-s")
        features = model.encode(torch.zeros(1, 3, 4, 4))
        part(model).train()
        with pytest.raises(ValueError, match="evaluation mode"):
            GridDecoder(model, features, job)


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (GridJob((8, 8), (0, 9), (0, 8)), "no part of a side"),
        (GridJob((8, 8), (0, 8), (5, 5)), "no part of a side"),
        (GridJob((8, 8), (0, 8), (0, 8), memory=0), "positive"),
        (GridJob((8, 8), (0, 8), (0, 8), pairs=-3), "positive"),
    ],
)
def test_jobs_that_make_no_sense_are_refused(job, message):
    model = network("edsr-liif")
    with pytest.raises(ValueError, match=message):
        GridDecoder(model, model.encode(torch.zeros(1, 3, 4, 4)), job)
    with pytest.raises(ValueError, match="float32 networks"):
        GridDecoder(model.double(), model.encode(torch.zeros(1, 3, 4, 4).double()), job)


def test_decoding_needs_no_gradients_and_makes_none():
    """Where they are enabled, too, on any number of threads."""
    model = network("edsr-lte")
    features = model.encode(torch.zeros(1, 3, 4, 4))
    assert not decode_grid(model, features, GridJob((8, 8), (0, 8), (0, 8))).requires_grad


@pytest.mark.parametrize("kind", ["liif", "lte", "metasr", "moeisr-liif-s", "moeisr-lte-b"])
def test_reduced_precision_stays_close(kind):
    """Eight bits of mantissa. A few codes may choose another expert, so the mean is judged."""
    model, lr = KINDS[kind](), torch.rand(1, 3, 8, 9)
    whole = upscale(model, lr, 3.2).image
    reduced = upscale(model, lr, 3.2, precision="bf16").image
    assert reduced.dtype == torch.float32
    assert 0 < (reduced - whole).abs().mean() < 0.005


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", KINDS)
def test_cuda_decodes_what_the_cpu_decodes(kind):
    model, lr = KINDS[kind](), torch.rand(1, 3, 9, 11)
    expected = upscale(model, lr, 3.7).image
    found = upscale(model.cuda(), lr, 3.7).image
    assert (found - expected).abs().max() < 1e-3


def test_border_codes_join_the_others_where_they_would_not_fill_a_chunk():
    """One group per expert at an integer scale; each short run has its last pair again."""
    model, asked = network("edsr-liif"), []
    with torch.no_grad():
        features = model.encode(torch.rand(1, 3, 6, 5) * 2 - 1)
        decoder = GridDecoder(model, features, GridJob((24, 20), (0, 24), (0, 20)))
        decoder.splits = [Counting(split, asked) for split in decoder.splits]
        list(decoder.strips())
    assert [queries for _, queries in asked if queries] == [6 * 5 * 8 * 8]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_an_error_in_a_piece_ends_the_work_and_is_raised(threads):
    pool, done = Pool(threads), []

    def work(piece: int) -> None:
        if piece == 3:
            raise RuntimeError("piece 3")
        done.append(piece)

    with pytest.raises(RuntimeError, match="piece 3"):
        pool.run(work, range(100))
    assert len(done) < 100
    pool.run(done.append, [1000, 1001, 1002])
    assert sorted(done)[-3:] == [1000, 1001, 1002]


def test_threads_that_start_later_keep_their_setting():
    before, seen = torch.get_num_threads(), []
    torch.set_num_threads(2)
    try:
        Pool(2)
        later = threading.Thread(target=lambda: seen.append(torch.get_num_threads()))
        later.start()
        later.join()
        assert seen == [2]
    finally:
        torch.set_num_threads(before)


def test_threads_have_one_thread_for_an_operation_and_no_gradients():
    pool, seen = Pool(2), []
    before = torch.get_num_threads()
    pool.run(
        lambda _: seen.append((torch.get_num_threads(), torch.is_inference_mode_enabled())),
        range(8),
    )
    assert set(seen) == {(1, True)}
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("rows", [1, 2047, 2048, 5000])
def test_a_linear_layer_with_its_relu_is_the_same_in_one_kernel(rows):
    """Where rows suffice; with gradients, autocast or other types it is layer and ReLU."""
    torch.manual_seed(0)
    layer, x = torch.nn.Linear(24, 40), torch.randn(rows, 24)
    expected = torch.relu(layer(x))
    with torch.no_grad():
        assert torch.allclose(mlp.linear_relu(layer, x), expected, atol=1e-6)
        in_two = mlp.linear_relu(layer, x.view(rows, 1, 24))
        assert torch.allclose(in_two, expected[:, None], atol=1e-6)
        with torch.autocast("cpu", torch.bfloat16):
            assert mlp.linear_relu(layer, x).dtype == torch.bfloat16
    assert mlp.linear_relu(layer, x).requires_grad
