"""LMF (He, Jin: Latent modulated function for computational optimal continuous image
representation, CVPR 2024): the wide MLP runs once per LR pixel, a narrow one per query.

The *latent MLP* turns a latent code into modulations, a scale and a shift for every hidden neuron
of the *render MLP*, and into a compressed code, which the render MLP is fed with. LM-LIIF makes
this of LIIF, LM-LTE of LTE.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.composition import Decoder
from baselines.decoders.lte import bilinear_skip, by_direction, fourier_features, fourier_macs
from baselines.encoders.edsr import conv3x3
from baselines.fast.factors import FactorMacs, Factors, Workspace
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
    """LM-LIIF: the latent MLP sees [unfolded code, relative cell], the render MLP [compressed
    code, relative coordinate, relative cell].

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

    def factors(self, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype) -> Factors:
        return LMLIIFFactors(self, mlp, rel_cell, dtype)


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

    def factors(self, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype) -> Factors:
        return LMLTEFactors(self, mlp, rel_cell, dtype)


def _waves(angle: Tensor) -> Tensor:
    """Cosines and sines of angles in half turns."""
    angle = math.pi * angle
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


class _Modulated:
    """Hidden layers with each code's modulations in their weights, and the output layer.

    (1 + s) * (W h + b) + t is a linear layer of the code's own, so that all queries of a code go
    through one product.
    """

    def __init__(self, layers: Sequence[nn.Linear], dtype: torch.dtype) -> None:
        *hidden, last = layers
        self.count = len(hidden)
        self.weights = [(layer.weight, layer.bias) for layer in hidden]
        self.last = (last.weight.to(dtype), last.bias.to(dtype))
        self.dtype = dtype
        self.macs = sum(layer.in_features * layer.out_features for layer in layers)

    def __call__(self, x: Tensor, scales: Tensor, shifts: Tensor) -> Tensor:
        """(n, queries, in) of n codes, (n, layers * width) twice, to (n, queries, 3)."""
        n, _, width = x.shape
        given = torch.stack([scales, shifts]).view(2, n, self.count, width).unbind(2)
        for (weight, bias), (scale, shift) in zip(self.weights, given, strict=True):
            own_weight = ((1 + scale).unsqueeze(2) * weight).to(self.dtype)
            own_bias = torch.addcmul(shift + bias, scale, bias).to(self.dtype)
            x = torch.baddbmm(own_bias.unsqueeze(1), x, own_weight.mT).relu_()
        return F.linear(x, *self.last)


class LMLIIFFactors(Factors):
    """The render MLP's first layer is linear: code, row and column add their parts to it, and
    the code's modulations scale all three."""

    def __init__(
        self, decoder: LMLIIFDecoder, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype
    ) -> None:
        first, *others = mlp.linears
        own = decoder.compressed_dim
        self.on_code, on_coord, on_cell = torch.split(
            first.weight, [own, 2, first.in_features - own - 2], dim=1
        )
        self.on_y, self.on_x = on_coord.t()
        self.constant = first.bias + (on_cell @ rel_cell if decoder.cell else 0)
        self.split = [decoder.modulation_dim, own]
        self.rest = _Modulated(others, dtype)
        self.width, self.dtype = decoder.width, dtype
        self.prepared_dim = 3 * self.width + 2 * self.width * self.rest.count
        self.macs = FactorMacs(own * self.width, self.width, self.width, self.rest.macs)

    def prepare(self, code: Tensor) -> Tensor:
        """The first layer's part of the code, of rows and of columns; modulations of the rest."""
        modulations, own = torch.split(code.float(), self.split, dim=1)
        scales, shifts = modulations.chunk(2, dim=1)
        scale, shift = 1 + scales[:, : self.width], shifts[:, : self.width]
        of_code = torch.addmm(self.constant, own, self.on_code.t()) * scale + shift
        first = [of_code, scale * self.on_y, scale * self.on_x]
        return torch.cat([*first, scales[:, self.width :], shifts[:, self.width :]], dim=1)

    def evaluate(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace) -> Tensor:
        n, rows, columns, width = prepared.shape[0], rel_y.shape[1], rel_x.shape[1], self.width
        first, modulations = prepared[:, : 3 * width], prepared[:, 3 * width :]
        of_code, on_y, on_x = first.unsqueeze(1).chunk(3, dim=2)
        by_row = torch.addcmul(of_code, rel_y[..., None], on_y)
        by_column = rel_x[..., None] * on_x
        hidden = work.take("hidden", (n, rows, columns, width), self.dtype)
        torch.add(by_row[:, :, None], by_column[:, None], out=hidden)
        rgb = self.rest(hidden.view(n, -1, width).relu_(), *modulations.chunk(2, dim=1))
        return rgb.view(n, rows, columns, 3)


class LMLTEFactors(Factors):
    """Fourier features by the angle-sum identities, as LTE's; every hidden layer is modulated."""

    def __init__(
        self, decoder: LMLTEDecoder, mlp: MLP, rel_cell: Tensor, dtype: torch.dtype
    ) -> None:
        self.half = decoder.width // 2
        phase = decoder.imphase.weight @ rel_cell if decoder.cell else rel_cell.new_zeros(self.half)
        self.phase = math.pi * phase
        self.split = [decoder.modulation_dim, decoder.compressed_dim]
        self.render = _Modulated(mlp.linears, dtype)
        self.dtype = dtype
        self.prepared_dim = decoder.code_dim
        self.macs = fourier_macs(self.half, self.render.macs)

    def prepare(self, code: Tensor) -> Tensor:
        """Amplitudes, vertical and horizontal frequencies, modulations."""
        modulations, fourier = torch.split(code.float(), self.split, dim=1)
        return torch.cat([by_direction(fourier), modulations], dim=1)

    def evaluate(self, prepared: Tensor, rel_y: Tensor, rel_x: Tensor, work: Workspace) -> Tensor:
        n, rows, columns = prepared.shape[0], rel_y.shape[1], rel_x.shape[1]
        fourier, modulations = torch.split(prepared, self.split[::-1], dim=1)
        fed = work.take("fed", (n, rows, columns, 2 * self.half), self.dtype)
        fourier_features(fourier, self.phase, rel_y, rel_x, work, fed)
        rgb = self.render(fed.view(n, -1, 2 * self.half), *modulations.chunk(2, dim=1))
        return rgb.view(n, rows, columns, 3)
