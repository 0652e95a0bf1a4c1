"""Which images a published set has, by name and pixels.

Set5, Set14, B100, Urban100 and BSDS399 have a manifest: a CSV file with size and pixel hash of each
image, taken from copies that were compared with several public ones (docs/data.md). DIV2K has
names only. `python -m harness.data.manifest DATASET DATA_ROOT` prints a manifest.
"""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path

from torch import Tensor

from harness.data.images import pixel_hash, read_rgb
from harness.data.sets.base import file_hash, image_files

SAME, OTHER_VERSION, ALTERED, UNKNOWN = "same", "other version", "altered", "unknown"

# (width, height) of the originals of which our copies lack a row or a column.
_SET14_ORIGINALS = {"comic": (250, 361), "ppt3": (529, 656), "zebra": (586, 391)}


@dataclass(frozen=True)
class Entry:
    """One image of a published set.

    Attributes:
        name: file name without suffix.
        pixels: hash of its RGB values, see `harness.data.images.pixel_hash`.
        file: SHA-256 of the file, for JPEG files, whose pixels depend on the decoder; or "".
    """

    name: str
    height: int
    width: int
    pixels: str
    file: str = ""


@cache
def entries(dataset: str) -> dict[str, Entry]:
    """The manifest of a dataset by image name; empty where there is none."""
    path = files("harness.data").joinpath("manifests", f"{dataset}.csv")
    if not path.is_file():
        return {}
    rows = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8")))
    return {
        row["name"]: Entry(
            row["name"], int(row["height"]), int(row["width"]), row["pixels"], row["file"]
        )
        for row in rows
    }


def names(dataset: str) -> tuple[str, ...]:
    """The names of a set's images; empty where they are not known."""
    ruled = {"DIV2K_train": range(1, 801), "DIV2K_valid": range(801, 901)}
    if dataset in ruled:
        return tuple(f"{number:04d}" for number in ruled[dataset])
    return tuple(entries(dataset))


def compare(dataset: str, path: Path, image: Tensor) -> tuple[str, str]:
    """Whether an image is the published one.

    Args:
        dataset: that it should belong to.
        path: of its file.
        image: its pixels, uint8 (3, H, W).

    Returns:
        One of SAME, OTHER_VERSION (a known other crop), ALTERED, UNKNOWN (no manifest); and
        what is different, in words.
    """
    entry = entries(dataset).get(path.stem)
    if entry is None:
        return UNKNOWN, ""
    if pixel_hash(image) == entry.pixels or (entry.file and file_hash(path) == entry.file):
        return _as_in_manifest(dataset, entry)
    height, width = image.shape[-2:]
    if (height, width) == (entry.height, entry.width):
        return ALTERED, "its pixels are not those of our manifest"
    size = f"it is {width}x{height}, our manifest has {entry.width}x{entry.height}"
    if not _is_known_version(dataset, entry, height, width):
        return ALTERED, size
    common = image[:, : entry.height, : entry.width].contiguous()
    if pixel_hash(common) == entry.pixels:
        return OTHER_VERSION, f"{size}; their common part is equal"
    return OTHER_VERSION, f"{size}; its pixels cannot be compared"


def _as_in_manifest(dataset: str, entry: Entry) -> tuple[str, str]:
    """An image that equals ours; ours may be a known crop."""
    if dataset != "Set14" or entry.name not in _SET14_ORIGINALS:
        return SAME, ""
    width, height = _SET14_ORIGINALS[entry.name]
    return OTHER_VERSION, f"it is {entry.width}x{entry.height}, the original {width}x{height}"


def _is_known_version(dataset: str, entry: Entry, height: int, width: int) -> bool:
    """Whether a public version of an image has this size, other than the manifest's."""
    if dataset == "Set14":
        return _SET14_ORIGINALS.get(entry.name) == (width, height)
    more = (height - entry.height, width - entry.width)
    if dataset == "Urban100":  # ours are cut to multiples of 4
        return min(more) >= 0 and max(more) < 4
    # SelfExSR's BSD100 is cut to 480x320 or 480x321.
    return dataset == "B100" and min(more) >= -1 and max(more) <= 0


def manifest_of(paths: Iterable[Path]) -> list[Entry]:
    """Entries of image files."""
    return [_entry(path, read_rgb(path)) for path in paths]


def _entry(path: Path, image: Tensor) -> Entry:
    jpeg = path.suffix.lower() in (".jpg", ".jpeg")
    height, width = image.shape[-2:]
    return Entry(path.stem, height, width, pixel_hash(image), file_hash(path) if jpeg else "")


def _print(dataset: str, root: Path) -> None:
    from harness.data.sets import SPECS

    layout = SPECS[dataset].layout
    assert layout is not None
    writer = csv.DictWriter(sys.stdout, [f.name for f in fields(Entry)], lineterminator="\n")
    writer.writeheader()
    for entry in manifest_of(image_files(root / layout.hr)):
        writer.writerow(asdict(entry))


if __name__ == "__main__":
    _print(sys.argv[1], Path(sys.argv[2]))
