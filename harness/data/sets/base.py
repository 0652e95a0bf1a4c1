"""Datasets, their images, and how they are found below a data root."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path, PurePath

from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.files import sha256
from harness.data.images import image_size, pixel_hash, read_rgb

MARKER = "PREPARED.json"  # in folders of LR images that `harness data prepare` made
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


class AbsentError(HarnessError):
    """Error for an absent dataset with published sizes (`harness.data.sets.sizes`)."""


def no_lr(scale: int) -> Path | None:
    """Return no LR path, for datasets without LR images."""
    del scale
    return None


@dataclass(frozen=True)
class ImageItem:
    """HR image of a dataset; can be pickled.

    Attributes:
        name: file name without suffix.
        load: reads the image as uint8 (3, H, W).
        size: returns (height, width), without decoding the image where possible.
        fingerprint: text that changes when the file changes.
        lr: returns the path of the LR image for an integer scale, if there is a folder for it.
    """

    name: str
    load: Callable[[], Tensor]
    size: Callable[[], tuple[int, int]]
    fingerprint: Callable[[], str]
    lr: Callable[[int], Path | None] = no_lr

    def official_lr(self, scale: int) -> Path | None:
        """Find the dataset's own LR image; a folder has these or prepared ones, never both."""
        path = self.lr(scale)
        return None if path is None or is_prepared(path.parent) else path


@dataclass(frozen=True)
class Dataset:
    """HR images in the order of their names.

    Attributes:
        expected: number of images of the published set; None for sets of no fixed size.
        protocol: the paper's PSNR protocol for the dataset.
        sizes_of: name of the set whose published image sizes are used, where there are no images.
    """

    name: str
    description: str
    items: tuple[ImageItem, ...]
    expected: int | None
    protocol: str
    sizes_of: str = ""

    @property
    def complete(self) -> bool:
        """Tell whether the dataset has as many images as the published set."""
        return self.expected is None or len(self.items) == self.expected

    @cached_property  # asked for every unit
    def fingerprint(self) -> str:
        """Ten hexadecimal digits that change with any image."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(f"{item.name} {item.fingerprint()}\n".encode())
        return digest.hexdigest()[:10]

    def lr_fingerprint(self, scale: float) -> str:
        """Compute a text that changes with the official LR images of a scale; "" without them."""
        if not float(scale).is_integer():
            return ""
        paths = [p for p in (item.official_lr(int(scale)) for item in self.items) if p is not None]
        hashes = [file_hash(path) if path.is_file() else "" for path in paths]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:10] if hashes else ""

    def about(self) -> str:
        """Description, and whether images are missing."""
        if self.complete:
            return self.description
        return f"ONLY {len(self.items)} of its {self.expected} images: {self.description}"

    def caption(self) -> str:
        """Caption such as `Set5 (5 images; ...)`, and whether images are missing."""
        count = f"{len(self.items)} image{'s' * (len(self.items) != 1)}"
        return f"{self.name} ({count}; {self.about()})"


@dataclass(frozen=True)
class Layout:
    """Places of a dataset's image files below the data root.

    Attributes:
        hr: folder of the HR images.
        expected: number of images of the published set.
        lr: folder of the LR images of a scale, with `{scale}` in it; the files are called
            `<name>x<scale>.png`. None for training sets, whose LR patches are made while training.
    """

    hr: str
    expected: int
    lr: str | None = None

    @property
    def published(self) -> list[str]:
        """Folders of the published set: LR images, then HR images, which make the set complete."""
        return [*(self.lr.format(scale=s) for s in (2, 3, 4) if self.lr), self.hr]


@dataclass(frozen=True)
class Archive:
    """Archive file that the authors of a dataset publish.

    Attributes:
        size: size in bytes.
        sha256: published SHA-256; a hash that only this project computed is not accepted.
        hash_source: publisher of the hash.
        folders: folders of the archive that hold the images, by the target folder below the data
            root.
        leave_out: name of a file that is not taken.
    """

    url: str
    size: int
    sha256: str
    hash_source: str
    folders: dict[str, tuple[str, ...]]
    leave_out: str = ""

    @property
    def file(self) -> str:
        """File name of the archive."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class DatasetSpec:
    """Description of a dataset that can be searched for.

    Attributes:
        description: for captions.
        protocol: the paper's PSNR protocol for the dataset.
        how_to_get: instructions for getting a missing dataset.
        find: finds the dataset below the data root (None: not given).
        layout: places of its files; None where it has no files of its own.
        terms: terms of use, for networks that were trained on it.
        archives: where `harness data fetch` gets it from; empty where it does not.
    """

    name: str
    description: str
    protocol: str
    how_to_get: str
    find: Callable[[DatasetSpec, Path | None], Dataset]
    layout: Layout | None = None
    terms: str = "Its terms of use are not known to the harness."
    archives: tuple[Archive, ...] = ()


