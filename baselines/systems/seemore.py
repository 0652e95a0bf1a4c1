"""SeemoRe (Zamfir et al., ICML 2024, arXiv 2402.03412): efficient SR at one scale, three sizes.

Residual groups (Fig. 2) consist of two blocks each. The rank modulating expert (RME, Sec. 3.1) adds
the output of one of several low-rank experts, made from local features and their context. The
spatial modulating expert (SME, Sec. 3.2) weighs features by a large striped kernel. In each group,
a router chooses the expert for the whole image. It has no features for implicit decoders. Where the
paper is short, names and order of layers are those of the authors' code (`docs/fidelity.md` says
where).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Encoder, EncoderSpec, Range
from baselines.encoders.colours import Colours
from baselines.encoders.edsr import conv3x3
from baselines.macs import MacCount
from baselines.names import Names, Pairs
from baselines.windows import Size, mirrored

# Side and step of the convolution that gathers context, Sec. 3.1, eq. 1.
STRIDE = 4


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel of (B, C, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (B, C, h, w) over C."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def pointwise(in_channels: int, out_channels: int) -> nn.Conv2d:
    """Make a linear layer that works on every pixel (1x1 convolution)."""
    return nn.Conv2d(in_channels, out_channels, 1)


def stripes(channels: int, kernel: int) -> nn.Sequential:
    """Make a row and then a column convolution per channel, `kernel` taps each; sizes are kept."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, (1, kernel), padding=(0, kernel // 2), groups=channels),
        nn.Conv2d(channels, channels, (kernel, 1), padding=(kernel // 2, 0), groups=channels),
    )


def per_pixel(layers: nn.Module) -> int:
    """Count the MACs of convolutions per output pixel: each weight is used once."""
    return sum(m.weight.numel() for m in layers.modules() if isinstance(m, nn.Conv2d))


class GatedFFN(nn.Module):
    """Feed-forward block: half of the channels is multiplied by a convolution of the other half."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.widen = pointwise(channels, 2 * channels)
        self.merge = pointwise(channels, channels)
        self.gate = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        value, gate = F.gelu(self.widen(x)).chunk(2, dim=1)
        return F.gelu(self.merge(value * self.gate(gate)))


class LowRankExpert(nn.Module):
    """Product of local features and context in a few channels, R_i (eq. 3)."""

    def __init__(self, channels: int, rank: int) -> None:
        super().__init__()
        self.local = pointwise(channels, rank)
        self.context = pointwise(channels, rank)
        self.expand = pointwise(rank, channels)

    def forward(self, local: Tensor, context: Tensor) -> Tensor:
        """Map local features and context, (B, C, h, w) each, to the same shape."""
        out: Tensor = self.expand(self.local(local) * self.context(context))
        return out


class LowRankMixture(nn.Module):
    """Mixture of low-rank expertise (MoRE; Fig. 3, Algorithm 1).

    Args:
        channels: channels of input and output.
        ranks: ranks of the experts, R_i.
        recursion: how often the context is gathered, t.
        shuffle: whether the two views of the input share each half of the projection's channels.
    """

    def __init__(self, channels: int, ranks: Sequence[int], recursion: int, shuffle: bool) -> None:
        super().__init__()
        self.recursion = recursion
        self.shuffle = shuffle
        self.project = nn.Sequential(
            conv3x3(channels, channels), nn.GELU(), pointwise(channels, 2 * channels)
        )
        self.gather = nn.Conv2d(channels, channels, STRIDE, STRIDE, groups=channels)
        self.refine = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
            pointwise(channels, channels),
        )
        self.local = stripes(channels, 3)
        self.experts = nn.ModuleList(LowRankExpert(channels, rank) for rank in ranks)
        self.router = nn.Linear(channels, len(ranks), bias=False)
        self.merge = pointwise(channels, channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, h, w), sides of at least STRIDE**recursion, to the same and (B,) experts."""
        views = self.project(x)
        if self.shuffle:
            views = F.channel_shuffle(views, 2)
        local, broad = views.chunk(2, dim=1)
        local = F.gelu(self.local(local))
        context = broad + self._context(broad)
        scores = self.router(local.mean(dim=(2, 3)))
        shares = scores.softmax(dim=1, dtype=torch.float32).to(local.dtype)
        chosen = shares.argmax(dim=1)
        served = self._all if self.training else self._chosen
        mixed = local + served(local, context, shares, chosen)
        return self.merge(mixed), chosen

    def _context(self, x: Tensor) -> Tensor:
        """Gather the context of each pixel from a recursively reduced image (eqs. 1, 2)."""
        size = x.shape[-2:]
        for _ in range(self.recursion):
            x = F.gelu(self.gather(x))
        return F.interpolate(self.refine(x), size=size, mode="bilinear", align_corners=False)

    def _chosen(self, local: Tensor, context: Tensor, shares: Tensor, chosen: Tensor) -> Tensor:
        """Run each image's own expert, times its share (eq. 4, the others' weights zero)."""
        answers = [
            self.experts[number](local[i : i + 1], context[i : i + 1]) * shares[i, number]
            for i, number in enumerate(chosen.tolist())
        ]
        return torch.cat(answers)

    def _all(self, local: Tensor, context: Tensor, shares: Tensor, chosen: Tensor) -> Tensor:
        """Run every expert, as Algorithm 1 trains.

        Experts that are not chosen get gradients of zero instead of none, so that Adam's momentum
        still moves them. The router learns through the share of the chosen expert.
        """
        gates = shares * F.one_hot(chosen, len(self.experts)).to(shares)
        answers = [
            expert(local, context) * gates[:, j, None, None, None]
            for j, expert in enumerate(self.experts)
        ]
        return torch.stack(answers).sum(dim=0)

    def macs(self, size: tuple[int, int]) -> list[int]:
        """Count the MACs of one (h, w) image in evaluation, for each expert."""
        pixels = math.prod(size)
        total = pixels * sum(map(per_pixel, (self.project, self.local, self.merge)))
        for _ in range(self.recursion):
            size = (size[0] // STRIDE, size[1] // STRIDE)
            total += math.prod(size) * per_pixel(self.gather)
        total += math.prod(size) * per_pixel(self.refine) + self.router.weight.numel()
        return [total + pixels * per_pixel(expert) for expert in self.experts]


class RankModulatingExpert(nn.Module):
    """RME (Sec. 3.1): mixture of low-rank experts and feed-forward block; arguments as there."""

    def __init__(self, channels: int, ranks: Sequence[int], recursion: int, shuffle: bool) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.mixture = LowRankMixture(channels, ranks, recursion, shuffle)
        self.norm2 = ChannelNorm(channels)
        self.ffn = GatedFFN(channels)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, h, w) to the same shape, and return its (B,) experts."""
        mixed, chosen = self.mixture(self.norm1(x))
        x = x + mixed
        return x + self.ffn(self.norm2(x)), chosen


class SpatialEnhancement(nn.Module):
    """Spatial enhancement expertise (SEE, eq. 5): features times a convolution of others.

    Its stripes have an odd number of taps, `kernel`.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.merge = pointwise(channels, channels)
        self.project = pointwise(channels, 2 * channels)
        self.stripes = stripes(channels, kernel)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        around, value = F.gelu(self.project(x)).chunk(2, dim=1)
        out: Tensor = self.merge(self.stripes(around) * value)
        return out


class SpatialModulatingExpert(nn.Module):
    """SME (Sec. 3.2): spatial enhancement and feed-forward block; arguments as there."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels)
        self.enhance = SpatialEnhancement(channels, kernel)
        self.norm2 = ChannelNorm(channels)
        self.ffn = GatedFFN(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, h, w) to the same shape."""
        x = x + self.enhance(self.norm1(x))
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class ResidualGroup(nn.Module):
    """RME followed by SME (Fig. 2)."""

    def __init__(self, rank: RankModulatingExpert, space: SpatialModulatingExpert) -> None:
        super().__init__()
        self.rank = rank
        self.space = space

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, C, h, w) to the same shape, and return the (B,) experts of its mixture."""
        x, chosen = self.rank(x)
        return self.space(x), chosen

    def macs(self, size: tuple[int, int]) -> list[int]:
        """Count the MACs for each expert of the mixture."""
        rest = math.prod(size) * (per_pixel(self.rank.ffn) + per_pixel(self.space))
        return [rest + served for served in self.rank.mixture.macs(size)]


_FFN_NAMES = {"fn_1.0": "widen", "fn_2.0": "merge", "gate": "gate"}
_MIXTURE_NAMES = {
    "conv_1": "project",
    "agg_conv.0": "gather",
    "conv": "refine",
    "conv_2.0.conv": "local",
    "moe_layer.experts.{}.conv_1": "experts.{}.local",
    "moe_layer.experts.{}.conv_2": "experts.{}.context",
    "moe_layer.experts.{}.conv_3": "experts.{}.expand",
    "moe_layer.gate.body.2": "router",
    "proj": "merge",
}
_ENHANCEMENT_NAMES = {"proj": "merge", "to_qv.0": "project", "attn.conv": "stripes"}


def _block_names(official: str, ours: str, inside: str, parts: Mapping[str, str]) -> Pairs:
    """Pair the names of one of a group's two blocks; `inside` is our name of its first part."""
    pairs = {
        **{f"block.{theirs}": f"{inside}.{own}" for theirs, own in parts.items()},
        **{f"ffn.{theirs}": f"ffn.{own}" for theirs, own in _FFN_NAMES.items()},
        **{"norm_1": "norm1", "norm_2": "norm2"},
    }
    return tuple((f"{official}.{theirs}", f"{ours}.{own}") for theirs, own in pairs.items())


