"""The protocol of super-resolution networks: `SRModel`, and `Encoder` for their first part.

Nothing outside `baselines` asks of what class a network is: it asks the network which scales it
can do, how it is trained, for its SR image in strips, its choice of experts and its MACs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from baselines.macs import MacCount, network_macs
from baselines.windows import Grid, Size, extend, grid

Range = Literal["signed", "unit"]


@dataclass(frozen=True)
class Box:
    """A region of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Request:
    """One SR image that a network is asked for.

    Attributes:
        scale: factor; decides the cell's clip, and whether networks of few scales can do it.
        size: (H, W) of the SR image.
        box: the region of it that is wanted.
        dtype: of the decoder's matrix products.
        memory: bytes that a band of LR rows may take in the decoder; None: what suits the device.
        stored: type of the LR image's values in its file, uint8 or uint16; bicubic rounds to it.
    """

    scale: float
    size: Size
    box: Box
    dtype: torch.dtype = torch.float32
    memory: int | None = None
    stored: torch.dtype = torch.uint8


@dataclass(frozen=True)
class Streamed:
    """An SR image in the making.

    Attributes:
        strips: (3, rows, width) float32 in [0, 1] nominally, not clamped, from top to bottom.
        lr_size: (h, w) of the LR image as the network saw it, extended to whole windows.
        choice: what the image chose, as `SRModel.count` takes it: expert of each LR pixel (h, w),
            or of each layer (layers,), from 0; the steps of CMSR; None where there is no choice.
    """

    strips: Iterator[Tensor]
    lr_size: Size
    choice: Any = None


class Encoder(nn.Module):
    """LR image to features on the LR grid, or with an upsampler of its own to an SR image.

    Called with (B, 3, h, w) in [-1, 1]; with an upsampler, in `upsampled_range`.

    Attributes:
        out_channels: of its features.
        scale: of its own upsampler; None without.
        window: its layers work on whole windows of this side, to which its official evaluation
            extends the LR image; 1 where an image is taken as it is.
        upsampled_range: with its upsampler it works on [-1, 1] ("signed") or [0, 1] ("unit").
        expert_count: experts among which each layer chooses for a whole image; 1 for no choice.
    """

    out_channels: int
    scale: int | None
    window: int = 1
    upsampled_range: Range
    expert_count: int = 1

    def enlarge(self, lr: Tensor) -> tuple[Tensor, Tensor | None]:
        """SR image, with an upsampler, and the (B, layers) experts that made it, if any."""
        return self(lr), None

    def count(
        self, lr_size: Size, choice: Tensor | None = None, shares: Sequence[float] | None = None
    ) -> MacCount:
        """MACs of one LR image of (h, w); of the experts of each layer, or of these shares."""
        del choice, shares
        return MacCount(encoder=network_macs(self, self.window, lr_size))

    def least_macs(self, lr_size: Size) -> int | None:
        """MACs with the cheapest expert in every layer; None where no layer chooses one."""
        del lr_size
        return None


