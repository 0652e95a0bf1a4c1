"""LIIF with an integrated positional encoding.

After Liu et al.: Enhancing multi-scale implicit learning in image super-resolution with integrated
positional encoding, 2021. No code of the authors was at hand: frequencies and their number are our
choice, and no published figure is compared with it. It stands here as a third implicit decoder,
whose MLP MoEISR replaces without knowing anything of it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor

from baselines.composition import Decoder, Split
from baselines.fast.split import Additive
from baselines.geometry import unfolded
from baselines.mlp import MLP


class IPEDecoder(Decoder):
    """Feeds the head with [unfolded code, encoding of the query pixel's area].

    Args:
        channels: of the encoder's features.
        width: hidden width of the MLP.
        depth: linear layers of the MLP.
        frequencies: octaves of the encoding; the lowest has one period for an LR pixel.
    """

    label = "IPE"

    def __init__(
        self, channels: int, width: int = 256, depth: int = 5, frequencies: int = 6
    ) -> None:
        super().__init__()
        self.width = width
        self.depth = depth
        self.frequencies = frequencies
        self.code_dim = 9 * channels
        self.fed_dim = self.code_dim + 4 * frequencies

    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        del rel_cell
        return unfolded(rows)

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        along = [integrated(rel_coord[:, a], rel_cell[:, a], self.frequencies) for a in (0, 1)]
        return torch.cat([code, *along], dim=-1)

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """The first layer is linear, and the encoding is one of rows beside one of columns."""
        encoded = partial(integrated, frequencies=self.frequencies)
        return Additive(self, mlps, dtype, encode_axis=encoded, neighbourhood=3)


def integrated(centre: Tensor, side: Tensor, frequencies: int) -> Tensor:
    """Means of sines and cosines over a pixel's side: high frequencies fade as pixels grow.

    The mean of sin(w x) over [c - s/2, c + s/2] is sin(w c) sin(w s/2) / (w s/2).

    Args:
        centre: any shape, in units in which an LR pixel spans 2.
        side: of a shape that broadcasts, in the same units.
        frequencies: octaves, w = pi, 2 pi, 4 pi, ...

    Returns:
        (..., 2 * frequencies): sines, then cosines.
    """
    rate = centre.new_tensor([2.0**octave for octave in range(frequencies)])
    faded = torch.sinc(side.unsqueeze(-1) / 2 * rate)
    angle = math.pi * centre.unsqueeze(-1) * rate
    return torch.cat([angle.sin() * faded, angle.cos() * faded], dim=-1)


DECODERS = {"ipe": IPEDecoder}
