"""What a dataset is, and how it is found."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path, PurePath

from torch import Tensor

from harness.common.errors import HarnessError
from harness.common.files import sha256
from harness.data.images import image_size, pixel_hash, read_rgb

MARKER = "PREPARED.json"  # in folders of LR images that `harness data prepare` made
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"}


class AbsentError(HarnessError):
    """A dataset is not there; its published sizes are (`harness.data.sets.sizes`)."""


def no_official_lr(scale: int) -> Path | None:
    """For datasets without LR images."""
    del scale
    return None


@dataclass(frozen=True)
class ImageItem:
    """One HR image of a dataset; can be pickled.

    Attributes:
        name: file name without suffix.
        load: reads it as uint8 (3, H, W).
        size: its (height, width), without decoding it where that can be avoided.
        fingerprint: changes when the file changes.
        official_lr: path of the dataset's own LR image for an integer scale, if the dataset
            has a folder for that scale.
        prepared_lr: path of the LR image that `harness data prepare` makes, if there is a folder
            of such images. A folder is the dataset's own or a prepared one, never both.
    """

    name: str
    load: Callable[[], Tensor]
    size: Callable[[], tuple[int, int]]
    fingerprint: Callable[[], str]
    official_lr: Callable[[int], Path | None] = no_official_lr
    prepared_lr: Callable[[int], Path | None] = no_official_lr


@dataclass(frozen=True)
class Dataset:
    """HR images in the order of their names.

    Attributes:
        name: of the dataset.
        description: for captions.
        items: its images.
        expected: how many images the published set has; None for sets of no fixed size.
        protocol: PSNR protocol of the paper for it.
        sizes_of: the set whose image sizes these are, where there are no images.
    """

    name: str
    description: str
    items: tuple[ImageItem, ...]
    expected: int | None
    protocol: str
    sizes_of: str = ""

    @property
    def complete(self) -> bool:
        """Whether it has as many images as the published set."""
        return self.expected is None or len(self.items) == self.expected

    def fingerprint(self) -> str:
        """Ten hexadecimal digits that change with any image."""
        digest = hashlib.sha256()
        for item in self.items:
            digest.update(f"{item.name} {item.fingerprint()}\n".encode())
        return digest.hexdigest()[:10]

    def lr_fingerprint(self, scale: float) -> str:
        """Changes with any official LR image of a scale; empty where they are made here."""
        if not float(scale).is_integer():
            return ""
        paths = [p for p in (item.official_lr(int(scale)) for item in self.items) if p is not None]
        hashes = [file_hash(path) if path.is_file() else "" for path in paths]
        return hashlib.sha256("\n".join(hashes).encode()).hexdigest()[:10] if hashes else ""

    def about(self) -> str:
        """The description, and whether images are missing."""
        if self.complete:
            return self.description
        return f"ONLY {len(self.items)} of its {self.expected} images: {self.description}"

    def caption(self) -> str:
        """`Set5 (5 images; ...)`, and whether images are missing."""
        count = f"{len(self.items)} image{'s' * (len(self.items) != 1)}"
        return f"{self.name} ({count}; {self.about()})"


@dataclass(frozen=True)
class Layout:
    """Where the image files of a dataset lie below the data root.

    Attributes:
        hr: folder of the HR images.
        expected: images of the published set.
        lr: folder of the LR images of a scale, with `{scale}` in it; the files are called
            `<name>x<scale>.png`. None for training sets, whose LR patches are made on the way.
    """

    hr: str
    expected: int
    lr: str | None = None

    @property
    def published(self) -> list[str]:
        """The folders of the published set: LR images, then HR images, which make it a set."""
        return [*(self.lr.format(scale=s) for s in (2, 3, 4) if self.lr), self.hr]


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset that can be looked for.

    Attributes:
        name: on the command line and in profiles.
        description: for captions.
        protocol: PSNR protocol of the paper for it.
        how_to_get: what to do when it is not there.
        find: from the data root (None: not given) to the dataset.
        layout: of its files; None where it is no files of its own.
    """

    name: str
    description: str
    protocol: str
    how_to_get: str
    find: Callable[[DatasetSpec, Path | None], Dataset]
    layout: Layout | None = None


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    stat = path.stat()
    return _file_hash(path, stat.st_mtime_ns, stat.st_size)


@cache
def _file_hash(path: Path, changed: int, size: int) -> str:
    del changed, size
    return sha256(path)


def memory_item(name: str, load: Callable[[], Tensor]) -> ImageItem:
    """The item of an image that is no file of its own."""
    return ImageItem(name, load, partial(_loaded_size, load), partial(_loaded_hash, load))


def _loaded_size(load: Callable[[], Tensor]) -> tuple[int, int]:
    image = load()
    return image.shape[-2], image.shape[-1]


def _loaded_hash(load: Callable[[], Tensor]) -> str:
    return pixel_hash(load())


def is_image(path: PurePath) -> bool:
    """Whether a path has the name of an image file that is not hidden."""
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def image_files(folder: Path) -> list[Path]:
    """Image files of a folder by name."""
    return sorted(path for path in folder.iterdir() if is_image(path) and path.is_file())


def image_name(path: Path) -> str:
    """What rows call an image: its file's name without suffix, the same in every locale.

    Bytes that are no UTF-8 are escaped, as in addresses (%E9).
    """
    name = os.fsencode(path.stem).decode(errors="surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", name)


def is_prepared(folder: Path) -> bool:
    """Whether the LR images of a folder were made by `harness data prepare`."""
    return (folder / MARKER).exists()


def scale_label(scale: float) -> str:
    """The scale in names of folders and files: 2, 2.5."""
    return f"{scale:.12g}"


def _refuse_twins(dataset: str, files: list[Path]) -> None:
    """Rows are named by the file name without suffix, which must be unique."""
    seen: dict[str, Path] = {}
    for path in files:
        name = image_name(path)
        if name in seen:
            raise HarnessError(
                f"{dataset} has two images called {name}: {seen[name]} and {path}.",
                "Remove one of them.",
            )
        seen[name] = path


def _lr_path(root: Path, lr: str, prepared: bool, name: str, scale: int) -> Path | None:
    """Where the LR image of a scale lies, if there is a folder for that scale of that kind."""
    folder = root / lr.format(scale=scale)
    fits = folder.is_dir() and is_prepared(folder) == prepared
    return folder / f"{name}x{scale}.png" if fits else None


def from_folder(spec: DatasetSpec, root: Path | None) -> Dataset:
    """A dataset of image files, found by its layout.

    Raises:
        AbsentError: naming the folder that was looked in, and how to get the images.
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
    items = tuple(_file_item(path, root, layout.lr) for path in files)
    return Dataset(spec.name, spec.description, items, layout.expected, spec.protocol)


def _file_item(path: Path, root: Path, lr: str | None) -> ImageItem:
    return ImageItem(
        image_name(path),
        partial(read_rgb, path),
        partial(image_size, path),
        partial(file_hash, path),
        partial(_lr_path, root, lr, False, path.stem) if lr else no_official_lr,
        partial(_lr_path, root, lr, True, path.stem) if lr else no_official_lr,
    )
