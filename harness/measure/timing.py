"""Interleaved timing of things that are compared, so that other load affects all of them alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from harness.common.device import synchronise


@dataclass(frozen=True)
class Spread:
    """Median with its quartiles."""

    median: float
    low: float
    high: float

    @property
    def ordered(self) -> list[float]:
        """Lower quartile, median, upper quartile."""
        return [self.low, self.median, self.high]


def spread(values: Sequence[float]) -> Spread:
    """Compute median and quartiles of at least one value.

    Example:
        >>> spread([3.0, 1.0, 2.0])
        Spread(median=2.0, low=1.5, high=2.5)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


@dataclass(frozen=True)
class Times:
    """Seconds of each call, by name; the n-th calls of all follow each other."""

    seconds: dict[str, list[float]]

    def rate(self, name: str) -> Spread:
        """Compute the spread of calls per second."""
        return spread([1 / value for value in self.seconds[name]])

    def ratio(self, slow: str, fast: str) -> Spread:
        """Compute how many times as fast one is as another.

        The ratio is taken in each round, in which other load of the machine affects both.
        """
        pairs = zip(self.seconds[slow], self.seconds[fast], strict=True)
        return spread([a / b for a, b in pairs])


def alternate(
    work: Mapping[str, Callable[[], object]],
    rounds: int,
    device: torch.device,
    warm_up: int = 2,
    done: Callable[[], None] = lambda: None,
) -> Times:
    """Time several functions, by name, in interleaved rounds of calls, after untimed ones.

    The device is waited for before a clock is read; `done` is called after each round.
    """
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(warm_up + rounds):
        for name, call in work.items():
            synchronise(device)
            start = time.perf_counter()
            call()
            synchronise(device)
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - start)
        done()
    return Times(seconds)
