"""The training section of a profile: what is drawn, what is minimised, for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from baselines import MethodName
from baselines.encoders import ENCODERS
from baselines.registry import DECODERS, unknown
from harness.profiles.strict import Strict


class Validation(Strict):
    """PSNR while training: shown and logged, never used to choose a checkpoint."""

    dataset: str
    scale: float = Field(default=4, ge=1)
    images: int = Field(default=10, ge=1)
    every_epochs: int = Field(default=1, ge=1)


# Settings of training that change how fast it runs, not what comes out.
# Compiled code rounds otherwise, as another device does, but sees the same samples and noise.
_INCIDENTAL = {"compile", "in_memory", "checkpoint_every", "validation"}
PAPER_TRAINING_SET = "DIV2K_train"
# LTE's train_swinir-lte.yaml; its other schedules are those of LIIF, SwinIR with LIIF included.
PAPER_OVERRIDES: dict[str, dict[str, Any]] = {
    "swinir-lte": {"lr": 2e-4, "batch": 32, "milestones": (500, 800, 900, 950)}
}


class Training(Strict):
    """Schedule of LIIF and LTE, which MoEISR takes over (sec. 4); the defaults are the paper's.

    Attributes:
        balance_weights: w_j of the balance loss by decoder, shallowest expert first; ones if
            left out.
        compile: the forward pass and the loss through torch.compile, which needs a C++ compiler
            on a CPU, Triton on a GPU.
        in_memory: all images are held on the training device; else they are read when needed.
        overrides: other settings for some networks, by `<encoder>` or `<encoder>-<decoder>`;
            MoEISR takes those of its backbone.
    """

    dataset: str
    repeat: int = Field(default=20, ge=1)
    patch: int = Field(default=48, ge=4)
    scale_min: float = Field(default=1, ge=1)
    scale_max: float = Field(default=4, ge=1)
    queries: int = Field(default=2304, ge=1)
    batch: int = Field(default=16, ge=1)
    epochs: int = Field(default=1000, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    milestones: tuple[int, ...] = (200, 400, 600, 800)
    gamma: float = Field(default=0.5, gt=0, le=1)
    alpha: float = Field(default=3000, ge=0)
    beta: float = Field(default=1, ge=0)
    balance_weights: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    balance_unit: Literal["batch", "image"] = "batch"
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    in_memory: bool = True
    checkpoint_every: int = Field(default=1000, ge=1)
    validation: Validation | None = None
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _overrides_fit(self) -> Training:
        known = [*ENCODERS, *(f"{e}-{d}" for e in ENCODERS for d in DECODERS)]
        for network, changes in self.overrides.items():
            if network not in known:
                raise ValueError(f"overrides: {unknown('network', network, known)}")
            for key in changes:
                if key in {"dataset", "validation", "overrides"} or key not in self.outcome():
                    allowed = [k for k in self.outcome() if k != "dataset"]
                    raise ValueError(f"overrides of {network}: {unknown('key', key, allowed)}")
            self._with(changes)
        return self

    def _with(self, changes: Mapping[str, Any]) -> Training:
        return Training.model_validate({**self.model_dump(exclude={"overrides"}), **changes})

    def for_method(self, parts: MethodName) -> Training:
        """The schedule of one method, overrides applied; a fixed scale is trained alone."""
        changes: dict[str, Any] = {}
        for network in (parts.encoder, f"{parts.encoder}-{parts.decoder}"):
            changes |= self.overrides.get(network, {})
        if parts.scale is not None:
            changes |= {"scale_min": parts.scale, "scale_max": parts.scale}
        return self._with(changes)

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.scale_max < self.scale_min:
            raise ValueError("scale_max is below scale_min")
        if self.queries > round(self.patch * self.scale_min) ** 2:
            raise ValueError(
                f"queries ({self.queries}) exceed the pixels of the smallest HR crop "
                f"({round(self.patch * self.scale_min)} squared)"
            )
        if list(self.milestones) != sorted(set(self.milestones)):
            raise ValueError("milestones must increase")
        if self.milestones and self.milestones[-1] >= self.epochs:
            raise ValueError(
                f"milestone {self.milestones[-1]} lies behind the last epoch ({self.epochs})"
            )
        for decoder, weights in self.balance_weights.items():
            if decoder not in DECODERS:
                raise ValueError(f"balance_weights: {unknown('decoder', decoder, DECODERS)}")
            if min(weights, default=0) < 0:
                raise ValueError("balance_weights must not be negative")
        return self

    def outcome(self) -> dict[str, Any]:
        """The settings that change the weights, without the overrides."""
        return self.model_dump(mode="json", exclude={*_INCIDENTAL, "overrides"})

    def settings(self) -> dict[str, Any]:
        """The settings that change any network's weights."""
        return self.model_dump(mode="json", exclude=_INCIDENTAL)

    def steps_per_epoch(self, images: int) -> int:
        """Full batches of an epoch over a training set of so many images."""
        return images * self.repeat // self.batch

    def total_steps(self, images: int) -> int:
        """Steps of a whole training run on so many images."""
        return self.steps_per_epoch(images) * self.epochs
