"""Latency: warm calls of all methods of a scale, in turns, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from harness.allocator import keep_freed_memory
from harness.bench.timing import alternate
from harness.profiles import Profile
from harness.subject import Subject
from harness.upscaling import upscale


def seconds_of_calls(
    subjects: Sequence[Subject],
    lr: Tensor,
    scale: float,
    profile: Profile,
    device: torch.device,
    done: Callable[[], None],
) -> dict[str, list[float]]:
    """Seconds of each timed call, by method; the n-th calls of all follow each other.

    Args:
        subjects: methods that can do the scale.
        lr: (1, 3, h, w) in [0, 1].
        scale: factor.
        profile: number of calls, precision and memory.
        device: of the networks.
        done: called after each round, warm-up included.
    """
    settings = profile.evaluation
    work = {
        subject.method: partial(
            upscale,
            subject.model,
            lr,
            scale,
            precision=settings.precision,
            memory=settings.memory,
        )
        for subject in subjects
    }
    keep_freed_memory()  # a page fault for every block would be the same tax on all
    rounds, warm_up = profile.costs.rounds, profile.costs.warm_up
    return alternate(work, rounds, device, warm_up, done).seconds
