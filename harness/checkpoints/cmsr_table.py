"""CMSR tables as files: the data they were made from, and the network they are valid for."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from pydantic import Field, ValidationError, model_validator

from baselines import cmsr
from baselines.base import SRModel
from baselines.cmsr import TRAINED_SCALE, Level, Tables, serves, table_for
from baselines.registry import DECODERS, every_method
from baselines.systems.implicit import ImplicitSR
from harness.checkpoints.subject import Subject
from harness.common import checksums
from harness.common.errors import HarnessError, UsageError, first_problem
from harness.common.files import write_text
from harness.profiles.sections import Strict

# Behind the identity of tables that were made for other weights than they are used with.
FOREIGN = "-foreign"
FORMAT: Literal["cmsr-tables/1"] = "cmsr-tables/1"


class StoredLevel(Strict):
    """Stored form of `baselines.cmsr.Level`; `below` is None where there is no bound."""

    scale: float = Field(ge=1)
    below: float | None = Field(ge=0)

    @property
    def bound(self) -> float:
        """Value of `below` as a number."""
        return math.inf if self.below is None else self.below


class StoredTable(Strict):
    """Levels below one target scale, found on so many images (some of a set may be too small)."""

    scale: float = Field(gt=TRAINED_SCALE)
    images: int = Field(ge=1)
    levels: tuple[StoredLevel, ...]

    @model_validator(mode="after")
    def _ascending(self) -> StoredTable:
        scales = [level.scale for level in self.levels]
        bounds = [level.bound for level in self.levels]
        if scales != sorted(set(scales)) or (scales and scales[-1] >= self.scale):
            raise ValueError(f"x{self.scale:g}: its levels must ascend, and lie below it")
        if bounds != sorted(bounds):
            raise ValueError(f"x{self.scale:g}: the bounds of its levels must not fall")
        return self


# What LMF made its tables on.
PAPER_SET = "DIV2K_train"


class MadeOn(Strict):
    """Images that tables were made on."""

    dataset: str
    caption: str
    complete: bool
    fingerprint: str

    @property
    def substitute(self) -> bool:
        """Tell whether the images are not the paper's: all of DIV2K's training set."""
        return self.dataset != PAPER_SET or not self.complete


class CmsrTables(Strict):
    """Tables of one network for one bound of the error.

    Attributes:
        checkpoint: hash of its weights, as in measurements.
        mse: bound of the mean squared error, of values in [-1, 1], in every bin of intensity.
        tables: tables by target scale, ascending.
    """

    format: Literal["cmsr-tables/1"]
    method: str
    checkpoint: str
    origin: str
    mse: float = Field(ge=0)
    bin_width: float = Field(gt=0)
    data: MadeOn
    tables: tuple[StoredTable, ...] = Field(min_length=1)
    device: str
    versions: dict[str, str]
    made_at: str

    @model_validator(mode="after")
    def _distinct(self) -> CmsrTables:
        scales = [table.scale for table in self.tables]
        if scales != sorted(set(scales)):
            raise ValueError("target scales must ascend")
        return self

    @property
    def levels(self) -> Tables:
        """Return the levels in the form that `baselines.cmsr.render` takes."""
        return {t.scale: [Level(v.scale, v.bound) for v in t.levels] for t in self.tables}

    @property
    def identity(self) -> str:
        """Ten hexadecimal digits that change with what is rendered, or what it is called."""
        fields = {"checkpoint", "mse", "tables"}
        return checksums.fingerprint(self.model_dump(mode="json", include=fields))


def save_tables(tables: CmsrTables, path: Path) -> None:
    """Write tables as JSON."""
    content = checksums.with_checksum(tables.model_dump(mode="json"))
    write_text(path, json.dumps(content, indent=1) + "\n")


def load_tables(path: Path) -> CmsrTables:
    """Read tables; HarnessError where there is no such file, or it holds something else."""
    try:
        return CmsrTables.model_validate_json(json.dumps(checksums.parse(path.read_bytes())))
    except OSError as error:
        raise HarnessError(
            f"The CMSR tables {path} cannot be read: {error.strerror or error}",
            "`harness cmsr` makes them.",
        ) from error
    except ValueError as error:
        reason = first_problem(error) if isinstance(error, ValidationError) else error
        raise HarnessError(
            f"{path} holds no CMSR tables of this version ({reason}).", "`harness cmsr` makes them."
        ) from error


def check_modulated(subject: Subject) -> None:
    """Refuse a network without modulations; the message names the methods that have them."""
    if not subject.model.modulated:
        modulated = [name for name, decoder in DECODERS.items() if decoder.modulated]
        having = [method.name for method in every_method() if method.decoder in modulated]
        raise UsageError(
            f"{subject.method} has no modulations that CMSR could go by. "
            f"These methods have: {', '.join(having)}."
        )


@dataclass(frozen=True)
class Cmsr:
    """Tables by which a network is rendered.

    Those made for other weights are `foreign`; their bound of the error is then void.
    """

    stored: CmsrTables
    foreign: bool = False

    def of(self, model: SRModel) -> SRModel:
        """Render a network by these tables."""
        return cmsr.Cmsr(cast(ImplicitSR, model), self.stored.levels)  # `check_modulated`

    def key(self, scale: float) -> str:
        """Return the name of the rendering in measurements; "" at scales without CMSR."""
        if not serves(scale):
            return ""
        return self.stored.identity + FOREIGN * self.foreign

    def facts(self, scale: float) -> dict[str, float]:
        """Return the bound of the error that the tables were made for, where they are used."""
        return {"cmsr_mse": self.stored.mse} if self.key(scale) else {}

    def notes(self, scales: list[float]) -> list[str]:
        """Write the notes that images rendered at these scales need."""
        plain = [scale for scale in scales if not serves(scale)]
        beyond = [s for s in scales if serves(s) and s > self.stored.tables[-1].scale]
        data = self.stored.data
        what = ", SUBSTITUTE DATA for all of DIV2K's training set" if data.substitute else ""
        made_on = f"{data.caption}{what}."
        found = [f"CMSR: MSE {self.stored.mse:g} in every bin; tables of {made_on}"]
        if self.foreign:
            found.append(
                f"FOREIGN TABLES: made for other weights ({self.stored.method}, "
                f"{self.stored.checkpoint[:10]}); their MSE holds for those alone."
            )
        if plain:
            found.append(
                f"{_listed(plain)}: rendered plainly; CMSR is for scales above x{TRAINED_SCALE:g}."
            )
        if beyond:
            largest = table_for(self.stored.levels, beyond[0])
            found.append(
                f"{_listed(beyond)}: no table reaches so far; that of x{largest:g} is used, whose "
                "MSE was not checked there."
            )
        return found


def _listed(scales: list[float]) -> str:
    return ", ".join(f"x{scale:g}" for scale in scales)


def cmsr_for(path: Path, subject: Subject, foreign: bool = False) -> Cmsr:
    """Read the tables of `harness cmsr` for a network, or with `foreign` those of other weights.

    Raises:
        HarnessError: there are no tables, or they are for other weights.
        UsageError: the network has no modulations.
    """
    check_modulated(subject)
    stored = load_tables(path)
    if stored.checkpoint == subject.weights:
        return Cmsr(stored)
    if not foreign:
        raise HarnessError(
            f"{path} was made for other weights: {stored.method}, {stored.checkpoint[:10]}, not "
            f"{subject.method}, {subject.weights[:10]}.",
            "Make tables for these with `harness cmsr`, or add --foreign-tables to use those "
            "nevertheless; their bound of the error is then void, and said to be.",
        )
    return Cmsr(stored, foreign=True)


def prepared(subject: Subject, scale: float, rendering: Cmsr | None) -> SRModel:
    """Prepare a network for one scale: as it is rendered, with what the scale alone decides.

    Raises:
        UsageError: it cannot be rendered so at this scale (a budget that is too small).
    """
    model = rendering.of(subject.model) if rendering else subject.model
    try:
        return model.at_scale(scale)
    except ValueError as error:
        raise UsageError(f"{subject.method} at x{scale:g}: {error}.") from error
