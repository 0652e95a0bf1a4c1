"""Network for several integer scales: encoder, features, and an upsampler for the given scale.

An *upsampler* makes kernels from a scale, and applies them to the features. Kernels depend on the
scale alone, so they are made once for an image of any size, or once for all images
(`MultiScaleSR.at_scale`).
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from baselines.base import Encoder, Range, Request, SRModel, Streamed, cut, in_words
from baselines.encoders.colours import Colours
from baselines.macs import MacCount, network_macs
from baselines.names import Names, Pairs
from baselines.systems.fixed import FixedScaleSR
from baselines.windows import Size, mirrored, whole_windows

Enlarge = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Backbone:
    """Encoder as it was published with an upsampler.

    Attributes:
        encoder: options of the encoder there.
        upsampler: options of the upsampler there.
        label: the encoder's name in the paper, where it differs from the usual name.
        shifted: whether its layers see the difference from DIV2K's mean colour.
        names: makes the pairs of official names and those of the network's parts, for an encoder.
    """

    encoder: Mapping[str, Any] = field(default_factory=dict)
    upsampler: Mapping[str, Any] = field(default_factory=dict)
    shifted: bool = True
    label: str = ""
    names: Callable[[Encoder], Pairs] = lambda _: ()


class Upsampler(nn.Module, ABC):
    """Module that turns features into an image, at several integer scales.

    Attributes:
        scales: scales that it can do, in ascending order.
        label: name in tables.
        backbones: encoders that it has methods with.
        usual_scales: scales of backbones that do not define their own.
        baseline: name of the upsampler that this one changes; "" for none.
    """

    label: ClassVar[str]
    backbones: ClassVar[Mapping[str, Backbone]]
    usual_scales: ClassVar[tuple[int, ...]]
    baseline: ClassVar[str] = ""

    def __init__(self, scales: Sequence[int]) -> None:
        super().__init__()
        if not scales or any(int(s) != s or s < 2 for s in scales):
            raise ValueError(f"scales are integers from 2 up, not {scales}")
        self.scales = tuple(sorted({int(s) for s in scales}))

    @classmethod
    def scales_with(cls, encoder: str) -> tuple[int, ...]:
        """List the scales that the upsampler was published with over one of its backbones.

        Example:
            >>> from baselines.upsamplers.igconv import IGConv
            >>> IGConv.scales_with("rcan")
            (2, 3, 4, 8)
        """
        return tuple(cls.backbones[encoder].upsampler.get("scales", cls.usual_scales))

    @abstractmethod
    def kernels(self, scale: int) -> tuple[Tensor, ...]:
        """Make the kernels, which depend on the scale alone."""

    @staticmethod
    @abstractmethod
    def enlarge(kernels: Sequence[Tensor], image: Tensor, features: Tensor, scale: int) -> Tensor:
        """Make the SR image (B, 3, h*scale, w*scale).

        Args:
            kernels: kernels for this scale, from `kernels`.
            image: (B, 3, h, w) in [0, 1], before any colour shift.
            features: (B, C, h, w).
            scale: scale factor.
        """

    @abstractmethod
    def macs(self, scale: int) -> tuple[int, int]:
        """Count the MACs of making the kernels, once for an image, and the MACs per LR pixel."""

    def forward(self, image: Tensor, features: Tensor, scale: int) -> Tensor:
        """Make the SR image; see `enlarge`."""
        return self.enlarge(self.kernels(scale), image, features, scale)


class MultiScaleSR(SRModel):
    """Network for several integer scales: `model(lr, scale) -> sr`, both in [0, 1].

    The LR image is padded by reflection at the bottom and right to whole windows of the encoder,
    and the result is cropped. `colours` converts the image to the encoder's input, and the
    upsampler's output back.
    """

    input_range: Range = "unit"
    encoder: Encoder
    scales: tuple[int, ...]

    def __init__(
        self, encoder: Encoder, upsampler: Upsampler, colours: Colours, names: Pairs = ()
    ) -> None:
        super().__init__()
        self.names = Names((*names, ("", "encoder")))
        self.encoder = encoder
        self.upsampler = upsampler
        self.colours = colours
        self.scales = upsampler.scales

    def forward(self, lr: Tensor, scale: int) -> Tensor:
        """Map (B, 3, h, w) to (B, 3, h*scale, w*scale).

        Raises:
            ValueError: the network does not have this scale; the message names those it has.
        """
        scale = self._checked(scale)
        enlarge = partial(self.upsampler, scale=scale)
        return _enlarged(lr, self.encoder, self.colours, enlarge, scale)

    def image(self, lr: Tensor, scale: int) -> Tensor:
        """Make whole SR images; see `forward`."""
        return self(lr, scale)  # type: ignore[no-any-return]

    def at_scale(self, scale: float) -> SRModel:
        """Make the kernels of one scale; the network itself where it does not have the scale."""
        if scale not in self.scales:
            return self
        with torch.no_grad():
            return self.instantiated(int(scale)).requires_grad_(False)

    def instantiated(self, scale: int) -> FixedScaleSR:
        """Copy the network for one scale, with its kernels as plain weights."""
        scale = self._checked(scale)
        encoder, colours = copy.deepcopy(self.encoder), copy.deepcopy(self.colours)
        network = Instantiated(encoder, self.upsampler, colours, scale)
        return FixedScaleSR(network.train(self.training), scale, self.input_range)

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make the SR image as a whole and return a region of it; see `SRModel.stream`."""
        sr = self(lr, int(request.scale)).float().cpu()
        return Streamed(iter([cut(sr, request.box)]), (lr.shape[-2], lr.shape[-1]))

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Tensor | None = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """Count the MACs at the scale between the two sizes; see `SRModel.count`."""
        del choice, shares
        once, per_pixel = self.upsampler.macs(self.own_scale(lr_size, hr_size))
        return replace(_applied(self.encoder, lr_size, per_pixel), kernels=once)

    def training_macs(self, patch: int, queries: int, scales: Sequence[int], batch: int) -> int:
        """Count the mean MACs over the scales of a batch, which makes its kernels once."""
        del queries
        drawn = [n for n in self.scales if n in scales] or list(self.scales)
        counts = [self.count((patch, patch), (n * patch, n * patch)) for n in drawn]
        return sum(c.total - c.kernels + c.kernels // batch for c in counts) // len(counts)

    def kernel_values(self, scale: float) -> int | None:
        """Count the numbers in the kernels of one of the network's scales."""
        if scale not in self.scales:
            return None
        with torch.no_grad():
            return sum(kernel.numel() for kernel in self.upsampler.kernels(int(scale)))

    def _checked(self, scale: float) -> int:
        if scale not in self.scales:
            raise ValueError(f"this network enlarges by {in_words(self.scales)} only, not {scale}")
        return int(scale)


class Instantiated(Encoder):
    """Network of a `MultiScaleSR` at one scale, with its kernels as plain weights.

    Attributes:
        per_pixel: MACs of the upsampler per LR pixel.
    """

    scale: int
    window = 1  # whole windows are made here, as in the network with all scales

    def __init__(
        self, encoder: Encoder, upsampler: Upsampler, colours: Colours, scale: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.colours = colours
        self.kernels = nn.ParameterList(k.detach().clone() for k in upsampler.kernels(scale))
        self.per_pixel = upsampler.macs(scale)[1]
        self.scale = scale
        self._enlarge = upsampler.enlarge

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to (B, 3, h*scale, w*scale)."""
        enlarge = partial(self._enlarge, list(self.kernels), scale=self.scale)
        return _enlarged(lr, self.encoder, self.colours, enlarge, self.scale)

    def count(
        self, lr_size: Size, choice: Tensor | None = None, shares: Sequence[float] | None = None
    ) -> MacCount:
        """Count the MACs of encoder and kernels; see `Encoder.count`."""
        del choice, shares
        return _applied(self.encoder, lr_size, self.per_pixel)


def _applied(encoder: Encoder, lr_size: Size, per_pixel: int) -> MacCount:
    """Count the MACs of an encoder and of kernels on its features, padded to whole windows."""
    work = per_pixel * math.prod(whole_windows(lr_size, encoder.window))
    whole = network_macs(encoder, encoder.window, lr_size)
    return MacCount(encoder=whole, head=work, executed=work)


def _enlarged(
    lr: Tensor, encoder: Encoder, colours: Colours, enlarge: Enlarge, scale: int
) -> Tensor:
    h, w = lr.shape[-2:]
    image = mirrored(lr, whole_windows((h, w), encoder.window), repeat_edge=False)
    sr = colours.leave(enlarge(image, encoder(colours.enter(image))))
    return sr[..., : h * scale, : w * scale]
