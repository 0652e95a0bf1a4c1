"""RCAN (Zhang et al., ECCV 2018), as an encoder or with its own upsampler."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.base import Encoder, EncoderSpec, Range
from baselines.encoders.edsr import conv3x3, tail_of, upsample
from baselines.names import Names


class ChannelAttention(nn.Module):
    """Weighting of each channel, decided by the means of all channels over the image."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels // reduction, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels // reduction, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        out: Tensor = x * self.gate(x.mean(dim=(2, 3), keepdim=True))
        return out


class Residual(nn.Module):
    """Layers with a skip connection: RCAN's blocks and its groups of blocks."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        out: Tensor = self.body(x) + x
        return out


def attention_block(channels: int, reduction: int) -> Residual:
    """Make a residual channel attention block."""
    return Residual(
        conv3x3(channels, channels),
        nn.ReLU(inplace=True),
        conv3x3(channels, channels),
        ChannelAttention(channels, reduction),
    )


def group(channels: int, reduction: int, blocks: int) -> Residual:
    """Make a residual group: blocks and a convolution."""
    inner = (attention_block(channels, reduction) for _ in range(blocks))
    return Residual(*inner, conv3x3(channels, channels))


class RCAN(Encoder):
    """RCAN without colour shift, as the LIIF project has it.

    Its channel attention looks at the whole image, so every feature depends on every pixel.

    Args:
        groups: number of residual groups.
        blocks: number of residual channel attention blocks in a group.
        features: channels of every hidden layer.
        reduction: ratio of the channels to those inside the channel attention.
        scale: None makes the encoder (LR features); 2, 3 or 4 adds RCAN's own upsampler.

    Example:
        >>> import torch
        >>> RCAN(groups=1, blocks=2, features=8, reduction=4)(torch.zeros(1, 3, 5, 4)).shape
        torch.Size([1, 8, 5, 4])
    """

    window = 1
    upsampled_range: Range = "signed"
    names = Names((("body.{}.body.{}.body.3.conv_du", "body.{}.body.{}.body.3.gate"),))

    def __init__(
        self,
        groups: int = 10,
        blocks: int = 20,
        features: int = 64,
        reduction: int = 16,
        scale: int | None = None,
    ) -> None:
        super().__init__()
        self.scale = scale
        self.out_channels = features if scale is None else 3
        self.head = nn.Sequential(conv3x3(3, features))
        self.body = nn.Sequential(
            *(group(features, reduction, blocks) for _ in range(groups)),
            conv3x3(features, features),
        )
        self.tail = tail_of(features, scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to (B, features, h, w), or to (B, 3, h*scale, w*scale)."""
        x = self.head(lr)
        return upsample(self.tail, self.body(x) + x, self.scale)


ENCODERS = (EncoderSpec("rcan", RCAN, "RCAN"),)