class SRModel(nn.Module, ABC):
    """A super-resolution network.

    Subclasses define `stream` and `count`, and the kind of training that they know: `query`
    (random pixels of a crop) or `image` (whole crops).

    Attributes:
        scales: the only ones that it can do, the smallest first; None for any.
        window: see `Encoder`.
        input_range: of the values that it is called with, "signed" for [-1, 1], "unit" for [0, 1].
        expert_count: experts among which the choice decides what an image costs; 1 for no choice.
        expert_depths: linear layers of the experts of a decoder, shallowest first; empty without.
        any_size: whether it makes SR images of other sizes than the LR size times the scale.
        expert_macs: MACs of each expert (or of the only MLP) for one latent code of one query.
        modulated: whether it has modulation intensities, by which CMSR can render it.
        needs_choice: whether its MACs are unknown without a choice or shares of its experts.
    """

    scales: tuple[int, ...] | None = None
    window: int = 1
    input_range: Range = "signed"
    expert_count: int = 1
    expert_depths: tuple[int, ...] = ()
    any_size: bool = False
    expert_macs: tuple[int, ...] = ()
    modulated: bool = False
    needs_choice: bool = False

    @abstractmethod
    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """A region of the SR image, in strips of rows.

        Args:
            lr: (1, 3, h, w) in [0, 1], on the network's device, extended to whole windows.
            request: `size` belongs to the LR image as extended.
        """

    @abstractmethod
    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Any = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """MACs of enlarging one image.

        Args:
            lr_size: (h, w) of the LR image.
            hr_size: (H, W) of the SR image.
            choice: as in `Streamed`.
            shares: share of each expert, where there is no choice to count.

        Raises:
            ValueError: with experts and neither `choice` nor `shares`, where the cost depends on
                it; for an HR size that no scale of the network leads to.
        """

    def training_macs(self, patch: int, queries: int, scales: Sequence[int], batch: int) -> int:
        """MACs of one training sample, forward.

        Args:
            patch: side of the LR patch.
            queries: of a sample, for a network that answers queries.
            scales: that a batch has one of, for a network trained on whole crops.
            batch: samples that share what is made once for a batch.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what its training costs")

    def query(self, lr: Tensor, coord: Tensor, cell: Tensor, target: Tensor) -> tuple[Tensor, Any]:
        """Mean absolute error of queries, and the expert choice (`Routing`) behind it or None.

        Args:
            lr: (B, 3, h, w) in [-1, 1] whatever the network works on.
            coord: (B, Q, 2).
            cell: (B, Q, 2).
            target: (B, Q, 3) in [-1, 1].
        """
        del lr, coord, cell, target
        raise TypeError(f"{type(self).__name__} answers no queries")

    def image(self, lr: Tensor, scale: int) -> Tensor:
        """Whole SR images (B, 3, h * scale, w * scale) of (B, 3, h, w), both in [0, 1]."""
        del lr, scale
        raise TypeError(f"{type(self).__name__} makes no whole images")

    def at_scale(self, scale: float) -> SRModel:
        """Prepare the network for one scale: make what the scale alone decides, such as kernels.

        The result may have weights of its own, so the network's must not change while it is used.
        """
        del scale
        return self

    def experts(self, lr: Tensor) -> Tensor | None:
        """(h, w) expert of each LR pixel of (1, 3, h, w) in [0, 1], decoding nothing; or None."""
        del lr
        return None

    @property
    def encoder_parameters(self) -> int | None:
        """Trainable parameters of the encoder; None where there is none apart."""
        encoder = getattr(self, "encoder", None)
        return sum(p.numel() for p in encoder.parameters()) if encoder is not None else None

    def least_encoder_macs(self, lr_size: Size) -> int | None:
        """MACs with the cheapest experts for a whole image; None where none are chosen so."""
        del lr_size
        return None

    def kernel_values(self, scale: float) -> int | None:
        """Numbers in the kernels that are made for a scale; None where none are."""
        del scale
        return None

    def seen(self, lr_size: Size, hr_size: Size) -> Grid:
        """The LR image that the network sees, and the SR image that belongs to it."""
        return grid(self.window, lr_size, hr_size)

    def extend(self, lr: Tensor) -> Tensor:
        """(B, C, h, w), mirrored at the bottom and right up to what the network sees."""
        size = (lr.shape[-2], lr.shape[-1])
        return extend(lr, self.seen(size, size).lr)

    def refusal(self, scale: float) -> str:
        """Why the network cannot do a scale, after its name; "" where it can.

        Example:
            >>> from baselines import build
            >>> build("edsr-igconv", encoder={"blocks": 1}).refusal(2.5)
            'enlarges by 2, 3 and 4 only, not 2.5'
        """
        if self.scales is None or scale in self.scales:
            return ""
        return f"enlarges by {in_words(self.scales)} only, not {scale:g}"

    def own_scale(self, lr_size: Size, hr_size: Size) -> int:
        """The scale of a network with few scales that leads from LR to HR size.

        Raises:
            ValueError: when none does.
        """
        for scale in self.scales or ():
            if (lr_size[0] * scale, lr_size[1] * scale) == tuple(hr_size):
                return scale
        raise ValueError(
            f"a network that enlarges by {in_words(self.scales or ())} only does not lead from "
            f"{lr_size[0]}x{lr_size[1]} to {hr_size[0]}x{hr_size[1]}"
        )


def in_words(items: Sequence[object]) -> str:
    """Join words as a sentence does: `2, 3 and 4`."""
    *others, last = map(str, items)
    return f"{', '.join(others)} and {last}" if others else last


def cut(sr: Tensor, box: Box) -> Tensor:
    """A region of (1, 3, H, W), as one strip (3, height, width)."""
    return sr[0, :, box.top :, box.left :][:, : box.height, : box.width]
