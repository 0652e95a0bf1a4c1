"""Measurements: one row per image, one append-only file per unit.

A unit is (method, dataset, scale, seed) with everything that can change its numbers. Its file is
named by a hash of all that: a unit that was measured is found again, and a changed checkpoint,
dataset or protocol is another unit. Rows are JSON lines with a checksum. A writer holds a lock on
the unit, so that several processes, also on several machines with one file system, can share a
sweep; a line cut off by a crash is dropped by the next writer. An image that is measured again
keeps its row until it has the new one, and of two rows the last counts.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pandas as pd
from pydantic import AfterValidator, ConfigDict, Field

from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.files import replacing
from harness.common.locks import BusyError, held
from harness.measure.macs import is_counted
from harness.metrics import METRICS

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA = 2
Count = Annotated[int, Field(ge=0, lt=1 << 63)]
Size = tuple[Count, Count]


def _with(*names: str) -> AfterValidator:
    """Require numbers of these names, or none at all where nothing is known."""

    def check(values: dict[str, int]) -> dict[str, int]:
        if values and not values.keys() >= set(names):
            raise ValueError(f"{', '.join(sorted(set(names) - values.keys()))} is missing")
        return values

    return AfterValidator(check)


Macs = Annotated[dict[str, Count], _with("decoder", "estimator", "encoder")]
Parameters = Annotated[dict[str, Count], _with("all")]


@dataclass(frozen=True)
class Measurement:
    """Measurement of one method on one image at one scale.

    Attributes:
        role: set of the paper that the dataset is measured for (equal to `dataset` if it is that
            set).
        hr_size, lr_size: (height, width).
        lr_source: official, matlab (made here by the MATLAB-compatible resize) or pil; hr or size
            where MACs were counted without an LR image (`harness.measure.macs`).
        lr_fingerprint: text that changes with the dataset's own LR images; "" where they were made
            here.
        protocol: protocol of the metrics; see `harness.metrics`.
        metrics: value by name; None with a reason where the image is too small for one. A metric
            without an entry was not asked for; empty where nothing was enlarged.
        macs: MACs of the image by part, as in `baselines.macs.MacCount`. `decoder` is the paper's
            count: every query through its expert's whole MLP, plus the mapper; `executed` is
            missing in rows of versions without the engine. Empty where nothing is known of the
            method.
        parameters: number of parameters, empty where it is unknown: `all`; those of the `encoder`
            where it is separate; and the numbers in its `kernel` where a network makes kernels for
            a scale and nothing was scored.
        expert_shares: share of the latent-code queries that each expert served, shallowest first;
            share of the layers, where an expert serves a whole image (SeemoRe, the lowest rank
            first).
        rendering: identity of another rendering than the network's own (CMSR's tables, a budget);
            "" for its own.
        facts: other facts about the rendering, about what computed learned metrics, and about how
            costs were measured, by name.
        machine: what decides costs of the machine that they were measured on
            (`harness.measure.costs`); empty for what does not depend on a machine.
        memory_mib: value in `Evaluation`, where it was set: other bands round differently.
        seconds: time of encoding and decoding, synchronised, without reading images and scoring.
        peak_memory_bytes: peak of the process (CPU), without images that it keeps for other
            methods, or of the allocator (CUDA), during this image.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    method: str
    seed: Count
    checkpoint: str
    recipe: str
    trained_steps: Count
    profile: str
    role: str
    dataset: str
    dataset_fingerprint: str
    image: str
    image_sha256: str
    scale: float
    hr_size: Size
    lr_size: Size
    lr_source: str
    protocol: str
    metrics: dict[str, float | None]
    reason: str
    macs: Macs
    parameters: Parameters
    expert_depths: list[Count]
    expert_shares: list[float]
    seconds: float
    peak_memory_bytes: Count
    memory_kind: str
    device: str
    precision: str
    lr_fingerprint: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    measured_at: str = ""
    rendering: str = ""
    facts: dict[str, float | str | list[float]] = field(default_factory=dict)
    memory_mib: Count | None = None
    machine: dict[str, str | int] = field(default_factory=dict)
    schema: Count = SCHEMA

    @staticmethod
    def upgrade(content: dict[str, Any]) -> dict[str, Any]:
        """Convert a stored row to this version."""
        return _of_schema_1(content) if content.get("schema", 1) == 1 else content


