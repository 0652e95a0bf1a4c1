"""LMF: a wide MLP runs once per LR pixel, a narrow one per query.

He, Jin: Latent modulated function for computational optimal continuous image representation, CVPR
2024. The *latent MLP* turns a latent code into modulations, a scale and a shift for every hidden
neuron of the *render MLP*, and into a compressed code, which the render MLP is fed with. LM-LIIF
makes this of LIIF, LM-LTE of LTE.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.composition import Decoder, Split, mixed
from baselines.decoders.liif import offset
from baselines.decoders.lte import FourierSplit, bilinear_skip
from baselines.encoders.edsr import conv3x3
from baselines.fast.split import Additive
from baselines.geometry import unfolded
from baselines.mlp import MLP


class ModulatedMLP(MLP):
    """The render MLP: h becomes ReLU((1 + scale) * (W h + b) + shift) in every hidden layer.

    Args:
        in_dim: width of its own input.
        width: of the hidden layers.
        depth: linear layers, the output layer included.
    """

    def __init__(self, in_dim: int, width: int, depth: int) -> None:
        super().__init__(in_dim, width, depth)
        self.in_dim = in_dim
        self.width = width

    def modulated(self, hidden: Tensor, modulations: Tensor) -> Tensor:
        """From the first layer's answer to the last's.

        Args:
            hidden: (N, Q, width) of Q queries of each of N codes.
            modulations: (N, 2 * hidden layers * width), all scales before all shifts.
        """
        layers = self.linears[1:]
        scales, shifts = modulations.view(-1, 1, 2, len(layers), self.width).unbind(2)
        for layer, scale, shift in zip(
            layers, (1 + scales).unbind(2), shifts.unbind(2), strict=True
        ):
            hidden = layer(torch.addcmul(shift, hidden, scale).relu_())
        return hidden

    def forward(self, x: Tensor) -> Tensor:
        """(N, in_dim + modulations) to (N, 3).

        Behind the input lie all layers' scales, then all their shifts, first layer first.
        """
        *hidden, last = self.linears
        x, *modulations = torch.split(x, [self.in_dim, *[self.width] * (2 * len(hidden))], dim=-1)
        scales, shifts = modulations[: len(hidden)], modulations[len(hidden) :]
        for layer, scale, shift in zip(hidden, scales, shifts, strict=True):
            x = torch.relu(layer(x) * (1 + scale) + shift)
        out: Tensor = last(x)
        return out


class LMDecoder(Decoder):
    """Latent MLP and modulations; what the render MLP is fed with differs between subclasses.

    A code is [modulations, what is left for the render MLP].

    Attributes:
        latent: the latent MLP.
        compressed_dim: width of what the render MLP is fed with of a code.
        render_dim: width of the render MLP's input.
        intensity_bin: width of the bins that CMSR sorts intensities into.
    """

    clips_cell: ClassVar[bool] = True
    intensity_bin: ClassVar[float] = 0.01
    # Experts of different depth would need modulations of different length.
    routable: ClassVar[bool] = False
    modulated: ClassVar[bool] = True

    compressed_dim: int
    render_dim: int

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        if depth < 2:
            raise ValueError(f"a render MLP needs a hidden layer to modulate, not depth {depth}")
        self.width = width
        self.depth = depth
        self.modulation_dim = 2 * width * (depth - 1)

    @property
    @abstractmethod
    def latent(self) -> MLP:
        """The MLP in latent space."""

    def own_mlp(self, hidden: Sequence[int] | None = None) -> MLP:
        if hidden is not None:
            raise ValueError("modulations need layers of one width")
        return ModulatedMLP(self.render_dim, self.width, self.depth)

    def intensity(self, codes: Tensor) -> Tensor:
        """Mean absolute shift of codes (..., code_dim): how much the render MLP is modulated.

        The paper's CMSR renders codes of low intensity at a lower scale.
        """
        shifts = codes[..., self.modulation_dim // 2 : self.modulation_dim]
        return shifts.abs().mean(dim=-1)

    @property
    def working_dim(self) -> int:
        # The input of the latent MLP is joined from parts; then come its layers.
        return 2 * sum(layer.in_features for layer in self.latent.linears) + self.code_dim

    def latent_macs(self) -> int:
        return self.latent.macs


class LMLIIFDecoder(LMDecoder):
    """LM-LIIF.

    The latent MLP sees [unfolded code, relative cell], the render MLP [compressed code, relative
    coordinate, relative cell].

    Args:
        channels: of the encoder's features.
        width: of the render MLP's layers.
        depth: linear layers of the render MLP (7; 9 with SwinIR).
        latent_width: of the latent MLP's hidden layer.
        unfold: concatenate the 3x3 neighbourhood of each code for the latent MLP.
        cell: feed the cell.
        compressed: the latent MLP also makes the code that the render MLP is fed with; else that
            is the encoder's.
    """

    label = "LM-LIIF"

    for_encoder: ClassVar[Mapping[str, Mapping[str, Any]]] = {"swinir": {"depth": 9}}
    baseline: ClassVar[str] = "liif"

    def __init__(
        self,
        channels: int,
        width: int = 16,
        depth: int = 7,
        latent_width: int = 208,
        unfold: bool = True,
        cell: bool = True,
        compressed: bool = True,
    ) -> None:
        super().__init__(width, depth)
        self.unfold, self.cell, self.compressed = unfold, cell, compressed
        self.compressed_dim = width if compressed else channels
        self.code_dim = self.modulation_dim + self.compressed_dim
        self.render_dim = self.compressed_dim + 2 + 2 * cell
        self.fed_dim = self.modulation_dim + self.render_dim
        rich = channels * (9 if unfold else 1)
        made = self.code_dim if compressed else self.modulation_dim
        self.hypernet = MLP(rich + 2 * cell, latent_width, 2, made)

    @property
    def latent(self) -> MLP:
        return self.hypernet

    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        plain = rows[:, :, 1:-1].flatten(2).transpose(1, 2)
        rich = unfolded(rows) if self.unfold else plain
        if self.cell:
            cells = rel_cell.unsqueeze(1).expand(-1, rich.shape[1], -1)
            rich = torch.cat([rich, cells.to(rich.dtype)], dim=-1)
        made: Tensor = self.hypernet(rich)
        return made if self.compressed else torch.cat([made, plain.to(made.dtype)], dim=-1)

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        modulations, own = torch.split(code, [self.modulation_dim, self.compressed_dim], dim=-1)
        cells = [rel_cell] if self.cell else []
        return torch.cat([own, rel_coord, *cells, modulations], dim=-1)

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """The first layer is linear, as LIIF's; the code's modulations scale and shift it."""
        return LMLIIFSplit(self, mlps, dtype)


class LMLTEDecoder(LMDecoder):
    """LM-LTE: LTE's Fourier features twice, wide ones for the latent MLP, narrow ones to render.

    In latent space there is no relative coordinate: the two frequencies of a pair are added. The
    latent MLP makes the amplitudes and frequencies that are rendered with.

    Args:
        channels: of the encoder's features.
        width: of the render MLP's layers, and of its Fourier features.
        depth: linear layers of the render MLP.
        latent_width: of the latent MLP's hidden layer.
        fourier_width: of the Fourier features in latent space.
        cell: feed the cell, as a phase.
    """

    label = "LM-LTE"

    intensity_bin: ClassVar[float] = 0.005
    baseline: ClassVar[str] = "lte"

    def __init__(
        self,
        channels: int,
        width: int = 16,
        depth: int = 9,
        latent_width: int = 288,
        fourier_width: int = 128,
        cell: bool = True,
    ) -> None:
        super().__init__(width, depth)
        if width % 2 or fourier_width % 2:
            raise ValueError("LTE pairs a cosine with a sine; widths must be even")
        self.channels, self.fourier_width, self.cell = channels, fourier_width, cell
        self.compressed_dim = 2 * width
        self.render_dim = width
        self.code_dim = self.modulation_dim + self.compressed_dim
        self.fed_dim = self.modulation_dim + self.render_dim
        self.coef = conv3x3(channels, fourier_width)
        self.freq = conv3x3(channels, fourier_width)
        self.phase = nn.Linear(2, fourier_width // 2, bias=False)
        self.hypernet = MLP(fourier_width, latent_width, 2, self.code_dim)
        self.imphase = nn.Linear(2, width // 2, bias=False)

    @property
    def latent(self) -> MLP:
        return self.hypernet

    def codes(self, rows: Tensor, rel_cell: Tensor) -> Tensor:
        padded = F.pad(rows, (1, 1))
        amplitude, frequency = (
            F.conv2d(padded, layer.weight, layer.bias).flatten(2).transpose(1, 2)
            for layer in (self.coef, self.freq)
        )
        angle = frequency[..., 0::2] + frequency[..., 1::2]
        if self.cell:
            # One cell for an image, so this is no work of the LR pixels.
            angle = angle + (self.phase.weight * rel_cell.unsqueeze(1)).sum(dim=-1).unsqueeze(1)
        made: Tensor = self.hypernet(amplitude * _waves(angle))
        return made

    def feed(self, code: Tensor, rel_coord: Tensor, rel_cell: Tensor) -> Tensor:
        modulations, amplitude, frequency = torch.split(
            code, [self.modulation_dim, self.width, self.width], dim=-1
        )
        angle = frequency[:, 0::2] * rel_coord[:, :1] + frequency[:, 1::2] * rel_coord[:, 1:]
        if self.cell:
            angle = angle + self.imphase(rel_cell)
        return torch.cat([amplitude * _waves(angle), modulations], dim=-1)

    def skip(self, lr: Tensor, coord: Tensor) -> Tensor:
        return bilinear_skip(lr, coord)

    def estimator_macs(self) -> tuple[int, int]:
        return 2 * 9 * self.channels * self.fourier_width, self.width * self.cell

    def split(self, mlps: Sequence[MLP], dtype: torch.dtype = torch.float32) -> Split:
        """Fourier features as LTE's; every hidden layer is modulated."""
        return LMLTESplit(self, mlps, dtype)


