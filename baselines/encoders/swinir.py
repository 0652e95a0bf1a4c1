"""SwinIR (Liang et al., ICCV Workshops 2021), classical SR, as an encoder or with its upsampler."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from baselines.base import Encoder, EncoderSpec, Range
from baselines.encoders.colours import DIV2K_MEAN
from baselines.encoders.edsr import conv3x3, tail_of, upsample
from baselines.fast.banding import in_bands, spans
from baselines.names import Names
from baselines.shared_batch import by_sample
from baselines.windows import mirrored, whole_windows

# Official and our names of what SwinIR and SRFormer have in common.
BLOCK = ("layers.{}.residual_group.blocks.{}", "groups.{}.blocks.{}")
SHARED_NAMES = (
    ("conv_first", "first"),
    ("patch_embed.norm", "embed_norm"),
    BLOCK,
    ("layers.{}.conv", "groups.{}.conv"),
    ("conv_after_body", "after"),
)


def partition(x: Tensor, window: int) -> Tensor:
    """Split (B, H, W, C) into windows, (B * windows, window * window, C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // window, window, w // window, window, c)
    return x.transpose(2, 3).reshape(-1, window * window, c)


def merge(windows: Tensor, window: int, size: tuple[int, int]) -> Tensor:
    """Invert `partition` for an image of size (H, W)."""
    h, w = size
    x = windows.reshape(-1, h // window, w // window, window, window, windows.shape[-1])
    return x.transpose(2, 3).reshape(-1, h, w, windows.shape[-1])


@lru_cache(maxsize=4)  # shared by all blocks of a network, and many times as large as its weights
@torch.inference_mode(False)
def relative_positions(window: int) -> Tensor:
    """Compute the (N, N) bias table index of the offset between two pixels of a window."""
    # On a CPU: on the meta device this sum would import a symbolic library, for most of a second.
    axis = torch.arange(window, device="cpu")
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij")).flatten(1)
    offset = grid[:, :, None] - grid[:, None, :] + window - 1
    return offset[0] * (2 * window - 1) + offset[1]


def shift_regions(size: tuple[int, int], window: int, shift: int, device: torch.device) -> Tensor:
    """Number the regions that were apart before the cyclic shift, (windows, N), by window."""
    h, w = size
    rows = torch.zeros(h, device=device)
    columns = torch.zeros(w, device=device)
    for axis, length in ((rows, h), (columns, w)):
        axis[length - window : length - shift] = 1
        axis[length - shift :] = 2
    region = rows[:, None] * 3 + columns[None, :]
    return partition(region[None, :, :, None], window).squeeze(-1)


def shift_mask(size: tuple[int, int], window: int, shift: int, device: torch.device) -> Tensor:
    """Make the (windows, N, N) mask: -100 between pixels that only the cyclic shift joins."""
    labels = shift_regions(size, window, shift, device)
    return (labels[:, :, None] != labels[:, None, :]).float() * -100


def drop_rates(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Compute the stochastic depth rates of all blocks by group, from 0 (first) to `last` (last).

    Raises:
        ValueError: the rate is outside [0, 1).

    Example:
        >>> drop_rates(0.25, [2, 3])
        [[0.0, 0.0625], [0.125, 0.1875, 0.25]]
    """
    if not 0 <= last < 1:
        raise ValueError(f"drop_path is a rate from 0 to below 1, not {last}")
    blocks = sum(depths)
    rates = (last * block / max(blocks - 1, 1) for block in range(blocks))
    return [list(itertools.islice(rates, depth)) for depth in depths]


def drop_path(branch: Tensor, rate: float, training: bool) -> Tensor:
    """Drop a residual branch (B, H, W, C) for some samples: stochastic depth.

    Each sample is drawn separately, in training only. A branch that is kept is divided by 1 - rate,
    so that its expectation is the same as in evaluation.
    """
    if not training or not rate:
        return branch
    each = branch.new_empty(branch.shape[0], 1, 1, 1)
    kept = by_sample(lambda samples: samples.bernoulli_(1 - rate), each)
    return branch * (kept / (1 - rate))


def initialise(module: nn.Module) -> None:
    """Initialise a linear layer as the official code of SwinIR and SRFormer does."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)


class Attention(nn.Module, ABC):
    """Multi-head attention of a window's pixels to keys, with relative position bias.

    `positions` (N, K) has the bias table index of the offset between each pixel and key; the bias
    distinguishes `side` positions along a side of a window.
    """

    proj: nn.Linear

    def __init__(self, heads: int, side: int, positions: Tensor) -> None:
        super().__init__()
        self.heads = heads
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * side - 1) ** 2, heads))
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)
        positions = positions.to(self.relative_position_bias_table.device)
        self.register_buffer("positions", positions, persistent=False)
        self.positions: Tensor

    @abstractmethod
    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Map (windows, N, C) to queries, keys and values, (windows, heads, N or K, C / heads)."""

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map (windows, N, C) to the same; `mask` (windows, N, K) is added to the scores."""
        q, k, v = self.project(x)
        bias = self.relative_position_bias_table[self.positions].permute(2, 0, 1)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1) + bias
        if mask is not None:
            by_image = scores.reshape(-1, mask.shape[0], *scores.shape[1:])
            scores = (by_image + mask[:, None]).reshape(scores.shape)
        out: Tensor = self.proj((scores.softmax(dim=-1) @ v).transpose(1, 2).reshape(x.shape))
        return out


