"""Scan for CMSR tables: one row for every image and target scale, then the bounds over all."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from pydantic import ConfigDict
from torch import Tensor

from baselines.decoders.lmf import LMDecoder
from baselines.fast.banding import band_memory
from baselines.systems.implicit import ImplicitSR
from harness.checkpoints.cmsr_table import StoredLevel
from harness.checkpoints.subject import Subject
from harness.common import checksums
from harness.common.errors import HarnessError
from harness.data.degrade import TooSmallError, make_pair, unit
from harness.data.pairs import PairStore
from harness.data.sets import Dataset, ImageItem
from harness.measure.cmsr_errors import level_errors
from harness.measure.rows import CellFile

SCHEMA = 1
# Scales to render at that the official code tries (init_cmsr.py).
LEVELS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)


@dataclass(frozen=True)
class ScanRow:
    """Errors of one image at one target scale.

    Attributes:
        rises: by lower scale, [bin, MSE] of the bins of intensity whose MSE is above that of all
            bins below. The first that is above some bound is the first bin that is.
        reason: why there are no errors; "" where there are.
        scan: name of the file, which stands for all that decides the row; "" in rows of versions
            that did not say.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    image: str
    rises: dict[str, list[tuple[int, float]]]
    reason: str = ""
    scan: str = ""


@dataclass(frozen=True)
class Scan:
    """Scan of a network on a dataset at one target scale.

    Attributes:
        levels: lower scales, ascending.
        memory: bytes of a band; None: a value that suits the device.
    """

    subject: Subject
    dataset: Dataset
    fingerprint: str
    scale: float
    levels: tuple[float, ...]
    memory: int | None = None

    def missing(self, file: CellFile) -> list[ImageItem]:
        """List the images that have no row yet."""
        done = file.by_image()
        return [item for item in self.dataset.items if item.name not in done]

    def file(self, results: Path) -> CellFile:
        """Return the file of its rows, named by all that decides them."""
        decides = [self.subject.checkpoint, self.fingerprint, self.scale, self.levels, SCHEMA]
        key = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:10]
        name = f"{self.subject.method}.{key}.jsonl"
        return CellFile(results / "cmsr" / self.dataset.name / f"x{self.scale:g}" / name, ScanRow)


def scanned(scan: Scan, file: CellFile) -> list[dict[str, Any]]:
    """The row of each image that is large enough.

    Raises:
        HarnessError: a row is damaged, or of another scan.
    """
    rows = list(file.by_image().values())
    levels = {f"{level:g}" for level in scan.levels}
    for row in rows:
        if row["scan"] not in ("", file.path.name) or not (
            row["reason"] or levels == {*row["rises"]}
        ):
            raise HarnessError(
                f"{file.path} has rows of another scan.", "Delete the file to scan again."
            )
    return [row for row in rows if not row["reason"]]


def rises(errors: Tensor) -> list[tuple[int, float]]:
    """Find the rises of `ScanRow` in the MSE of each bin, NaN where it is empty.

    Example:
        >>> rises(torch.tensor([float("nan"), 0.25, 0.125, 0.5]))
        [(1, 0.25), (3, 0.5)]
    """
    found: list[tuple[int, float]] = []
    highest = -1.0
    for n, error in enumerate(errors.tolist()):
        if error > highest:
            found.append((n, error))
            highest = error
    return found


def scan_image(scan: Scan, item: ImageItem, pairs: PairStore) -> ScanRow:
    """Compute the errors of one image; LR by Pillow, as at all scales above x4."""
    try:
        pair = make_pair(item, pairs.image(item).pixels, scan.scale, cache=None)
    except TooSmallError as error:
        return ScanRow(item.name, {}, f"too small: {error}")
    model = cast(ImplicitSR, scan.subject.model)
    hr_size = (pair.hr.shape[-2], pair.hr.shape[-1])
    seen = model.seen((pair.lr.shape[-2], pair.lr.shape[-1]), hr_size)
    lr = model.extend(unit(pair.lr)[None].to(scan.subject.device))
    with torch.inference_mode(), band_memory(scan.memory):
        features = model.encode(lr * 2 - 1)
        found = level_errors(model, features, scan.scale, seen.hr, scan.levels, scan.memory)
    return ScanRow(item.name, {f"{level:g}": rises(e) for level, e in found.items()})


def run_scan(
    scan: Scan,
    file: CellFile,
    done: Callable[[Scan], None],
    pairs: PairStore,
    wait: bool = False,
) -> bool:
    """Write the missing rows.

    Args:
        scan: the scan.
        file: file of its rows.
        done: called after each row.
        pairs: images that other scans have read.
        wait: whether to wait for another process that writes the rows.

    Returns:
        False when another process is writing them.
    """
    with file.claimed(wait) as mine:
        if not mine:
            return False
        for item in scan.missing(file):
            file.append(replace(scan_image(scan, item, pairs), scan=file.path.name))
            done(scan)
    return True


def bound(rows: Iterable[dict[str, Any]], level: float, mse: float, bin_width: float) -> float:
    """Find the intensity below which a level's error is at most `mse` in all bins of all images.

    Infinite where no bin fails; 0 where the lowest bin that has pixels fails.
    """
    found = [rise for row in rows for rise in row["rises"][f"{level:g}"]]
    failing = min((n for n, error in found if error > mse), default=None)
    if failing is None:
        return math.inf
    lowest = min(n for n, _ in found)
    return failing * bin_width if failing > lowest else 0.0


def find_levels(
    rows: Sequence[dict[str, Any]], levels: Sequence[float], mse: float, bin_width: float
) -> tuple[StoredLevel, ...]:
    """Find the levels of one target scale, without those that would render nothing.

    Args:
        rows: rows of images that are large enough.
        levels: lower scales, ascending.
        mse: bound of the error.
        bin_width: width of the bins of intensity.
    """
    found: list[StoredLevel] = []
    reached = 0.0
    for level in levels:
        # A level that fails early still has what lower ones have, and those serve it.
        until = bound(rows, level, mse, bin_width)
        if until > reached:
            found.append(StoredLevel(scale=level, below=None if until == math.inf else until))
            reached = until
    return tuple(found)


def bin_width(subject: Subject) -> float:
    """Return the width of the bins of intensity."""
    return cast(LMDecoder, cast(ImplicitSR, subject.model).decoder).intensity_bin
