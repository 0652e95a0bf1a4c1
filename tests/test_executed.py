"""What the engine executes is counted beside the paper's figure, and is what runs."""

from __future__ import annotations

import math

import pytest
import torch
from tiny import network
from torch.utils.flop_counter import FlopCounterMode

from baselines import build, mlp
from baselines.fast import counting, engine
from baselines.fast.pool import Pool
from baselines.shapes import shapes_only
from harness.upscale.network import expert_map, upscale


@pytest.mark.parametrize(
    ("method", "lr", "hr"),
    [
        ("edsr-liif", (6, 5), (24, 20)),
        ("edsr-moeisr-liif-s", (5, 7), (18, 23)),
        ("rdn-moeisr-liif-b", (4, 4), (12, 12)),
        ("swinir-liif", (5, 6), (15, 18)),
        ("edsr-moeisr-ipe-b", (5, 7), (18, 23)),
    ],
)
def test_executed_matrix_products_are_those_that_run(method, lr, hr, monkeypatch):
    """PyTorch counts the products of a real run.

    In this thread, where the counter is, and without filling up border codes to join the others
    (the few queries more are not in the count).
    """
    monkeypatch.setattr(engine, "pool_for", lambda _: Pool(1))
    monkeypatch.setattr(mlp, "FUSED", False)  # a kernel that the counter does not know
    by_shape = engine._by_shape
    monkeypatch.setattr(engine, "_by_shape", lambda rows, columns, _: by_shape(rows, columns, 0))
    model, image = network(method), torch.rand(1, 3, *lr)
    # The encoder's own products, the mapper among them, are counted apart.
    with FlopCounterMode(display=False) as encoding:
        choice = expert_map(model, image)
        if choice is None:
            model.encode(model.extend(image))
    with FlopCounterMode(display=False) as counter:
        upscale(model, image, hr[0] / lr[0], hr)
    ran = (counter.get_total_flops() - encoding.get_total_flops()) // 2
    seen = model.seen(lr, hr)
    mapper = model.head.routing_macs() * math.prod(seen.lr)
    assert counting.executed_macs(model, seen, hr, choice) == ran + mapper


def test_executed_macs_at_the_papers_size():
    """LIIF at x4: the hidden layers of every pair that differs, the first layer of every code."""
    with shapes_only():
        model = build("edsr-liif")
    pairs = 2 * 192 - 4  # of rows; a border row finds one code twice
    products = 48 * 48 * 576 * 256 + pairs**2 * (3 * 256 * 256 + 256 * 3)
    sums = 2 * pairs * 48 * 256
    found = model.count((48, 48), (192, 192))
    assert found.executed == products + sums
    assert found.decoder == 4 * 192 * 192 * 345_856
