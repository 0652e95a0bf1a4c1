"""One network for several integer scales: encoder -> features -> upsampler for the scale asked for.

An *upsampler* knows how a scale becomes kernels, and what these make of the features. Kernels
depend on the scale alone, so they are made once for an image of any size, or once for all
(`MultiScaleSR.at_scale`).
"""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar

from torch import Tensor, nn

from baselines.composition import FixedScaleSR, Range
from baselines.encoders.colours import Colours
from baselines.mirror import mirrored, whole_windows

Enlarge = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Backbone:
    """An encoder as an upsampler was published with it.

    Attributes:
        encoder: its options there.
        upsampler: options of the upsampler there.
        shifted: whether its layers see the difference from DIV2K's mean colour.
    """

    encoder: Mapping[str, Any] = field(default_factory=dict)
    upsampler: Mapping[str, Any] = field(default_factory=dict)
    shifted: bool = True


class Upsampler(nn.Module, ABC):
    """From features to an image, at several integer scales.

    Attributes:
        scales: that it can do, the smallest first.
        backbones: encoders that it has methods with.
        usual_scales: where a backbone has no others.
        baseline: name of the upsampler that this one is a change of; "" for none.
    """

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
        """The scales that it was published with over one of its backbones.

        Example:
            >>> from baselines.igconv import IGConv
            >>> IGConv.scales_with("rcan")
            (2, 3, 4, 8)
        """
        return tuple(cls.backbones[encoder].upsampler.get("scales", cls.usual_scales))

    @abstractmethod
    def kernels(self, scale: int) -> tuple[Tensor, ...]:
        """What depends on the scale alone."""

    @staticmethod
    @abstractmethod
    def enlarge(kernels: Sequence[Tensor], image: Tensor, features: Tensor, scale: int) -> Tensor:
        """The SR image.

        Args:
            kernels: of `kernels` for this scale.
            image: (B, 3, h, w) in [0, 1], before any colour shift.
            features: (B, C, h, w).
            scale: factor.

        Returns:
            (B, 3, h*scale, w*scale)
        """

    @abstractmethod
    def macs(self, scale: int) -> tuple[int, int]:
        """Multiply-adds: of the kernels, once for an image, and per LR pixel."""

    def forward(self, image: Tensor, features: Tensor, scale: int) -> Tensor:
        """The SR image; see `enlarge`."""
        return self.enlarge(self.kernels(scale), image, features, scale)


class MultiScaleSR(nn.Module):
    """A network for several integer scales: `model(lr, scale) -> sr`, both in [0, 1].

    The LR image is padded at the bottom and right by reflection to whole windows of the encoder,
    and the answer is cut back.

    Args:
        encoder: image to features, with `out_channels` and `window`.
        upsampler: decides the scales.
        colours: from the image to what the encoder sees, and from the upsampler's answer back.
    """

    input_range: Range = "unit"

    def __init__(self, encoder: nn.Module, upsampler: Upsampler, colours: Colours) -> None:
        super().__init__()
        self.encoder = encoder
        self.upsampler = upsampler
        self.colours = colours

    @property
    def scales(self) -> tuple[int, ...]:
        """The scales that the network can do."""
        return self.upsampler.scales

    def forward(self, lr: Tensor, scale: int) -> Tensor:
        """(B, 3, h, w) to (B, 3, h*scale, w*scale).

        Raises:
            ValueError: for another scale than the network's, naming these.
        """
        scale = self._checked(scale)
        enlarge = partial(self.upsampler, scale=scale)
        return _enlarged(lr, self.encoder, self.colours, enlarge, scale)

    def at_scale(self, scale: int) -> FixedScaleSR:
        """The same network for one scale, with weights of its own and kernels made once.

        Raises:
            ValueError: for another scale than the network's, naming these.
        """
        scale = self._checked(scale)
        encoder, colours = copy.deepcopy(self.encoder), copy.deepcopy(self.colours)
        network = Instantiated(encoder, self.upsampler, colours, scale)
        return FixedScaleSR(network.train(self.training), scale, self.input_range)

    def _checked(self, scale: float) -> int:
        if scale not in self.scales:
            raise ValueError(f"this network enlarges by {in_words(self.scales)} only, not {scale}")
        return int(scale)


def in_words(items: Sequence[object]) -> str:
    """`2, 3 and 4`."""
    *others, last = map(str, items)
    return f"{', '.join(others)} and {last}" if others else last


class Instantiated(nn.Module):
    """A `MultiScaleSR` at one scale, its kernels as plain weights.

    Args:
        encoder, colours: as there.
        upsampler: makes the kernels; is not kept.
        scale: factor.

    Attributes:
        macs: multiply-adds of the upsampler per LR pixel.
    """

    window = 1  # whole windows are made here, as in the network with all scales

    def __init__(
        self, encoder: nn.Module, upsampler: Upsampler, colours: Colours, scale: int
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.colours = colours
        self.kernels = nn.ParameterList(k.detach().clone() for k in upsampler.kernels(scale))
        self.macs = upsampler.macs(scale)[1]
        self.scale = scale
        self._enlarge = upsampler.enlarge

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, 3, h*scale, w*scale)."""
        enlarge = partial(self._enlarge, list(self.kernels), scale=self.scale)
        return _enlarged(lr, self.encoder, self.colours, enlarge, self.scale)


def compose(
    make_encoder: Callable[..., Any],
    make_upsampler: Callable[..., Upsampler],
    backbone: Backbone,
    encoder: Mapping[str, Any],
    upsampler: Mapping[str, Any],
) -> MultiScaleSR:
    """A network, with the backbone's options where none are given.

    Args:
        make_encoder: called with options; answers with a module that has `out_channels`.
        make_upsampler: called with these channels and options.
        backbone: the encoder as it was published with the upsampler.
        encoder, upsampler: options.
    """
    network = make_encoder(**{**backbone.encoder, **encoder})
    made = make_upsampler(network.out_channels, **{**backbone.upsampler, **upsampler})
    return MultiScaleSR(network, made, Colours("unit", shifted=backbone.shifted))


def _enlarged(
    lr: Tensor, encoder: nn.Module, colours: Colours, enlarge: Enlarge, scale: int
) -> Tensor:
    h, w = lr.shape[-2:]
    window = int(encoder.window)  # type: ignore[arg-type]
    image = mirrored(lr, whole_windows((h, w), window), repeat_edge=False)
    sr = colours.leave(enlarge(image, encoder(colours.enter(image))))
    return sr[..., : h * scale, : w * scale]
