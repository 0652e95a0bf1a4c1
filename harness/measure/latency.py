"""Latency: interleaved warm calls of all networks at a scale, in this process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from baselines.base import SRModel
from harness.common.device import keep_freed_memory, synchronise
from harness.common.errors import MethodError, is_shortage
from harness.measure.timing import alternate
from harness.profiles import Costs, Profile
from harness.upscale.network import upscale


@dataclass(frozen=True)
class Calls:
    """Seconds of each timed call, by name, and why others could not be called.

    Attributes:
        first: seconds of each first call.
    """

    seconds: dict[str, list[float]]
    failed: dict[str, str] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)


def rounds_of(costs: Costs) -> int:
    """Count the calls of each network: a trial, the rest of the warm-up, and the timed ones."""
    return max(1, costs.warm_up) + costs.rounds


def seconds_of_calls(
    models: Mapping[str, SRModel],
    lr: Tensor,
    scale: float,
    profile: Profile,
    device: torch.device,
    done: Callable[[], None],
) -> Calls:
    """Time all networks that can do the scale, by name; their n-th calls follow each other.

    Each is tried once before; one that fails, or needs more memory than there is, is left out.
    `lr` is (1, 3, h, w) in [0, 1]; `profile` has the number of calls, precision and memory; `done`
    is called after each of `rounds_of` rounds.
    """
    settings, costs = profile.evaluation, profile.costs
    precise = partial(upscale, precision=settings.precision, memory=settings.memory)
    work = {
        name: partial(precise, model.at_scale(scale), lr, scale) for name, model in models.items()
    }
    keep_freed_memory()  # page faults for every block would add the same time to all
    first, failed = {}, {}
    for name, call in work.items():
        synchronise(device)
        start = time.perf_counter()
        try:
            call()
        except MethodError as error:
            failed[name] = str(error)
        except (MemoryError, RuntimeError) as error:
            if not is_shortage(error):
                raise
            failed[name] = "there is too little memory"
        else:
            synchronise(device)
            first[name] = time.perf_counter() - start
    done()
    able = {name: call for name, call in work.items() if name not in failed}
    warm_up = rounds_of(costs) - costs.rounds - 1
    return Calls(alternate(able, costs.rounds, device, warm_up, done).seconds, failed, first)
