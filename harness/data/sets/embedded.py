"""Real photographs inside scikit-image: substitute data that is always available.

They show the path from training to report, and are no benchmark: there are three evaluation images,
and some training images are grey textures.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor

from harness.data.images import read_rgb
from harness.data.roles import INPUT
from harness.data.sets.base import Dataset, DatasetSpec, memory_item

Box = tuple[int, int, int, int]
"""(top, left, height, width)."""

_TRAINING: dict[str, Box | None] = dict.fromkeys(
    (
        *("rocket.jpg", "motorcycle_left.png", "hubble_deep_field.jpg", "ihc.png"),
        *("camera.png", "brick.png", "grass.png", "gravel.png"),
    )
)
# Crops keep the quick profile quick.
_EVALUATION: dict[str, Box | None] = {
    "astronaut.png": (0, 64, 384, 384),
    "chelsea.png": (0, 60, 300, 384),
    "coffee.png": (16, 100, 384, 384),
}


def photograph(file: str, box: Box | None = None) -> Tensor:
    """Read a photograph of scikit-image, or a part of it, as uint8 (3, H, W)."""
    import skimage.data

    image = read_rgb(Path(skimage.data.__file__).parent / file)
    if box is None:
        return image
    top, left, height, width = box
    return image[:, top : top + height, left : left + width].contiguous()


def _set(name: str, description: str, files: dict[str, Box | None]) -> DatasetSpec:
    def find(spec: DatasetSpec, root: Path | None) -> Dataset:
        del root
        items = tuple(
            memory_item(Path(file).stem, partial(photograph, file, box))
            for file, box in files.items()
        )
        return Dataset(spec.name, spec.description, items, len(items), spec.protocol)

    how = "It is part of scikit-image; reinstall that package."
    return DatasetSpec(name, description, "div2k", how, find)


DATASETS = (
    _set("embedded-train", "photographs shipped with scikit-image", _TRAINING),
    _set("embedded-eval", "crops of photographs shipped with scikit-image", _EVALUATION),
    _set(
        INPUT,
        "256x256 pixels of a photograph shipped with scikit-image",
        {"astronaut.png": (64, 112, 256, 256)},
    ),
)
