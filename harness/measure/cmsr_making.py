"""Making of CMSR tables from a network and images."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from harness.checkpoints.cmsr_table import FORMAT, CmsrTables, MadeOn, StoredTable
from harness.checkpoints.subject import Subject
from harness.common.device import describe
from harness.common.errors import HarnessError
from harness.common.progress import bar
from harness.common.stopping import stoppable
from harness.common.versions import versions
from harness.data.pairs import PairStore
from harness.data.sets import Dataset
from harness.measure.cmsr_scan import LEVELS, Scan, bin_width, find_levels, run_scan, scanned
from harness.measure.rows import CellFile


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
    fingerprint = data.fingerprint()
    scans = [
        Scan(subject, data, fingerprint, scale, tuple(v for v in LEVELS if v < scale), memory)
        for scale in targets
    ]
    work = [(scan, scan.file(results)) for scan in scans]
    _scan_missing(work)
    return CmsrTables(
        format=FORMAT,
        method=subject.method,
        checkpoint=subject.checkpoint,
        origin=subject.origin,
        mse=mse,
        bin_width=bin_width(subject),
        data=MadeOn(
            dataset=data.name,
            caption=data.caption(),
            complete=data.complete,
            fingerprint=fingerprint,
        ),
        tables=tuple(_table(scan, file, mse) for scan, file in work),
        device=describe(subject.device),
        versions=versions(),
        made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _scan_missing(work: Sequence[tuple[Scan, CellFile]]) -> None:
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
            if stop.requested:
                raise KeyboardInterrupt

        # The work of other processes comes last.
        for scan, file in [pair for pair in work if not run_scan(*pair, done, pairs)]:
            run_scan(scan, file, done, pairs, wait=True)


def _table(scan: Scan, file: CellFile, mse: float) -> StoredTable:
    rows = scanned(scan, file)
    if not rows:
        raise HarnessError(
            f"No image of {scan.dataset.name} is large enough for x{scan.scale:g}.",
            "Leave it out of --scales, or name another data set.",
        )
    width = bin_width(scan.subject)
    levels = find_levels(rows, scan.levels, mse, width)
    return StoredTable(scale=scan.scale, images=len(rows), levels=levels)
