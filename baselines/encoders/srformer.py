"""SRFormer (Zhou et al., ICCV 2023): SwinIR's layout with permuted self-attention.

Every pixel of a window attends to as many keys as the window has patches of 2x2 pixels. Keys and
values have a quarter of the channels, and those of the four pixels of a patch are concatenated.
Large windows (22x22) therefore cost as little as small ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import EncoderSpec
from baselines.encoders.swinir import (
    BLOCK,
    SHARED_NAMES,
    Attention,
    WindowBlock,
    WindowTransformer,
    initialise,
    relative_positions,
    shift_regions,
)
from baselines.fast.banding import in_bands
from baselines.names import Names

PATCH = 2  # side of the patches of pixels that share a key


@lru_cache(maxsize=4)
@torch.inference_mode(False)
def patch_positions(window: int) -> Tensor:
    """Compute the (N, N / 4) bias table index of the offset between a pixel's patch and a key."""
    side = window // PATCH
    by_patch = relative_positions(side).reshape(side, side, -1)
    by_pixel = by_patch.repeat_interleave(PATCH, dim=0).repeat_interleave(PATCH, dim=1)
    return by_pixel.reshape(window * window, side * side)


def patch_mask(size: tuple[int, int], window: int, shift: int, device: torch.device) -> Tensor:
    """Make the (windows, N, N / 4) mask: -100 between a pixel and a key that only the shift joins.

    With an odd shift, a patch has pixels of both sides; it is counted with the far side.
    """
    pixels = shift_regions(size, window, shift, device)
    patches = (size[0] // PATCH, size[1] // PATCH)
    keys = shift_regions(patches, window // PATCH, -(-shift // PATCH), device)
    return (pixels[:, :, None] != keys[:, None, :]).float() * -100


class PermutedAttention(Attention):
    """Attention of a window's pixels to its patches."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__(heads, window // PATCH, patch_positions(window))
        self.side = window // PATCH
        self.kv = nn.Linear(channels, channels // 2)
        self.q = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries of every pixel, keys and values of every patch (channels by pixel)."""
        n, length, channels = x.shape
        q = self.q(x).reshape(n, length, self.heads, channels // self.heads).transpose(1, 2)
        quarter = channels // PATCH**2
        pixels = self.kv(x).reshape(n, self.side, PATCH, self.side, PATCH, 2, quarter)
        patches = pixels.permute(5, 0, 1, 3, 2, 4, 6).reshape(2, n, self.side**2, self.heads, -1)
        k, v = patches.transpose(2, 3).unbind(0)
        return q, k, v


class ConvolutionalMLP(nn.Module):
    """Two linear layers with a depth-wise 5x5 convolution and a skip around it between them."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        row_bytes = 5 * self.fc1.out_features * x.shape[2] * x.element_size()
        banded = in_bands(self._by_channel, x.permute(0, 3, 1, 2), 2, row_bytes)
        return banded.permute(0, 2, 3, 1)

    def _by_channel(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to the same shape."""
        hidden = F.gelu(self.fc1(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        hidden = hidden + F.gelu(self.depthwise(hidden))
        out: Tensor = self.fc2(hidden.permute(0, 2, 3, 1))
        return out.permute(0, 3, 1, 2)


def srformer_block(
    channels: int, heads: int, window: int, shift: int, rate: float, ratio: int
) -> WindowBlock:
    """Make SRFormer's block: permuted attention and convolutional MLP."""
    attention = PermutedAttention(channels, heads, window)
    mlp = ConvolutionalMLP(channels, ratio * channels)
    return WindowBlock(attention, mlp, False, channels, window, shift, rate, copies=8)


class SRFormer(WindowTransformer):
    """SRFormer's transformer, for upsamplers that take its features as they are.

    The input is padded by reflection at the bottom and right to whole windows, and the features
    keep that padding. It has no upsampler of its own. No project trained it under an implicit
    decoder, whose patches of 48 pixels are not whole windows of 22.

    Args:
        channels: width of the transformer and of the result.
        depths: number of blocks in each group.
        heads: number of attention heads.
        window: side of the windows; even.
        ratio: ratio of the MLPs' width to `channels`.
        drop_path: rate of stochastic depth in the last block (`drop_rates`).

    Raises:
        ValueError: a size is not divisible by the patches of 2x2 pixels or by the heads, or a rate
            is outside [0, 1).

    Example:
        >>> SRFormer(channels=8, depths=[2], heads=2, window=4)(torch.zeros(1, 3, 5, 4)).shape
        torch.Size([1, 8, 8, 4])
    """

    scale: int | None = None
    names = Names(
        (
            (f"{BLOCK[0]}.mlp.dwconv.depthwise_conv.0", f"{BLOCK[1]}.mlp.depthwise"),
            *SHARED_NAMES,
        )
    )

    def __init__(
        self,
        channels: int = 180,
        depths: Sequence[int] = (6, 6, 6, 6, 6, 6),
        heads: int = 6,
        window: int = 22,
        ratio: int = 2,
        drop_path: float = 0.1,
    ) -> None:
        if window % PATCH or channels % PATCH**2 or channels % heads:
            raise ValueError(
                f"windows of {window} pixels must be even, and {channels} channels a multiple of "
                f"four and of the {heads} heads"
            )
        block = partial(srformer_block, channels, heads, window, ratio=ratio)
        super().__init__(block, patch_mask, channels, depths, window, drop_path)
        self.out_channels = channels
        self.apply(initialise)

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to (B, channels, H, W), where H and W are whole windows."""
        return self.transformed(self.whole(lr))


ENCODERS = (EncoderSpec("srformer", SRFormer, "SRFormer", implicit=False),)