class WindowAttention(Attention):
    """Self-attention of a window's pixels."""

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__(heads, window, relative_positions(window))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys and values of every pixel; see `Attention.project`."""
        n, length, channels = x.shape
        qkv = self.qkv(x).reshape(n, length, 3, self.heads, channels // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v


class WindowBlock(nn.Module):
    """Attention within windows and an MLP, each with layer norm before it and a skip around it.

    In training, each of the two is dropped for a share `rate` of the samples (`drop_path`).

    Args:
        attention: attention of one window.
        mlp: MLP of (B, H, W, C).
        by_pixel: whether the MLP works on every pixel by itself.
        channels: channels of the features.
        window: side of the windows.
        shift: shift of the windows.
        rate: rate of stochastic depth.
        copies: copies of the features that the attention holds for a pixel: queries, keys, values
            twice, the rest.
    """

    def __init__(
        self,
        attention: Attention,
        mlp: nn.Module,
        by_pixel: bool,
        channels: int,
        window: int,
        shift: int,
        rate: float,
        copies: int,
    ) -> None:
        super().__init__()
        self.by_pixel = by_pixel
        self.window = window
        self.shift = shift
        self.rate = rate
        self.copies = copies
        self.norm1 = nn.LayerNorm(channels)
        self.attn = attention
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = mlp

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        size = (x.shape[1], x.shape[2])
        bands = spans(x, size[0], x.shape[0] * self._row_bytes(x), multiple=self.window)
        if len(bands) > 1 and not self.training:
            return self._in_bands(x, mask, bands)
        y = self.norm1(x)
        if self.shift:
            y = y.roll((-self.shift, -self.shift), dims=(1, 2))
        attended = self.attn(partition(y, self.window), mask if self.shift else None)
        y = merge(attended, self.window, size)
        if self.shift:
            y = y.roll((self.shift, self.shift), dims=(1, 2))
        return self._fed(x + drop_path(y, self.rate, self.training))

    def _fed(self, x: Tensor) -> Tensor:
        """Run the MLP, with norm and skip."""
        out: Tensor = x + drop_path(self.mlp(self.norm2(x)), self.rate, self.training)
        return out

    def _row_bytes(self, x: Tensor) -> int:
        """Compute the bytes of a row: the features' copies, and three copies of the scores."""
        pixel = self.copies * x.shape[3] + 3 * self.attn.heads * self.attn.positions.shape[1]
        return pixel * x.shape[2] * x.element_size()

    def _in_bands(self, x: Tensor, mask: Tensor, bands: list[tuple[int, int]]) -> Tensor:
        """Run the block in bands of rows of windows, which do not depend on each other."""
        height, width = x.shape[1:3]
        across = width // self.window
        rows = (torch.arange(height, device=x.device) + self.shift) % height
        out = torch.empty_like(x)
        for first, end in bands:
            here = rows[first:end]
            known = x.index_select(1, here)
            y = partition(self.norm1(known).roll(-self.shift, dims=2), self.window)
            part = mask[first // self.window * across : end // self.window * across]
            y = merge(self.attn(y, part if self.shift else None), self.window, (end - first, width))
            known += y.roll(self.shift, dims=2)
            out[:, here] = self._fed(known) if self.by_pixel else known
        return out if self.by_pixel else self._fed(out)


def swin_block(
    channels: int, heads: int, window: int, shift: int, rate: float, ratio: int
) -> WindowBlock:
    """Make SwinIR's block: self-attention, and an MLP of every pixel."""
    attention, hidden = WindowAttention(channels, heads, window), ratio * channels
    mlp = nn.Sequential(nn.Linear(channels, hidden), nn.GELU(), nn.Linear(hidden, channels))
    return WindowBlock(attention, mlp, True, channels, window, shift, rate, copies=10)


class ResidualGroup(nn.Module):
    """Blocks of windows, alternately without and with shift, and then a convolution.

    `block` makes a block from the shift of its windows and its rate of stochastic depth.
    """

    def __init__(
        self,
        block: Callable[[int, float], nn.Module],
        channels: int,
        window: int,
        rates: Sequence[float],
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            block(window // 2 * (i % 2), rate) for i, rate in enumerate(rates)
        )
        self.conv = conv3x3(channels, channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Map (B, H, W, C) to the same shape."""
        y = x
        for block in self.blocks:
            y = block(y, mask)
        row_bytes = 4 * x.shape[3] * x.shape[2] * x.element_size()
        y = in_bands(self.conv, y.permute(0, 3, 1, 2), 1, row_bytes).permute(0, 2, 3, 1)
        return y + x


class WindowTransformer(Encoder):
    """Transformer with windows, between two convolutions: SwinIR and SRFormer.

    Args:
        block: makes a block from shift and rate of stochastic depth.
        mask: makes the mask of shifted windows, from the arguments of `shift_mask`.
        channels, depths, window, drop_path: as in `SwinIR`.
    """

    upsampled_range: Range = "unit"

    def __init__(
        self,
        block: Callable[[int, float], WindowBlock],
        mask: Callable[[tuple[int, int], int, int, torch.device], Tensor],
        channels: int,
        depths: Sequence[int],
        window: int,
        drop_path: float,
    ) -> None:
        super().__init__()
        self.mask = mask
        self.window = window
        self.first = conv3x3(3, channels)
        self.embed_norm = nn.LayerNorm(channels)
        self.groups = nn.ModuleList(
            ResidualGroup(block, channels, window, rates) for rates in drop_rates(drop_path, depths)
        )
        self.norm = nn.LayerNorm(channels)
        self.after = conv3x3(channels, channels)

    def whole(self, lr: Tensor) -> Tensor:
        """Pad (B, 3, h, w) by reflection at the bottom and right to whole windows."""
        size = whole_windows((lr.shape[-2], lr.shape[-1]), self.window)
        return mirrored(lr, size, repeat_edge=False)

    def transformed(self, image: Tensor) -> Tensor:
        """Map whole windows (B, 3, H, W) to features (B, channels, H, W)."""
        first = self.first(image)
        size = (image.shape[-2], image.shape[-1])
        mask = self.mask(size, self.window, self.window // 2, image.device)
        x = self.embed_norm(first.permute(0, 2, 3, 1))
        for group in self.groups:
            x = group(x, mask)
        out: Tensor = self.after(self.norm(x).permute(0, 3, 1, 2)) + first
        return out


class SwinIR(WindowTransformer):
    """SwinIR for classical SR.

    The input is padded by reflection at the bottom and right to whole windows. As an encoder, the
    features keep that padding, as in the LIIF family; with its own upsampler, the result is
    cropped.

    Args:
        features: channels of the result (encoder) or before the upsampler; None makes an encoder
            whose result is the transformer's, without the convolution after it.
        channels: width of the transformer.
        depths: number of blocks in each group.
        heads: number of attention heads.
        window: side of the windows.
        ratio: ratio of the MLPs' width to `channels`.
        drop_path: rate of stochastic depth in the last block (`drop_rates`).
        scale: None makes the encoder, on [-1, 1]; 2, 3 or 4 adds the upsampler, on [0, 1].
    """

    names = Names(
        (
            (f"{BLOCK[0]}.mlp.fc1", f"{BLOCK[1]}.mlp.0"),
            (f"{BLOCK[0]}.mlp.fc2", f"{BLOCK[1]}.mlp.2"),
            ("conv_before_upsample", "before_upsampler"),
            ("upsample", "tail.0"),
            ("conv_last", "tail.1"),
            *SHARED_NAMES,
        )
    )

    def __init__(
        self,
        features: int | None = 64,
        channels: int = 180,
        depths: Sequence[int] = (6, 6, 6, 6, 6, 6),
        heads: int = 6,
        window: int = 8,
        ratio: int = 2,
        drop_path: float = 0.1,
        scale: int | None = None,
    ) -> None:
        block = partial(swin_block, channels, heads, window, ratio=ratio)
        super().__init__(block, shift_mask, channels, depths, window, drop_path)
        self.scale = scale
        width = channels if features is None else features
        self.out_channels = width if scale is None else 3
        self.before_upsampler: nn.Module = (
            nn.Identity()
            if features is None
            else nn.Sequential(conv3x3(channels, features), nn.LeakyReLU())
        )
        self.tail = tail_of(width, scale)
        mean = torch.zeros(3) if scale is None else torch.tensor(DIV2K_MEAN)
        self.register_buffer("mean", mean[:, None, None], persistent=False)
        self.mean: Tensor
        self.apply(initialise)

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to features on the padded grid, or to (B, 3, h*scale, w*scale)."""
        x = self.before_upsampler(self.transformed(self.whole(lr) - self.mean))
        out = upsample(self.tail, x, self.scale)
        if self.scale is None:
            return out
        h, w = lr.shape[-2:]
        return (out + self.mean)[..., : h * self.scale, : w * self.scale]


ENCODERS = (EncoderSpec("swinir", SwinIR, "SwinIR"),)
