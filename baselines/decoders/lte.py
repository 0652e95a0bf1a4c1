"""LTE: amplitudes, frequencies and a phase that depends on the cell make Fourier features.

Lee, Jin: Local texture estimator for implicit representation function, CVPR 2022, sec. 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.composition import Decoder, Split, SplitMacs, mixed
from baselines.encoders.edsr import conv3x3
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

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """Fourier features of rows times those of columns."""
        return LTESplit(self, mlps, dtype)


def bilinear_skip(lr: Tensor, coord: Tensor) -> Tensor:
    """The LR image (B, 3, h, w) at queries (B, Q, 2), bilinear, as (B, Q, 3)."""
    grid = coord.flip(-1).unsqueeze(1)
    sampled = F.grid_sample(lr, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled[:, :, 0].permute(0, 2, 1)


class FourierSplit(Split):
    """A * [cos(a + b), sin(a + b)], where a is of the row and the cell, and b of the column.

    On a grid they follow from cosines and sines of a and of b (angle-sum identities). What is
    prepared begins with amplitudes, pi times the vertical, pi times the horizontal frequencies.
    """

    half: int
    """Number of frequencies."""

    def phases(self, rel_cell: Tensor) -> Tensor:
        """Phases (..., half) of cells (..., 2), in half turns."""
        raise NotImplementedError

    def by_direction(self, fourier: Tensor) -> Tensor:
        """Prepare codes [amplitudes, frequencies (y, x in turn)], (N, 4 * half)."""
        amplitude, frequency = fourier.chunk(2, dim=1)
        directions = frequency.reshape(-1, self.half, 2).mT.flatten(1)
        return torch.cat([amplitude, math.pi * directions], dim=1)

    def features(self, fourier: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        """Fourier features (N, 2 * half) of queries with a code each."""
        even, odd, f_y, f_x = fourier.chunk(4, dim=1)
        angle = torch.addcmul(math.pi * self.phases(rel_cell), f_y, rel_coord[:, :1])
        angle = torch.addcmul(angle, f_x, rel_coord[:, 1:])
        return torch.cat([even * angle.cos(), odd * angle.sin()], dim=1)

    def features_on_grid(
        self, fourier: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor
    ) -> Tensor:
        """Fourier features (N, R, C, 2 * half)."""
        amplitude, frequency = fourier.chunk(2, dim=1)
        f_y, f_x = frequency[:, None].chunk(2, dim=2)
        a = torch.addcmul(math.pi * self.phases(rel_cell), rel_y[..., None], f_y)
        b = rel_x[..., None] * f_x
        cos, sin = a.cos(), a.sin()
        amplitude = amplitude.view(-1, 1, 2, self.half)
        # What cos(b) is multiplied by, and what sin(b) is.
        on_cos = torch.stack([cos, sin], dim=2) * amplitude
        on_sin = torch.stack([-sin, cos], dim=2) * amplitude
        fed = on_cos[:, :, None] * b.cos()[:, None, :, None]
        fed.addcmul_(on_sin[:, :, None], b.sin()[:, None, :, None])
        return fed.flatten(3)

    def macs(self) -> SplitMacs:
        return SplitMacs(0, 5 * self.half, self.half, 4 * self.half + self.mlps[0].macs)


class LTESplit(FourierSplit):
    """Fourier features by row and by column; the MLP on every query."""

    decoder: LTEDecoder

    @property
    def half(self) -> int:  # type: ignore[override]
        return self.decoder.width // 2

    def phases(self, rel_cell: Tensor) -> Tensor:
        phases: Tensor = self.decoder.phase(rel_cell)
        return phases

    def prepare(self, code: Tensor) -> Tensor:
        return self.by_direction(code)

    def decode(
        self, prepared: Tensor, rel_coord: Tensor, rel_cell: Tensor, gates: Tensor | None = None
    ) -> Tensor:
        fed = self.features(prepared, rel_coord, rel_cell)
        return mixed([mlp.rest(mlp.linears[0](fed)) for mlp in self.mlps], gates)

    def on_grid(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor) -> Tensor:
        fed = self.features_on_grid(prepared, rel_y, rel_x, rel_cell)
        (mlp,) = self.mlps
        with self.reduced():
            return mlp.rest(mlp.linears[0](fed))


DECODERS = {"lte": LTEDecoder}
