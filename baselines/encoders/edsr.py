"""EDSR (Lim et al., CVPR Workshops 2017), as an encoder or with its own upsampler."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from baselines.base import Encoder, EncoderSpec
from baselines.encoders.colours import Values, colours_of
from baselines.fast.banding import in_bands


def conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Make a 3x3 convolution that keeps height and width (zero padding)."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=1)


class ResidualBlock(nn.Module):
    """Residual block: convolution, ReLU, convolution, times a constant; no batch normalisation."""

    def __init__(self, channels: int, scale: float = 1) -> None:
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(
            conv3x3(channels, channels), nn.ReLU(inplace=True), conv3x3(channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        inner: Tensor = self.body(x)
        return x + (inner if self.scale == 1 else inner * self.scale)


def upsampling_steps(scale: int) -> list[int]:
    """List the pixel shuffles that make a scale: x2 steps for powers of two, one step for x3.

    Raises:
        ValueError: for another scale.
    """
    if scale == 3:
        return [3]
    if scale >= 2 and math.log2(scale).is_integer():
        return [2] * int(math.log2(scale))
    raise ValueError(f"a sub-pixel upsampler does x3 and powers of two, not x{scale}")


def tail_of(channels: int, scale: int | None) -> nn.Module:
    """Make EDSR's sub-pixel upsampler and the convolution to colours; nothing for scale None."""
    if scale is None:
        return nn.Identity()
    layers: list[nn.Module] = []
    for step in upsampling_steps(scale):
        layers += [conv3x3(channels, step * step * channels), nn.PixelShuffle(step)]
    return nn.Sequential(nn.Sequential(*layers), conv3x3(channels, 3))


def upsample(tail: Callable[[Tensor], Tensor], x: Tensor, scale: int | None) -> Tensor:
    """Run a sub-pixel upsampler, in bands of rows where a whole image would need too much memory.

    Args:
        tail: convolutions and pixel shuffles; at most one convolution on the LR grid, and fewer
            than two rows of it in all others.
        x: (B, C, h, w).
        scale: scale of the tail; None for an encoder without one.
    """
    if scale is None:
        return tail(x)
    # The last stage's channels before and after their shuffle, and their copy for the convolution.
    return in_bands(tail, x, 3, 3 * scale**2 * x.shape[1] * x.shape[3] * x.element_size())


class EDSR(Encoder):
    """EDSR-baseline; by default without its colour shift, as the LIIF family uses it.

    Args:
        blocks: number of residual blocks.
        features: channels of every hidden layer.
        residual_scale: factor of the output that a block adds to its input; 0.1 in the large EDSR
            (sec. 3.3).
        scale: None makes the encoder (LR features); an integer adds EDSR's own upsampler.
        values: value range of the layers with the upsampler (`Colours`).
        shifted: whether the mean colour is subtracted; EDSR's own project has "bytes", shifted.

    Example:
        >>> import torch
        >>> EDSR(blocks=2, features=8)(torch.zeros(1, 3, 5, 4)).shape
        torch.Size([1, 8, 5, 4])
    """

    window = 1

    def __init__(
        self,
        blocks: int = 16,
        features: int = 64,
        residual_scale: float = 1,
        scale: int | None = None,
        values: Values = "signed",
        shifted: bool = False,
    ) -> None:
        super().__init__()
        self.colours = colours_of(scale, values, shifted)
        self.upsampled_range = self.colours.outside
        self.scale = scale
        self.out_channels = features if scale is None else 3
        self.head = nn.Sequential(conv3x3(3, features))
        self.body = nn.Sequential(
            *(ResidualBlock(features, residual_scale) for _ in range(blocks)),
            conv3x3(features, features),
        )
        self.tail = tail_of(features, scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to (B, features, h, w), or to (B, 3, h*scale, w*scale)."""
        x = self.head(self.colours.enter(lr))
        return self.colours.leave(upsample(self.tail, x + self.body(x), self.scale))


ENCODERS = (
    EncoderSpec("edsr", EDSR, "EDSR"),  # EDSR-baseline, as the LIIF family calls it
    EncoderSpec(
        "edsr-large",
        partial(EDSR, blocks=32, features=256, residual_scale=0.1),
        "EDSR (256 features)",
        implicit=False,
    ),
)
