"""Networks of one scale, with their own upsampler."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor

from baselines.base import Encoder, Range, Request, SRModel, Streamed, cut
from baselines.geometry import nearest_index, table_rows
from baselines.macs import MacCount
from baselines.names import Names
from baselines.windows import Size


class _OneScale(SRModel):
    """Base class of networks of one scale."""

    def __init__(self, network: Encoder, scale: int) -> None:
        super().__init__()
        self.network = network
        self.scale = scale
        self.scales = (scale,)
        self.window = network.window
        self.expert_count = network.expert_count

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make the SR image as a whole and return a region of it; see `SRModel.stream`."""
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
        """Count the MACs of one image, all in the `encoder` part; see `SRModel.count`."""
        self.own_scale(lr_size, hr_size)
        return self.network.count(self.seen(lr_size, hr_size).lr, choice, shares)

    def training_macs(self, patch: int, queries: int, scales: Sequence[int], batch: int) -> int:
        """Count the MACs of one sample: its whole crop is made in both kinds of training."""
        del queries, scales, batch
        return self.network.count((patch, patch)).encoder

    def least_encoder_macs(self, lr_size: Size) -> int | None:
        """Count the MACs with the network's cheapest experts; see `Encoder.least_macs`."""
        return self.network.least_macs(lr_size)


class FixedScaleSR(_OneScale):
    """Network with its own upsampler: `model(lr) -> sr`, in its project's value range."""

    names = Names((("", "network"),))

    def __init__(self, network: Encoder, scale: int, input_range: Range = "signed") -> None:
        super().__init__(network, scale)
        self.input_range = input_range

    def forward(self, lr: Tensor) -> Tensor:
        """Map (B, 3, h, w) to (B, 3, h*scale, w*scale)."""
        out: Tensor = self.network(lr)
        return out

    def image(self, lr: Tensor, scale: int) -> Tensor:
        """Make whole SR images in [0, 1], whatever the network's range; see `SRModel.image`."""
        del scale
        if self.input_range == "unit":
            return self(lr)  # type: ignore[no-any-return]
        return self(lr * 2 - 1) / 2 + 0.5  # type: ignore[no-any-return]

    def query_loss(
        self, lr: Tensor, coord: Tensor, cell: Tensor, target: Tensor
    ) -> tuple[Tensor, None]:
        """Compute the mean absolute error of the pixels of queries, as the LIIF project trains."""
        del cell
        return (self.pixels(lr, coord).float() - target).abs().mean(), None

    def pixels(self, lr: Tensor, coord: Tensor) -> Tensor:
        """Read the SR pixel that holds each query: (B, Q, 2) to (B, Q, 3) in [-1, 1].

        `lr` is in [-1, 1], whatever the network's own range is.
        """
        unit = self.input_range == "unit"
        sr = self(lr / 2 + 0.5) * 2 - 1 if unit else self(lr)
        h, w = sr.shape[-2:]
        index = nearest_index(coord[..., 0], h) * w + nearest_index(coord[..., 1], w)
        return table_rows(sr.flatten(2).transpose(1, 2), index).reshape(*index.shape, 3)


class FixedScaleLookup(_OneScale):
    """Fixed-scale network that answers queries with the nearest pixel of its output.

    The LIIF code trains and stores fixed-scale networks in this form. Coordinates are not clamped:
    a query at exactly +1 may fall outside and reads zero, as in the LIIF code.
    """

    names = Names((("encoder", "network"),))

    def forward(self, lr: Tensor, coord: Tensor, cell: Tensor) -> Tensor:
        """Map (B, 3, h, w), (B, Q, 2) and an unused cell to (B, Q, 3)."""
        del cell
        grid = coord.flip(-1).unsqueeze(1)
        sampled = F.grid_sample(self.network(lr), grid, mode="nearest", align_corners=False)
        return sampled[:, :, 0].permute(0, 2, 1)
