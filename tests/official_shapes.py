"""What the official constructors make: names and shapes of weights, written out by hand.

Nothing of the harness is used here, so that its names and shapes are held against these.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

Shapes = dict[str, tuple[int, ...]]


def layer(name: str, out: int, inside: int, side: int = 3) -> Shapes:
    """A convolution with bias."""
    return {f"{name}.weight": (out, inside, side, side), f"{name}.bias": (out,)}


def linear(name: str, out: int, inside: int) -> Shapes:
    """A linear layer with bias."""
    return {f"{name}.weight": (out, inside), f"{name}.bias": (out,)}


def norm(name: str, width: int) -> Shapes:
    """A layer norm."""
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def edsr(blocks: int, features: int, scale: int | None = None) -> Shapes:
    """EDSR-baseline, without its colour shift."""
    shapes = layer("head.0", features, 3)
    for i in range(blocks):
        for j in (0, 2):
            shapes |= layer(f"body.{i}.body.{j}", features, features)
    shapes |= layer(f"body.{blocks}", features, features)
    if scale is None:
        return shapes
    for i, step in {2: {0: 2}, 3: {0: 3}, 4: {0: 2, 2: 2}}[scale].items():
        shapes |= layer(f"tail.0.{i}", step * step * features, features)
    return shapes | layer("tail.1", 3, features)


def rdn(features: int, config: tuple[int, int, int], scale: int | None = None) -> Shapes:
    """RDN of the LIIF project; the configuration is (blocks, layers, growth)."""
    blocks, layers, growth = config
    shapes = layer("SFENet1", features, 3) | layer("SFENet2", features, features)
    for i in range(blocks):
        for j in range(layers):
            shapes |= layer(f"RDBs.{i}.convs.{j}.conv.0", growth, features + j * growth)
        shapes |= layer(f"RDBs.{i}.LFF", features, features + layers * growth, 1)
    shapes |= layer("GFF.0", features, blocks * features, 1) | layer("GFF.1", features, features)
    if scale is None:
        return shapes
    if scale == 4:
        tail = layer("UPNet.0", 4 * growth, features) | layer("UPNet.2", 4 * growth, growth)
        return shapes | tail | layer("UPNet.4", 3, growth)
    tail = layer("UPNet.0", scale * scale * growth, features)
    return shapes | tail | layer("UPNet.2", 3, growth)


def pytorch_rdn(features: int, blocks: int, layers: int, scale: int) -> Shapes:
    """RDN of RDN-pytorch; its blocks grow by as many features as they pass on."""
    shapes = layer("sfe1", features, 3) | layer("sfe2", features, features)
    for i in range(blocks):
        for j in range(layers):
            shapes |= layer(f"rdbs.{i}.layers.{j}.conv", features, (j + 1) * features)
        shapes |= layer(f"rdbs.{i}.lff", features, (layers + 1) * features, 1)
    shapes |= layer("gff.0", features, blocks * features, 1) | layer("gff.1", features, features)
    steps = {2: (2,), 3: (3,), 4: (2, 2)}[scale]
    for i, step in enumerate(steps):
        shapes |= layer(f"upscale.{2 * i}", step * step * features, features)
    return shapes | layer("output", 3, features)


def swinir(
    channels: int,
    depths: Sequence[int],
    heads: int,
    window: int,
    ratio: int,
    scale: int | None = None,
    features: int = 64,
) -> Shapes:
    """SwinIR for classical SR, without masks and index tables."""
    shapes = layer("conv_first", channels, 3) | norm("patch_embed.norm", channels)
    for g, depth in enumerate(depths):
        for i in range(depth):
            block = f"layers.{g}.residual_group.blocks.{i}"
            shapes |= norm(f"{block}.norm1", channels)
            table = ((2 * window - 1) ** 2, heads)
            shapes[f"{block}.attn.relative_position_bias_table"] = table
            shapes |= linear(f"{block}.attn.qkv", 3 * channels, channels)
            shapes |= linear(f"{block}.attn.proj", channels, channels)
            shapes |= norm(f"{block}.norm2", channels)
            shapes |= linear(f"{block}.mlp.fc1", ratio * channels, channels)
            shapes |= linear(f"{block}.mlp.fc2", channels, ratio * channels)
        shapes |= layer(f"layers.{g}.conv", channels, channels)
    shapes |= norm("norm", channels) | layer("conv_after_body", channels, channels)
    shapes |= layer("conv_before_upsample.0", features, channels)
    if scale is None:
        return shapes
    for i, step in {2: {0: 2}, 3: {0: 3}, 4: {0: 2, 2: 2}}[scale].items():
        shapes |= layer(f"upsample.{i}", step * step * features, features)
    return shapes | layer("conv_last", 3, features)


def rcan(groups: int, blocks: int, features: int, reduction: int) -> Shapes:
    """RCAN's encoder, without its colour shift."""
    inside = features // reduction
    shapes = layer("head.0", features, 3)
    for g in range(groups):
        for b in range(blocks):
            block = f"body.{g}.body.{b}.body"
            shapes |= layer(f"{block}.0", features, features)
            shapes |= layer(f"{block}.2", features, features)
            shapes |= layer(f"{block}.3.conv_du.0", inside, features, 1)
            shapes |= layer(f"{block}.3.conv_du.2", features, inside, 1)
        shapes |= layer(f"body.{g}.body.{blocks}", features, features)
    return shapes | layer(f"body.{groups}", features, features)


