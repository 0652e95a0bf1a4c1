"""What was measured: one row per image, one append-only file per cell.

A cell is (method, dataset, scale, seed) with everything that can change its numbers; its file
is named by a hash of all that, so a cell measured once is found again, and a changed
checkpoint, dataset or protocol is another cell. Rows are JSON lines with a checksum. A writer
holds a lock on the cell, so that several processes, also on several machines with one file
system, can share a sweep; a line cut off by a crash is dropped by the next writer. An image that
is measured again keeps its row until it has the new one, and of two rows the last counts.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import pandas as pd
from pydantic import ConfigDict, Field

from harness import checksums
from harness.errors import HarnessError
from harness.files import replacing
from harness.locks import BusyError, held

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

SCHEMA = 1
Count = Annotated[int, Field(ge=0, lt=1 << 63)]


@dataclass(frozen=True)
class Measurement:
    """One method on one image at one scale.

    Attributes:
        role: set of the paper that the dataset stands for (equal to `dataset` if it is it).
        lr_source: official, matlab (made here by the MATLAB-compatible resize) or pil; hr or size
            where multiply-adds were counted without an LR image (`harness.counting`).
        lr_fingerprint: changes with the dataset's own LR images; "" where they were made here.
        protocol: PSNR and SSIM protocol; see `harness.metrics`.
        psnr: dB; None with a reason where the image is too small for the scale, and where
            nothing was enlarged.
        decoder_macs: multiply-adds as the paper counts its decoder: every query through its
            expert's whole MLP, plus the mapper.
        estimator_macs: of LTE's amplitude, frequency and phase layers, which the paper leaves out.
        encoder_macs: multiply-adds of the encoder.
        least_encoder_macs: with the cheapest expert in every layer, where `encoder_macs` has the
            dearest because the choice is not known (SeemoRe without weights); else None.
        encoder_parameters: those of `parameters` that are the encoder's; None where a network has
            no encoder apart, and in rows of versions that did not say.
        kernel_macs: of making IGConv's kernels, once for a scale; in no other count.
        kernel_values: numbers in these kernels, which take the hyper-network's place; None where
            there are none, and in rows that score.
        executed_macs: that the engine executes in the place of the decoder's and the estimators';
            None in rows of versions that had no engine.
        rendered_macs: `decoder_macs` less what CMSR saved by rendering at lower scales; None where
            every query was rendered.
        cmsr: identity of the tables that CMSR rendered by (`harness.cmsr`); "" where it did not.
        cmsr_mse: bound of the error that they were made for.
        memory_mib: of `Evaluation`, where it was set: bands round otherwise.
        expert_shares: share of the latent-code queries that each expert served, shallowest first;
            of the layers, where an expert serves a whole image (SeemoRe, the lowest rank first).
        seconds: decoding and encoding, synchronised; without reading images and scoring.
        peak_memory_bytes: of the process (CPU), without images that it keeps for other methods,
            or of the allocator (CUDA), during this image.
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
    hr_height: Count
    hr_width: Count
    lr_height: Count
    lr_width: Count
    lr_source: str
    protocol: str
    psnr: float | None
    ssim: float | None
    reason: str
    decoder_macs: Count
    estimator_macs: Count
    encoder_macs: Count
    parameters: Count
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
    executed_macs: Count | None = None
    encoder_parameters: Count | None = None
    kernel_macs: Count = 0
    kernel_values: Count | None = None
    least_encoder_macs: Count | None = None
    rendered_macs: Count | None = None
    cmsr: str = ""
    cmsr_mse: float | None = None
    memory_mib: Count | None = None
    schema: Count = SCHEMA


COLUMNS = [f.name for f in fields(Measurement)]


@dataclass(frozen=True)
class CellId:
    """All that decides a cell's numbers; `lr_fingerprint` stands for the official LR images.

    Attributes:
        cmsr, memory_mib: as in `Measurement`.
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
    cmsr: str = ""
    memory_mib: int | None = None
    schema: int = SCHEMA

    @property
    def key(self) -> str:
        """Ten hexadecimal digits that change with any attribute."""
        decides = asdict(self)
        for later in ("cmsr", "memory_mib"):
            if not decides[later]:
                del decides[later]  # cells of versions that had no such thing keep their names
        text = json.dumps(decides, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def relative_path(self) -> Path:
        """Where the cell's rows lie below the folder of measurements."""
        return (
            Path(self.dataset) / f"x{self.scale:g}" / f"{self.method}.s{self.seed}.{self.key}.jsonl"
        )


