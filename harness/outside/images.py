"""SR images of another program, as a method."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from baselines.base import Request, Spent
from baselines.registry import Method
from harness.common.errors import HarnessError, MethodError, UsageError
from harness.data.degrade import unit
from harness.data.sets import Dataset
from harness.outside.layout import LOSSY, Images, find_images
from harness.outside.methods import (
    TOP,
    Opened,
    Outside,
    Values,
    add_method,
    check_finite,
    is_grey,
    to_unit,
)
from harness.upscale.image_files import open_source

_SLACK = 0.6  # networks overshoot; values of another range lie much further out


@dataclass(frozen=True)
class SrImage:
    """SR image that was read.

    Attributes:
        pixels: float32 (3, H, W), nominally in [0, 1].
        bits: 8 or 16 bits of a channel; 32 for floating point.
        grey: whether it has one channel, or three equal ones.
    """

    pixels: Tensor
    bits: int
    grey: bool


def check_values(values: Tensor, kind: Values, remedy: str) -> None:
    """Refuse values that are not finite, of one colour, or of another range (MethodError)."""
    check_finite(values)
    low, high = values.min().item(), values.max().item()
    bottom, top = (-1.0 if kind == "signed" else 0.0), TOP[kind]
    slack = _SLACK * (top - bottom)
    if low < bottom - slack or high > top + slack:
        raise MethodError(
            f"its values lie in [{low:.4g}, {high:.4g}], not in [{bottom:g}, {top:g}]; {remedy}"
        )
    if (values.flatten(1) == values.flatten(1)[:, :1]).all():
        raise MethodError("it has one colour everywhere")


def read_sr(path: Path, kind: Values = "unit") -> SrImage:
    """Read an SR image: PNG, BMP or TIFF of 8 or 16 bits, or `.npy` of (H, W, 3) or (3, H, W).

    `kind` is the range of floating point values. MethodError says why it is no SR image.
    """
    if path.suffix.lower() in LOSSY:
        raise MethodError(f"{path.name} is of a type with loss; save it as PNG")
    if path.suffix.lower() == ".npy":
        return _read_array(path, kind)
    try:
        source = open_source(path)
    except HarnessError as error:
        raise MethodError(str(error).splitlines()[0].removesuffix(".")) from error
    if source.alpha is not None and (source.alpha != torch.iinfo(source.alpha.dtype).max).any():
        raise MethodError(f"{path.name} is transparent; save it without alpha")
    pixels = unit(source.rgb)
    _check_depth(pixels, source.bits)
    check_values(pixels, "unit", "")
    return SrImage(pixels, source.bits, source.grey or is_grey(pixels))


def _read_array(path: Path, kind: Values) -> SrImage:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise MethodError(f"{path.name} cannot be read as an array: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fu":
        raise MethodError(f"{path.name} has no array of numbers (float, uint8 or uint16)")
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim == 2:
        array = array[None].repeat(3, axis=0)
    if array.ndim != 3 or 3 not in (array.shape[0], array.shape[2]) or not array.size:
        raise MethodError(f"{path.name} has the shape {array.shape}, not (H, W, 3) or (3, H, W)")
    if array.shape[2] == 3 and array.shape[0] != 3:
        array = array.transpose(2, 0, 1)
    bits = 32 if array.dtype.kind == "f" else 8 * array.dtype.itemsize
    if bits not in (8, 16) and array.dtype.kind == "u":
        raise MethodError(f"{path.name} has values of {bits} bits, not 8 or 16")
    values = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    if array.dtype.kind == "u":
        values, kind = values / (2**bits - 1), "unit"
        _check_depth(values, bits)
    check_values(values, kind, "name their range with --values")
    pixels = to_unit(values, kind)
    return SrImage(pixels, bits, is_grey(pixels))


def _check_depth(pixels: Tensor, bits: int) -> None:
    """Refuse 16-bit images that hold 8-bit values: in [0, 1] they are almost black."""
    if bits == 16 and pixels.max() <= 255 / 65535:
        raise MethodError("it has 16 bits, and values of 0 to 255 only; save it with 8 bits")


class StoredImages(Outside):
    """SR images of a dataset at one scale, of which one is chosen first (`for_image`).

    Each is read once, to know what it is; then again when it is measured. `kind` is the range of
    floating point values.

    Attributes:
        bits: numbers of bits of the files.
        chosen: name of the HR image.
    """

    made: Literal["here", "elsewhere", "stored"] = "stored"
    chosen = ""

    def __init__(self, images: Images, dataset: Dataset, kind: Values) -> None:
        super().__init__()
        self.images = images
        self.kind = kind
        self.dataset, self.scale = dataset.name, images.scale
        self.reasons: dict[str, str] = dict(images.doubtful)
        self.bits: set[int] = set()
        hashes: dict[str, str] = {}
        digest = hashlib.sha256(kind.encode())
        for item in dataset.items:
            name = item.name
            path = images.files.get(name)
            if path is None:
                digest.update(f"{name} -\n".encode())
                continue
            try:
                image = read_sr(path, kind)
            except MethodError as error:
                self.reasons[name] = str(error)
                digest.update(f"{name} {error}\n".encode())
                continue
            if image.grey and not is_grey(item.load()):
                self.reasons[name] = f"{path.name} is grey, and HR has colours"
            self.bits.add(image.bits)
            content = image.pixels.numpy().tobytes() + repr(tuple(image.pixels.shape)).encode()
            hashes[name] = hashlib.sha256(content).hexdigest()
            digest.update(f"{name} {hashes[name]}\n".encode())
        first_with: dict[str, str] = {}
        for name, pixels in hashes.items():
            other = first_with.setdefault(pixels, name)
            for one, two in ((name, other), (other, name)) if other != name else ():
                self.reasons.setdefault(one, f"it has the same pixels as the SR image of {two}")
        self._digest = digest.hexdigest()[:24]
        folder = next(iter(images.files.values()), Path()).parent.name
        self.origin = f"SR images of another program ({_in_words(self.bits)}) in {folder}"

    @property
    def identity(self) -> str:
        """Hash of the pixels of all images."""
        return f"images-{self._digest}"

    def refusal(self, scale: float) -> str:
        """Say that there are images at one scale only; see `SRModel.refusal`."""
        return "" if scale == self.scale else f"is there at x{self.scale:g} only, not x{scale:g}"

    def for_image(self, name: str) -> StoredImages:
        """Choose the image of this name."""
        chosen = copy.copy(self)
        chosen.chosen = name
        return chosen

    def whole(self, lr: Tensor, request: Request) -> tuple[Tensor, Spent | None]:
        """Read the chosen image; see `Outside.whole`."""
        del lr, request
        path = self.images.files.get(self.chosen)
        if path is None or self.chosen in self.reasons:
            raise MethodError(self.reasons.get(self.chosen, "there is no SR image of it"))
        self.called = path.name
        return read_sr(path, self.kind).pixels, Spent()


class StoredNetwork(Outside):
    """SR images of one network, by data set and scale (`parts`)."""

    def __init__(self, parts: Sequence[StoredImages]) -> None:
        super().__init__()
        self._held = tuple(parts)

    @property
    def parts(self) -> Sequence[StoredImages]:
        """The images of each data set and scale."""
        return self._held

    def whole(self, lr: Tensor, request: Request) -> tuple[Tensor, Spent | None]:
        """Refuse: which image is wanted is not known."""
        del lr, request
        raise MethodError("which of its SR images is wanted is not known")


def open_images(
    root: Path,
    sets: Mapping[str, Dataset],
    scales: Sequence[float] = (),
    *,
    name: str | None = None,
    label: str = "",
    pattern: str = "",
    kind: Values = "unit",
) -> tuple[list[Method], list[str]]:
    """Find the SR images of a folder, and make each of its networks a method.

    Args:
        root: the folder.
        sets: datasets that it may have images of, by name.
        scales: scales that are asked for; empty for all that there are.
        name: name of its only network; None for those of the folders.
        label: name of its only network in tables.
        pattern: form of the files' names, where they are not understood.
        kind: range of floating point values.

    Returns:
        The methods, and notes on files that are not among them.

    Raises:
        UsageError: there are several networks, and one name for them.
        HarnessError: no image is found, or it is not clear which is which; or a network's name
            cannot be that of measurements.
    """
    stems = {key: [item.name for item in found.items] for key, found in sets.items()}
    found, notes = find_images(root, stems, list(scales), pattern)
    networks = sorted({images.network for images in found})
    if (name or label) and len(networks) > 1:
        raise UsageError(
            f"{root} has images of several networks ({', '.join(networks)}), and {name or label} "
            "cannot name all. Leave it out, or name one of the folders."
        )
    methods = []
    for network in networks:
        own = [images for images in found if images.network == network]
        parts = [StoredImages(images, sets[images.dataset], kind) for images in own]
        bits = set().union(*(part.bits for part in parts))
        methods.append(
            add_method(
                name or network,
                "images",
                Opened(partial(StoredNetwork, parts)),
                label=label,
                about=_ABOUT[min(bits)] if len(bits) == 1 else "",
                scales=sorted({images.scale for images in own}),
            )
        )
    return methods, notes


_ABOUT = {8: "8-bit images", 16: "16-bit images", 32: "float images"}


def _in_words(bits: set[int]) -> str:
    said = {8: "8 bits", 16: "16 bits", 32: "floating point"}
    return ", ".join(said[b] for b in sorted(bits)) or "none can be read"
