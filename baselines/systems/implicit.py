"""Arbitrary-scale networks: encoder, decoder and head, decoded fast and counted exactly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from baselines.base import Request, Streamed
from baselines.composition import Composition, Features, Routing
from baselines.fast.counting import executed_macs, expert_pairs, per_pixel_macs
from baselines.fast.engine import GridDecoder, GridJob
from baselines.fast.queries import decode_queries, l1_loss
from baselines.macs import MacCount
from baselines.windows import Size


class ImplicitSR(Composition):
    """LIIF, LTE and their like, with one MLP or with experts; see `Composition`."""

    any_size = True

    @property
    def window(self) -> int:  # type: ignore[override]
        """Side of the encoder's windows."""
        return self.encoder.window

    @property
    def expert_count(self) -> int:  # type: ignore[override]
        """Experts of the head."""
        return len(self.head.mlps)

    @property
    def expert_depths(self) -> tuple[int, ...]:  # type: ignore[override]
        """Linear layers of the experts, shallowest first; empty for a single MLP."""
        return tuple(mlp.depth for mlp in self.head.mlps) if self.expert_count > 1 else ()

    @property
    def expert_macs(self) -> tuple[int, ...]:  # type: ignore[override]
        """MACs of each expert, or of the MLP, for one latent code of one query."""
        return self.head.expert_macs()

    @property
    def modulated(self) -> bool:  # type: ignore[override]
        """Tell whether the decoder has modulation intensities."""
        return self.decoder.modulated

    @property
    def needs_choice(self) -> bool:  # type: ignore[override]
        """Tell whether there are experts of different cost."""
        return self.expert_count > 1

    def cell_stretch(self, scale: float) -> float:
        """Factor of the cell: LTE keeps the cell of x4 above it (LTE, test.py)."""
        return max(scale / 4, 1.0) if self.decoder.clips_cell else 1.0

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """A region of the SR image, by the engine; see `SRModel.stream`."""
        features = self.encode(lr * 2 - 1)
        strips = self.strips(features, request)
        return Streamed(strips, features.size, chosen(features.routing, features.size))

    @torch.inference_mode()
    def strips(self, features: Features, request: Request) -> Iterator[Tensor]:
        """A region of the SR image from the features of one image; yields as `Streamed`."""
        box = request.box
        job = GridJob(
            size=request.size,
            rows=(box.top, box.top + box.height),
            columns=(box.left, box.left + box.width),
            stretch=self.cell_stretch(request.scale),
            dtype=request.dtype,
            memory=request.memory,
        )
        for strip in GridDecoder(self, features, job).strips():
            yield strip.permute(2, 0, 1) * 0.5 + 0.5

    def experts(self, lr: Tensor) -> Tensor | None:
        """Expert of each LR pixel as the network sees it; None (and no work) without experts."""
        if self.expert_count == 1:
            return None
        features = self.encode(self.extend(lr) * 2 - 1)
        return chosen(features.routing, features.size)

    def query(
        self, lr: Tensor, coord: Tensor, cell: Tensor, target: Tensor
    ) -> tuple[Tensor, Routing | None]:
        """Mean absolute error of queries, piece by piece; see `SRModel.query`."""
        features = self.encode(_as_convolved(lr))
        if torch.compiler.is_compiling():  # a compiler saves the traffic that pieces save
            rgb = decode_queries(self, features, coord, cell)
            return (rgb.float() - target).abs().mean(), features.routing
        return l1_loss(self, features, coord, cell, target), features.routing

    def count(
        self,
        lr_size: Size,
        hr_size: Size,
        choice: Tensor | None = None,
        shares: Sequence[float] | None = None,
    ) -> MacCount:
        """MACs of one image, exact for any size without decoding; see `SRModel.count`."""
        seen = self.seen(lr_size, hr_size)
        pairs = expert_pairs(self, seen, hr_size, choice, shares)
        pixels = seen.lr[0] * seen.lr[1]
        per_pixel, per_pair = self.decoder.estimator_macs()
        return MacCount(
            encoder=self.encoder.count(seen.lr).encoder,
            estimator=per_pixel * pixels + per_pair * round(sum(pairs)),
            mapper=self.head.routing_macs() * pixels,
            head=round(sum(n * m for n, m in zip(pairs, self.head.expert_macs(), strict=True))),
            shares=tuple(n / sum(pairs) for n in pairs),
            executed=executed_macs(self, seen, hr_size, choice, shares),
            latent=self.decoder.latent_macs() * pixels,
        )

    def training_macs(self, patch: int, queries: int, scales: Sequence[int], batch: int) -> int:
        """MACs of one sample, decoded the plain way; see `SRModel.training_macs`."""
        del scales, batch
        pairs = queries * (4 if self.ensemble else 1)
        per_pair = self.decoder.estimator_macs()[1]
        return (
            self.encoder.count((patch, patch)).encoder
            + patch**2 * per_pixel_macs(self)
            + pairs * (per_pair + sum(self.head.expert_macs()))
        )


def chosen(routing: Routing | None, size: Size) -> Tensor | None:
    """(h, w) most probable expert of each LR pixel, from 0; None without experts."""
    return None if routing is None else routing.probabilities[0].argmax(dim=-1).reshape(size)


def _as_convolved(lr: Tensor) -> Tensor:
    """LR patches in the memory order that convolutions like best.

    On a CPU, channels last: a 3x3 convolution of 64 channels takes 0.78 of the time forward and
    back, the mapper's of 20 channels half (EPYC, one thread). Not measured on a GPU.
    """
    on_cpu = lr.device.type == "cpu"
    return lr.contiguous(memory_format=torch.channels_last) if on_cpu else lr
