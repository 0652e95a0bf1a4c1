"""Training section of a profile: samples, losses and length of training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, model_validator
from pydantic_core import to_jsonable_python

from baselines import Method
from baselines.registry import DECODERS, every_method, unknown
from harness.profiles.sections import Strict


class Validation(Strict):
    """PSNR while training: shown and logged, never used to choose a checkpoint."""

    dataset: str
    scale: float = Field(default=4, ge=1)
    images: int = Field(default=10, ge=1)
    every_epochs: int = Field(default=1, ge=1)


ADAM_BETAS = (0.9, 0.999)
# Settings of training that change how fast it runs, not what comes out.
# Compiled code rounds differently, as another device does, but has the same samples and noise.
_INCIDENTAL = {"compile", "in_memory", "checkpoint_every", "validation", "departure"}
# Settings that recipes of schema 2 began without: they are in a recipe where they say something,
# so that networks that were trained before keep their place.
_ADDED = {"iterations", "dense", "scales", "frequency", "betas", "ema", "frozen_encoder"}
_FOR_ALL = {"dataset", "validation", "compile", "in_memory", "checkpoint_every", "overrides"}
_FOR_MIXTURES = {"alpha", "beta", "balance_weights", "balance_unit"}
_FOR_QUERIES = {"queries", "scale_min", "scale_max"}
_FOR_DENSE = {"dense", "scales", "frequency"}

_Scale = Annotated[int, Field(ge=1)]
_Decay = Annotated[float, Field(ge=0, lt=1)]


class Training(Strict):
    """Schedule of LIIF and LTE, which MoEISR also uses (sec. 4); the defaults are the paper's.

    Attributes:
        scale_min, scale_max: range of scales for random queries; each sample has a random scale in
            it.
        queries: number of random pixels of a sample's HR crop.
        epochs: length of a run, and the unit of `milestones`.
        iterations: length in steps, instead of `epochs`; then milestones count steps too, and
            epochs matter only to `validation`.
        balance_weights: w_j of the balance loss by decoder, shallowest expert first; ones if left
            out.
        dense: whether to use whole HR crops instead of random queries, for every network that makes
            whole images; some methods always do (`Method.dense`, `Method.scales`).
        scales: integer scales from which a dense batch of a multi-scale network draws one; empty:
            the method's own.
        frequency: weight of the frequency loss in dense training.
        betas: betas of Adam.
        ema: decay per step of a running average of the weights that is measured instead of them; 0
            for none.
        frozen_encoder: network that comes with the package, `NAME@` and ten digits of its weights'
            hash: each network takes its encoder, which training leaves as it is; empty for none.
        compile: whether to run the forward pass and the loss through torch.compile, which needs a
            C++ compiler on a CPU, Triton on a GPU.
        in_memory: whether to hold all images on the training device; else they are read when
            needed.
        departure: how the training differs from the published one where settings do not show it
            (other data, other LR images); in words, for captions.
        overrides: other settings for some methods, by the first words of their names (`edsr`,
            `edsr-liif`, `edsr-x2`); longer names take precedence. MoEISR takes those of its
            backbone.
    """

    dataset: str
    repeat: int = Field(default=20, ge=1)
    patch: int = Field(default=48, ge=4)
    scale_min: float = Field(default=1, ge=1)
    scale_max: float = Field(default=4, ge=1)
    queries: int = Field(default=2304, ge=1)
    batch: int = Field(default=16, ge=1)
    epochs: int | None = Field(default=1000, ge=1)
    iterations: int | None = Field(default=None, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    milestones: tuple[int, ...] = (200, 400, 600, 800)
    gamma: float = Field(default=0.5, gt=0, le=1)
    alpha: float = Field(default=3000, ge=0)
    beta: float = Field(default=1, ge=0)
    balance_weights: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    balance_unit: Literal["batch", "image"] = "batch"
    dense: bool = False
    scales: tuple[_Scale, ...] = ()
    frequency: float = Field(default=0, ge=0)
    betas: tuple[_Decay, _Decay] = ADAM_BETAS
    ema: _Decay = 0
    frozen_encoder: str = Field(default="", pattern=r"^([\w.-]+@[0-9a-f]{10})?$")
    precision: Literal["fp32", "bf16"] = "fp32"
    compile: bool = False
    in_memory: bool = True
    checkpoint_every: int = Field(default=1000, ge=1)
    validation: Validation | None = None
    departure: str = ""
    overrides: dict[str, dict[str, Any]] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _one_length(cls, given: Any) -> Any:
        """Check that iterations replace epochs, with milestones in the same unit."""
        if not isinstance(given, Mapping) or given.get("iterations") is None:
            return given
        if given.get("epochs") is not None:
            raise ValueError("give `epochs` or `iterations`, not both")
        if "milestones" not in given:
            raise ValueError("`milestones` count steps where there are `iterations`: give them too")
        return {**given, "epochs": None}

    @model_validator(mode="after")
    def _overrides_fit(self) -> Training:
        if not self.overrides:
            return self
        trained = [method for method in every_method() if method.is_trained]
        known = dict.fromkeys(family for method in trained for family in method.families)
        for family, changes in self.overrides.items():
            if family not in known:
                raise ValueError(
                    f"overrides: {unknown('network', family, known, 'harness methods')}"
                )
            meant = [method for method in trained if family in method.families]
            _check_override(family, changes, meant)
            for method in meant:
                self.for_method(method)
        return self

    def for_method(self, method: Method) -> Training:
        """Make the schedule of one method: overrides, its own scales, its kind of batches."""
        found: dict[str, Any] = self.model_dump(exclude={"overrides"})
        for family in method.families:
            found = _changed(found, self.overrides.get(family, {}))
        if method.scale is not None:
            found |= {"scale_min": method.scale, "scale_max": method.scale}
        dense = method.makes_images and (found["dense"] or method.dense or bool(method.scales))
        own = (method.scale,) if method.scale is not None else found["scales"] or method.scales
        return Training.model_validate({**found, "dense": dense, "scales": own if dense else ()})

    @model_validator(mode="after")
    def _consistent(self) -> Training:
        if self.scale_max < self.scale_min:
            raise ValueError("scale_max is below scale_min")
        if not self.dense and self.queries > round(self.patch * self.scale_min) ** 2:
            raise ValueError(
                f"queries ({self.queries}) exceed the pixels of the smallest HR crop "
                f"({round(self.patch * self.scale_min)} squared)"
            )
        for name, numbers in (("milestones", self.milestones), ("scales", self.scales)):
            if list(numbers) != sorted(set(numbers)):
                raise ValueError(f"{name} must increase")
        length, unit = self.length
        if self.milestones and self.milestones[-1] >= length:
            raise ValueError(
                f"milestone {self.milestones[-1]} lies behind the last {unit} ({length})"
            )
        for decoder, weights in self.balance_weights.items():
            if decoder not in DECODERS:
                raise ValueError(f"balance_weights: {unknown('decoder', decoder, DECODERS)}")
            if min(weights, default=0) < 0:
                raise ValueError("balance_weights must not be negative")
        return self

    def outcome(self) -> dict[str, Any]:
        """Return the settings that change the weights, without the overrides."""
        left_out = {*_INCIDENTAL, "overrides"}
        found = self.model_dump(mode="json", exclude={*left_out, *_ADDED}, exclude_none=True)
        return found | self.model_dump(mode="json", include=_ADDED, exclude_defaults=True)

    def decisive(self, method: Method) -> dict[str, Any]:
        """Return what decides the weights of one method: its settings that have an effect on it."""
        own = self.for_method(method)
        idle = _FOR_QUERIES if own.dense else _FOR_DENSE
        if not method.head:
            idle = idle | _FOR_MIXTURES
        found = {key: value for key, value in own.outcome().items() if key not in idle}
        if method.head:
            found["balance_weights"] = found["balance_weights"].get(method.decoder)
        return found

    def settings(self) -> dict[str, Any]:
        """Return the settings that change any network's weights."""
        overrides = {
            family: {key: value for key, value in changes.items() if key not in _INCIDENTAL}
            for family, changes in self.overrides.items()
        }
        said = {family: changes for family, changes in overrides.items() if changes}
        return {**self.outcome(), "overrides": to_jsonable_python(said)}

    def departs(self, method: Method) -> bool:
        """Tell whether one method's training is not the published one.

        A departure in words in the profile `paper` also holds under every profile with its
        settings.
        """
        said = self.for_method(method).departure or published().for_method(method).departure
        return bool(said) or self.decisive(method) != published().decisive(method)

    @property
    def length(self) -> tuple[int, str]:
        """Length of a run, and its unit."""
        if self.iterations is not None:
            return self.iterations, "step"
        if self.epochs is None:
            raise ValueError("give `epochs` or `iterations`")
        return self.epochs, "epoch"

    def steps_per_epoch(self, images: int) -> int:
        """Count the full batches of an epoch over a training set of so many images."""
        return images * self.repeat // self.batch

    def total_steps(self, images: int) -> int:
        """Count the steps of a whole training run on so many images."""
        length, unit = self.length
        return length if unit == "step" else length * self.steps_per_epoch(images)

    def passed(self, step: int, per_epoch: int) -> int:
        """Compute how much of `length` lies before a step, in its unit."""
        return step if self.iterations is not None else step // per_epoch


def _check_override(family: str, changes: Mapping[str, Any], meant: Sequence[Method]) -> None:
    """Check the keys of an override; the values are checked in the resulting schedules."""
    allowed = [key for key in Training.model_fields if key not in _FOR_ALL]
    for key in changes:
        if key not in allowed:
            raise ValueError(f"overrides of {family}: {unknown('key', key, allowed)}")
    if changes.get("dense") and not any(method.makes_images for method in meant):
        raise ValueError(f"overrides of {family}: `dense` is for networks that make whole images")


def _changed(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Replace settings; a length in the other unit replaces the length and its milestones."""
    in_steps = settings.get("iterations") is not None
    unit, other = ("iterations", "epochs") if in_steps else ("epochs", "iterations")
    gone = set() if changes.get(other) is None else {unit, "milestones"}
    return {**{k: v for k, v in settings.items() if k not in gone}, **changes}


@cache
def published() -> Training:
    """Return the published training of every method: that of the profile `paper`."""
    text = (files(__package__) / "paper.yaml").read_text(encoding="utf-8")
    return Training.model_validate(yaml.safe_load(text)["training"])