def file_hash(path: Path) -> str:
    """Compute the SHA-256 of a file's bytes."""
    stat = path.stat()
    return _file_hash(path, stat.st_mtime_ns, stat.st_size)


@cache
def _file_hash(path: Path, changed: int, size: int) -> str:
    del changed, size
    return sha256(path)


def memory_item(name: str, load: Callable[[], Tensor]) -> ImageItem:
    """Make the item of an image that has no file of its own."""
    return ImageItem(name, load, partial(_loaded_size, load), partial(_loaded_hash, load))


def _loaded_size(load: Callable[[], Tensor]) -> tuple[int, int]:
    image = load()
    return image.shape[-2], image.shape[-1]


def _loaded_hash(load: Callable[[], Tensor]) -> str:
    return pixel_hash(load())


def is_image(path: PurePath) -> bool:
    """Tell whether a path has the name of an image file that is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def image_files(folder: Path) -> list[Path]:
    """List the image files of a folder by name."""
    return sorted(path for path in folder.iterdir() if is_image(path) and path.is_file())


def image_name(path: Path) -> str:
    """Make the name of an image in rows: its file name without suffix, the same in every locale.

    Bytes that are not UTF-8 are percent-encoded, as in URLs (%E9).
    """
    name = os.fsencode(path.stem).decode(errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)


def is_prepared(folder: Path) -> bool:
    """Tell whether the LR images of a folder were made by `harness data prepare`."""
    return (folder / MARKER).exists()


def scale_label(scale: float) -> str:
    """Format the scale for names of folders and files: 2, 2.5."""
    return f"{scale:.12g}"


def _refuse_twins(dataset: str, files: list[Path]) -> None:
    """Refuse files with the same name without suffix, because rows are named by it."""
    seen: dict[str, Path] = {}
    for path in files:
        name = image_name(path)
        if name in seen:
            raise HarnessError(
                f"{dataset} has two images called {name}: {seen[name]} and {path}.",
                "Remove one of them.",
            )
        seen[name] = path


def _lr_path(root: Path, lr: str, name: str, scale: int) -> Path | None:
    """Find the LR image of a scale, if there is a folder for that scale."""
    folder = root / lr.format(scale=scale)
    return folder / f"{name}x{scale}.png" if folder.is_dir() else None


def from_folder(spec: DatasetSpec, root: Path | None) -> Dataset:
    """Find a dataset of image files by its layout.

    Raises:
        AbsentError: the dataset is absent; the message names the folder and how to get the images.
    """
    layout = spec.layout
    if layout is None:
        raise ValueError(f"{spec.name} has no layout")
    if root is None:
        raise AbsentError(
            f"{spec.name} needs a data root, and none was given.",
            f"Use --data-root DIR or set HARNESS_DATA; {spec.name} is then looked for in "
            f"DIR/{layout.hr}. {spec.how_to_get}",
        )
    folder = root / layout.hr
    files = image_files(folder) if folder.is_dir() else []
    if not files:
        what = "has no images" if folder.is_dir() else "does not exist"
        place = os.path.realpath(folder)  # unlike `resolve`, also of a link that leads to itself
        raise AbsentError(f"{spec.name} is not there: {place} {what}.", spec.how_to_get)

    _refuse_twins(spec.name, files)
    items = tuple(
        ImageItem(
            image_name(path),
            partial(read_rgb, path),
            partial(image_size, path),
            partial(file_hash, path),
            partial(_lr_path, root, layout.lr, path.stem) if layout.lr else no_lr,
        )
        for path in files
    )
    return Dataset(spec.name, spec.description, items, layout.expected, spec.protocol)