PARTS = ("decoder", "estimator", "encoder", "executed", "kernel", "rendered", "least_encoder")


def _of_schema_1(old: dict[str, Any]) -> dict[str, Any]:
    """Convert a row in which every number had a separate column."""
    new = {**old, "schema": SCHEMA}
    scores = {name: new.pop(name) for name in ("psnr", "ssim")}
    macs = {part: new.pop(f"{part}_macs", None) for part in PARTS}
    macs["kernel"] = macs["kernel"] or 0
    parts = {"encoder": "encoder_parameters", "kernel": "kernel_values"}
    counted = {name: new.pop(column, None) for name, column in parts.items()}
    changed = {
        "metrics": {} if is_counted(new["protocol"]) else scores,
        "macs": known(macs),
        "parameters": known({"all": new.pop("parameters"), **counted}),
        "rendering": new.pop("cmsr", ""),
        "facts": known({"cmsr_mse": new.pop("cmsr_mse", None)}),
        "hr_size": [new.pop("hr_height"), new.pop("hr_width")],
        "lr_size": [new.pop("lr_height"), new.pop("lr_width")],
    }
    return {**new, **changed}


def known(values: dict[str, Any]) -> dict[str, Any]:
    """Select the values that are known: not None."""
    return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class UnitId:
    """Identity of a unit: all that decides its numbers.

    Attributes:
        lr_fingerprint: fingerprint of the official LR images.
        rendering, memory_mib, machine: as in `Measurement`.
    """

    method: str
    seed: int
    checkpoint: str
    dataset: str
    dataset_fingerprint: str
    scale: float
    protocol: str
    precision: str
    lr_fingerprint: str = ""
    rendering: str = ""
    memory_mib: int | None = None
    machine: dict[str, str | int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """Ten hexadecimal digits that change with any attribute."""
        decides = {**asdict(self), "schema": 1}
        # Under the names that they have had since the first units, and only where they are set.
        later = {"cmsr": decides.pop("rendering")}
        later |= {name: decides.pop(name) for name in ("memory_mib", "machine")}
        decides |= {name: value for name, value in later.items() if value}
        return checksums.fingerprint(decides)

    @property
    def relative_path(self) -> Path:
        """Path of the unit's rows below the folder of measurements."""
        return (
            Path(self.dataset) / f"x{self.scale:g}" / f"{self.method}.s{self.seed}.{self.key}.jsonl"
        )


def is_of(row: Mapping[str, Any], name: str) -> bool:
    """Tell whether a row, as `UnitFile` reads it, is of the unit that a file has its name from."""
    decides = {field.name: row[field.name] for field in fields(UnitId)}
    scale = row["scale"]
    written = [scale, int(scale)] if scale.is_integer() else [scale]  # experiments have whole ones
    return any(UnitId(**{**decides, "scale": each}).key in name for each in written)


class UnitFile:
    """File with the rows (of a class `kind`) of one unit."""

    def __init__(self, path: Path, kind: type[DataclassInstance] = Measurement) -> None:
        self.path = path
        self.kind = kind

    def rows(self) -> list[dict[str, Any]]:
        """Read the complete rows so far; a last line without its newline is not complete.

        Raises:
            HarnessError: a row is damaged, or of a newer version.
        """
        return [row for _, row in self._lines()]

    def by_image(self) -> dict[str, dict[str, Any]]:
        """Read the row of each image that counts: the last. Raises: as `rows`."""
        return {row["image"]: row for row in self.rows()}

    def _lines(self) -> list[tuple[bytes, dict[str, Any]]]:
        """Read each line with its row."""
        if not self.path.exists():
            return []
        *lines, _ = self.path.read_bytes().split(b"\n")
        return [(line, self._row(line, number)) for number, line in enumerate(lines, 1)]

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = checksums.load(line, self.kind, getattr(self.kind, "schema", SCHEMA))
        except checksums.NewerError as error:
            raise HarnessError(
                f"{self.path}, line {number}, cannot be read: {error}.",
                "Use that version, or another folder with --results.",
            ) from error
        except ValueError as error:
            raise HarnessError(
                f"{self.path} is damaged in line {number}: {error}",
                "Delete the file to measure this unit again.",
            ) from error
        return {field.name: getattr(row, field.name) for field in fields(self.kind)}

    def append(self, row: DataclassInstance) -> None:
        """Add a row and flush it to disk, dropping what a crash left unfinished.

        Raises:
            HarnessError: the row cannot be written; earlier rows are kept.
        """
        # Versions without this field read rows of images, and refuse what they do not know.
        known_before = {k: v for k, v in asdict(row).items() if v or k != "machine"}
        content = checksums.with_checksum(known_before)
        line = (json.dumps(content, sort_keys=True) + "\n").encode()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                file.seek(0)
                start = file.truncate(file.read().rfind(b"\n") + 1)
                try:
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(start)
                    raise
        except OSError as error:
            raise HarnessError(
                f"Cannot write {self.path}: {error.strerror or error}",
                "Free some space or choose another folder with --results; "
                "rows written so far are kept.",
            ) from error

    def drop_superseded(self) -> None:
        """Drop rows of images that have a later row, all at once."""
        lines = self._lines()
        last = {row["image"]: line for line, row in lines}
        if len(last) < len(lines):
            with replacing(self.path) as temporary:
                temporary.write_bytes(b"".join(line + b"\n" for line in last.values()))

    @property
    def lock(self) -> Path:
        """File of the lock that its writer holds."""
        return self.path.with_name(f"{self.path.name}.lock")

    @contextmanager
    def claimed(self, wait: bool = False) -> Iterator[bool]:
        """Hold the unit for writing; yields False when another process has it."""
        with ExitStack() as stack:
            try:
                stack.enter_context(held(self.lock, f"measuring {self.path}", wait))
            except BusyError:
                yield False
            else:
                yield True


def each_image_once(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Select the newest row of each image, so that none counts twice."""
    return list({row["image"]: row for row in rows}.values())


NO_VALUE = "no "
"""Beginning of the reason why an image has one metric and lacks another."""


def no_value(metric: str) -> str:
    """Return the beginning of the reason why an image lacks a metric, by the metric's name."""
    return f"{NO_VALUE}{METRICS[metric].label if metric in METRICS else metric}: "


def beside(
    earlier: Mapping[str, Any] | None,
    metrics: Mapping[str, float | None],
    reasons: Iterable[str],
    facts: Mapping[str, Any],
) -> dict[str, Any]:
    """Put metrics that were measured now beside those of an image's earlier row, if there is one.

    Returns:
        The fields `metrics`, `reason` and `facts` of the new row.
    """
    kept = earlier or {"metrics": {}, "reason": "", "facts": {}}
    again = tuple(map(no_value, metrics))
    before = [each for each in kept["reason"].split("; ") if each and not each.startswith(again)]
    return {
        "metrics": {**kept["metrics"], **metrics},
        "reason": "; ".join([*before, *reasons]),
        "facts": {**kept["facts"], **facts},
    }


FAILED = "failed: "
"""Beginning of the reason why a method has no SR image; the image is tried again the next time."""


def failed(row: Mapping[str, Any]) -> bool:
    """Tell whether a method failed on the image of a row."""
    return bool(row["reason"].startswith(FAILED))


def not_a_number(rows: pd.DataFrame) -> int:
    """Count the scored rows whose PSNR is NaN, which no size of an image explains."""
    reasons = rows.loc[rows["psnr"].isna(), "reason"]
    return int(((reasons == "") | reasons.str.startswith(NO_VALUE)).sum())


def frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Make a table of rows: columns for fields, metrics, `<part>_macs`, `<part>_parameters`."""
    lines = [flat(row) for row in rows]
    columns = [f.name for f in fields(Measurement) if f.name not in _NESTED]
    always = ["psnr", "ssim", *(f"{part}_macs" for part in PARTS), "parameters"]
    found = dict.fromkeys([*columns, *always, *(name for line in lines for name in line)])
    return pd.DataFrame(lines, columns=list(found))


_NESTED = ("metrics", "macs", "parameters", "facts", "machine")


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Flatten a row to a name for each number: the columns of `frame`."""
    counts = dict(row["parameters"])
    return {
        **{name: value for name, value in row.items() if name not in _NESTED},
        **row["metrics"],
        **{f"{part}_macs": value for part, value in row["macs"].items()},
        "parameters": counts.pop("all", None),
        **{f"{part}_parameters": value for part, value in counts.items()},
        **row["facts"],
    }
