"""Sections of a profile, but for training and the sizes of networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from harness.common.files import plain_name

Index = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=1)]
Precision = Literal["fp32", "bf16", "fp16"]


class Strict(BaseModel):
    """Section that refuses unknown keys and infinite numbers, and cannot be changed later."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Costs(Strict):
    """Settings for measuring latency and peak memory (`harness.runs.costs`).

    Attributes:
        lr_size: (height, width) of the LR image that every method enlarges.
        rounds: number of timed calls of each method at each scale.
        warm_up: number of untimed calls of each before these.
    """

    lr_size: tuple[Side, Side] = (128, 128)
    rounds: int = Field(default=15, ge=1)
    warm_up: int = Field(default=2, ge=0)


class Evaluation(Strict):
    """Settings of measurements.

    Attributes:
        memory_mib: MiB that a band of LR rows may take in the encoder and the decoder, besides the
            encoder's features and the result; None: a value that suits the device.
    """

    precision: Precision = "fp32"
    memory_mib: int | None = Field(default=None, ge=1)

    @property
    def memory(self) -> int | None:
        """Value of `memory_mib` in bytes."""
        return None if self.memory_mib is None else self.memory_mib << 20


class Region(Strict):
    """Region of one image that figures show; box is (top, left, height, width).

    Attributes:
        dataset: set that the image belongs to, for a role that has several; the region is shown
            where that one is measured. None: any.
    """

    role: str
    image: Annotated[str, AfterValidator(plain_name)]
    scale: float = Field(ge=1)
    box: tuple[Index, Index, Side, Side]
    dataset: str | None = None