class SeemoRe(Encoder):
    """SeemoRe; the defaults are size T.

    Images smaller than the context needs, STRIDE**recursion pixels a side, are mirrored up to that
    size and the result is cropped; the authors' code refuses them.

    Args:
        groups: number of residual groups.
        channels: channels of every feature map between them.
        recursion: how often a group gathers context, t.
        ranks: ranks of each group's experts, R_i.
        kernel: number of taps of a stripe in SEE; odd.
        shuffle: whether to mix the channels of a mixture's two views.
        scale: scale of the upsampler.

    Example:
        >>> SeemoRe(groups=1, channels=8)(torch.zeros(1, 3, 5, 4)).shape
        torch.Size([1, 3, 10, 8])
    """

    window = 1
    upsampled_range: Range = "unit"
    out_channels = 3
    names = Names(
        (
            ("conv_1", "first"),
            *_block_names("body.{}.local_block", "groups.{}.rank", "mixture", _MIXTURE_NAMES),
            *_block_names("body.{}.global_block", "groups.{}.space", "enhance", _ENHANCEMENT_NAMES),
            ("conv_2", "after"),
            ("upsampler", "tail"),
        )
    )
    scale: int

    def __init__(
        self,
        groups: int = 6,
        channels: int = 36,
        recursion: int = 2,
        ranks: Sequence[int] = (2, 4, 8),
        kernel: int = 11,
        shuffle: bool = True,
        scale: int = 2,
    ) -> None:
        super().__init__()
        if kernel % 2 == 0:
            raise ValueError(f"a stripe of {kernel} taps has no centre; kernels are odd")
        self.expert_count = len(ranks)
        self.layer_count = groups
        self.scale = scale
        self.recursion = recursion
        self.shuffle = shuffle
        self.colours = Colours("unit", shifted=True)
        self.first = conv3x3(3, channels)
        self.groups = nn.ModuleList(
            ResidualGroup(
                RankModulatingExpert(channels, ranks, recursion, shuffle),
                SpatialModulatingExpert(channels, kernel),
            )
            for _ in range(groups)
        )
        self.norm = ChannelNorm(channels)
        self.after = conv3x3(channels, channels)
        self.tail = nn.Sequential(conv3x3(channels, 3 * scale**2), nn.PixelShuffle(scale))

    def features_of(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run all groups on shallow features (B, C, h, w): the same shape, not normalised.

        Returns also the (B, groups) expert of each image and group.
        """
        chosen = []
        for group in self.groups:
            x, served = group(x)
            chosen.append(served)
        return x, torch.stack(chosen, dim=1)

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to (B, 3, h*scale, w*scale)."""
        return self.enlarge(lr)[0]

    def enlarge(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """Map (B, 3, h, w) in [0, 1] to (B, 3, h*scale, w*scale) and its (B, groups) experts."""
        h, w = lr.shape[-2:]
        shallow = self.first(self.colours.enter(mirrored(lr, self._seen((h, w)), repeat_edge=True)))
        x, chosen = self.features_of(shallow)
        sr = self.colours.leave(self.tail(self.after(self.norm(x)) + shallow))
        return sr[..., : h * self.scale, : w * self.scale], chosen

    def macs(self, lr_size: Size) -> list[int]:
        """Count the MACs of one (h, w) image, for each expert as if all groups chose it.

        The cost of a group does not depend on the choices of others, so a mixed choice costs the
        mean over groups.
        """
        seen = self._seen(lr_size)
        rest = math.prod(seen) * sum(map(per_pixel, (self.first, self.after, self.tail)))
        groups = [cast(ResidualGroup, group).macs(seen) for group in self.groups]
        return [rest + sum(by_group) for by_group in zip(*groups, strict=True)]

    def count(
        self, lr_size: Size, choice: Tensor | None = None, shares: Sequence[float] | None = None
    ) -> MacCount:
        """Count the MACs with these experts or shares, else with the costliest: an upper bound."""
        costs = self.macs(lr_size)
        if choice is not None:
            served = choice.long().cpu().bincount(minlength=self.expert_count)
            shares = [int(n) / self.layer_count for n in served]
        if shares is None:
            return MacCount(encoder=max(costs))
        mixed = round(sum(part * cost for part, cost in zip(shares, costs, strict=True)))
        return MacCount(encoder=mixed, shares=tuple(shares))

    def least_macs(self, lr_size: Size) -> int:
        """Count the MACs with the cheapest expert in every group."""
        return min(self.macs(lr_size))

    def _seen(self, size: tuple[int, int]) -> tuple[int, int]:
        """Return (h, w), or the size that a smaller image is mirrored up to."""
        least = STRIDE**self.recursion
        return max(size[0], least), max(size[1], least)


# The sizes of the paper's Sec. 4 and of the authors' configurations.
_B = partial(SeemoRe, groups=8, channels=48)
_L = partial(SeemoRe, groups=16, channels=48, recursion=1, shuffle=False)
SYSTEMS = (
    EncoderSpec("seemore-t", partial(SeemoRe, groups=6, channels=36), "SeemoRe-T"),
    EncoderSpec("seemore-b", _B, "SeemoRe-B"),
    EncoderSpec("seemore-l", _L, "SeemoRe-L"),
)
SIZES = tuple(spec.name for spec in SYSTEMS)
"""Words in method names."""
