"""Making of CMSR tables: the errors of rendering an LMF network at lower scales, then the bounds.

There is a row for every image and target scale, kept as measurements are: what was found is not
looked for again, whatever the bound of the error.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, ClassVar, cast

import torch
import torch.nn.functional as F
from pydantic import ConfigDict
from torch import Tensor

from baselines.cmsr import code_table, intensity_of, level_size, stretch_of
from baselines.composition import Features
from baselines.decoders.lmf import LMDecoder
from baselines.fast.axes import nearest_codes
from baselines.fast.banding import band_memory
from baselines.fast.engine import GridDecoder, GridJob
from baselines.geometry import make_cell, pixel_centers
from baselines.systems.implicit import ImplicitSR
from harness.checkpoints.cmsr_table import FORMAT, CmsrTables, MadeOn, StoredLevel, StoredTable
from harness.checkpoints.subject import Subject
from harness.common import checksums
from harness.common.device import describe
from harness.common.errors import HarnessError
from harness.common.progress import bar
from harness.common.stopping import stoppable
from harness.common.versions import versions
from harness.data.degrade import TooSmallError, make_pair, unit
from harness.data.pairs import PairStore
from harness.data.sets import Dataset, ImageItem
from harness.measure.rows import UnitFile

SCHEMA = 1
# Scales to render at that the official code tries (init_cmsr.py).
LEVELS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0)
Size = tuple[int, int]


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
    scale: float
    levels: tuple[float, ...]
    memory: int | None = None

    def missing(self, file: UnitFile) -> list[ImageItem]:
        """List the images that have no row yet."""
        done = file.by_image()
        return [item for item in self.dataset.items if item.name not in done]

    def file(self, results: Path) -> UnitFile:
        """Return the file of its rows, named by all that decides them."""
        decides = [self.subject.weights, self.dataset.fingerprint, self.scale, self.levels, SCHEMA]
        name = f"{self.subject.method}.{checksums.fingerprint(decides)}.jsonl"
        return UnitFile(results / "cmsr" / self.dataset.name / f"x{self.scale:g}" / name, ScanRow)


def make_tables(
    subject: Subject,
    data: Dataset,
    targets: Sequence[float],
    mse: float,
    results: Path,
    memory: int | None = None,
) -> CmsrTables:
    """Make the tables of a network, reusing the rows of earlier calls.

    Args:
        subject: subject with an LMF network.
        data: images that the tables are made on.
        targets: scales above x4, ascending.
        mse: bound of the error, of values in [-1, 1].
        results: folder of the rows.
        memory: bytes of a band; None: a value that suits the device.

    Raises:
        HarnessError: no image is large enough, or one cannot be read.
        KeyboardInterrupt: after Ctrl-C or SIGTERM; finished rows are kept.
    """
    work = []
    for scale in targets:
        levels = tuple(level for level in LEVELS if level < scale)
        scan = Scan(subject, data, scale, levels, memory)
        work.append((scan, scan.file(results)))
    _scan_missing(work)
    return CmsrTables(
        format=FORMAT,
        method=subject.method,
        checkpoint=subject.weights,
        origin=subject.origin,
        mse=mse,
        bin_width=bin_width(subject),
        data=MadeOn(
            dataset=data.name,
            caption=data.caption(),
            complete=data.complete,
            fingerprint=data.fingerprint,
        ),
        tables=tuple(_table(scan, file, mse) for scan, file in work),
        device=describe(subject.device),
        versions=versions(),
        made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _scan_missing(work: Sequence[tuple[Scan, UnitFile]]) -> None:
    total = sum(len(scan.dataset.items) for scan, _ in work)
    left = sum(len(scan.missing(file)) for scan, file in work)
    if not left:
        return
    pairs = PairStore()
    method = work[0][0].subject.method
    with bar(f"{method} CMSR", total, total - left) as progress, stoppable() as stop:

        def done(scan: Scan) -> None:
            progress.note = f"x{scan.scale:g}"
            progress.advance()
            stop.check()

        # The work of other processes comes last.
        for scan, file in [pair for pair in work if not run_scan(*pair, done, pairs)]:
            run_scan(scan, file, done, pairs, wait=True)


def run_scan(
    scan: Scan, file: UnitFile, done: Callable[[Scan], None], pairs: PairStore, wait: bool = False
) -> bool:
    """Write the missing rows, and call `done` after each; False if another process writes them.

    `pairs` has the images that other scans have read; `wait` waits for the other process.
    """
    with file.claimed(wait) as mine:
        if not mine:
            return False
        for item in scan.missing(file):
            file.append(replace(scan_image(scan, item, pairs), scan=file.path.name))
            done(scan)
    return True


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
        errors = level_errors(model, model.encode(lr * 2 - 1), seen.hr, scan)
    return ScanRow(item.name, {f"{level:g}": rises(found) for level, found in errors.items()})


def level_errors(
    model: ImplicitSR, features: Features, size: Size, scan: Scan
) -> dict[float, Tensor]:
    """Compute the MSE in each bin of intensity of rendering lower and enlarging, in [-1, 1] units.

    Args:
        model: network with an LMF decoder, in evaluation mode.
        features: features of one image.
        size: (H, W) of the SR image at the target scale.
        scan: target scale and levels.

    Returns:
        (bins,) float64 for each level; NaN where a bin has no pixel.
    """
    cell = make_cell(size, features.latent.device) * stretch_of(scan.scale)
    table = code_table(model, features, cell, torch.float32)

    def rendered(scale: float, size: Size) -> Tensor:
        """Decode the whole image at one scale: (1, 3, H, W) in [-1, 1], not clamped."""
        rows, columns = (0, size[0]), (0, size[1])
        job = GridJob(size, rows, columns, stretch_of(scale), memory=scan.memory)
        strips = GridDecoder(model, features, job, table).strips()
        return torch.cat(list(strips)).permute(2, 0, 1)[None]

    intensity = intensity_of(model, table, features.size)
    bins = _bins(intensity, bin_width(scan.subject)).flatten()
    target = rendered(scan.scale, size)
    counts = _summed_to_lr(model, torch.ones_like(target[0, 0], dtype=torch.float64), features.size)
    pixels = bins.bincount(counts.flatten())
    found = {}
    for level in scan.levels:
        image = rendered(level, level_size(features.size, level))
        enlarged = F.interpolate(image, size=size, mode="bilinear", align_corners=False)
        errors = (enlarged - target)[0].double().square().mean(dim=0)
        found[level] = bins.bincount(_summed_to_lr(model, errors, features.size).flatten()) / pixels
    return found


def bin_width(subject: Subject) -> float:
    """Return the width of the bins of intensity."""
    return cast(LMDecoder, cast(ImplicitSR, subject.model).decoder).intensity_bin


def _bins(intensity: Tensor, width: float) -> Tensor:
    """Find the bin of each intensity; bin n is [n * width, (n + 1) * width)."""
    count = int(intensity.max() / width) + 2
    edges = torch.arange(1, count + 1, dtype=intensity.dtype, device=intensity.device) * width
    return torch.bucketize(intensity, edges, right=True)


def _summed_to_lr(model: ImplicitSR, image: Tensor, lr_size: Size) -> Tensor:
    """Sum an (H, W) image over the pixels whose nearest LR pixel is the same: (h, w)."""
    for axis, n in enumerate(lr_size):
        pixels = image.shape[axis]
        coord = pixel_centers(pixels, device=image.device)
        cell = make_cell((pixels, pixels), image.device)[0]
        nearest = nearest_codes(model, coord, cell, n)
        shape = [*image.shape]
        shape[axis] = n
        image = image.new_zeros(shape).index_add_(axis, nearest, image)
    return image


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


def _table(scan: Scan, file: UnitFile, mse: float) -> StoredTable:
    rows = scanned(scan, file)
    if not rows:
        raise HarnessError(
            f"No image of {scan.dataset.name} is large enough for x{scan.scale:g}.",
            "Leave it out of --scales, or name another data set.",
        )
    levels = find_levels(rows, scan.levels, mse, bin_width(scan.subject))
    return StoredTable(scale=scan.scale, images=len(rows), levels=levels)


def scanned(scan: Scan, file: UnitFile) -> list[dict[str, Any]]:
    """Read the row of each image that is large enough.

    Raises:
        HarnessError: a row is damaged, or of another scan.
    """
    rows = list(file.by_image().values())
    levels = {f"{level:g}" for level in scan.levels}
    for row in rows:
        own = row["scan"] in ("", file.path.name)
        if not own or not (row["reason"] or levels == row["rises"].keys()):
            raise HarnessError(
                f"{file.path} has rows of another scan.", "Delete the file to scan again."
            )
    return [row for row in rows if not row["reason"]]


def find_levels(
    rows: Sequence[dict[str, Any]], levels: Sequence[float], mse: float, width: float
) -> tuple[StoredLevel, ...]:
    """Find the levels of one target scale, without those that would render nothing.

    `rows` are of images that are large enough; `levels` are lower scales, ascending; `mse` is the
    bound of the error, and `width` that of the bins of intensity.
    """
    found: list[StoredLevel] = []
    reached = 0.0
    for level in levels:
        # A level that fails early still has what lower ones have, and those serve it.
        until = bound(rows, level, mse, width)
        if until > reached:
            found.append(StoredLevel(scale=level, below=None if until == math.inf else until))
            reached = until
    return tuple(found)


def bound(rows: Iterable[dict[str, Any]], level: float, mse: float, width: float) -> float:
    """Find the intensity below which a level's error is at most `mse` in all bins of all images.

    Infinite where no bin fails; 0 where the lowest bin that has pixels fails.
    """
    found = [rise for row in rows for rise in row["rises"][f"{level:g}"]]
    failing = min((n for n, error in found if error > mse), default=None)
    if failing is None:
        return math.inf
    lowest = min(n for n, _ in found)
    return failing * width if failing > lowest else 0.0
