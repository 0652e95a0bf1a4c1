"""Rows of planned cells, as they are stored."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness.common.errors import HarnessError
from harness.measure.rows import CellFile, each_image_once, is_of
from harness.runs.plan import PlannedCell


def cell_rows(folder: Path, cell: PlannedCell, only: Collection[str] = ()) -> list[dict[str, Any]]:
    """Read the rows of a planned cell, one per image; only some images, where `only` names them."""
    path = folder / cell.file
    rows = CellFile(path).rows()
    found = {tuple(row.get(k) for k in ("method", "dataset", "scale", "seed")) for row in rows}
    expected = (cell.method, cell.dataset, cell.scale, cell.seed)
    if found - {expected} or not all(is_of(row, path.name) for row in rows):
        raise HarnessError(
            f"{path} has rows of another cell than {expected}, or of other weights or data.",
            "Delete the file and run the experiment again.",
        )
    return each_image_once(row for row in rows if not only or row["image"] in only)
