"""Latency: interleaved warm calls of all methods of a scale, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from harness.checkpoints.subject import Subject
from harness.common.allocator import keep_freed_memory
from harness.common.errors import is_shortage
from harness.profiles import Profile
from harness.profiling.timing import alternate
from harness.upscale.network import upscale


@dataclass(frozen=True)
class Calls:
    """Seconds of each timed call, by method, and why other methods could not be called."""

    seconds: dict[str, list[float]]
    failed: dict[str, str] = field(default_factory=dict)


def seconds_of_calls(
    subjects: Sequence[Subject],
    lr: Tensor,
    scale: float,
    profile: Profile,
    device: torch.device,
    done: Callable[[], None],
) -> Calls:
    """Time all methods; their n-th calls follow each other.

    Each is tried once before; a method that needs more memory than there is, is left out.

    Args:
        subjects: methods that can do the scale.
        lr: (1, 3, h, w) in [0, 1].
        scale: scale factor.
        profile: number of calls, precision and memory.
        device: device of the networks.
        done: called after each round, the trial and warm-up included.
    """
    settings = profile.evaluation
    work = {
        subject.method: partial(
            upscale,
            subject.model.at_scale(scale),
            lr,
            scale,
            precision=settings.precision,
            memory=settings.memory,
        )
        for subject in subjects
    }
    keep_freed_memory()  # page faults for every block would add the same time to all
    failed = {name: reason for name, call in work.items() if (reason := _refusal(call))}
    done()
    able = {name: call for name, call in work.items() if name not in failed}
    costs = profile.costs
    # The trial was the first warm-up call.
    return Calls(
        alternate(able, costs.rounds, device, max(0, costs.warm_up - 1), done).seconds, failed
    )


def _refusal(call: Callable[[], object]) -> str:
    """Say why something cannot be called for lack of memory; "" where it can."""
    try:
        call()
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        return "there is too little memory"
    return ""
