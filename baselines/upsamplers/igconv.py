"""IGConv and IGConv+ (Lee et al., arXiv 2408.09674): sub-pixel convolution at several scales.

A sub-pixel convolution has a 3x3 kernel over the features for every sub-pixel of the SR image. Here
a hyper-network computes the kernel of any sub-pixel of any scale: Fourier features of its position
in the LR pixel, with learnt frequencies and amplitudes for every tap, go through an MLP.

IGConv+ adds a second path, `baselines.upsamplers.igsample`, and averages all kernels over flips and
turns; training adds a frequency loss.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.base import Encoder
from baselines.encoders.edsr import EDSR
from baselines.fast.banding import in_bands
from baselines.geometry import pixel_centers
from baselines.names import Pairs
from baselines.systems.multiscale import Backbone, Upsampler
from baselines.upsamplers.igsample import COORDINATES, resampled

SIDE = 3  # of all kernels
SCALES = (2, 3, 4)
COLOURS = 3
_START = 0.02  # standard deviation of frequencies and amplitudes at the start
_START_SAMPLING = 0.01  # and of the layers that make IGSample's kernels


def _names(encoder: Encoder, place: str = "upsample") -> Pairs:
    """Pair the official names of IGConv, which lies at `place`, and of IGSample with ours."""
    del encoder
    return (
        (f"{place}.query_kernel", "upsampler.convolution.layers"),
        (place, "upsampler.convolution"),
        ("skip.convs.query_kernel", "upsampler.sampling.layers"),
        ("skip.convs", "upsampler.sampling"),
    )


def _edsr_names(encoder: Encoder) -> Pairs:
    """Pair the official names over EDSR, which is BasicSR's here, with ours."""
    body = cast(EDSR, encoder).body
    return (
        *_names(encoder),
        ("conv_first", "encoder.head.0"),
        ("body.{}.conv1", "encoder.body.{}.body.0"),
        ("body.{}.conv2", "encoder.body.{}.body.2"),
        ("conv_after_body", f"encoder.body.{len(body) - 1}"),
    )


# Encoders of the official project. The large EDSR is what its tables call EDSR; RCAN was trained
# for x8 too; RDN alone sees colours as they are.
BACKBONES: dict[str, Backbone] = {
    "edsr": Backbone(label="EDSR-baseline", names=_edsr_names),
    "edsr-large": Backbone(label="EDSR", names=_edsr_names),
    "rdn": Backbone(shifted=False, names=partial(_names, place="UPNet")),
    "rcan": Backbone(upsampler={"scales": (2, 3, 4, 8)}, names=partial(_names, place="tail")),
    "swinir": Backbone(encoder={"features": None}, names=_names),
    "srformer": Backbone(names=_names),
}


def geometric_average(kernels: Tensor) -> Tensor:
    """Average (N, C, 3, 3) kernels over their eight flips and quarter turns.

    Only taps are moved, sub-pixels stay. Of each nine values, three different ones are left: those
    of the centre, the edges and the corners.
    """
    for axis in (-2, -1):
        kernels = (kernels + kernels.flip(axis)) / 2
    return (kernels + kernels.transpose(-2, -1)) / 2


