"""Protocol of super-resolution networks: `SRModel`, and `Encoder` for their first part.

Nothing outside `baselines` tests the class of a network. Instead it asks the network which scales
it can do, how it is trained, what its SR image is, which experts it chooses and what MACs it costs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from baselines.macs import MacCount, convolved, network_macs
from baselines.names import Named
from baselines.windows import Grid, Size, extend, grid

Range = Literal["signed", "unit"]


@dataclass(frozen=True)
class Box:
    """Region of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True)
class Request:
    """Description of one SR image that a network is to make.

    Attributes:
        scale: scale factor; decides the clip of the cell, and whether a network of few scales can
            do it.
        size: (H, W) of the whole SR image.
        box: region of the SR image to make.
        dtype: type of the decoder's matrix products.
        memory: bytes that a band of LR rows may take in the decoder; None: a value that suits the
            device.
        stored: type of the LR image's values in its file, uint8 or uint16; bicubic rounds to it.
    """

    scale: float
    size: Size
    box: Box
    dtype: torch.dtype = torch.float32
    memory: int | None = None
    stored: torch.dtype = torch.uint8


@dataclass(frozen=True)
class Spent:
    """Cost of an image, where it was measured by who made it.

    Attributes:
        seconds: wall time.
        memory: peak in bytes; 0 where it is unknown.
        kind: what the peak is of; "" where it is unknown.
    """

    seconds: float = 0.0
    memory: int = 0
    kind: str = ""


@dataclass(frozen=True)
class Streamed:
    """SR image that is made strip by strip.

    Attributes:
        strips: (3, rows, width) float32, nominally in [0, 1] but not clamped, from top to bottom.
        lr_size: (h, w) of the LR image as the network saw it, extended to whole windows.
        choice: choice made for this image, in the form that `SRModel.count` takes: the expert of
            each LR pixel (h, w) or of each layer (layers,), counted from 0; the steps of CMSR; None
            where there is no choice.
        spent: what the image took, where it is not measured from outside.
    """

    strips: Iterator[Tensor]
    lr_size: Size
    choice: Any = None
    spent: Spent | None = None


class Encoder(Named):
    """Network from an LR image to features on the LR grid, or with its upsampler to an SR image.

    The input is (B, 3, h, w) in [-1, 1]; with an upsampler, in `upsampled_range`.

    Attributes:
        out_channels: channels of the features.
        scale: scale of the encoder's own upsampler; None without an upsampler.
        window: side of the windows that its layers work on, in pixels. The official evaluation
            extends the LR image to whole windows; 1 where an image is taken as it is.
        upsampled_range: value range with its own upsampler: "signed" for [-1, 1], "unit" for [0,
            1].
        expert_count: number of experts from which each layer chooses one for a whole image; 1 for
            no choice.
    """

    out_channels: int
    scale: int | None
    window: int = 1
    upsampled_range: Range
    expert_count: int = 1

    def enlarge(self, lr: Tensor) -> tuple[Tensor, Tensor | None]:
        """Make the SR image with the own upsampler, and return its (B, layers) experts, if any."""
        return self(lr), None

    def count(
        self, lr_size: Size, choice: Tensor | None = None, shares: Sequence[float] | None = None
    ) -> MacCount:
        """Count the MACs of one (h, w) LR image, for these experts of layers or these shares."""
        del choice, shares
        return MacCount(encoder=network_macs(self, self.window, lr_size))

    def least_macs(self, lr_size: Size) -> int | None:
        """Count the MACs with the cheapest expert in every layer; None without experts."""
        del lr_size
        return None


@dataclass(frozen=True)
class EncoderSpec:
    """Encoder or system under a name.

    Attributes:
        name: word in method names.
        make: makes it; its keyword arguments are the options of its networks, with `scale` for its
            own upsampler.
        label: name in the papers' tables.
        implicit: whether decoders may use it. The others are for upsamplers alone.
    """

    name: str
    make: Callable[..., Encoder]
    label: str
    implicit: bool = True


