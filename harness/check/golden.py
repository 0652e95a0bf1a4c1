"""The accepted numbers that `harness check` compares with: a JSON file that is committed.

One cell per line, sorted, so that a review of a change shows the cells that moved. Every number
lies beside what it was measured on, and the history says who accepted what, and why.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.common.errors import HarnessError
from harness.common.files import plain_name, write_text
from harness.report.means import CellMean

SCHEMA = 1
CellKey = tuple[str, str, str, float]
"""Experiment, role, method, scale."""

_Count = Annotated[int, Field(ge=0)]
_Name = Annotated[str, AfterValidator(plain_name)]


class _Strict(BaseModel):
    # Infinite PSNR (an image that is met exactly), which JSON has no number for, is text.
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")


class GoldenCell(_Strict):
    """The accepted mean of one method on one set at one scale; fields as in `CellMean`.

    Attributes:
        experiment: whose cell it is.
        psnr, ssim: means over images and seeds, full precision; SSIM is stored, not judged.
        decoder_macs: mean multiply-adds of an image.
        images: that the means are over.
        recipes: fingerprints of network, schedule and training data.
        checkpoints: hashes of the weights, for telling other weights from other measuring.
    """

    experiment: str
    role: str
    method: _Name
    scale: float
    dataset: str
    psnr: float
    ssim: float | None
    decoder_macs: float
    images: _Count
    seeds: tuple[_Count, ...]
    protocols: tuple[str, ...]
    lr_sources: tuple[str, ...]
    fingerprints: tuple[str, ...]
    lr_fingerprints: tuple[str, ...]
    precisions: tuple[str, ...]
    recipes: tuple[_Name, ...]
    checkpoints: tuple[str, ...]

    @model_validator(mode="after")
    def _is_a_number(self) -> GoldenCell:
        if math.isnan(self.psnr) or not math.isfinite(self.decoder_macs):
            raise ValueError("psnr and decoder_macs must be numbers")
        return self

    @property
    def key(self) -> CellKey:
        """What makes it this cell; files are sorted by it."""
        return (self.experiment, self.role, self.method, self.scale)


class GoldenExperiment(_Strict):
    """What an experiment's cells were obtained on.

    Attributes:
        stand_in: as in `harness.runs.plan.StoredPlan`.
        provenance: the caption of each role's tables.
        settings: of the profile, those that can change a number.
    """

    experiment: str
    stand_in: bool
    provenance: dict[str, str]
    settings: dict[str, Any]


class Acceptance(_Strict):
    """One time that numbers were accepted.

    Attributes:
        date: day, UTC.
        change: which cells became others, in numbers.
        devices, versions: of what measured the cells.
    """

    date: str
    reason: str
    experiments: tuple[str, ...]
    change: str
    devices: tuple[str, ...]
    versions: tuple[str, ...]


class Golden(_Strict):
    """A baseline file.

    Attributes:
        summary: of the profile.
        retrained_tolerance: drop in dB that is let pass where a network was trained anew; None
            where it is judged as the accepted weights are.
        history: every acceptance, the first one first.
    """

    version: int = Field(alias="schema", default=SCHEMA)
    profile: _Name
    summary: str
    retrained_tolerance: Annotated[float, Field(ge=0)] | None = None
    experiments: tuple[GoldenExperiment, ...]
    cells: tuple[GoldenCell, ...]
    history: tuple[Acceptance, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Golden:
        keys = [cell.key for cell in self.cells]
        twice = {key for key in keys if keys.count(key) > 1} if len(set(keys)) < len(keys) else ()
        if twice:
            raise ValueError(f"cells are there twice: {sorted(twice)}")
        named = [entry.experiment for entry in self.experiments]
        if len(set(named)) < len(named) or {cell.experiment for cell in self.cells} != set(named):
            raise ValueError("`experiments` must name the experiments of `cells`, each once")
        return self

    @property
    def names(self) -> list[str]:
        """Its experiments."""
        return [entry.experiment for entry in self.experiments]

    def experiment(self, name: str) -> GoldenExperiment | None:
        """What an experiment was obtained on; None if there is nothing of it."""
        return next((e for e in self.experiments if e.experiment == name), None)

    def of(self, experiment: str) -> dict[CellKey, GoldenCell]:
        """The cells of an experiment."""
        return {cell.key: cell for cell in self.cells if cell.experiment == experiment}


def golden_cell(experiment: str, cell: CellMean) -> GoldenCell:
    """A measured cell as one to be accepted; it must have a PSNR."""
    if cell.psnr is None:
        raise ValueError(f"{cell.method} has no PSNR")
    return GoldenCell(
        experiment=experiment,
        role=cell.role,
        method=cell.method,
        scale=cell.scale,
        dataset=cell.dataset,
        psnr=cell.psnr,
        ssim=cell.metrics.get("ssim"),
        decoder_macs=cell.part_macs.get("decoder", 0.0),
        images=cell.images,
        seeds=cell.seeds,
        protocols=cell.source("protocol"),
        lr_sources=cell.source("lr_source"),
        fingerprints=cell.source("dataset_fingerprint"),
        lr_fingerprints=cell.source("lr_fingerprint"),
        precisions=cell.source("precision"),
        recipes=cell.source("recipe"),
        checkpoints=cell.source("checkpoint"),
    )


def dump(golden: Golden) -> str:
    """The file's text."""
    content = json.loads(golden.model_dump_json(by_alias=True))
    parts = [f' "{key}": {_one_per_line(value)}' for key, value in content.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _one_per_line(value: Any) -> str:
    if not isinstance(value, list) or not value:
        return _text(value)
    listed = ",\n".join(f"  {_text(item)}" for item in value)
    return f"[\n{listed}\n ]"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def save_golden(golden: Golden, path: Path) -> None:
    """Replace the file as a whole.

    Raises:
        HarnessError: when it cannot be written.
    """
    write_text(path, dump(golden))


def load_golden(path: Path) -> Golden:
    """Read a baseline file.

    Raises:
        HarnessError: when there is none, it is damaged, or of another schema.
    """
    if not path.exists():
        raise HarnessError(
            f"There are no accepted numbers to compare with: {path} is not there.",
            'Run `harness check --update --reason "first numbers"` to accept what is stored, or '
            "name a file with --baseline.",
        )
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"{path} cannot be read: {error}", "Restore it from version control."
        ) from error
    found = content.get("schema") if isinstance(content, dict) else None
    if found != SCHEMA:
        raise HarnessError(
            f"{path} is no baseline of this version: its schema is {found!r}, not {SCHEMA}.",
            "Use the version of moeisr-harness that wrote it, or move it away and accept the "
            "numbers anew with --update.",
        )
    try:
        return Golden.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise HarnessError(
            f"{path} is damaged: {where}: {first['msg']}", "Restore it from version control."
        ) from error
