"""LTE (Lee, Jin: Local texture estimator for implicit representation function, CVPR 2022;
sec. 3): amplitudes, frequencies and a cell-dependent phase make Fourier features."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.composition import Decoder
from baselines.encoders.edsr import conv3x3
from baselines.fast.factors import FactorMacs, Factors, Tail, Workspace
from baselines.mlp import MLP


class LTEDecoder(Decoder):
    """Feeds the head with A * [cos(pi (F x + h)), sin(pi (F x + h))].

    A (amplitude) and F (frequency) are 3x3 convolutions of the features, h (phase) is linear
    in the cell. The bilinearly enlarged input is added to the prediction (long skip).

    Args:
        channels: of the encoder's features.
        width: of the Fourier features and of LTE's MLP.
        depth: linear layers of LTE's MLP.
    """

    label = "LTE"

    clips_cell: ClassVar[bool] = True

    def __init__(self, channels: int, width: int = 256, depth: int = 4) -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"LTE pairs a cosine with a sine; width {width} is odd")
        self.width = width
        self.depth = depth
        self.code_dim = 2 * width
        self.fed_dim = width
        self.channels = channels
        self.coef = conv3x3(channels, width)
        self.freq = conv3x3(channels, width)
        self.phase = nn.Linear(2, width // 2, bias=False)

    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        """Amplitudes and frequencies side by side; channels 2k, 2k+1 of the latter are (y, x)."""
        del rel_cell
        # The rows above and below come with the features, so only columns are padded.
        padded = F.pad(rows, (1, 1))
        maps = torch.cat([self._map(self.coef, padded), self._map(self.freq, padded)], dim=1)
        return maps.flatten(2).transpose(1, 2).contiguous()

    @staticmethod
    def _map(layer: nn.Conv2d, padded: Tensor) -> Tensor:
        return F.conv2d(padded, layer.weight, layer.bias)

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        amplitude, frequency = code[:, : self.width], code[:, self.width :]
        pairs = frequency.reshape(code.shape[0], -1, 2)
        angle = torch.addcmul(pairs[..., 0] * rel_coord[:, :1], pairs[..., 1], rel_coord[:, 1:])
        angle = math.pi * (angle + self.phase(rel_cell))
        return amplitude * torch.cat([torch.cos(angle), torch.sin(angle)], dim=-1)

    def skip(self, lr: Tensor, coord: Tensor) -> Tensor:
        return bilinear_skip(lr, coord)

    def estimator_macs(self) -> tuple[int, int]:
        return 2 * 9 * self.channels * self.width, 2 * (self.width // 2)

    def factors(self, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype) -> Factors:
        return LTEFactors(self, mlp, rel_cell, dtype)


def bilinear_skip(lr: Tensor, coord: Tensor) -> Tensor:
    """The LR image (B, 3, h, w) at queries (B, Q, 2), bilinear, as (B, Q, 3)."""
    grid = coord.flip(-1).unsqueeze(1)
    sampled = F.grid_sample(lr, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled[:, :, 0].permute(0, 2, 1)


def by_direction(fourier: Tensor) -> Tensor:
    """Codes [amplitudes, frequencies (y, x in turn)], (N, 4 * half), for `fourier_features`.

    Returns:
        amplitudes of cosines and sines, pi times the vertical, pi times the horizontal frequencies
    """
    amplitude, frequency = fourier.chunk(2, dim=1)
    frequency = math.pi * frequency
    return torch.cat([amplitude, frequency[:, ::2], frequency[:, 1::2]], dim=1)


def fourier_features(
    prepared: Tensor, phase: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace, out: Tensor
) -> None:
    """Cosines and sines of a + b from those of a and of b, with their amplitudes.

    a is a vertical frequency times the row's offset, the phase included; b is a horizontal
    frequency times the column's offset. Amplitudes are multiplied into the row's part.

    Args:
        prepared: (N, 4 * half) of `by_direction`.
        phase: (half,), pi included.
        rel_y: (N, R).
        rel_x: (N, C).
        work: for the rows' part.
        out: (N, R, C, 2 * half), written.
    """
    n, rows, half = prepared.shape[0], rel_y.shape[1], phase.shape[0]
    amplitude, f_y, f_x = torch.split(prepared, [2 * half, half, half], dim=1)
    a = torch.addcmul(phase, rel_y[..., None], f_y[:, None])
    b = rel_x[..., None] * f_x[:, None]
    # What cos(b) is multiplied by, and what sin(b) is.
    by_row = work.take("rows", (2, n, rows, 2, half), torch.float32)
    on_cos, on_sin = by_row
    torch.cos(a, out=on_cos[:, :, 0])
    torch.sin(a, out=on_cos[:, :, 1])
    torch.neg(on_cos[:, :, 1], out=on_sin[:, :, 0])
    on_sin[:, :, 1] = on_cos[:, :, 0]
    by_row *= amplitude.view(n, 1, 2, half)
    fed = out.view(*out.shape[:3], 2, half)
    torch.mul(on_cos[:, :, None], b.cos()[:, None, :, None], out=fed)
    fed.addcmul_(on_sin[:, :, None], b.sin()[:, None, :, None])


def fourier_macs(half: int, tail: int) -> FactorMacs:
    """Split of `fourier_features` and an MLP behind them."""
    return FactorMacs(0, 5 * half, half, 4 * half + tail)


class LTEFactors(Factors):
    """Fourier features by row and by column; the MLP on every query."""

    def __init__(self, decoder: LTEDecoder, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype) -> None:
        # Angles come in half turns; pi is multiplied in here and with the frequencies.
        self.phase = math.pi * (decoder.phase.weight @ rel_cell)
        self.tail = Tail(mlp.linears, dtype)
        self.dtype = dtype
        self.prepared_dim = 2 * decoder.width
        self.macs = fourier_macs(decoder.width // 2, self.tail.macs)

    def prepare(self, code: Tensor) -> Tensor:
        return by_direction(code.float())

    def evaluate(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace) -> Tensor:
        n, rows, columns = prepared.shape[0], rel_y.shape[1], rel_x.shape[1]
        fed = work.take("fed", (n, rows, columns, self.prepared_dim // 2), self.dtype)
        fourier_features(prepared, self.phase, rel_y, rel_x, work, fed)
        return self.tail(fed.view(-1, fed.shape[-1]), work).view(n, rows, columns, -1)
