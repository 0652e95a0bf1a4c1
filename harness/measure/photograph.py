"""Image that is enlarged where times and memory are measured."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from harness.data.degrade import pil_resize
from harness.data.images import to_tensor

NAME = "astronaut of scikit-image"


def photograph(size: tuple[int, int]) -> Tensor:
    """Make a photograph that ships inside scikit-image, uint8 (3, h, w), at this size.

    It is not noise, because the experts that a network chooses, and so its cost, depend on the
    image.
    """
    from PIL import Image
    from skimage.data import astronaut

    pixels: Any = astronaut()  # type: ignore[no-untyped-call]
    return pil_resize(to_tensor(Image.fromarray(pixels)), size)
