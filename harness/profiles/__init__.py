"""Profiles: on what data, with which networks, how long and how precisely.

One YAML file each; users write their own. Every key is checked, unknown ones are refused.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baselines.registry import unknown
from harness.data.sets import SPECS
from harness.errors import HarnessError, UsageError

Precision = Literal["fp32", "bf16", "fp16"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Networks(_Strict):
    """Options of `baselines.build`; empty means the paper's sizes."""

    encoder: dict[str, dict[str, Any]] = Field(default_factory=dict)
    decoder: dict[str, Any] = Field(default_factory=dict)
    head: dict[str, Any] = Field(default_factory=dict)


class Validation(_Strict):
    """PSNR while training: shown and logged, never used to choose a checkpoint."""

    dataset: str
    scale: float = Field(default=4, ge=1)
    images: int = Field(default=10, ge=1)
    every_epochs: int = Field(default=1, ge=1)


class Training(_Strict):
    """Schedule of LIIF and LTE, which MoEISR takes over (sec. 4)."""

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
    balance_weights: tuple[float, ...] | None = None
    balance_unit: Literal["batch", "image"] = "batch"
    precision: Precision = "fp32"
    workers: int = Field(default=0, ge=0)
    in_memory: bool = True
    checkpoint_every: int = Field(default=1000, ge=1)
    validation: Validation | None = None

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
        return self


class Evaluation(_Strict):
    """How measurements are taken; `chunk` queries are decoded at once (None: by device)."""

    precision: Precision = "fp32"
    chunk: int | None = Field(default=None, ge=1)


class Region(_Strict):
    """A region of one image that figures show."""

    role: str
    image: str
    scale: float = Field(ge=1)
    box: tuple[int, int, int, int]


class Profile(_Strict):
    """Everything a run depends on besides the code and the data root.

    Attributes:
        stand_in: networks, schedule or training data are not the paper's.
        roles: which dataset plays each evaluation set of the paper.
        regions: what the figures show, by experiment.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    summary: str
    stand_in: bool
    roles: dict[str, str]
    networks: Networks = Networks()
    training: Training
    evaluation: Evaluation = Evaluation()
    seeds: tuple[int, ...] = Field(default=(0,), min_length=1)
    regions: dict[str, tuple[Region, ...]] = Field(default_factory=dict)
    data_root: Path | None = None

    @model_validator(mode="after")
    def _datasets_exist(self) -> Profile:
        used = [self.training.dataset, *self.roles.values()]
        if self.training.validation is not None:
            used.append(self.training.validation.dataset)
        for name in used:
            if name not in SPECS:
                raise ValueError(unknown("dataset", name, SPECS))
        return self

    def build_options(self, encoder: str, has_head: bool) -> dict[str, Any]:
        """Keyword arguments for `baselines.build`."""
        options: dict[str, Any] = {
            "encoder": self.networks.encoder.get(encoder, {}),
            "decoder": self.networks.decoder,
        }
        if has_head:
            options["head"] = self.networks.head
        return options

    def dataset_for(self, role: str) -> str:
        """The dataset that plays a set of the paper.

        Raises:
            UsageError: when the profile names none.
        """
        if role in self.roles:
            return self.roles[role]
        raise UsageError(
            f"Profile '{self.name}' names no dataset for {role}. "
            f"Add it under `roles:`; it has {', '.join(self.roles)}."
        )

    def fingerprint(self) -> str:
        """Ten hexadecimal digits that change with any setting but the data root."""
        content = self.model_dump(mode="json", exclude={"data_root"})
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def shipped() -> list[str]:
    """Names of the profiles that come with the package."""
    folder = files(__package__)
    return sorted(
        p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")
    )


def load(name_or_path: str) -> Profile:
    """A shipped profile by name, or one from a YAML file.

    Raises:
        UsageError: unknown name, or a file with wrong keys or values (all are listed).
        HarnessError: a file that cannot be read.
    """
    is_file = name_or_path.endswith((".yaml", ".yml"))
    if not is_file and name_or_path not in shipped():
        known = unknown("profile", name_or_path, shipped())
        raise UsageError(f"{known}, or the path of a .yaml file.")
    try:
        if is_file:
            text = Path(name_or_path).read_text(encoding="utf-8")
        else:
            text = (files(__package__) / f"{name_or_path}.yaml").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"The profile {name_or_path} cannot be read: {error}") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"{name_or_path} is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{name_or_path} is no profile: it holds no keys.")
    try:
        return Profile.model_validate(content)
    except ValidationError as error:
        lines = [_explain(e["loc"], e["type"], e["msg"]) for e in error.errors()]
        raise UsageError(f"Profile {name_or_path} is wrong:\n  " + "\n  ".join(lines)) from error


_SECTIONS: dict[str, type[BaseModel]] = {
    "networks": Networks,
    "training": Training,
    "evaluation": Evaluation,
    "validation": Validation,
    "regions": Region,
}


def _explain(location: tuple[int | str, ...], kind: str, message: str) -> str:
    """One problem in words; an unknown key comes with the nearest known one."""
    where = ".".join(str(part) for part in location) or "the profile"
    if kind != "extra_forbidden":
        return f"{where}: {message.removeprefix('Value error, ')}"
    sections = [_SECTIONS[p] for p in location[:-1] if isinstance(p, str) and p in _SECTIONS]
    keys = list((sections[-1] if sections else Profile).model_fields)
    close = difflib.get_close_matches(str(location[-1]), keys, n=1)
    hint = f" Did you mean '{close[0]}'?" if close else ""
    return f"{where}: unknown key.{hint} Known: {', '.join(keys)}"
