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

from baselines.base import Encoder, Range
from baselines.encoders.edsr import conv3x3
from baselines.encoders.swinir import (
    BLOCK,
    SHARED_NAMES,
    ResidualGroup,
    drop_path,
    drop_rates,
    initialise,
    merge,
    partition,
    relative_positions,
    shift_regions,
)
from baselines.fast.banding import in_bands, spans
from baselines.names import Names
from baselines.windows import mirrored, whole_windows

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


class PermutedAttention(nn.Module):
    """Multi-head attention of a window's pixels to its patches, with relative position bias."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads = heads
        self.side = window // PATCH
        table = torch.zeros((2 * self.side - 1) ** 2, heads)
        self.relative_position_bias_table = nn.Parameter(table)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        positions = patch_positions(window).to(self.relative_position_bias_table.device)
        self.register_buffer("positions", positions, persistent=False)
        self.positions: Tensor
        self.kv = nn.Linear(channels, channels // 2)
        self.q = nn.Linear(channels, channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (windows, N, C) to the same; `mask` (windows, N, N / 4) is added to the scores."""
        n, length, channels = x.shape
        size = channels // self.heads
        q = self.q(x).reshape(n, length, self.heads, size).transpose(1, 2)
        k, v = self._keys_and_values(x)
        bias = self.relative_position_bias_table[self.positions].permute(2, 0, 1)
        scores = (q * size**-0.5) @ k.transpose(-2, -1) + bias
        if mask is not None:
            by_image = scores.reshape(-1, mask.shape[0], *scores.shape[1:])
            scores = (by_image + mask[:, None]).reshape(scores.shape)
        out: Tensor = self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(x.shape))
        return out

    def _keys_and_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute (windows, heads, N / 4, C / heads) keys and values, channels by pixel."""
        n, _, channels = x.shape
        quarter = channels // PATCH**2
        pixels = self.kv(x).reshape(n, self.side, PATCH, self.side, PATCH, 2, quarter)
        patches = pixels.permute(5, 0, 1, 3, 2, 4, 6).reshape(2, n, self.side**2, self.heads, -1)
        k, v = patches.transpose(2, 3).unbind(0)
        return k, v


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


class SRFormerBlock(nn.Module):
    """Permuted attention and convolutional MLP, each with layer norm before and a skip around.

    In training, each of the two is dropped for a share `rate` of the samples (`drop_path`).
    """

    def __init__(
        self, channels: int, heads: int, window: int, shift: int, rate: float, ratio: int
    ) -> None:
        super().__init__()
        self.window = window
        self.shift = shift
        self.rate = rate
        self.norm1 = nn.LayerNorm(channels)
        self.attn = PermutedAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = ConvolutionalMLP(channels, ratio * channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        x = x + drop_path(self._attended(self.norm1(x), mask), self.rate, self.training)
        out: Tensor = x + drop_path(self.mlp(self.norm2(x)), self.rate, self.training)
        return out

    def _attended(self, x: Tensor, mask: Tensor) -> Tensor:
        """Run the attention within windows, in bands of rows of windows."""
        height, width = x.shape[1:3]
        across = width // self.window
        x = x.roll((-self.shift, -self.shift), dims=(1, 2))
        parts = []
        for first, end in spans(x, height, x.shape[0] * self._row_bytes(x), multiple=self.window):
            here = mask[first // self.window * across : end // self.window * across]
            windows = partition(x[:, first:end], self.window)
            attended = self.attn(windows, here if self.shift else None)
            parts.append(merge(attended, self.window, (end - first, width)))
        return torch.cat(parts, dim=1).roll((self.shift, self.shift), dims=(1, 2))

    def _row_bytes(self, x: Tensor) -> int:
        """Compute the bytes of a row: queries, keys, values twice, three score copies, the rest."""
        pixel = 8 * x.shape[3] + 3 * self.attn.heads * self.attn.side**2
        return pixel * x.shape[2] * x.element_size()


class SRFormer(Encoder):
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
    upsampled_range: Range = "unit"
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
        super().__init__()
        if window % PATCH or channels % PATCH**2 or channels % heads:
            raise ValueError(
                f"windows of {window} pixels must be even, and {channels} channels a multiple of "
                f"four and of the {heads} heads"
            )
        self.window = window
        self.out_channels = channels
        self.first = conv3x3(3, channels)
        self.embed_norm = nn.LayerNorm(channels)
        block = partial(SRFormerBlock, channels, heads, window, ratio=ratio)
        self.groups = nn.ModuleList(
            ResidualGroup(block, channels, window, rates) for rates in drop_rates(drop_path, depths)
        )
        self.norm = nn.LayerNorm(channels)
        self.after = conv3x3(channels, channels)
        self.apply(initialise)

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to (B, channels, H, W), where H and W are whole windows."""
        size = whole_windows((lr.shape[-2], lr.shape[-1]), self.window)
        first = self.first(mirrored(lr, size, repeat_edge=False))
        mask = patch_mask(size, self.window, self.window // 2, lr.device)
        x = self.embed_norm(first.permute(0, 2, 3, 1))
        for group in self.groups:
            x = group(x, mask)
        out: Tensor = self.after(self.norm(x).permute(0, 3, 1, 2)) + first
        return out