def is_of(row: Mapping[str, Any], name: str) -> bool:
    """Whether a row, as `CellFile` reads it, is of the cell that a file has its name from."""
    decides = {field.name: row[field.name] for field in fields(CellId)}
    scale = row["scale"]
    written = [scale, int(scale)] if scale.is_integer() else [scale]  # experiments have whole ones
    return any(CellId(**{**decides, "scale": each}).key in name for each in written)


class CellFile:
    """The rows of one cell.

    Args:
        path: of the file.
        kind: what a row is.
    """

    def __init__(self, path: Path, kind: type[DataclassInstance] = Measurement) -> None:
        self.path = path
        self.kind = kind

    def rows(self) -> list[dict[str, Any]]:
        """Complete rows so far; a last line without its newline is not one.

        Raises:
            HarnessError: a row is damaged, or of a newer version.
        """
        return [row for _, row in self._lines()]

    def by_image(self) -> dict[str, dict[str, Any]]:
        """The row of each image that counts: the last. Raises: as `rows`."""
        return {row["image"]: row for row in self.rows()}

    def _lines(self) -> list[tuple[bytes, dict[str, Any]]]:
        """Each line with the row that it is."""
        if not self.path.exists():
            return []
        *lines, _ = self.path.read_bytes().split(b"\n")
        return [(line, self._row(line, number)) for number, line in enumerate(lines, 1)]

    def _row(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            row = checksums.load(line, self.kind, SCHEMA)
        except checksums.NewerError as error:
            raise HarnessError(
                f"{self.path}, line {number}, cannot be read: {error}.",
                "Use that version, or another folder with --results.",
            ) from error
        except ValueError as error:
            raise HarnessError(
                f"{self.path} is damaged in line {number}: {error}",
                "Delete the file to measure this cell again.",
            ) from error
        return {field.name: getattr(row, field.name) for field in fields(self.kind)}

    def append(self, row: DataclassInstance) -> None:
        """Add a row and flush it to disk; dropping what a crash left unfinished.

        Raises:
            HarnessError: the row cannot be written; those before it are kept.
        """
        content = checksums.with_checksum(asdict(row))
        line = (json.dumps(content, sort_keys=True) + "\n").encode()
        try:
            self._append(line)
        except OSError as error:
            raise HarnessError(
                f"Cannot write {self.path}: {error.strerror or error}",
                "Free some space or choose another folder with --results; "
                "rows written so far are kept.",
            ) from error

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            start = file.seek(0, os.SEEK_END)
            try:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                file.truncate(start)
                raise

    def drop_superseded(self) -> None:
        """Drop rows of images that have a later one, all at once."""
        lines = self._lines()
        last = {row["image"]: line for line, row in lines}
        if len(last) < len(lines):
            with replacing(self.path) as temporary:
                temporary.write_bytes(b"".join(line + b"\n" for line in last.values()))

    @contextmanager
    def claimed(self, wait: bool = False) -> Iterator[bool]:
        """Hold the cell for writing; yields False when another process has it."""
        lock = self.path.with_name(f"{self.path.name}.lock")
        with ExitStack() as stack:
            try:
                stack.enter_context(held(lock, f"measuring {self.path}", wait))
            except BusyError:
                yield False
            else:
                yield True


def each_image_once(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The newest row of each image: one that was written twice must not weigh twice."""
    return list({row["image"]: row for row in rows}.values())


NO_SSIM = "no SSIM"
"""How the reason begins that an image with a PSNR has no SSIM."""


def not_a_number(rows: pd.DataFrame) -> int:
    """How many scored rows have a PSNR that is no number: no size of an image explains it."""
    reasons = rows.loc[rows["psnr"].isna(), "reason"]
    return int(((reasons == "") | reasons.str.startswith(NO_SSIM)).sum())


def frame(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table with the columns of `Measurement`."""
    return pd.DataFrame(list(rows), columns=COLUMNS)
