"""MACs (multiply-adds) of one SR image, by part, and how they are counted on shapes.

The paper's "FLOPs" are MACs of the decoder: every (query, latent code) pair through its expert's
whole MLP, plus the mapper. They do not include LTE's amplitude, frequency and phase layers (its
Table 3 follows exactly from the MLP alone); those are kept apart as `estimator`.
"""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

Size = tuple[int, int]


@dataclass(frozen=True)
class MacCount:
    """MACs of one SR image.

    Attributes:
        encoder: MACs of the encoder; a fixed-scale network counts as encoder as a whole.
        estimator: MACs of LTE's amplitude, frequency and phase layers; of applying Meta-SR's
            kernels.
        mapper: MACs of choosing the experts.
        head: MACs of the MLP, or of the experts that were chosen; of applying IGConv's kernels.
        shares: share of the (query, latent code) pairs of each expert, shallowest first; share of
            the layers, where an expert serves a whole image. Empty where the choice is unknown.
        rendered: MACs of the decoder, where CMSR renders a part of the image at lower scales
            (`executed` is then that of CMSR); None without CMSR.
        executed: MACs that the engine executes in place of all parts but `encoder`.
        kernels: MACs of IGConv's hyper-network, once for all images of a scale; not in `executed`.
        latent: MACs of LMF's latent MLP, once per LR pixel; a part of the decoder.
    """

    encoder: int = 0
    estimator: int = 0
    mapper: int = 0
    head: int = 0
    shares: tuple[float, ...] = ()
    executed: int = 0
    kernels: int = 0
    latent: int = 0
    rendered: int | None = None

    @property
    def decoder(self) -> int:
        """MACs of the decoder ("FLOPs" in the papers): head, mapper and LMF's latent MLP."""
        return self.mapper + self.head + self.latent

    @property
    def parts(self) -> dict[str, int]:
        """MACs by the names of parts in rows; `rendered` only where CMSR renders."""
        found = {
            "decoder": self.decoder,
            "estimator": self.estimator,
            "encoder": self.encoder,
            "executed": self.executed,
            "kernel": self.kernels,
        }
        return found if self.rendered is None else {**found, "rendered": self.rendered}

    @property
    def total(self) -> int:
        """MACs of every matrix product and convolution of one call."""
        return self.encoder + self.estimator + self.kernels + self.decoder


def network_macs(network: nn.Module, window: int, lr_size: Size) -> int:
    """Count the MACs of a network on (1, 3, h, w), from shapes and without computing anything.

    Every layer works either on whole windows of the LR image (a window may be a pixel), each at the
    same cost, or once on the image (RCAN's channel attention): one and two windows tell both.
    """
    windows = math.ceil(lr_size[0] / window) * math.ceil(lr_size[1] / window)
    once, each = _once_and_each(network, window)
    return once + each * windows


def macs_at(network: nn.Module, lr_size: Size) -> int:
    """Count the MACs of a network that `network_macs` does not suit, as it pools its features.

    Args, Returns: as there.
    """
    return _counted(copy.deepcopy(network).to("meta").eval(), lr_size)


def convolved(network: nn.Module, lr_size: Size) -> int:
    """Count the values that the 2D convolutions of a network put out for one LR image.

    Args: as `network_macs`.
    """
    found = 0

    def add(module: nn.Module, given: object, out: torch.Tensor) -> None:
        nonlocal found
        del module, given
        found += out.numel()

    ghost = copy.deepcopy(network).to("meta").eval()
    for module in ghost.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(add)
    with torch.no_grad():
        ghost(torch.empty(1, 3, *lr_size, device="meta"))
    return found


_COUNTED: WeakKeyDictionary[nn.Module, tuple[int, int]] = WeakKeyDictionary()
"""MACs of living networks, whose layers do not change."""


def _once_and_each(network: nn.Module, window: int) -> tuple[int, int]:
    """Count the MACs that are spent once for an image, and those for each of its windows."""
    known = _COUNTED.get(network)
    if known is None:
        ghost = copy.deepcopy(network).to("meta").eval()
        one, two = (_counted(ghost, (window, n * window)) for n in (1, 2))
        known = _COUNTED[network] = (2 * one - two, two - one)
    return known


def _counted(ghost: nn.Module, lr_size: Size) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ghost(torch.empty(1, 3, *lr_size, device="meta"))
    return int(counter.get_total_flops()) // 2
