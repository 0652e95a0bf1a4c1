"""The decode of training is the plain one: values and gradients, whatever the pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import NETWORKS, network

from baselines.composition import Features, Split
from baselines.fast import queries as sampled
from baselines.fast.queries import decode_queries, l1_loss, training_split
from baselines.fast.split import Additive
from baselines.geometry import make_coord
from baselines.systems.implicit import ImplicitSR

LIIF = ("edsr-liif", "edsr-liif-3layer", "edsr-moeisr-liif-s", "edsr-moeisr-liif-b")
OTHERS = (
    *("edsr-lte", "edsr-moeisr-lte-s", "edsr-moeisr-lte-b"),
    *("edsr-ipe", "edsr-moeisr-ipe-b", "edsr-metasr", "edsr-lmliif", "edsr-lmlte"),
)
VARIANTS: list[dict[str, Any]] = [
    {"ensemble": False},
    {"decoder": {"width": 8, "unfold": False}},
    {"decoder": {"width": 8, "cell": False}},
]

Decode = Callable[[ImplicitSR, Features, torch.Tensor, torch.Tensor], torch.Tensor]


def batch(model: ImplicitSR, size: tuple[int, int], samples: int, queries: int, seed: int = 0):
    """Random LR images, queries and targets."""
    draw = torch.Generator().manual_seed(seed)
    lr = torch.rand(samples, 3, *size, generator=draw) * 2 - 1
    coord = torch.rand(samples, queries, 2, generator=draw) * 2 - 1
    cell = torch.rand(samples, 1, 2, generator=draw).expand_as(coord) * 0.3
    return lr, coord, cell, torch.rand(samples, queries, 3, generator=draw) * 2 - 1


def outcome(model: ImplicitSR, lr: torch.Tensor, loss: Callable[[Features], torch.Tensor]):
    """Loss and gradients, with one and the same Gumbel noise."""
    model.zero_grad()
    torch.manual_seed(1)
    value = loss(model.encode(lr))
    (3 * value).backward()
    return value.item(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def assert_same(model: ImplicitSR, data: tuple[torch.Tensor, ...], **tolerance: float) -> None:
    lr, coord, cell, target = data
    atol = tolerance.get("atol", 1e-4)
    torch.manual_seed(1)
    features = model.encode(lr)
    with torch.no_grad():
        plain = model.decode(features, coord, cell)
        assert torch.allclose(decode_queries(model, features, coord, cell), plain, atol=atol)
    ways = {
        "plain": lambda f: (model.decode(f, coord, cell) - target).abs().mean(),
        "whole": lambda f: (decode_queries(model, f, coord, cell) - target).abs().mean(),
        "pieces": lambda f: l1_loss(model, f, coord, cell, target),
    }
    expected, gradients = outcome(model, lr, ways.pop("plain"))
    for name, way in ways.items():
        value, found = outcome(model, lr, way)
        assert value == pytest.approx(expected, rel=1e-5), name
        assert found.keys() == gradients.keys()
        for key, gradient in gradients.items():
            # Signs of errors may cancel to nothing but rounding.
            scale = gradient.norm() + 1e-4
            assert (found[key] - gradient).norm() < 1e-3 * scale, (name, key)


@settings(deadline=None, max_examples=100)
@given(
    method=st.sampled_from(LIIF + OTHERS),
    options=st.sampled_from([{}, *VARIANTS[:1]]),
    size=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    samples=st.integers(1, 4),
    queries=st.integers(1, 40),
    piece=st.sampled_from([64, 3000, 50_000, 4_000_000]),
    seed=st.integers(0, 100),
)
def test_fast_is_plain(method, options, size, samples, queries, piece, seed):
    model = network(method, seed, **options).train()
    assert type(training_split(model, 1, 1)) is not Split
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sampled.PIECE_BYTES, "cpu", piece)
        assert_same(model, batch(model, size, samples, queries, seed))


@pytest.mark.parametrize("queries", [8, 60], ids=["fewer codes than LR pixels", "more"])
@pytest.mark.parametrize("method", ["edsr-liif", "edsr-lte", "edsr-moeisr-liif-b", "edsr-metasr"])
def test_a_frozen_encoder(method, queries):
    model = network(method).train()
    model.encoder.requires_grad_(False)
    assert_same(model, batch(model, (12, 12), 2, queries))


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("method", LIIF)
def test_variants_of_liif(method, options):
    model = network(method, **options).train()
    assert isinstance(training_split(model, 1, 1), Additive)
    assert_same(model, batch(model, (6, 7), 2, 30))


@pytest.mark.parametrize(
    "head", [{"routing_unit": "pixel"}, {"straight_through": True}, {"temperature": 3.0}]
)
@pytest.mark.parametrize("method", ["edsr-moeisr-liif-s", "edsr-moeisr-lte-b"])
def test_variants_of_the_mixture(method, head):
    model = network(method, head=head).train()
    assert type(training_split(model, 1, 1)) is not Split
    assert_same(model, batch(model, (6, 7), 2, 30))


@pytest.mark.parametrize("method", NETWORKS)
def test_queries_between_codes(method):
    """Pixel centres of a grid lie exactly between codes; rounding decides there, as in `decode`."""
    model = network(method).train()
    lr, *_ = batch(model, (8, 8), 2, 1)
    coord = make_coord((16, 12)).expand(2, -1, -1)
    cell = torch.full_like(coord, 2 / 16)
    assert_same(model, (lr, coord, cell, torch.zeros(2, 192, 3)))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("edsr-liif", {"depth": 1}),
        ("edsr-metasr", {"depth": 1}),
        ("edsr-metasr", {"depth": 4}),
        ("edsr-lmliif", {"unfold": False, "cell": False, "compressed": False, "depth": 3}),
        ("edsr-lmlte", {"cell": False, "depth": 2}),
    ],
)
def test_options_of_decoders(method, options):
    model = network(method, decoder={"width": 16, **options}).train()
    assert_same(model, batch(model, (6, 7), 2, 30))


def test_fewer_codes_than_pixels_share_nothing():
    """What is made once per LR pixel would be made more often than for every query."""
    model = network("edsr-metasr").train()
    assert type(training_split(model, 30, 29)) is Split
    assert_same(model, batch(model, (6, 5), 2, 29))


def test_a_mixture_in_evaluation_goes_the_plain_way():
    """There each query goes to one expert."""
    model = network("edsr-moeisr-liif-s")
    assert training_split(model, 1, 1) is None
    lr, coord, cell, target = batch(model, (5, 6), 2, 9)
    features = model.encode(lr)
    plain = model.decode(features, coord, cell)
    assert torch.equal(decode_queries(model, features, coord, cell), plain)
    assert torch.equal(l1_loss(model, features, coord, cell, target), (plain - target).abs().mean())


@pytest.mark.parametrize(
    "method", ["edsr-liif", "edsr-moeisr-liif-b", "edsr-moeisr-lte-s", "edsr-lmliif", "edsr-metasr"]
)
def test_bf16_stays_close(method):
    model = network(method).train()
    lr, coord, cell, target = batch(model, (6, 7), 2, 30)
    exact, gradients = outcome(model, lr, lambda f: l1_loss(model, f, coord, cell, target))

    def mixed(loss: Callable[[Features], torch.Tensor]) -> Callable[[Features], torch.Tensor]:
        def run(_: Features) -> torch.Tensor:
            torch.manual_seed(1)
            with torch.autocast("cpu", torch.bfloat16):
                return loss(model.encode(lr))

        return run

    value, found = outcome(model, lr, mixed(lambda f: l1_loss(model, f, coord, cell, target)))
    assert value == pytest.approx(exact, rel=0.02)
    assert found.keys() == gradients.keys()
    assert all(g.dtype == torch.float32 and g.isfinite().all() for g in found.values())
    flat, expected = (torch.cat([g.flatten() for g in d.values()]) for d in (found, gradients))
    assert torch.nn.functional.cosine_similarity(flat, expected, dim=0) > 0.98


def test_gradients_that_it_does_not_make_are_refused():
    model = network("edsr-lte").train()
    lr, coord, cell, target = batch(model, (6, 7), 2, 30)
    for wanted in (coord, target):
        wanted.requires_grad_()
        with pytest.raises(ValueError, match="weights and features only"):
            l1_loss(model, model.encode(lr), coord, cell, target)
        wanted.requires_grad_(False)
    loss = l1_loss(model, model.encode(lr), coord, cell, target)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        loss.backward()


def test_nothing_is_left_on_the_model():
    model = network("edsr-moeisr-liif-s").train()
    lr, coord, cell, target = batch(model, (6, 7), 2, 30)
    loss = l1_loss(model, model.encode(lr), coord, cell, target)
    assert all(p.grad is None for p in model.parameters())
    with torch.no_grad():
        torch.manual_seed(1)
        again = l1_loss(model, model.encode(lr), coord, cell, target)
    assert not again.requires_grad
    assert loss.requires_grad
