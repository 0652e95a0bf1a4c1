"""Colour values of networks with their own upsampler, which differ between projects."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from baselines.base import Range

# Mean colour of DIV2K that the EDSR and SwinIR projects subtract; the LIIF family does not.
DIV2K_MEAN = (0.4488, 0.4371, 0.4040)

Values = Literal["signed", "unit", "bytes"]


class Colours(nn.Module):
    """Conversion from an image to the values that a network's layers see, and back.

    Args:
        values: value range of the layers: "signed", [-1, 1] (LIIF's project); "unit", [0, 1];
            "bytes", [0, 255] (EDSR's project).
        shifted: whether the layers see the difference from DIV2K's mean colour.
    """

    def __init__(self, values: Values = "signed", shifted: bool = False) -> None:
        super().__init__()
        if values not in get_args(Values):
            raise ValueError(f"values are one of {', '.join(get_args(Values))}, not {values!r}")
        if shifted and values == "signed":
            raise ValueError("no project shifts the mean colour of values in [-1, 1]")
        self.peak = 255.0 if values == "bytes" else 1.0
        self.plain = self.peak == 1 and not shifted
        mean = torch.tensor(DIV2K_MEAN) if shifted else torch.zeros(3)
        if self.peak != 1:  # on meta tensors a product imports PyTorch's compiler
            mean = mean * self.peak
        self.register_buffer("mean", mean[:, None, None], persistent=False)
        self.mean: Tensor
        self.outside: Range = "signed" if values == "signed" else "unit"

    def enter(self, image: Tensor) -> Tensor:
        """Convert (B, 3, h, w) in [-1, 1] or [0, 1], as `outside` says, to the layers' values."""
        return image if self.plain else image * self.peak - self.mean

    def leave(self, image: Tensor) -> Tensor:
        """Invert `enter`."""
        return image if self.plain else (image + self.mean) / self.peak


def colours_of(scale: int | None, values: Values, shifted: bool = False) -> Colours:
    """Make the colours of a network with its own upsampler, or of an encoder (scale None).

    Raises:
        ValueError: an encoder has another value range than [-1, 1], which decoders need.
    """
    if scale is None and (values != "signed" or shifted):
        raise ValueError("an encoder works on [-1, 1]; only upsampling networks have `values`")
    return Colours(values, shifted)
