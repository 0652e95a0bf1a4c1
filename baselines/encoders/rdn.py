"""RDN (Zhang et al., CVPR 2018), as an encoder or with its own upsampler."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Encoder, EncoderSpec
from baselines.encoders.colours import Values, colours_of
from baselines.encoders.edsr import conv3x3, upsample, upsampling_steps
from baselines.fast.banding import in_bands
from baselines.names import Names


class DenseBlock(nn.Module):
    """Residual dense block: every layer reads all earlier outputs; a 1x1 convolution fuses them."""

    def __init__(self, channels: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(conv3x3(channels + i * growth, growth), nn.ReLU()) for i in range(layers)
        )
        self.fusion = nn.Conv2d(channels + layers * growth, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        if not torch.is_grad_enabled():
            # All earlier outputs of the block, and their copy for the convolution.
            row_bytes = 2 * self.fusion.in_channels * x.shape[3] * x.element_size()
            return in_bands(self._in_place, x, len(self.layers), row_bytes)
        known = x
        for layer in self.layers:
            known = torch.cat([known, layer(known)], dim=1)
        out: Tensor = self.fusion(known) + x
        return out

    def _in_place(self, x: Tensor) -> Tensor:
        """Run the block without the copies that gradients would need."""
        known = x.new_empty(x.shape[0], self.fusion.in_channels, *x.shape[2:])
        end = x.shape[1]
        known[:, :end] = x
        for layer in self.layers:
            new = layer(known[:, :end])
            known[:, end : end + new.shape[1]] = new
            end += new.shape[1]
        out: Tensor = self.fusion(known) + x
        return out


class RDN(Encoder):
    """RDN without colour shift; the defaults are the LIIF family's configuration B.

    Args:
        features: channels between the blocks.
        blocks: number of residual dense blocks.
        layers: number of convolutions in a block.
        growth: channels that each convolution adds.
        scale: None makes the encoder (LR features); 2, 3 or 4 adds RDN's own upsampler.
        values: value range of the layers with the upsampler (`Colours`).

    Example:
        >>> RDN(8, blocks=2, layers=2, growth=4)(torch.zeros(1, 3, 5, 4)).shape
        torch.Size([1, 8, 5, 4])
    """

    window = 1
    names = Names(
        (
            ("SFENet1", "shallow1"),
            ("SFENet2", "shallow2"),
            ("RDBs.{}.convs.{}.conv.0", "blocks.{}.layers.{}.0"),
            ("RDBs.{}.LFF", "blocks.{}.fusion"),
            ("GFF", "fusion"),
            ("UPNet", "tail"),
        )
    )

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
        """Map (B, 3, h, w) to (B, features, h, w), or to (B, 3, h*scale, w*scale)."""
        first = self.shallow1(self.colours.enter(lr))
        x = self.shallow2(first)
        fused = self._fused(x) if torch.is_grad_enabled() else self._fused_in_turn(x)
        return self.colours.leave(upsample(self.tail, fused + first, self.scale))

    def _fused(self, x: Tensor) -> Tensor:
        """Fuse the outputs of all blocks (global feature fusion)."""
        outputs = []
        for block in self.blocks:
            x = block(x)
            outputs.append(x)
        out: Tensor = self.fusion(torch.cat(outputs, dim=1))
        return out

    def _fused_in_turn(self, x: Tensor) -> Tensor:
        """Fuse block by block: the 1x1 convolution is a sum, so no output has to be kept."""
        mixing = cast(nn.Conv2d, self.fusion[0])
        bias, total = mixing.bias, None
        weights = torch.split(mixing.weight, x.shape[1], dim=1)
        for block, weight in zip(self.blocks, weights, strict=True):
            x = block(x)
            part = F.conv2d(x, weight, bias).float()
            bias, total = None, part if total is None else total.add_(part)
        assert total is not None
        out: Tensor = self.fusion[1](total.to(x.dtype))
        return out


def _upsampler(features: int, growth: int, scale: int) -> nn.Sequential:
    """Make RDN's sub-pixel upsampler, `growth` channels wide inside."""
    layers: list[nn.Module] = []
    channels = features
    for step in upsampling_steps(scale):
        layers += [conv3x3(channels, step * step * growth), nn.PixelShuffle(step)]
        channels = growth
    return nn.Sequential(*layers, conv3x3(growth, 3))


ENCODERS = (EncoderSpec("rdn", RDN, "RDN"),)