def _full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Disable mixed precision for a block: kernels are made once and used for every pixel."""
    if device.type == "meta":  # has none, and raises an error
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


class KernelNetwork(nn.Module):
    """Hyper-network that makes the kernels of a convolution for all sub-pixels of a scale.

    Args:
        channels: channels of the features, C.
        outputs: number of kernels for each sub-pixel.
        width: number of Fourier features of a tap, and hidden width; even.
        layers: number of hidden layers.
        groups: number of parallel networks that share only the phase layer, each of this width.
        bias: whether the last layer has a bias.

    Raises:
        ValueError: the width is odd.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        width: int,
        layers: int,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        total = groups * width
        if total % 2:
            raise ValueError(f"width {width} is odd; Fourier features are pairs")
        self.groups = groups
        taps = (channels * SIDE * SIDE, total, 1, 1)
        self.freq = nn.Parameter(nn.init.normal_(torch.empty(taps), std=_START))
        self.amplitude = nn.Parameter(nn.init.normal_(torch.empty(taps), std=_START))
        self.phase = nn.Conv2d(1, total // 2, 1)
        hidden: list[nn.Module] = []
        for _ in range(layers):
            hidden += [nn.Conv2d(total, total, 1, groups=groups), nn.ReLU()]
        last = nn.Conv2d(total, outputs, 1, groups=groups, bias=bias)
        self.layers = nn.Sequential(*hidden, last)

    def forward(self, scale: int) -> Tensor:
        """Make the kernels (outputs * scale * scale, C, 3, 3): output, sub-pixel row, column."""
        with _full_precision(self.freq.device):
            kernels: Tensor = self.layers(self._basis(scale) * self.amplitude)
        by_tap = kernels.reshape(-1, SIDE, SIDE, *kernels.shape[1:])
        return by_tap.permute(3, 4, 5, 0, 1, 2).flatten(0, 2)

    def _basis(self, scale: int) -> Tensor:
        """Compute (C * 9, width, scale, scale) waves of each tap at the centres of the sub-pixels.

        The official code bounds the scale in the phase by the largest training scale; no other
        scale is made here.
        """
        place = pixel_centers(scale, device=self.freq.device)
        along_x, along_y = self.freq.chunk(2, dim=1)
        side = torch.full((1, 1, scale, scale), 2 / scale, device=self.freq.device)
        angle = along_x * place + along_y * place[:, None] + self.phase(side)
        waves = torch.cat([torch.cos(math.pi * angle), torch.sin(math.pi * angle)], dim=1)
        # The groups alternate among the channels; a convolution needs them one after the other.
        in_turns = waves.reshape(waves.shape[0], -1, self.groups, scale, scale)
        return in_turns.transpose(1, 2).reshape(waves.shape)

    def macs(self, scale: int) -> int:
        """Count the MACs for the kernels of a scale."""
        convolutions = [layer for layer in self.layers if isinstance(layer, nn.Conv2d)]
        tap = sum(c.out_channels * c.in_channels // c.groups for c in convolutions)
        return scale**2 * (self.freq.shape[0] * tap + self.phase.out_channels)


def convolved(features: Tensor, kernels: Tensor, scale: int) -> Tensor:
    """Apply a sub-pixel convolution to (B, C, h, w) features: (B, 3, h*scale, w*scale)."""

    def layers(rows: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv2d(rows, kernels, padding=SIDE // 2), scale)

    row_bytes = 2 * kernels.shape[0] * features.shape[3] * features.element_size()
    return in_bands(layers, features, SIDE // 2, row_bytes)


class IGConv(Upsampler):
    """IGConv; the defaults are the paper's.

    Args:
        channels: channels of the features.
        width: width of the hyper-network.
        layers: number of hidden layers of the hyper-network.
        average: whether kernels are averaged over flips and turns (`geometric_average`).
        scales: scales that it is trained for.
    """

    label = "IGConv"

    backbones: ClassVar[Mapping[str, Backbone]] = BACKBONES
    usual_scales: ClassVar[tuple[int, ...]] = SCALES

    def __init__(
        self,
        channels: int,
        width: int = 256,
        layers: int = 4,
        average: bool = False,
        scales: Sequence[int] = SCALES,
    ) -> None:
        super().__init__(scales)
        self.average = average
        self.convolution = KernelNetwork(channels, COLOURS, width, layers)

    def kernels(self, scale: int) -> tuple[Tensor, ...]:
        """Make the kernels (3*scale*scale, C, 3, 3), ordered by colour, sub-pixel row, column."""
        return (self._finished(self.convolution(scale)),)

    def _finished(self, kernels: Tensor) -> Tensor:
        return geometric_average(kernels) if self.average else kernels

    @staticmethod
    def enlarge(kernels: Sequence[Tensor], image: Tensor, features: Tensor, scale: int) -> Tensor:
        """Make the SR image by the convolution; see `Upsampler.enlarge`."""
        del image
        (convolution,) = kernels
        return convolved(features, convolution, scale)

    def macs(self, scale: int) -> tuple[int, int]:
        """Count the MACs of kernels and convolution; see `Upsampler.macs`."""
        channels = self.convolution.freq.shape[0]
        return self.convolution.macs(scale), COLOURS * scale**2 * channels


class IGConvPlus(IGConv):
    """IGConv+: IGConv plus IGSample, which has half of its width and layers.

    Args: as `IGConv`.
    """

    baseline: ClassVar[str] = "igconv"
    label = "IGConv+"

    def __init__(
        self,
        channels: int,
        width: int = 256,
        layers: int = 4,
        average: bool = True,
        scales: Sequence[int] = SCALES,
    ) -> None:
        super().__init__(channels, width, layers, average, scales)
        self.sampling = KernelNetwork(
            channels, 2 * COORDINATES, width // 2, layers // 2, groups=2, bias=False
        )
        _start_sampling(self.sampling)

    def kernels(self, scale: int) -> tuple[Tensor, ...]:
        """Make the kernels of IGConv, and of IGSample's offsets and scopes; see `resampled`."""
        return (*super().kernels(scale), self._finished(self.sampling(scale)))

    @staticmethod
    def enlarge(kernels: Sequence[Tensor], image: Tensor, features: Tensor, scale: int) -> Tensor:
        """Make the SR image as sum of convolution and moved samples; see `Upsampler.enlarge`."""
        convolution, sampling = kernels
        base = convolved(features, convolution, scale)
        return base + resampled(image, features, sampling, scale)

    def macs(self, scale: int) -> tuple[int, int]:
        """Count the MACs of both paths; see `Upsampler.macs`."""
        once, per_pixel = super().macs(scale)
        channels = self.sampling.freq.shape[0]
        sampling = 2 * COORDINATES * scale**2 * channels
        return once + self.sampling.macs(scale), per_pixel + sampling


def _start_sampling(network: KernelNetwork) -> None:
    """Initialise as the official code: small layers, two alternating offsets, scopes of zero."""
    for parameter in network.layers.parameters():
        nn.init.trunc_normal_(parameter, std=_START_SAMPLING)
    last = network.layers[-1]
    assert isinstance(last, nn.Conv2d)
    with torch.no_grad():
        for first in range(2, COORDINATES, 2):
            last.weight[first : first + 2] = last.weight[:2]
        last.weight[COORDINATES:] = 0


UPSAMPLERS = {"igconv": IGConv, "igconv-plus": IGConvPlus}
