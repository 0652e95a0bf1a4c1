"""Baselines of the NTIRE challenges on efficient super-resolution: RLFN, EFDN, SPAN.

Each is what a year of the challenge compares costs with (2024, 2025, 2026), in the form that is
run: branches that training merges into one convolution are that convolution. Layers and channels
are those of the challenge's code; parameters, MACs, activations and convolutions at a 256x256 input
equal the published ones.
"""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Encoder, EncoderSpec, Range
from baselines.encoders.colours import DIV2K_MEAN
from baselines.encoders.edsr import conv3x3
from baselines.macs import MacCount, macs_at
from baselines.systems.seemore import pointwise
from baselines.windows import Size, mirrored

_LEAST = 15
"""Side of the smallest image that the pooling of `SpatialAttention` leaves a pixel of."""


def _shuffle(channels: int, scale: int) -> nn.Sequential:
    """Make a convolution and a pixel shuffle to RGB."""
    return nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))


class SpatialAttention(nn.Module):
    """Enhanced spatial attention (Liu et al., CVPR 2020), with `deep` - 1 more convolutions inside.

    Args:
        channels: channels of input and output.
        inner: channels between.
        deep: number of convolutions of the pooled features, with ReLU between them.
    """

    def __init__(self, channels: int, inner: int, deep: int) -> None:
        super().__init__()
        self.enter, self.around = pointwise(channels, inner), pointwise(inner, inner)
        self.reduce = nn.Conv2d(inner, inner, 3, stride=2)
        self.pooled = nn.ModuleList(conv3x3(inner, inner) for _ in range(deep))
        self.leave = pointwise(inner, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w), sides of at least 15, to the same shape."""
        inside = self.enter(x)
        far = F.max_pool2d(self.reduce(inside), kernel_size=7, stride=3)
        for number, layer in enumerate(self.pooled):
            far = layer(F.relu(far) if number else far)
        far = F.interpolate(far, x.shape[-2:], mode="bilinear", align_corners=False)
        return x * torch.sigmoid(self.leave(far + self.around(inside)))


class _Attending(Encoder):
    """Base class of networks with `SpatialAttention`: small images are mirrored, and cut back."""

    upsampled_range: Range = "unit"
    out_channels = 3
    scale: int

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) in [0, 1] to (B, 3, h*scale, w*scale)."""
        h, w = lr.shape[-2:]
        whole = self.whole(mirrored(lr, (max(h, _LEAST), max(w, _LEAST)), repeat_edge=True))
        return whole[..., : h * self.scale, : w * self.scale]

    def whole(self, lr: Tensor) -> Tensor:
        """Map an image that is large enough."""
        raise NotImplementedError

    def count(self, lr_size: Size, *_: object) -> MacCount:
        """Count the MACs of one (h, w) LR image; pooled features have no size per pixel."""
        return MacCount(encoder=macs_at(self, lr_size))


