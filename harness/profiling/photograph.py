"""The image that is enlarged where times and memory are measured."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from harness.data.degrade import pil_resize
from harness.data.images import to_tensor

NAME = "astronaut of scikit-image"


def photograph(size: tuple[int, int]) -> Tensor:
    """uint8 (3, h, w): a photograph that ships inside scikit-image, at this size.

    No noise: which experts a network chooses, and with that its cost, depends on the image.
    """
    from PIL import Image
    from skimage.data import astronaut

    pixels: Any = astronaut()  # type: ignore[no-untyped-call]
    return pil_resize(to_tensor(Image.fromarray(pixels)), size)
