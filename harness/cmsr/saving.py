"""Multiply-adds of an image that CMSR rendered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from baselines.cmsr import Step
from baselines.composition import ImplicitSR
from harness.flops import MacCount, executed_queries, pair_counts, per_pixel_macs
from harness.windows import Grid

Size = tuple[int, int]


def rendered_queries(model: ImplicitSR, lr_size: Size, steps: Sequence[Step]) -> int:
    """Pixels that are rendered, at whatever scale.

    Args:
        model: knows which LR pixel is the nearest.
        lr_size: (h, w) of the LR image as the network saw it.
        steps: that it was rendered in.
    """
    total = 0
    for step in steps:
        nearest = pair_counts(model.decoder, Grid(lr_size, step.size), step.used, ensemble=False)
        total += int(nearest[step.asked.cpu()].sum())
    return total


def with_cmsr(macs: MacCount, model: ImplicitSR, lr_size: Size, steps: Sequence[Step]) -> MacCount:
    """The count of an image with what CMSR rendered and executed of it.

    Args:
        macs: of `flops.count`, where all is rendered at the target scale.
        model: with an LMF decoder.
        lr_size: (h, w) of the LR image as the network saw it.
        steps: that it was rendered in.
    """
    codes = 4 if model.ensemble else 1
    (per_pair,) = model.head.expert_macs()
    executed = lr_size[0] * lr_size[1] * per_pixel_macs(model)
    for step in steps:
        some = None if step.some is None else step.some.cpu()
        choice = torch.zeros(lr_size, dtype=torch.int64)
        seen = Grid(lr_size, step.size)
        executed += executed_queries(model, seen, step.used, choice, asked=some)
    pairs = codes * rendered_queries(model, lr_size, steps)
    return replace(macs, rendered=macs.latent + pairs * per_pair, executed=executed)