class LocalFeatures(nn.Module):
    """Block of RLFN: three convolutions with a skip, a pointwise one and spatial attention."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        widths = (channels, inner, inner, channels)
        self.layers = nn.Sequential(
            *(
                layer
                for one, two in itertools.pairwise(widths)
                for layer in (conv3x3(one, two), nn.LeakyReLU(0.05))
            )
        )
        self.merge = pointwise(channels, channels)
        self.attention = SpatialAttention(channels, 16, deep=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        out: Tensor = self.attention(self.merge(self.layers(x) + x))
        return out


class RLFN(_Attending):
    """Residual local feature network (Kong et al., CVPRW 2022) as in the challenge of 2022 to 2024.

    Args:
        blocks: number of blocks.
        channels: channels between blocks.
        inner: channels inside.
        scale: scale of the upsampler.

    Example:
        >>> sum(p.numel() for p in RLFN().parameters())
        317218
    """

    def __init__(
        self, blocks: int = 4, channels: int = 46, inner: int = 48, scale: int = 4
    ) -> None:
        super().__init__()
        self.scale = scale
        self.first = conv3x3(3, channels)
        self.blocks = nn.Sequential(*(LocalFeatures(channels, inner) for _ in range(blocks)))
        self.last = conv3x3(channels, channels)
        self.tail = _shuffle(channels, scale)

    def whole(self, lr: Tensor) -> Tensor:
        """Run the network, whose layers see values in [0, 255]."""
        shallow = self.first(lr * 255)
        out: Tensor = self.tail(self.last(self.blocks(shallow)) + shallow) / 255
        return out


class EdgeCell(nn.Module):
    """Cell of EFDN: halves of its input and of three layers, merged, with spatial attention."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        convolutions = (pointwise, conv3x3, conv3x3)
        self.layers = nn.ModuleList(
            nn.Sequential(make(channels, channels), nn.PReLU(channels)) for make in convolutions
        )
        self.halves = nn.ModuleList(pointwise(channels, channels // 2) for _ in range(4))
        self.merge = pointwise(4 * (channels // 2), channels)
        self.attention = SpatialAttention(channels, channels // 4, deep=3)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        seen = [x]
        for layer in self.layers:
            seen.append(layer(seen[-1]))
        parts = [half(part) for half, part in zip(self.halves, seen, strict=True)]
        out: Tensor = self.attention(self.merge(torch.cat(parts, dim=1))) + x
        return out


class EFDN(_Attending):
    """Edge-enhanced feature distillation network (Wang, CVPRW 2022), its edge branches merged.

    Args:
        blocks: number of cells; at least 2.
        channels: channels between cells; a multiple of 4.
        scale: scale of the upsampler.

    Example:
        >>> sum(p.numel() for p in EFDN().parameters())
        276192
    """

    def __init__(self, blocks: int = 4, channels: int = 48, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.first = conv3x3(3, channels)
        self.cells = nn.ModuleList(EdgeCell(channels) for _ in range(blocks))
        self.fuse = nn.ModuleList(pointwise(2 * channels, channels) for _ in range(blocks - 1))
        self.tail = _shuffle(channels, scale)

    def whole(self, lr: Tensor) -> Tensor:
        """Run the network: the second cell is merged with the first, each later one with it."""
        shallow = self.first(lr)
        first = self.cells[0](shallow)
        second = self.cells[1](first)
        x = self.fuse[0](torch.cat([first, second], dim=1))
        for cell, fuse in zip(self.cells[2:], self.fuse[1:], strict=True):
            x = fuse(torch.cat([second, cell(x)], dim=1))
        sr: Tensor = self.tail(x + shallow)
        return sr.clamp(0, 1)


class FreeAttention(nn.Module):
    """Block of SPAN: three convolutions; the result weighs itself, without parameters."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(conv3x3(channels, channels) for _ in range(3))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, h, w) to the same shape; also returns what the second layer sees."""
        first = F.silu(self.layers[0](x))  # activated in place in the authors' code
        last = self.layers[2](F.silu(self.layers[1](first)))
        return (last + x) * (torch.sigmoid(last) - 0.5), first


class SPAN(Encoder):
    """Swift parameter-free attention network (Wan et al., CVPRW 2024), of the challenge's width.

    Args:
        blocks: number of blocks.
        channels: channels between blocks; 28 in 2026, 48 in the paper.
        scale: scale of the upsampler.

    Example:
        >>> sum(p.numel() for p in SPAN().parameters())
        150688
    """

    upsampled_range: Range = "unit"
    out_channels = 3

    def __init__(self, blocks: int = 6, channels: int = 28, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN)[:, None, None], persistent=False)
        self.mean: Tensor
        self.first = conv3x3(3, channels)
        self.blocks = nn.ModuleList(FreeAttention(channels) for _ in range(blocks))
        self.last = conv3x3(channels, channels)
        self.merge = pointwise(4 * channels, channels)
        self.tail = _shuffle(channels, scale)

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) in [0, 1] to (B, 3, h*scale, w*scale)."""
        shallow = x = self.first((lr - self.mean) * 255)
        outs, inner = [], x
        for block in self.blocks:
            x, inner = block(x)
            outs.append(x)
        merged = self.merge(torch.cat([shallow, self.last(x), outs[0], inner], dim=1))
        sr: Tensor = self.tail(merged)
        return sr


SYSTEMS = (
    EncoderSpec("rlfn", RLFN, "RLFN"),
    EncoderSpec("efdn", EFDN, "EFDN"),
    EncoderSpec("span", SPAN, "SPAN"),
)
