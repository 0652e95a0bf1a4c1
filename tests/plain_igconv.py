"""IGConv, IGSample and their encoders once more: float64, one sub-pixel after another.

Written from the notes of the parity cases, by official names, as plainly as can be; nothing of
`baselines`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from plain_official import conv, part

Array = np.ndarray
State = Mapping[str, torch.Tensor]
MEAN = torch.tensor([0.4488, 0.4371, 0.4040]).double()[:, None, None]


def _matrix(state: State, name: str) -> Array:
    return state[name].double().numpy().reshape(state[name].shape[0], -1)


def _answer(state: State, x: Array, groups: int) -> Array:
    """The hyper-network on (taps, width); groups of channels are layers of their own."""
    numbers = sorted({int(k.split(".")[1]) for k in state if k.startswith("query_kernel")})
    for number in numbers:
        weight = _matrix(state, f"query_kernel.{number}.weight")
        parts = []
        for rows, values in zip(np.split(weight, groups), np.split(x, groups, axis=1), strict=True):
            parts.append(values @ rows.T)
        x = np.concatenate(parts, axis=1)
        if f"query_kernel.{number}.bias" in state:
            x = x + state[f"query_kernel.{number}.bias"].double().numpy()
        x = x if number == numbers[-1] else np.maximum(x, 0)
    return x


def kernels(state: State, scale: int, groups: int = 1) -> Array:
    """(outputs, scale, scale, C, 3, 3), one sub-pixel after another."""
    freq, amplitude = _matrix(state, "freq"), _matrix(state, "amplitude")
    half = freq.shape[1] // 2
    phase = _matrix(state, "phase.weight")[:, 0] * 2 / scale + state["phase.bias"].double().numpy()
    made = {}
    for row, column in itertools.product(range(scale), repeat=2):
        y, x = ((2 * n + 1) / scale - 1 for n in (row, column))
        angle = math.pi * (freq[:, :half] * x + freq[:, half:] * y + phase)
        waves = np.concatenate([np.cos(angle), np.sin(angle)], axis=1)
        if groups == 2:
            waves = np.concatenate([waves[:, 0::2], waves[:, 1::2]], axis=1)
        made[row, column] = _answer(state, waves * amplitude, groups)
    outputs = made[0, 0].shape[1]
    found = np.zeros((outputs, scale, scale, freq.shape[0] // 9, 3, 3))
    for (row, column), answer in made.items():
        found[:, row, column] = answer.T.reshape(outputs, -1, 3, 3)
    return found


def averaged(kernel: Array) -> Array:
    """The mean of the eight flips and quarter turns."""
    turned = [np.rot90(kernel, n, axes=(-2, -1)) for n in range(4)]
    return np.mean([*turned, *(np.flip(k, -1) for k in turned)], axis=0)


def _convolved(features: torch.Tensor, kernel: Array) -> torch.Tensor:
    """(h, w) of one output from (1, C, h, w)."""
    return F.conv2d(features, torch.from_numpy(kernel.copy())[None], padding=1)[0, 0]


def igconv(state: State, features: torch.Tensor, scale: int, average: bool) -> torch.Tensor:
    """(3, h*scale, w*scale) of (1, C, h, w) features."""
    made = kernels(state, scale)
    made = averaged(made) if average else made
    h, w = features.shape[-2:]
    out = torch.zeros(3, h * scale, w * scale).double()
    for colour, row, column in np.ndindex(3, scale, scale):
        value = _convolved(features, made[colour, row, column])
        out[colour, row::scale, column::scale] = value
    return out


def _read(image: Array, y: float, x: float) -> float:
    """Bilinear between pixel centres at half-integers, clamped at the border."""
    h, w = image.shape
    y, x = min(max(y - 0.5, 0), h - 1), min(max(x - 0.5, 0), w - 1)
    top, left = min(int(y), h - 1), min(int(x), w - 1)
    bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
    fy, fx = y - top, x - left
    above = image[top, left] * (1 - fx) + image[top, right] * fx
    below = image[bottom, left] * (1 - fx) + image[bottom, right] * fx
    return float(above * (1 - fy) + below * fy)


def igsample(
    state: State, image: torch.Tensor, features: torch.Tensor, scale: int, average: bool
) -> torch.Tensor:
    """(3, h*scale, w*scale) of a (3, h, w) image and (1, C, h, w) features."""
    made = kernels(state, scale, groups=2)
    made = averaged(made) if average else made
    h, w = features.shape[-2:]
    out = torch.zeros(3, h * scale, w * scale).double()
    for colour, row, column in np.ndindex(3, scale, scale):
        x_offset, y_offset, x_scope, y_scope = (
            _convolved(features, made[n + colour, row, column]) for n in (0, 3, 6, 9)
        )
        for y, x in np.ndindex(h, w):
            dx = 0.5 * torch.sigmoid(x_scope[y, x]) * x_offset[y, x] + (column + 0.5) / scale - 0.5
            dy = 0.5 * torch.sigmoid(y_scope[y, x]) * y_offset[y, x] + (row + 0.5) / scale - 0.5
            place = float(y + 0.5 + dy), float(x + 0.5 + dx)
            read = _read(image[colour].double().numpy(), *place)
            out[colour, y * scale + row, x * scale + column] = read
    return out


# Encoders


def edsr(state: State, x: torch.Tensor, residual_scale: float) -> torch.Tensor:
    """EDSR by the names of BasicSR."""
    first = y = conv(state, "conv_first", x)
    for i in range(len({k.split(".")[1] for k in state if k.startswith("body.")})):
        inner = conv(state, f"body.{i}.conv1", y).clamp(min=0)
        y = y + residual_scale * conv(state, f"body.{i}.conv2", inner)
    return first + conv(state, "conv_after_body", y)


def rcan(state: State, x: torch.Tensor) -> torch.Tensor:
    """RCAN by the names of its own project."""
    first = y = conv(state, "head.0", x)
    body = part(state, "body")
    groups = len({k.split(".")[0] for k in body}) - 1
    for g in range(groups):
        inner, group = y, part(body, f"{g}.body")
        blocks = len({k.split(".")[0] for k in group}) - 1
        for b in range(blocks):
            block = part(group, f"{b}.body")
            z = conv(block, "2", conv(block, "0", inner).clamp(min=0))
            means = z.mean(dim=(2, 3), keepdim=True)
            gate = conv(block, "3.conv_du.2", conv(block, "3.conv_du.0", means).clamp(min=0))
            inner = inner + z * torch.sigmoid(gate)
        y = y + conv(group, str(blocks), inner)
    return first + conv(body, str(groups), y)


def _linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    return x @ state[f"{name}.weight"].double().T + state[f"{name}.bias"].double()


def _normed(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    weight, bias = (state[f"{name}.{k}"].double() for k in ("weight", "bias"))
    return F.layer_norm(x, x.shape[-1:], weight, bias)


def _region(n: int, length: int, window: int, shift: int) -> int:
    return 0 if n < length - window else 1 if n < length - shift else 2


def _attended(state: State, x: torch.Tensor, window: int, shift: int) -> torch.Tensor:
    """Each pixel of (H, W, C) attends to the patches of its window of the shifted image."""
    height, width, channels = x.shape
    table = state["relative_position_bias_table"].double()
    heads = table.shape[1]
    size, side = channels // heads, window // 2
    x = x.roll((-shift, -shift), dims=(0, 1))
    queries, both = _linear(state, "q", x), _linear(state, "kv", x)
    found = torch.zeros(height, width, channels).double()
    for top, left in itertools.product(range(0, height, window), range(0, width, window)):
        places = [(top + 2 * i, left + 2 * j) for i, j in np.ndindex(side, side)]
        pixels = [[(y + a, x + b) for a in (0, 1) for b in (0, 1)] for y, x in places]
        keys = torch.stack([torch.cat([both[p][: channels // 4] for p in ps]) for ps in pixels])
        values = torch.stack([torch.cat([both[p][channels // 4 :] for p in ps]) for ps in pixels])
        # The far side of the wrap begins with the patch that straddles it.
        half = -(-shift // 2)
        regions = [
            (_region(y // 2, height // 2, side, half), _region(x // 2, width // 2, side, half))
            for y, x in places
        ]
        for y, x in itertools.product(range(top, top + window), range(left, left + window)):
            mine = _region(y, height, window, shift), _region(x, width, window, shift)
            apart = torch.tensor([-100.0 * (shift > 0 and region != mine) for region in regions])
            steps = [
                ((y - a) // 2 + side - 1) * (2 * side - 1) + (x - b) // 2 + side - 1
                for a, b in places
            ]
            for head in range(heads):
                part_of = slice(head * size, (head + 1) * size)
                scores = keys[:, part_of] @ queries[y, x, part_of] / math.sqrt(size)
                share = torch.softmax(scores + table[steps, head] + apart, dim=0)
                found[y, x, part_of] = share @ values[:, part_of]
    return _linear(state, "proj", found).roll((shift, shift), dims=(0, 1))


def srformer(state: State, x: torch.Tensor, window: int) -> torch.Tensor:
    """SRFormer's features (1, C, H, W) of an image of whole windows, less its mean colour."""
    first = conv(state, "conv_first", x)
    y = _normed(state, "patch_embed.norm", first[0].permute(1, 2, 0))
    for g in range(len({k.split(".")[1] for k in state if k.startswith("layers.")})):
        z, group = y, part(state, f"layers.{g}.residual_group.blocks")
        for i in range(len({k.split(".")[0] for k in group})):
            block, shift = part(group, str(i)), window // 2 * (i % 2)
            attention = part(block, "attn")
            z = z + _attended(attention, _normed(block, "norm1", z), window, shift)
            inner = F.gelu(_linear(block, "mlp.fc1", _normed(block, "norm2", z)))
            weight = block["mlp.dwconv.depthwise_conv.0.weight"].double()
            bias = block["mlp.dwconv.depthwise_conv.0.bias"].double()
            image = inner.permute(2, 0, 1)[None]
            mixed = F.conv2d(image, weight, bias, padding=2, groups=len(weight))
            inner = inner + F.gelu(mixed)[0].permute(1, 2, 0)
            z = z + _linear(block, "mlp.fc2", inner)
        image = conv(state, f"layers.{g}.conv", z.permute(2, 0, 1)[None])
        y = y + image[0].permute(1, 2, 0)
    body = _normed(state, "norm", y).permute(2, 0, 1)[None]
    return first + conv(state, "conv_after_body", body)
