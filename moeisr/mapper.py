"""Mapper that decides which expert suits which latent code (MoEISR, sec. 3.2, eq. 3)."""

from __future__ import annotations

import itertools

from torch import Tensor, nn


class Mapper(nn.Module):
    """Convolutions from encoder features to one score per expert, run once per LR image.

    Args:
        channels: channels of the encoder's features.
        experts: number of experts J.
        layers: number of convolutional layers; five in the paper, one in its ablation (Table 5).
        width: channels between the layers. The paper does not say it; the increments of its Table 3
            over scales leave 21.7 to 25.9 thousand MACs per LR pixel for the mapper, which 3x3
            layers of width 20 meet (23,040 for 64 features and four experts).
        kernel: side of the convolutions (odd; zero padding).
    """

    def __init__(
        self, channels: int, experts: int, layers: int = 5, width: int = 20, kernel: int = 3
    ) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"a mapper needs at least one layer, not {layers}")
        if kernel % 2 == 0:
            raise ValueError(f"the mapper's kernel must be odd, not {kernel}")
        sizes = [channels] + [width] * (layers - 1) + [experts]
        pairs = list(itertools.pairwise(sizes))
        stack: list[nn.Module] = []
        for i, (a, b) in enumerate(pairs):
            stack += [nn.ReLU(inplace=True)] * (i > 0)
            stack.append(nn.Conv2d(a, b, kernel, padding=kernel // 2))
        self.layers = nn.Sequential(*stack)
        self.macs = sum(a * b * kernel * kernel for a, b in pairs)

    def forward(self, latent: Tensor) -> Tensor:
        """Map (B, C, h, w) to scores (B, h*w, J); their softmax over J is the expert map D."""
        scores: Tensor = self.layers(latent)
        return scores.flatten(2).transpose(1, 2)