def basicsr_edsr(blocks: int, features: int) -> Shapes:
    """EDSR's encoder by the names of BasicSR."""
    shapes = layer("conv_first", features, 3)
    for i in range(blocks):
        shapes |= layer(f"body.{i}.conv1", features, features)
        shapes |= layer(f"body.{i}.conv2", features, features)
    return shapes | layer("conv_after_body", features, features)


def srformer(channels: int, depths: Sequence[int], heads: int, window: int, ratio: int) -> Shapes:
    """SRFormer's encoder, without masks and index tables."""
    shapes = layer("conv_first", channels, 3) | norm("patch_embed.norm", channels)
    for g, depth in enumerate(depths):
        for i in range(depth):
            block = f"layers.{g}.residual_group.blocks.{i}"
            shapes |= norm(f"{block}.norm1", channels)
            shapes[f"{block}.attn.relative_position_bias_table"] = ((window - 1) ** 2, heads)
            shapes |= linear(f"{block}.attn.kv", channels // 2, channels)
            shapes |= linear(f"{block}.attn.q", channels, channels)
            shapes |= linear(f"{block}.attn.proj", channels, channels)
            shapes |= norm(f"{block}.norm2", channels)
            shapes |= linear(f"{block}.mlp.fc1", ratio * channels, channels)
            depthwise = f"{block}.mlp.dwconv.depthwise_conv.0"
            shapes[f"{depthwise}.weight"] = (ratio * channels, 1, 5, 5)
            shapes[f"{depthwise}.bias"] = (ratio * channels,)
            shapes |= linear(f"{block}.mlp.fc2", channels, ratio * channels)
        shapes |= layer(f"layers.{g}.conv", channels, channels)
    return shapes | norm("norm", channels) | layer("conv_after_body", channels, channels)


def igconv(name: str, channels: int, width: int, layers: int) -> Shapes:
    """IGConv's hyper-network, wherever its network keeps it."""
    shapes: Shapes = {f"{name}.{k}": (9 * channels, width, 1, 1) for k in ("freq", "amplitude")}
    shapes |= layer(f"{name}.phase", width // 2, 1, 1)
    for i in range(layers):
        shapes |= layer(f"{name}.query_kernel.{2 * i}", width, width, 1)
    return shapes | layer(f"{name}.query_kernel.{2 * layers}", 3, width, 1)


def igsample(channels: int, width: int, layers: int) -> Shapes:
    """IGSample's hyper-network beside an IGConv of these sizes."""
    name, half = "skip.convs", width // 2
    shapes: Shapes = {f"{name}.{k}": (9 * channels, 2 * half, 1, 1) for k in ("freq", "amplitude")}
    shapes |= layer(f"{name}.phase", half, 1, 1)
    for i in range(layers // 2):
        shapes |= layer(f"{name}.query_kernel.{2 * i}", 2 * half, half, 1)
    return shapes | {f"{name}.query_kernel.{2 * (layers // 2)}.weight": (12, half, 1, 1)}


def depthwise(name: str, channels: int, height: int, width: int) -> Shapes:
    """A convolution of each channel by itself, with bias."""
    return {f"{name}.weight": (channels, 1, height, width), f"{name}.bias": (channels,)}


def _gated_ffn(name: str, channels: int) -> Shapes:
    shapes = layer(f"{name}.fn_1.0", 2 * channels, channels, 1)
    shapes |= layer(f"{name}.fn_2.0", channels, channels, 1)
    return shapes | depthwise(f"{name}.gate", channels, 3, 3)


def _rank_expert(name: str, channels: int, ranks: Sequence[int]) -> Shapes:
    block = f"{name}.block"
    shapes = norm(f"{name}.norm_1", channels) | layer(f"{block}.conv_1.0", channels, channels)
    shapes |= layer(f"{block}.conv_1.2", 2 * channels, channels, 1)
    shapes |= depthwise(f"{block}.agg_conv.0", channels, 4, 4)
    shapes |= depthwise(f"{block}.conv.0", channels, 3, 3)
    shapes |= layer(f"{block}.conv.1", channels, channels, 1)
    shapes |= depthwise(f"{block}.conv_2.0.conv.0", channels, 1, 3)
    shapes |= depthwise(f"{block}.conv_2.0.conv.1", channels, 3, 1)
    for i, rank in enumerate(ranks):
        expert = f"{block}.moe_layer.experts.{i}"
        for j in (1, 2):
            shapes |= layer(f"{expert}.conv_{j}", rank, channels, 1)
        shapes |= layer(f"{expert}.conv_3", channels, rank, 1)
    shapes[f"{block}.moe_layer.gate.body.2.weight"] = (len(ranks), channels)
    shapes |= layer(f"{block}.proj", channels, channels, 1) | norm(f"{name}.norm_2", channels)
    return shapes | _gated_ffn(f"{name}.ffn", channels)


def _spatial_expert(name: str, channels: int, kernel: int) -> Shapes:
    block = f"{name}.block"
    shapes = norm(f"{name}.norm_1", channels) | layer(f"{block}.proj", channels, channels, 1)
    shapes |= layer(f"{block}.to_qv.0", 2 * channels, channels, 1)
    shapes |= depthwise(f"{block}.attn.conv.0", channels, 1, kernel)
    shapes |= depthwise(f"{block}.attn.conv.1", channels, kernel, 1)
    return shapes | norm(f"{name}.norm_2", channels) | _gated_ffn(f"{name}.ffn", channels)


def seemore(
    groups: int, channels: int, scale: int, ranks: Sequence[int] = (2, 4, 8), kernel: int = 11
) -> Shapes:
    """SeemoRe."""
    shapes = layer("conv_1", channels, 3)
    for i in range(groups):
        shapes |= _rank_expert(f"body.{i}.local_block", channels, ranks)
        shapes |= _spatial_expert(f"body.{i}.global_block", channels, kernel)
    shapes |= norm("norm", channels) | layer("conv_2", channels, channels)
    return shapes | layer("upsampler.0", 3 * scale**2, channels)


def mlp(name: str, widths: Sequence[int]) -> Shapes:
    """Linear layers of these widths, ReLU between them."""
    shapes: Shapes = {}
    for i, (inside, out) in enumerate(itertools.pairwise(widths)):
        shapes |= linear(f"{name}.layers.{2 * i}", out, inside)
    return shapes


def below(name: str, shapes: Shapes) -> Shapes:
    """The same as a part of a network."""
    return {f"{name}.{key}": shape for key, shape in shapes.items()}
