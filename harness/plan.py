"""Plans: the cells an experiment needs under a profile, as data.

The plan is stored beside the measurements when a run starts. A report reads the plan and the
rows that it points to, and nothing else: it can be written on a machine without the data.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from harness import checksums
from harness.errors import HarnessError
from harness.files import plain_name, plain_path, write_text

PLAN_SCHEMA = 2


@dataclass(frozen=True)
class RoleNote:
    """Which dataset plays a set of the paper.

    Attributes:
        role: name of the paper's set.
        dataset: name of the dataset that was measured.
        description: what it is, for captions.
        images: how many are measured.
        substitute: whether it is something else than the paper's set.
        only: their names, where not all are measured.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    role: str
    dataset: str
    description: str
    images: int
    substitute: bool
    only: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PlannedCell:
    """One cell and the file of its rows, relative to the folder of measurements."""

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    method: str
    role: str
    dataset: str
    scale: float
    seed: int
    file: str


@dataclass(frozen=True)
class PlannedCost:
    """Costs of one method at one scale: their file, relative to the folder of costs.

    Attributes:
        lr_size: (h, w) of the LR image.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    method: str
    scale: float
    seed: int
    file: str
    lr_size: list[int]


@dataclass(frozen=True)
class MethodNote:
    """Where a method's network comes from.

    Attributes:
        training: what it was trained on; "" where only its shapes count.
        images: of the training set; 0 where that is not known.
        complete: whether the training set has as many images as the published one.
        data: fingerprint of the training set; "" where that is not known.
        stand_in: whether its sizes, precision or training are not the paper's.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    method: str
    training: str = ""
    images: int = 0
    complete: bool = True
    data: str = ""
    stand_in: bool = False


@dataclass(frozen=True)
class StoredPlan:
    """An experiment as it was run.

    Attributes:
        stand_in: data, networks or schedule of a method are not the paper's; tables say of which.
        training: what the methods were trained on, for captions.
        networks: sizes of the networks, for captions.
        schedule: how long and at what precision, for captions.
        warnings: further lines that every report must show.
        profile_settings: those that can change a number.
        methods: where each network comes from; the words above are made of it.
        costs: latency and peak memory, where the experiment measures them.
        versions: of what made the plan.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    experiment: str
    profile: str
    summary: str
    stand_in: bool
    training: str
    networks: str
    schedule: str
    created: str
    roles: list[RoleNote]
    cells: list[PlannedCell]
    warnings: list[str]
    profile_settings: dict[str, Any]
    methods: list[MethodNote] = field(default_factory=list)
    costs: list[PlannedCost] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    schema: int = PLAN_SCHEMA


class DamagedPlanError(HarnessError):
    """A stored plan that cannot be read, whoever wrote it."""


def plan_path(results: Path, profile: str, experiment: str) -> Path:
    """Where the plan of an experiment is stored."""
    return results / profile / experiment / "plan.json"


def measurements_dir(results: Path, profile: str) -> Path:
    """Folder of a profile's measurements, shared by its experiments."""
    return results / profile / "measurements"


def samples_dir(results: Path, profile: str, experiment: str) -> Path:
    """Folder of the crops and expert maps that an experiment's figures are made of."""
    return results / profile / experiment / "samples"


def save_plan(plan: StoredPlan, path: Path) -> None:
    """Write a plan as JSON."""
    write_text(path, json.dumps(checksums.with_checksum(asdict(plan)), indent=1) + "\n")


def load_plan(path: Path) -> StoredPlan:
    """Read a stored plan.

    Raises:
        DamagedPlanError: it is damaged, or another experiment's.
        HarnessError: there is none, or it is of a newer version.
    """
    again = f"Run `harness run {path.parent.name}`"
    if not path.exists():
        raise HarnessError(
            f"Nothing has been measured yet: {path.absolute()} is not there.",
            f"{again} with the profile '{path.parent.parent.name}' first, or name the folder of "
            "results with --results.",
        )
    try:
        content = checksums.parse(path.read_bytes())
        notes = content.get("methods")
        for note in notes if isinstance(notes, list) else ():
            # Plans of versions that did not tell methods apart say it of all of them.
            if isinstance(note, dict):
                note.setdefault("stand_in", content.get("stand_in"))
        plan = checksums.load(json.dumps(content), StoredPlan, PLAN_SCHEMA)
        for name in (plan.profile, *(cell.method for cell in plan.cells)):
            plain_name(name)
        for file in (*(cell.file for cell in plan.cells), *(cost.file for cost in plan.costs)):
            plain_path(file)
        if (plan.profile, plan.experiment) != (path.parent.parent.name, path.parent.name):
            raise ValueError(f"it is the plan of {plan.experiment} under {plan.profile}")
    except checksums.NewerError as error:
        raise HarnessError(
            f"The plan {path} cannot be read: {error}.",
            "Use that version, or another folder with --results.",
        ) from error
    except ValueError as error:
        raise DamagedPlanError(
            f"The plan {path} is damaged: {error}", f"{again} again; finished cells are kept."
        ) from error
    return plan
