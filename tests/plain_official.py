"""The official computation once more: float64, one query after another, by official names.

Written from the papers and the notes of the parity cases, as plainly as can be: no tables, no
chunks, no batched look-ups, nothing of `baselines`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

Array = np.ndarray
Point = tuple[float, float]
State = Mapping[str, torch.Tensor]


def part(state: State, name: str) -> dict[str, torch.Tensor]:
    """The weights below a name."""
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}


def conv(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    """A convolution that keeps the size."""
    weight = state[f"{name}.weight"].double()
    return F.conv2d(x, weight, state[f"{name}.bias"].double(), padding=weight.shape[-1] // 2)


def shuffled(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    """Sub-pixel convolutions: every convolution below a name, each with its pixel shuffle."""
    numbers = sorted({int(k.split(".")[0]) for k in part(state, name)})
    for number in numbers:
        channels = state[f"{name}.{number}.weight"].shape
        step = math.isqrt(channels[0] // channels[1] if name != "UPNet" else 4)
        x = F.pixel_shuffle(conv(state, f"{name}.{number}", x), step)
    return x


# Encoders


def edsr(state: State, x: torch.Tensor) -> torch.Tensor:
    """EDSR-baseline, with its upsampler where it has one."""
    first = y = conv(state, "head.0", x)
    blocks = len({k.split(".")[1] for k in state if k.startswith("body.")}) - 1
    for i in range(blocks):
        inner = conv(state, f"body.{i}.body.0", y).clamp(min=0)
        y = y + conv(state, f"body.{i}.body.2", inner)
    y = first + conv(state, f"body.{blocks}", y)
    return conv(state, "tail.1", shuffled(state, "tail.0", y)) if "tail.1.weight" in state else y


def rdn(state: State, x: torch.Tensor, config: tuple[int, int], scale: int | None) -> torch.Tensor:
    """RDN of (blocks, layers)."""
    first = conv(state, "SFENet1", x)
    y = conv(state, "SFENet2", first)
    outputs = []
    for i in range(config[0]):
        known = [y]
        for j in range(config[1]):
            grown = conv(state, f"RDBs.{i}.convs.{j}.conv.0", torch.cat(known, 1))
            known.append(grown.clamp(min=0))
        y = y + conv(state, f"RDBs.{i}.LFF", torch.cat(known, 1))
        outputs.append(y)
    y = first + conv(state, "GFF.1", conv(state, "GFF.0", torch.cat(outputs, 1)))
    if scale is None:
        return y
    for i, step in enumerate({2: (2,), 3: (3,), 4: (2, 2)}[scale]):
        y = F.pixel_shuffle(conv(state, f"UPNet.{2 * i}", y), step)
    return conv(state, "UPNet.4" if scale == 4 else "UPNet.2", y)


def _normed(state: State, name: str, x: Array, epsilon: float = 1e-5) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon)
    weight, bias = (state[f"{name}.{k}"].double().numpy() for k in ("weight", "bias"))
    return centred / spread * weight + bias


def _linear(state: State, name: str, x: Array) -> Array:
    return x @ state[f"{name}.weight"].double().numpy().T + state[f"{name}.bias"].double().numpy()


def _attended(state: State, x: Array, window: int, shift: int) -> Array:
    """Each pixel of (H, W, C) attends to those in its window of the shifted image."""
    h, w, channels = x.shape
    table = state["relative_position_bias_table"].double().numpy()
    heads = table.shape[1]
    size = channels // heads
    qkv = _linear(state, "qkv", x).reshape(h, w, 3, heads, size)

    def place(y: int, x: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        moved = ((y - shift) % h, (x - shift) % w)
        region = tuple(
            0 if m < n - window else 1 if m < n - shift else 2
            for m, n in zip(moved, (h, w), strict=True)
        )
        return moved, (moved[0] // window, moved[1] // window), region

    places = {p: place(*p) for p in itertools.product(range(h), range(w))}
    out = np.zeros((h, w, heads, size))
    for p, (at, mine, region) in places.items():
        others = [q for q, found in places.items() if found[1] == mine]
        for head in range(heads):
            scores = []
            for q in others:
                dy, dx = (a - b + window - 1 for a, b in zip(at, places[q][0], strict=True))
                score = qkv[p][0, head] @ qkv[q][1, head] / math.sqrt(size)
                score += table[dy * (2 * window - 1) + dx, head]
                scores.append(score - 100 * (shift > 0 and places[q][2] != region))
            share = np.exp(np.array(scores) - max(scores))
            values = np.array([qkv[q][2, head] for q in others])
            out[p][head] = share @ values / share.sum()
    return _linear(state, "proj", out.reshape(h, w, channels))


def swinir(state: State, lr: torch.Tensor, window: int, scale: int) -> torch.Tensor:
    """SwinIR for classical SR of one image (1, 3, h, w) in [0, 1]."""
    h, w = lr.shape[-2:]
    rows, columns = (_reflected(n, n + -n % window) for n in (h, w))
    mean = torch.tensor([0.4488, 0.4371, 0.4040]).double()[:, None, None]
    first = conv(state, "conv_first", lr[:, :, rows][..., columns] - mean)
    y = _normed(state, "patch_embed.norm", first[0].permute(1, 2, 0).numpy())
    for g in sorted({int(k.split(".")[1]) for k in state if k.startswith("layers.")}):
        z = y
        group = part(state, f"layers.{g}.residual_group.blocks")
        for i in sorted({int(k.split(".")[0]) for k in group}):
            block = part(group, str(i))
            normed = _normed(block, "norm1", z)
            z = z + _attended(part(block, "attn"), normed, window, window // 2 * (i % 2))
            inner = _linear(block, "mlp.fc1", _normed(block, "norm2", z))
            z = z + _linear(block, "mlp.fc2", _gelu(inner))
        image = torch.from_numpy(z).permute(2, 0, 1)[None]
        y = y + conv(state, f"layers.{g}.conv", image)[0].permute(1, 2, 0).numpy()
    body = torch.from_numpy(_normed(state, "norm", y)).permute(2, 0, 1)[None]
    x = first + conv(state, "conv_after_body", body)
    x = F.leaky_relu(conv(state, "conv_before_upsample.0", x), 0.01)
    out = conv(state, "conv_last", shuffled(state, "upsample", x)) + mean
    return out[..., : h * scale, : w * scale]


def _gelu(x: Array) -> Array:
    return x * (1 + torch.erf(torch.from_numpy(x) / math.sqrt(2)).numpy()) / 2


def seemore(state: State, lr: torch.Tensor, scale: int, recursion: int, mixed: bool) -> Any:
    """SeemoRe of one image (1, 3, h, w) in [0, 1], and the expert of each layer.

    Images too small for its context are continued by their mirror image; that is ours.
    """
    h, w = lr.shape[-2:]
    more = [max(4**recursion - n, 0) for n in (h, w)]
    seen = np.pad(lr[0].numpy(), [(0, 0), (0, more[0]), (0, more[1])], mode="symmetric")
    mean = np.array([0.4488, 0.4371, 0.4040])[:, None, None]
    first = y = _dense(state, "conv_1", seen - mean)
    experts = []
    for g in range(len({k.split(".")[1] for k in state if k.startswith("body.")})):
        rank, space = (part(state, f"body.{g}.{k}_block") for k in ("local", "global"))
        found, expert = _low_rank(part(rank, "block"), _channel_norm(rank, "norm_1", y),
                                  recursion, mixed)  # fmt: skip
        experts.append(expert)
        y = y + found
        y = y + _gated(part(rank, "ffn"), _channel_norm(rank, "norm_2", y))
        y = y + _weighed(part(space, "block"), _channel_norm(space, "norm_1", y))
        y = y + _gated(part(space, "ffn"), _channel_norm(space, "norm_2", y))
    y = _dense(state, "conv_2", _channel_norm(state, "norm", y)) + first
    out = _dense(state, "upsampler.0", y)
    out = out.reshape(3, scale, scale, *out.shape[1:]).transpose(0, 3, 1, 4, 2)
    image = out.reshape(3, scale * seen.shape[1], scale * seen.shape[2]) + mean
    return torch.from_numpy(image)[None, :, : h * scale, : w * scale], experts


def _dense(state: State, name: str, x: Array) -> Array:
    return conv(state, name, torch.from_numpy(x)[None])[0].numpy()


def _channel_norm(state: State, name: str, x: Array) -> Array:
    return _normed(state, name, x.transpose(1, 2, 0), 1e-6).transpose(2, 0, 1)


def _by_channel(state: State, name: str, x: Array, step: int = 1) -> Array:
    """Each channel convolved by itself, tap by tap; zeros outside, unless in steps."""
    weight = state[f"{name}.weight"].double().numpy()[:, 0]
    height, width = weight.shape[1:]
    if step == 1:
        x = np.pad(x, [(0, 0), (height // 2,) * 2, (width // 2,) * 2])
    rows, columns = (x.shape[1] - height) // step + 1, (x.shape[2] - width) // step + 1
    out = np.zeros((len(x), rows, columns)) + state[f"{name}.bias"].double().numpy()[:, None, None]
    for i, j in itertools.product(range(height), range(width)):
        taken = x[:, i : i + step * rows : step, j : j + step * columns : step]
        out = out + weight[:, i, j, None, None] * taken
    return out


def _gated(state: State, x: Array) -> Array:
    value, gate = np.split(_gelu(_dense(state, "fn_1.0", x)), 2)
    return _gelu(_dense(state, "fn_2.0", value * _by_channel(state, "gate", gate)))


def _weighed(state: State, x: Array) -> Array:
    around, value = np.split(_gelu(_dense(state, "to_qv.0", x)), 2)
    around = _by_channel(state, "attn.conv.1", _by_channel(state, "attn.conv.0", around))
    return _dense(state, "proj", around * value)


def _low_rank(state: State, x: Array, recursion: int, mixed: bool) -> tuple[Array, int]:
    channels, h, w = x.shape
    views = _dense(state, "conv_1.2", _gelu(_dense(state, "conv_1.0", x)))
    if mixed:  # channels of the two halves in turn
        views = np.stack([views[:channels], views[channels:]], axis=1).reshape(views.shape)
    local, broad = views[:channels], views[channels:]
    local = _by_channel(state, "conv_2.0.conv.1", _by_channel(state, "conv_2.0.conv.0", local))
    local, small = _gelu(local), broad
    for _ in range(recursion):
        small = _gelu(_by_channel(state, "agg_conv.0", small, step=4))
    small = _dense(state, "conv.1", _by_channel(state, "conv.0", small))
    grid = [[_bilinear(small, (centre(i, h), centre(j, w))) for j in range(w)] for i in range(h)]
    context = broad + np.array(grid).transpose(2, 0, 1)
    scores = state["moe_layer.gate.body.2.weight"].double().numpy() @ local.mean((1, 2))
    shares = np.exp(scores) / np.exp(scores).sum()
    best = int(shares.argmax())
    expert = part(state, f"moe_layer.experts.{best}")
    product = _dense(expert, "conv_1", local) * _dense(expert, "conv_2", context)
    return _dense(state, "proj", local + _dense(expert, "conv_3", product) * shares[best]), best


def _reflected(n: int, side: int) -> list[int]:
    """Indices that continue an axis by reflection without repeating the edge."""
    there_and_back = [*range(n), *range(n - 2, 0, -1)]
    return [there_and_back[i % len(there_and_back)] for i in range(side)]


# Queries


def nearest(coord: float, n: int) -> int:
    """The pixel that nearest-neighbour grid sampling reads, without aligned corners."""
    return min(max(round(((coord + 1) * n - 1) / 2), 0), n - 1)


def centre(i: int, n: int) -> float:
    """The centre of a pixel."""
    return -1 + (2 * i + 1) / n


def clamped(coord: float) -> float:
    """As the official code keeps a look-up inside."""
    return min(max(coord, -1 + 1e-6), 1 - 1e-6)


def unfolded(feat: Array, y: int, x: int) -> Array:
    """The 3x3 neighbourhood of a pixel, channel by channel, zeros outside."""
    padded = np.pad(feat, ((0, 0), (1, 1), (1, 1)))
    return padded[:, y : y + 3, x : x + 3].reshape(-1)


def perceptron(state: State, x: Array) -> Array:
    """Linear layers with ReLU between them."""
    layers = sorted({int(k.split(".")[1]) for k in state})
    for i in layers:
        x = _linear(state, f"layers.{i}", x)
        x = x if i == layers[-1] else np.maximum(x, 0)
    return x


Predict = Callable[[int, int, float, float], Array]


def blended(feat: Array, coord: tuple[float, float], ensemble: bool, predict: Predict) -> Array:
    """LIIF's sum over the codes around a query; `predict(row, column, rel_y, rel_x)` is one's."""
    h, w = feat.shape[1:]
    moves = [(-1, -1), (-1, 1), (1, -1), (1, 1)] if ensemble else [(0, 0)]
    parts, areas = [], []
    for vy, vx in moves:
        eps = 1e-6 if ensemble else 0
        row = nearest(clamped(coord[0] + vy / h + eps), h)
        column = nearest(clamped(coord[1] + vx / w + eps), w)
        rel_y, rel_x = (coord[0] - centre(row, h)) * h, (coord[1] - centre(column, w)) * w
        parts.append(predict(row, column, rel_y, rel_x))
        areas.append(abs(rel_y * rel_x) + 1e-9)
    weights = reversed(areas)
    return sum(p * weight / sum(areas) for p, weight in zip(parts, weights, strict=True))


def liif(
    state: State,
    lr: Array,
    feat: Array,
    coord: Point,
    cell: Point,
    ensemble: bool = True,
    unfold: bool = True,
    cell_decode: bool = True,
) -> Array:
    """LIIF's colour of one query; only LTE needs the network's input."""
    del lr
    h, w = feat.shape[1:]
    imnet = part(state, "imnet")

    def predict(row: int, column: int, rel_y: float, rel_x: float) -> Array:
        code = unfolded(feat, row, column) if unfold else feat[:, row, column]
        cells = [cell[0] * h, cell[1] * w] if cell_decode else []
        return perceptron(imnet, np.concatenate([code, [rel_y, rel_x], cells]))

    return blended(feat, coord, ensemble, predict)


def lte(state: State, lr: Array, feat: Array, coord: Point, cell: Point) -> Array:
    """LTE's colour of one query; `lr` is the network's input."""
    h, w = feat.shape[1:]
    imnet = part(state, "imnet")
    image = torch.from_numpy(feat)[None]
    amplitude, frequency = (conv(state, k, image)[0].numpy() for k in ("coef", "freq"))
    phase = state["phase.weight"].double().numpy() @ np.array([cell[0] * h, cell[1] * w])

    def predict(row: int, column: int, rel_y: float, rel_x: float) -> Array:
        pairs = frequency[:, row, column].reshape(-1, 2)
        angle = math.pi * (pairs[:, 0] * rel_y + pairs[:, 1] * rel_x + phase)
        waves = np.concatenate([np.cos(angle), np.sin(angle)])
        return perceptron(imnet, amplitude[:, row, column] * waves)

    return blended(feat, coord, True, predict) + _bilinear(lr, coord)


def _bilinear(image: Array, coord: Point) -> Array:
    """The image between four pixel centres; the border colour beyond the outermost."""
    steps = []
    for c, n in zip(coord, image.shape[1:], strict=True):
        position = min(max(((c + 1) * n - 1) / 2, 0), n - 1)
        low = min(int(position), max(n - 2, 0))
        steps.append((low, min(low + 1, n - 1), position - low))
    (y0, y1, fy), (x0, x1, fx) = steps
    top = image[:, y0, x0] * (1 - fx) + image[:, y0, x1] * fx
    bottom = image[:, y1, x0] * (1 - fx) + image[:, y1, x1] * fx
    return top * (1 - fy) + bottom * fy


def metasr(state: State, lr: Array, feat: Array, coord: Point, cell: Point) -> Array:
    """Meta-SR's colour of one query, as the LIIF project has it."""
    del lr
    rel = []
    place = []
    for c, size, n in zip(coord, cell, feat.shape[1:], strict=True):
        corner = c - size / 2
        place.append(nearest(clamped(corner + 1e-6), n))
        rel.append((corner - (centre(place[-1], n) - 1 / n)) * n / 2)
    height = cell[0] * feat.shape[1] / 2
    kernel = perceptron(part(state, "imnet"), np.array([*rel, height]))
    code = unfolded(feat, *place)
    return code @ kernel.reshape(len(code), 3)
