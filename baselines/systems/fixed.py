"""Networks of one scale, with an upsampler of their own."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from baselines.base import Encoder, Range, Request, SRModel, Streamed, cut
from baselines.geometry import nearest_index, table_rows
from baselines.macs import MacCount
from baselines.windows import Size


class ImageRouted(Encoder):
    """A network with its own upsampler in whose layers one of several experts serves an image.

    Where nobody knows the choice, the dearest expert of every layer is counted, which no image
    exceeds.

    Args:
        experts: to choose from, as many in each layer.
        layers: that choose.
    """

    def __init__(self, experts: int, layers: int) -> None:
        super().__init__()
        self.expert_count = experts
        self.layer_count = layers

    @abstractmethod
    def enlarge(self, lr: Tensor) -> tuple[Tensor, Tensor]:
        """SR images, and the experts that made them.

        Args:
            lr: (B, 3, h, w).

        Returns:
            (B, 3, h*scale, w*scale), and (B, layers) the expert of each image and layer, from 0.
        """

    @abstractmethod
    def macs(self, lr_size: tuple[int, int]) -> list[int]:
        """Multiply-adds of one image of (h, w), for each expert as if all layers chose it.

        No layer's cost depends on another's choice, so a mixed choice costs the mean over layers.
        """

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, 3, h*scale, w*scale)."""
        return self.enlarge(lr)[0]

    def count(
        self, lr_size: Size, choice: Tensor | None = None, shares: Sequence[float] | None = None
    ) -> MacCount:
        """MACs of one LR image: of the (layers,) experts, of these shares, or of the dearest."""
        costs = self.macs(lr_size)
        if choice is not None:
            served = choice.long().cpu().bincount(minlength=self.expert_count)
            shares = [int(n) / self.layer_count for n in served]
        if shares is None:
            return MacCount(encoder=max(costs))
        mixed = round(sum(part * cost for part, cost in zip(shares, costs, strict=True)))
        return MacCount(encoder=mixed, shares=tuple(shares))

    def least_macs(self, lr_size: Size) -> int:
        """MACs with the cheapest expert in every layer."""
        return min(self.macs(lr_size))


class _OneScale(SRModel):
    """Base of networks of one scale.

    Args:
        network: does the work.
        scale: the only one it can do.
    """

    def __init__(self, network: Encoder, scale: int) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.scales = (scale,)
        self.window = network.window
        self.expert_count = network.expert_count

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """A region of the SR image, which is made as a whole; see `SRModel.stream`."""
        unit = self.input_range == "unit"
        sr, chosen = self.network.enlarge(lr if unit else lr * 2 - 1)
        sr = sr.float().cpu()
        image = cut(sr if unit else sr * 0.5 + 0.5, request.box)
        choice = None if chosen is None else chosen[0].cpu()
        return Streamed(iter([image]), (lr.shape[-2], lr.shape[-1]), choice)

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Tensor | None = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """MACs of one image, all of them the network's; see `SRModel.count`."""
        self.own_scale(lr_size, hr_size)
        return self.network.count(self.seen(lr_size, hr_size).lr, choice, shares)

    def training_macs(self, patch: int, queries: int, scales: Sequence[int], batch: int) -> int:
        """MACs of one sample, whose whole crop is made however it is trained."""
        del queries, scales, batch
        return self.network.count((patch, patch)).encoder

    def least_encoder_macs(self, lr_size: Size) -> int | None:
        """MACs with the network's cheapest experts; see `Encoder.least_macs`."""
        return self.network.least_macs(lr_size)


class FixedScaleSR(_OneScale):
    """A network with its own upsampler: `model(lr) -> sr`.

    Args:
        network: does the work.
        scale: the only one it can do.
        input_range: "signed", lr and sr in [-1, 1] (LIIF's project), or "unit", in [0, 1].
    """

    def __init__(self, network: Encoder, scale: int, input_range: Range = "signed") -> None:
        super().__init__(network, scale)
        self.input_range = input_range

    def forward(self, lr: Tensor) -> Tensor:
        """(B, 3, h, w) to (B, 3, h*scale, w*scale)."""
        out: Tensor = self.network(lr)
        return out

    def image(self, lr: Tensor, scale: int) -> Tensor:
        """Whole SR images in [0, 1], whatever the network works on; see `SRModel.image`."""
        del scale
        if self.input_range == "unit":
            return self(lr)  # type: ignore[no-any-return]
        return self(lr * 2 - 1) / 2 + 0.5  # type: ignore[no-any-return]

    def query(self, lr: Tensor, coord: Tensor, cell: Tensor, target: Tensor) -> tuple[Tensor, None]:
        """Mean absolute error of the pixels that queries lie in, as the LIIF project trains."""
        del cell
        return (self.pixels(lr, coord).float() - target).abs().mean(), None

    def pixels(self, lr: Tensor, coord: Tensor) -> Tensor:
        """The SR pixel that each query lies in.

        Args:
            lr: (B, 3, h, w) in [-1, 1] whatever the network works on.
            coord: (B, Q, 2).

        Returns:
            (B, Q, 3) in [-1, 1].
        """
        unit = self.input_range == "unit"
        sr = self(lr / 2 + 0.5) * 2 - 1 if unit else self(lr)
        h, w = sr.shape[-2:]
        index = nearest_index(coord[..., 0], h) * w + nearest_index(coord[..., 1], w)
        return table_rows(sr.flatten(2).transpose(1, 2), index).reshape(*index.shape, 3)


class FixedScaleLookup(_OneScale):
    """A fixed-scale network queried at coordinates: the nearest pixel of its output.

    The LIIF code trains and stores fixed-scale networks in this form. Coordinates are not
    clamped: a query at exactly +1 may fall outside and reads zero, as there.
    """

    def forward(self, lr: Tensor, coord: Tensor, cell: Tensor) -> Tensor:
        """(B, 3, h, w), (B, Q, 2) and an unused cell to (B, Q, 3)."""
        del cell
        grid = coord.flip(-1).unsqueeze(1)
        sampled = F.grid_sample(self.network(lr), grid, mode="nearest", align_corners=False)
        return sampled[:, :, 0].permute(0, 2, 1)