def _waves(angle: Tensor) -> Tensor:
    """Cosines and sines of angles in half turns."""
    angle = math.pi * angle
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


class LMLIIFSplit(Additive):
    """LIIF's with the compressed code; prepared are its part of the first layer and modulations."""

    decoder: LMLIIFDecoder
    mlps: Sequence[ModulatedMLP]

    def __init__(self, decoder: LMLIIFDecoder, mlps: Sequence[MLP], dtype: torch.dtype) -> None:
        super().__init__(decoder, mlps, dtype, offset, code_dim=decoder.compressed_dim)

    @property
    def prepared_dim(self) -> int:
        return super().prepared_dim + self.decoder.modulation_dim

    def prepare(self, code: Tensor) -> Tensor:
        modulations, own = torch.split(code, [self.decoder.modulation_dim, self.code_dim], dim=1)
        return torch.cat([super().prepare(own), modulations], dim=1)

    def decode(
        self, prepared: Tensor, rel_coord: Tensor, rel_cell: Tensor, gates: Tensor | None = None
    ) -> Tensor:
        own, modulations = self._parts(prepared)
        hidden = self.first(own, rel_coord, rel_cell)
        return mixed([self.mlps[0].modulated(hidden[:, None], modulations)[:, 0]], gates)

    def on_grid(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor) -> Tensor:
        own, modulations = self._parts(prepared)
        by_row, by_column = self.first_on_grid(own, rel_y, rel_x, rel_cell)
        with self.reduced():
            rgb = self.mlps[0].modulated((by_row + by_column).flatten(1, 2), modulations)
        return rgb.view(*rel_y.shape, -1, 3)

    def _parts(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        own, modulations = torch.split(
            prepared, [self.widths[0], self.decoder.modulation_dim], dim=1
        )
        return own.clone(), modulations


class LMLTESplit(FourierSplit):
    """LTE's; prepared are amplitudes, frequencies and modulations."""

    decoder: LMLTEDecoder
    mlps: Sequence[ModulatedMLP]

    @property
    def half(self) -> int:  # type: ignore[override]
        return self.decoder.width // 2

    def phases(self, rel_cell: Tensor) -> Tensor:
        decoder = self.decoder
        return decoder.imphase(rel_cell) if decoder.cell else rel_cell.new_zeros(self.half)

    def prepare(self, code: Tensor) -> Tensor:
        modulations, fourier = torch.split(code, self._parts, dim=1)
        return torch.cat([self.by_direction(fourier), modulations], dim=1)

    def decode(
        self, prepared: Tensor, rel_coord: Tensor, rel_cell: Tensor, gates: Tensor | None = None
    ) -> Tensor:
        fourier, modulations = torch.split(prepared, self._parts[::-1], dim=1)
        fed = self.features(fourier, rel_coord, rel_cell)
        return mixed([self._render(fed[:, None], modulations)[:, 0]], gates)

    def on_grid(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, rel_cell: Tensor) -> Tensor:
        fourier, modulations = torch.split(prepared, self._parts[::-1], dim=1)
        fed = self.features_on_grid(fourier, rel_y, rel_x, rel_cell)
        with self.reduced():
            return self._render(fed.flatten(1, 2), modulations).view(*rel_y.shape, -1, 3)

    @property
    def _parts(self) -> list[int]:
        return [self.decoder.modulation_dim, self.decoder.compressed_dim]

    def _render(self, fed: Tensor, modulations: Tensor) -> Tensor:
        (mlp,) = self.mlps
        return mlp.modulated(mlp.linears[0](fed), modulations)


DECODERS = {"lmliif": LMLIIFDecoder, "lmlte": LMLTEDecoder}
