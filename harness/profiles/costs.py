"""The section of a profile on latency and peak memory."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.profiles.strict import Strict

_Side = Annotated[int, Field(ge=1)]


class Costs(Strict):
    """How latency and peak memory are measured (`harness.costs`).

    Attributes:
        lr_size: (height, width) of the LR image that every method enlarges.
        rounds: timed calls of each method at each scale.
        warm_up: calls of each before these.
    """

    lr_size: tuple[_Side, _Side] = (128, 128)
    rounds: int = Field(default=15, ge=1)
    warm_up: int = Field(default=2, ge=0)