class SRModel(Named, ABC):
    """Super-resolution network.

    Subclasses define `stream` and `count`, and one or both kinds of training: `query_loss` (random
    pixels of a crop) and `image` (whole crops).

    Attributes:
        scales: the only scales that the network can do, in ascending order; None for any scale.
        window: side of the encoder's windows; see `Encoder`.
        input_range: value range of the input: "signed" for [-1, 1], "unit" for [0, 1].
        expert_count: number of experts whose choice decides the cost of an image; 1 for no choice.
        expert_depths: number of linear layers of each expert of a decoder, shallowest first; empty
            without experts.
        any_size: whether the network makes SR images of other sizes than the LR size times the
            scale.
        expert_macs: MACs of each expert (or of the only MLP) for one latent code of one query.
        modulated: whether the network has modulation intensities, which CMSR needs.
        needs_choice: whether its MACs are unknown without a choice or shares of its experts.
        made: where its SR images are made: "here", in this process; "elsewhere", by a program for
            which it says itself what an image took (`Streamed.spent`) and nothing is warmed up; or
            they are "stored", and the LR image is not looked at.
        counted: whether its MACs are known at all.
        origin: where a network that needs no checkpoint is from, in words.
        dataset: the only data set that it has SR images of; "" for a network, which makes them.
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
    made: Literal["here", "elsewhere", "stored"] = "here"
    counted: bool = True
    origin: str = "nothing is trained"
    dataset: str = ""

    @abstractmethod
    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make a region of the SR image, in strips of rows.

        Args:
            lr: (1, 3, h, w) in [0, 1], on the network's device, extended to whole windows.
            request: the SR image to make; its `size` belongs to the extended LR image.
        """

    @abstractmethod
    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Any = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """Count the MACs of enlarging one image.

        Args:
            lr_size: (h, w) of the LR image.
            hr_size: (H, W) of the SR image.
            choice: choice of experts, as in `Streamed`.
            shares: share of each expert, where there is no choice to count.

        Raises:
            ValueError: neither `choice` nor `shares` is given where the cost depends on the
                experts; or no scale of the network leads to the HR size.
        """

    def training_macs(self, patch: int, queries: int, scales: Sequence[int], batch: int) -> int:
        """Count the MACs of the forward pass of one training sample.

        Args:
            patch: side of the LR patch.
            queries: queries of a sample, for a network that answers queries.
            scales: scales from which each batch takes one, for a network trained on whole crops.
            batch: number of samples that share the work that is done once for each batch.
        """
        raise NotImplementedError(f"{type(self).__name__} does not say what its training costs")

    def query_loss(
        self, lr: Tensor, coord: Tensor, cell: Tensor, target: Tensor
    ) -> tuple[Tensor, Any]:
        """Compute the mean absolute error of queries, and their `Routing`, None without experts.

        Args:
            lr: (B, 3, h, w) in [-1, 1], whatever the network's own range is.
            coord: (B, Q, 2) query centres as (y, x) in [-1, 1].
            cell: (B, Q, 2) height and width of the query pixels.
            target: (B, Q, 3) in [-1, 1].
        """
        del lr, coord, cell, target
        raise TypeError(f"{type(self).__name__} answers no queries")

    def image(self, lr: Tensor, scale: int) -> Tensor:
        """Make whole SR images (B, 3, h * scale, w * scale) of (B, 3, h, w), both in [0, 1]."""
        del lr, scale
        raise TypeError(f"{type(self).__name__} makes no whole images")

    def at_scale(self, scale: float) -> SRModel:
        """Prepare the network for one scale: make what the scale alone decides (kernels).

        The result may have weights of its own, so the network's weights must not change while it is
        used.
        """
        del scale
        return self

    def for_image(self, name: str) -> SRModel:
        """Prepare for one image of a data set; networks do not look at its name."""
        del name
        return self

    @property
    def parts(self) -> Sequence[SRModel]:
        """List what is measured one by one: the network itself, or SR images by set and scale."""
        return (self,)

    @property
    def identity(self) -> str:
        """Hash of weights that the network brings itself; "" where a checkpoint has them."""
        return ""

    @property
    def parameter_count(self) -> int | None:
        """Count the trainable parameters; None where they are unknown."""
        return sum(p.numel() for p in self.parameters())

    def experts(self, lr: Tensor) -> Tensor | None:
        """Choose the (h, w) experts of LR pixels, (1, 3, h, w) in [0, 1], without decoding."""
        del lr
        return None

    @property
    def encoder_parameters(self) -> int | None:
        """Count the trainable parameters of the encoder; None without a separate encoder."""
        encoder = getattr(self, "encoder", None)
        return sum(p.numel() for p in encoder.parameters()) if encoder is not None else None

    def activations(self, lr_size: Size) -> int | None:
        """Count the outputs of 2D convolutions for one (h, w) image; None where they are unknown.

        They are where layers choose experts. So the NTIRE challenges on efficient SR count them: of
        a decoder that answers queries by linear layers nothing is counted.
        """
        part: Encoder | None = getattr(self, "network", None) or getattr(self, "encoder", None)
        if part is None or part.expert_count > 1:
            return None
        return convolved(part, self.seen(lr_size, lr_size).lr)

    def least_encoder_macs(self, lr_size: Size) -> int | None:
        """Count the MACs with the cheapest experts for a whole image; None without such experts."""
        del lr_size
        return None

    def kernel_values(self, scale: float) -> int | None:
        """Count the numbers in the kernels that are made for a scale; None where none are made."""
        del scale
        return None

    def seen(self, lr_size: Size, hr_size: Size) -> Grid:
        """Compute the sizes of the LR image that the network sees and of its SR image."""
        return grid(self.window, lr_size, hr_size)

    def extend(self, lr: Tensor) -> Tensor:
        """Mirror (B, C, h, w) at the bottom and right up to the size that the network sees."""
        size = (lr.shape[-2], lr.shape[-1])
        return extend(lr, self.seen(size, size).lr)

    def refusal(self, scale: float) -> str:
        """Explain why the network cannot do a scale, to follow the network's name; "" where it can.

        Example:
            >>> from baselines import build
            >>> build("edsr-igconv", encoder={"blocks": 1}).refusal(2.5)
            'enlarges by 2, 3 and 4 only, not 2.5'
        """
        if self.scales is None or scale in self.scales:
            return ""
        return f"enlarges by {in_words(self.scales)} only, not {scale:g}"

    def own_scale(self, lr_size: Size, hr_size: Size) -> int:
        """Find the scale of a network with few scales that leads from the LR to the HR size.

        Raises:
            ValueError: no scale of the network leads there.
        """
        for scale in self.scales or ():
            if (lr_size[0] * scale, lr_size[1] * scale) == tuple(hr_size):
                return scale
        raise ValueError(
            f"a network that enlarges by {in_words(self.scales or ())} only does not lead from "
            f"{lr_size[0]}x{lr_size[1]} to {hr_size[0]}x{hr_size[1]}"
        )


def in_words(items: Sequence[object]) -> str:
    """Join words as in a sentence: `2, 3 and 4`."""
    *others, last = map(str, items)
    return f"{', '.join(others)} and {last}" if others else last


def cut(sr: Tensor, box: Box) -> Tensor:
    """Cut a region out of (1, 3, H, W), as one strip (3, height, width)."""
    return sr[0, :, box.top :, box.left :][:, : box.height, : box.width]
