"""Crops and expert maps: the data of figures, kept apart from how they are drawn.

A sample is one region of one image at one scale. Its folder holds `sample.json` and PNG files;
figures are composed from it without networks or datasets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from harness.common import checksums
from harness.common.errors import HarnessError
from harness.common.files import plain_name


@dataclass(frozen=True)
class MethodSample:
    """Result of one method for the region.

    Attributes:
        crop: PNG of the region, 8-bit RGB, as high as the HR crop.
        psnr: PSNR of the whole image, in dB; None where it was not measured.
        expert_map: PNG, 8-bit grey, LR size, values are expert numbers from 0; "" without experts.
        expert_depths: number of linear layers of each expert, shallowest first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    method: str
    crop: str
    psnr: float | None
    expert_map: str = ""
    expert_depths: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sample:
    """Region of one image at one scale; file names are relative to `folder`.

    Attributes:
        folder: where it was found; not stored.
        box: (top, left, height, width) of the region in HR pixels.
        hr: PNG of the whole HR image.
        hr_crop: PNG of the region.
        lr: PNG of the whole LR image.
        lr_crop: PNG of the region in the LR image (LR pixels that cover it).
    """

    __pydantic_config__: ClassVar[ConfigDict] = checksums.STORED

    role: str
    dataset: str
    image: str
    scale: float
    box: tuple[int, int, int, int]
    hr: str
    hr_crop: str
    lr: str
    lr_crop: str
    protocol: str
    methods: tuple[MethodSample, ...]
    folder: Path = Path()


def load_samples(folder: Path) -> list[Sample]:
    """Load every sample below a folder, by name; an empty list where there is none."""
    return [_load(path) for path in sorted(folder.glob("*/sample.json"))]


def _load(path: Path) -> Sample:
    try:
        sample = checksums.load(path.read_bytes(), Sample, schema=1)
        pictures = [sample.hr, sample.hr_crop, sample.lr, sample.lr_crop]
        pictures += [name for m in sample.methods for name in (m.crop, m.expert_map) if name]
        for name in pictures:
            plain_name(name, longest=255)
        return replace(sample, folder=path.parent)
    except (OSError, ValueError) as error:
        raise HarnessError(
            f"{path} is not a sample of this version: {error}",
            f"Delete {path.parent} and run the experiment again.",
        ) from error
