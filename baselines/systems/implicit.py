"""Arbitrary-scale networks of encoder, decoder and head, with fast decoding and exact MACs."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from baselines.base import Request, SRModel, Streamed
from baselines.composition import Composition, Features, Routing
from baselines.fast.counting import executed_macs, expert_pairs, per_pixel_macs
from baselines.fast.engine import GridDecoder, GridJob
from baselines.fast.queries import decode_queries, l1_loss
from baselines.macs import MacCount
from baselines.windows import Size


class ImplicitSR(Composition):
    """Network such as LIIF or LTE, with one MLP or with experts; see `Composition`."""

    any_size = True

    @property
    def window(self) -> int:  # type: ignore[override]
        """Side of the encoder's windows."""
        return self.encoder.window

    @property
    def expert_count(self) -> int:  # type: ignore[override]
        """Number of experts of the head."""
        return len(self.head.mlps)

    @property
    def expert_depths(self) -> tuple[int, ...]:  # type: ignore[override]
        """Number of linear layers of each expert, shallowest first; empty for a single MLP."""
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
        """Compute the factor of the cell: above x4, LTE keeps the cell of x4 (LTE, test.py)."""
        return max(scale / 4, 1.0) if self.decoder.clips_cell else 1.0

    def at_scale(self, scale: float) -> SRModel:
        """Prepare the head for one scale; the network itself where it is the same for all."""
        head = self.head.at_scale(self.decoder, (4 if self.ensemble else 1) * scale**2)
        if head is self.head:
            return self
        twin = copy.copy(self)
        twin._modules = {**self._modules, "head": head}
        return twin.eval()

    def stream(self, lr: Tensor, request: Request) -> Streamed:
        """Make a region of the SR image by the engine; see `SRModel.stream`."""
        features = self.encode(lr * 2 - 1)
        strips = self.strips(features, request)
        return Streamed(strips, features.size, chosen(features.routing, features.size))

    @torch.inference_mode()
    def strips(self, features: Features, request: Request) -> Iterator[Tensor]:
        """Make a region of the SR image from the features of one image; yields as `Streamed`."""
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
        """Choose the expert of each LR pixel that the network sees; None without experts."""
        if self.expert_count == 1:
            return None
        features = self.encode(self.extend(lr) * 2 - 1)
        return chosen(features.routing, features.size)

    def query_loss(
        self, lr: Tensor, coord: Tensor, cell: Tensor, target: Tensor
    ) -> tuple[Tensor, Routing | None]:
        """Compute the mean absolute error of queries in pieces; see `SRModel.query_loss`."""
        features = self.encode(_channels_last_on_cpu(lr))
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
        """Count the MACs of one image, exact for any size without decoding; see `SRModel.count`."""
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
        """Count the MACs of one sample, decoded query by query; see `SRModel.training_macs`."""
        del scales, batch
        pairs = queries * (4 if self.ensemble else 1)
        per_pair = self.decoder.estimator_macs()[1]
        return (
            self.encoder.count((patch, patch)).encoder
            + patch**2 * per_pixel_macs(self)
            + pairs * (per_pair + sum(self.head.expert_macs()))
        )


def chosen(routing: Routing | None, size: Size) -> Tensor | None:
    """Find the (h, w) most probable expert of each LR pixel, from 0; None without experts."""
    return None if routing is None else routing.probabilities[0].argmax(dim=-1).reshape(size)


def _channels_last_on_cpu(lr: Tensor) -> Tensor:
    """Arrange LR patches in the memory order that is fastest for convolutions.

    On a CPU this is channels last: a 3x3 convolution of 64 channels takes 0.78 of the time for
    forward and backward pass, and the mapper's convolutions of 20 channels take half (EPYC, one
    thread). Not measured on a GPU.
    """
    on_cpu = lr.device.type == "cpu"
    return lr.contiguous(memory_format=torch.channels_last) if on_cpu else lr
