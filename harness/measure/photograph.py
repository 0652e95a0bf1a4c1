"""Image that is enlarged where times and memory are measured."""

from __future__ import annotations

from torch import Tensor

from harness.data.degrade import pil_resize
from harness.data.sets import embedded

NAME = "astronaut of scikit-image"


def photograph(size: tuple[int, int]) -> Tensor:
    """Make a photograph that ships inside scikit-image, uint8 (3, h, w), at this size.

    It is not noise, because the experts that a network chooses, and so its cost, depend on the
    image.
    """
    return pil_resize(embedded.photograph("astronaut.png"), size)
