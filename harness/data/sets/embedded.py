"""Real photographs inside scikit-image: substitute data that is always available.

They show the path from training to report, and are no benchmark: there are three evaluation images,
and some training images are grey textures.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor

from harness.data.images import read_rgb
from harness.data.sets.base import Dataset, DatasetSpec, memory_item

# A crop keeps the quick profile quick; (top, left, height, width).
_EVALUATION = {
    "astronaut": (0, 64, 384, 384),
    "chelsea": (0, 60, 300, 384),
    "coffee": (16, 100, 384, 384),
}
_TRAINING = (
    "rocket.jpg",
    "motorcycle_left.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "camera.png",
    "brick.png",
    "grass.png",
    "gravel.png",
)


def _photograph(file: str, box: tuple[int, int, int, int] | None = None) -> Tensor:
    import skimage.data

    image = read_rgb(Path(skimage.data.__file__).parent / file)
    if box is None:
        return image
    top, left, height, width = box
    return image[:, top : top + height, left : left + width].contiguous()


def _find_train(spec: DatasetSpec, root: Path | None) -> Dataset:
    del root
    items = tuple(memory_item(Path(f).stem, partial(_photograph, f)) for f in _TRAINING)
    return Dataset(spec.name, spec.description, items, len(items), spec.protocol)


def _find_eval(spec: DatasetSpec, root: Path | None) -> Dataset:
    del root
    items = tuple(
        memory_item(name, partial(_photograph, f"{name}.png", box))
        for name, box in _EVALUATION.items()
    )
    return Dataset(spec.name, spec.description, items, len(items), spec.protocol)


_HOW = "It is part of scikit-image; reinstall that package."

EMBEDDED = (
    DatasetSpec(
        "embedded-train", "photographs shipped with scikit-image", "div2k", _HOW, _find_train
    ),
    DatasetSpec(
        "embedded-eval", "crops of photographs shipped with scikit-image", "div2k", _HOW, _find_eval
    ),
)
