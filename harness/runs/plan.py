"""Plans: the units an experiment needs under a profile, as data.

The plan is stored beside the measurements once the networks are trained (the identity of a unit has
the hash of its weights), before the first measurement. A report reads only the plan and the
rows that it points to, so it can be written on a machine without the data.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.files import plain_name, plain_path, write_text
from harness.measure.rows import UnitFile, each_image_once, is_of

PLAN_SCHEMA = 2


@dataclass(frozen=True)
class RoleNote(checksums.Stored):
    """Dataset that is measured for a set of the paper.

    Attributes:
        role: name of the paper's set.
        dataset: name of the dataset that was measured.
        description: description of the dataset, for captions.
        images: number of images that are measured.
        substitute: whether it is substitute data, not the paper's set.
        only: names of the images, where not all are measured.
    """

    role: str
    dataset: str
    description: str
    images: int
    substitute: bool
    only: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class PlannedUnit(checksums.Stored):
    """Unit and the file of its rows, relative to the folder of measurements."""

    method: str
    role: str
    dataset: str
    scale: float
    seed: int
    file: str


@dataclass(frozen=True)
class MethodNote(checksums.Stored):
    """Origin of a method's network.

    Attributes:
        training: training set; "" where only the network's shapes count.
        images: number of images of the training set; 0 where that is not known.
        complete: whether the training set has as many images as the published one.
        data: fingerprint of the training set; "" where that is not known.
        reduced: whether its sizes, precision or training are not the paper's.
    """

    method: str
    training: str = ""
    images: int = 0
    complete: bool = True
    data: str = ""
    reduced: Annotated[bool, Field(alias="stand_in")] = False


@dataclass(frozen=True)
class AddedRow(checksums.Stored):
    """Row that was added to an experiment for this run.

    Attributes:
        method: name of a registered method, or of one from outside.
        label: name in tables.
        outside: what a method from outside is; "" for a registered one.
        scales: the only scales that it can do; empty for any.
        origin: where it is from, in words.
        missing: why it has no number where nothing was measured; "" for the usual reasons.
    """

    method: str
    label: str
    outside: str = ""
    scales: list[float] = field(default_factory=list)
    origin: str = ""
    missing: str = ""


@dataclass(frozen=True)
class StoredPlan(checksums.Stored):
    """Experiment as it was run; its files keep the keys of the first ones (`alias`).

    Attributes:
        reduced: whether data, networks or schedule of a method are not the paper's; tables say of
            which method.
        training: training sets of the methods, for captions.
        networks: sizes of the networks, for captions.
        schedule: length and precision of training, for captions.
        warnings: further lines that every report must show.
        profile_settings: settings of the profile that can change a number.
        methods: origin of each network; the texts above are made from it.
        versions: versions of the software that made the plan.
        added: rows beside the experiment's own.
    """

    experiment: str
    profile: str
    summary: str
    reduced: Annotated[bool, Field(alias="stand_in")]
    training: str
    networks: str
    schedule: str
    created: str
    roles: list[RoleNote]
    units: Annotated[list[PlannedUnit], Field(alias="cells")]
    warnings: list[str]
    profile_settings: dict[str, Any]
    methods: list[MethodNote] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    added: list[AddedRow] = field(default_factory=list)
    schema: int = PLAN_SCHEMA

    def added_row(self, method: str) -> AddedRow | None:
        """Return the added row of a method; None for a row of the experiment itself."""
        return next((row for row in self.added if row.method == method), None)


class DamagedPlanError(HarnessError):
    """Error for a stored plan that cannot be read, whoever wrote it."""


def plan_path(results: Path, profile: str, experiment: str) -> Path:
    """Return the path of the stored plan of an experiment."""
    return results / profile / experiment / "plan.json"


COSTS_LOCK = "costs.lock"
"""Lock of the process that measures costs, in the folder of measurements."""


def measurements_dir(results: Path, profile: str) -> Path:
    """Return the folder of a profile's measurements, shared by its experiments."""
    return results / profile / "measurements"


def pictures_dir(results: Path, profile: str) -> Path:
    """Return the folder of the images that a report's viewer shows, named as the measurements."""
    return results / profile / "pictures"


def samples_dir(results: Path, profile: str, experiment: str) -> Path:
    """Return the folder of the crops and expert maps for an experiment's figures."""
    return results / profile / experiment / "samples"


def save_plan(plan: StoredPlan, path: Path) -> None:
    """Write a plan as JSON."""
    content = TypeAdapter(StoredPlan).dump_python(plan, by_alias=True)
    write_text(path, json.dumps(checksums.with_checksum(content), indent=1) + "\n")


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
        if content.pop("costs", None):  # until December 2026 apart
            content.setdefault("warnings", []).append(
                f"latency and peak memory of an earlier version are not read: {again.lower()} to "
                "measure them"
            )
        notes = content.get("methods")
        for note in notes if isinstance(notes, list) else ():
            # Plans of versions that did not tell methods apart say it of all of them.
            if isinstance(note, dict):
                note.setdefault("stand_in", content.get("stand_in"))
        plan = checksums.load(json.dumps(content), StoredPlan, PLAN_SCHEMA)
        named = [*(unit.method for unit in plan.units), *(row.method for row in plan.added)]
        for name in (plan.profile, *named):
            plain_name(name)
        for unit in plan.units:
            plain_path(unit.file)
        if (plan.profile, plan.experiment) != (path.parent.parent.name, path.parent.name):
            raise ValueError(f"it is the plan of {plan.experiment} under {plan.profile}")
    except checksums.NewerError as error:
        raise HarnessError(
            f"The plan {path} cannot be read: {error}.",
            "Use that version, or another folder with --results.",
        ) from error
    except ValueError as error:
        raise DamagedPlanError(
            f"The plan {path} is damaged: {error}", f"{again} again; finished units are kept."
        ) from error
    return plan


def unit_rows(folder: Path, unit: PlannedUnit, only: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Read the rows of a planned unit, one per image; only some images, where `only` names them.

    Raises:
        HarnessError: the file has rows of another unit.
    """
    path = folder / unit.file
    rows = UnitFile(path).rows()
    found = {tuple(row.get(k) for k in ("method", "dataset", "scale", "seed")) for row in rows}
    expected = (unit.method, unit.dataset, unit.scale, unit.seed)
    if found - {expected} or not all(is_of(row, path.name) for row in rows):
        raise HarnessError(
            f"{path} has rows of another unit than {expected}, or of other weights or data.",
            "Delete the file and run the experiment again.",
        )
    return each_image_once(row for row in rows if not only or row["image"] in only)
