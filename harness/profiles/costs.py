"""Section of a profile on latency and peak memory."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.profiles.strict import Strict

_Side = Annotated[int, Field(ge=1)]


class CostSettings(Strict):
    """Settings for measuring latency and peak memory (`harness.runs.costs`).

    Attributes:
        lr_size: (height, width) of the LR image that every method enlarges.
        rounds: number of timed calls of each method at each scale.
        warm_up: number of untimed calls of each before these.
    """

    lr_size: tuple[_Side, _Side] = (128, 128)
    rounds: int = Field(default=15, ge=1)
    warm_up: int = Field(default=2, ge=0)
