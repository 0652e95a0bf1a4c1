"""`harness data list`: which datasets there are, and which are here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.data.archives import archives_of
from harness.data.checking_lr import lr_folders
from harness.data.sets import SPECS
from harness.data.sets.base import DatasetSpec, image_files

COMPLETE, INCOMPLETE, ABSENT, TOO_MANY = "complete", "incomplete", "absent", "too many images"
BUILT_IN, NO_ROOT = "built in", "no data root"


def describe(root: Path | None) -> list[dict[str, Any]]:
    """A line for every dataset; images are counted, not read.

    Args:
        root: data root; None if none was named.
    """
    return [_line(spec, root) for spec in SPECS.values()]


def _line(spec: DatasetSpec, root: Path | None) -> dict[str, Any]:
    layout = spec.layout
    archives = archives_of(spec.name)
    line: dict[str, Any] = {
        "dataset": spec.name,
        "description": spec.description,
        "state": BUILT_IN if layout is None else NO_ROOT,
        "images": None,
        "expected": layout.expected if layout else None,
        "folder": layout.hr if layout else None,
        "lr": [],
        "how_to_get": spec.how_to_get,
        "download_bytes": sum(archive.size for archive in archives) if archives else None,
    }
    if layout is None:
        count = len(spec.find(spec, None).items)
        return {**line, "images": count, "expected": count}
    if root is None:
        return line
    folder = root / layout.hr
    images = len(image_files(folder)) if folder.is_dir() else 0
    lr = [
        {
            "scale": each.folder.name,
            "images": len(image_files(each.folder)),
            "kind": each.kind,
        }
        for each in lr_folders(spec, root, resize=False)
    ]
    return {**line, "state": _state(images, layout.expected), "images": images, "lr": lr}


def _state(images: int, expected: int) -> str:
    if images == expected:
        return COMPLETE
    if images > expected:
        return TOO_MANY
    return INCOMPLETE if images else ABSENT
