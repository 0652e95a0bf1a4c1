"""Manifests: the images of a published set, by name and pixels.

Set5, Set14, B100, Urban100 and BSDS399 have a manifest: a CSV file with size and pixel hash of each
image, taken from copies that were compared with several public ones (docs/data.md). DIV2K has names
only. `python -m harness.data.sets.manifest FOLDER` prints the manifest of a folder of images.
"""

from __future__ import annotations

import csv
import io
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from harness.data.images import pixel_hash, read_rgb
from harness.data.sets.base import file_hash, image_files

SAME, OTHER_VERSION, ALTERED, UNKNOWN = "same", "other version", "altered", "unknown"

# (height, width) of the originals of which our copies lack a row or a column.
_SET14_ORIGINALS = {"comic": (361, 250), "ppt3": (656, 529), "zebra": (391, 586)}


class ManifestEntry(NamedTuple):
    """Image of a published set, by its file name without suffix."""

    name: str
    height: int
    width: int
    pixels: str  # hash of its RGB values, see `harness.data.images.pixel_hash`
    file: str = ""  # SHA-256 of the file, for JPEG files, whose pixels depend on the decoder


@cache
def entries(dataset: str) -> dict[str, ManifestEntry]:
    """Read the manifest of a dataset by image name; empty where there is none."""
    path = files("harness.data").joinpath("manifests", f"{dataset}.csv")
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    rows = list(csv.reader(io.StringIO(text)))[1:]
    return {
        name: ManifestEntry(name, int(h), int(w), pixels, file) for name, h, w, pixels, file in rows
    }


def names(dataset: str) -> tuple[str, ...]:
    """List the names of a set's images; empty where they are not known."""
    ruled = {"DIV2K_train": range(1, 801), "DIV2K_valid": range(801, 901)}.get(dataset, ())
    return tuple(f"{number:04d}" for number in ruled) or tuple(entries(dataset))


def original_sizes() -> dict[str, tuple[int, int]]:
    """(height, width) of Set14's original files, which the figures of the paper follow from."""
    ours = {entry.name: (entry.height, entry.width) for entry in entries("Set14").values()}
    return ours | _SET14_ORIGINALS


def compare(dataset: str, path: Path, image: Tensor) -> tuple[str, str]:
    """Compare an image, uint8 (3, H, W), with the published image of that name.

    Returns:
        SAME, OTHER_VERSION (a known other crop), ALTERED or UNKNOWN (no manifest); and a
        description of the difference.
    """
    entry = entries(dataset).get(path.stem)
    if entry is None:
        return UNKNOWN, ""
    original = _SET14_ORIGINALS.get(entry.name) if dataset == "Set14" else None
    if pixel_hash(image) == entry.pixels or (entry.file and file_hash(path) == entry.file):
        if original is None:
            return SAME, ""
        height, width = original
        return OTHER_VERSION, f"it is {entry.width}x{entry.height}, the original {width}x{height}"
    height, width = image.shape[-2:]
    more = (height - entry.height, width - entry.width)
    if more == (0, 0):
        return ALTERED, "its pixels are not those of our manifest"
    size = f"it is {width}x{height}, our manifest has {entry.width}x{entry.height}"
    known = {
        "Set14": original == (height, width),
        "Urban100": min(more) >= 0 and max(more) < 4,  # ours are cut to multiples of 4
        "B100": min(more) >= -1 and max(more) <= 0,  # SelfExSR's are 480x320 or 480x321
    }
    if not known.get(dataset, False):
        return ALTERED, size
    common = image[:, : entry.height, : entry.width].contiguous()
    if pixel_hash(common) == entry.pixels:
        return OTHER_VERSION, f"{size}; their common part is equal"
    return OTHER_VERSION, f"{size}; its pixels cannot be compared"


def entry_of(path: Path) -> ManifestEntry:
    """Make the manifest's line for an image file."""
    image = read_rgb(path)
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    height, width = image.shape[-2:]
    return ManifestEntry(
        path.stem, height, width, pixel_hash(image), file_hash(path) if jpeg else ""
    )


if __name__ == "__main__":
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(ManifestEntry._fields)
    writer.writerows(entry_of(path) for path in image_files(Path(sys.argv[1])))
