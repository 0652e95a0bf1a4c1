"""Accepted numbers: the committed JSON file that `harness check` compares with.

One result per line, sorted, so that a review of a change shows those that moved. Every number
lies beside what it was measured on, and the history says who accepted what, and why.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    NonNegativeFloat,
    NonNegativeInt,
    ValidationError,
    model_validator,
)

from harness.common.errors import HarnessError, UsageError, first_problem
from harness.common.files import plain_name
from harness.report.data import Result

SCHEMA = 1
Key = tuple[str, str, str, float]
"""Experiment, role, method, scale."""


def _number(value: float) -> float:
    if math.isnan(value):
        raise ValueError("must be a number")
    return value


_Name = Annotated[str, AfterValidator(plain_name)]
_Values = tuple[str, ...]


class _Strict(BaseModel, extra="forbid", populate_by_name=True):
    # Infinite PSNR (an image that is met exactly), which JSON has no number for, is text.
    model_config = ConfigDict(frozen=True, ser_json_inf_nan="strings")


class GoldenResult(_Strict):
    """Accepted result of one method on one set at one scale.

    Attributes:
        psnr, ssim: means over images and seeds, full precision; SSIM is stored, not judged.
        decoder_macs: mean MACs of an image.
        images: number of images that the means are over.
        recipes: fingerprints of network, schedule and training data.
        checkpoints: hashes of the weights, for telling other weights from other measuring.
    """

    experiment: str
    role: str
    method: _Name
    scale: float
    dataset: str
    psnr: Annotated[float, AfterValidator(_number)]
    ssim: float | None
    decoder_macs: FiniteFloat
    images: NonNegativeInt
    seeds: tuple[NonNegativeInt, ...]
    protocols: _Values
    lr_sources: _Values
    fingerprints: _Values
    lr_fingerprints: _Values
    precisions: _Values
    recipes: tuple[_Name, ...]
    checkpoints: _Values

    @staticmethod
    def of(experiment: str, found: Result) -> GoldenResult | None:
        """Make an accepted result of a measured one; None where that has no PSNR."""
        if found.missing or found.psnr is None:
            return None
        return GoldenResult(
            experiment=experiment,
            role=found.role,
            method=found.method,
            scale=found.scale,
            dataset=found.dataset,
            psnr=found.psnr,
            ssim=found.metric("ssim"),
            decoder_macs=found.metric("decoder_macs") or 0.0,
            images=found.images,
            seeds=found.seeds,
            protocols=found.source("protocol"),
            lr_sources=found.source("lr_source"),
            fingerprints=found.source("dataset_fingerprint"),
            lr_fingerprints=found.source("lr_fingerprint"),
            precisions=found.source("precision"),
            recipes=found.source("recipe"),
            checkpoints=found.source("checkpoint"),
        )

    @property
    def key(self) -> Key:
        """Identity of the result; files are sorted by it."""
        return (self.experiment, self.role, self.method, self.scale)


class GoldenExperiment(_Strict):
    """Provenance of an experiment's results: captions by role, and settings that change numbers."""

    experiment: str
    reduced: Annotated[bool, Field(alias="stand_in")]
    provenance: dict[str, str]
    settings: dict[str, Any]


class Acceptance(_Strict):
    """One time that numbers were accepted: the day (UTC), why, and how many results became others.

    `devices` and `versions` are those that measured the results.
    """

    date: str
    reason: str
    experiments: _Values
    change: str
    devices: _Values
    versions: _Values


class Golden(_Strict):
    """Accepted numbers of a profile.

    Attributes:
        retrained_tolerance: drop in dB that passes where a network was trained anew; None where
            it is judged as the accepted weights are.
        history: every acceptance, the first one first.
    """

    version: int = Field(alias="schema", default=SCHEMA)
    profile: _Name
    summary: str
    retrained_tolerance: NonNegativeFloat | None = None
    experiments: tuple[GoldenExperiment, ...] = ()
    accepted: Annotated[tuple[GoldenResult, ...], Field(alias="cells")] = ()
    history: tuple[Acceptance, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Golden:
        twice = [key for key, count in Counter(r.key for r in self.accepted).items() if count > 1]
        if twice:
            raise ValueError(f"results are there twice: {twice}")
        if sorted(self.names) != sorted({result.experiment for result in self.accepted}):
            raise ValueError("`experiments` must name the experiments of `cells`, each once")
        return self

    @property
    def names(self) -> list[str]:
        """Its experiments."""
        return [entry.experiment for entry in self.experiments]

    def experiment(self, name: str) -> GoldenExperiment | None:
        """Find the provenance of an experiment; None without one."""
        return next((e for e in self.experiments if e.experiment == name), None)

    def of(self, experiment: str) -> dict[Key, GoldenResult]:
        """Select the results of an experiment."""
        return {each.key: each for each in self.accepted if each.experiment == experiment}


def dump(golden: Golden) -> str:
    """Write the file's text."""

    def text(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)

    parts = []
    for key, value in json.loads(golden.model_dump_json(by_alias=True)).items():
        listed = isinstance(value, list) and value
        lines = ",\n".join(f"  {text(item)}" for item in value) if listed else ""
        parts.append(f' "{key}": ' + (f"[\n{lines}\n ]" if listed else text(value)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def load_golden(path: Path, profile: str | None = None) -> Golden:
    """Read accepted numbers; `profile` is whose they must be, None for any.

    Raises:
        HarnessError: there is no file, it is damaged, or of another schema.
        UsageError: the numbers are another profile's.
    """
    restore = "Restore it from version control."
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        others = ", ".join(sorted(each.stem for each in path.parent.glob("*.json")))
        there = f" There are some of another profile: {others}." if others else ""
        raise HarnessError(
            f"There are no accepted numbers to compare with: {path} is not there.{there}",
            'Run `harness check EXPERIMENT --update --reason "first numbers"` to accept what is '
            "stored, or name a file with --baseline.",
        ) from error
    except (OSError, ValueError) as error:
        raise HarnessError(f"{path} cannot be read: {error}", restore) from error
    schema = content.get("schema") if isinstance(content, dict) else None
    if schema != SCHEMA:
        raise HarnessError(
            f"{path} is no baseline of this version: its schema is {schema!r}, not {SCHEMA}.",
            "Use the version of moeisr-harness that wrote it, or move it away and accept the "
            "numbers anew with --update.",
        )
    try:
        golden = Golden.model_validate(content, by_alias=True, by_name=False)
    except ValidationError as error:
        found = first_problem(error, "the file")
        raise HarnessError(f"{path} is damaged: {found}", restore) from error
    if profile not in (None, golden.profile):
        raise UsageError(
            f"{path} has numbers of profile '{golden.profile}', not of '{profile}'.\n"
            "Name the profile with --profile."
        )
    return golden
