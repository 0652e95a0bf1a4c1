"""RDN (Zhang et al., CVPR 2018), as encoder or with its own upsampler."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from baselines.encoders.colours import Values, colours_of
from baselines.encoders.edsr import conv3x3, upsampling_steps


class DenseBlock(nn.Module):
    """Residual dense block: every layer reads all before it; a 1x1 convolution fuses them."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(conv3x3(channels + i * growth, growth), nn.ReLU()) for i in range(layers)
        )
        self.fusion = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        known = x
        for layer in self.layers:
            known = torch.cat([known, layer(known)], dim=1)
        out: Tensor = self.fusion(known) + x
        return out


class RDN(nn.Module):
    """RDN without colour shift; the defaults are the LIIF family's configuration B.

    Args:
        features: channels between the blocks.
        blocks: residual dense blocks.
        layers: convolutions of a block.
        growth: channels that each of them adds.
        scale: None gives the encoder (LR features); 2, 3 or 4 adds RDN's own upsampler.
        values: with the upsampler, the values that its layers see (`Colours`).

    Example:
        >>> RDN(8, blocks=2, layers=2, growth=4)(torch.zeros(1, 3, 5, 4)).shape
        torch.Size([1, 8, 5, 4])
    """

    window = 1

    def __init__(
        self,
        features: int = 64,
        blocks: int = 16,
        layers: int = 8,
        growth: int = 64,
        scale: int | None = None,
        values: Values = "signed",
    ) -> None:
        super().__init__()
        self.colours = colours_of(scale, values)
        self.upsampled_range = self.colours.outside
        self.scale = scale
        self.out_channels = features if scale is None else 3
        self.shallow1 = conv3x3(3, features)
        self.shallow2 = conv3x3(features, features)
        self.blocks = nn.ModuleList(DenseBlock(features, growth, layers) for _ in range(blocks))
        self.fusion = nn.Sequential(
            nn.Conv2d(blocks * features, features, 1), conv3x3(features, features)
        )
        self.tail = nn.Identity() if scale is None else _upsampler(features, growth, scale)

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, features, h, w), or to (B, 3, h*scale, w*scale)."""
        first = self.shallow1(self.colours.enter(lr))
        x = self.shallow2(first)
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        out: Tensor = self.tail(self.fusion(torch.cat(outputs, dim=1)) + first)
        return self.colours.leave(out)


def _upsampler(features: int, growth: int, scale: int) -> nn.Sequential:
    """RDN's sub-pixel upsampler, `growth` channels wide inside."""
    layers: list[nn.Module] = []
    channels = features
    for step in upsampling_steps(scale):
        layers += [conv3x3(channels, step * step * growth), nn.PixelShuffle(step)]
        channels = growth
    return nn.Sequential(*layers, conv3x3(growth, 3))
