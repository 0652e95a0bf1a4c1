"""MACs (multiply-adds) of one SR image, by part, and how they are counted on shapes.

The paper's "FLOPs" are MACs of the decoder: every (query, latent code) pair through its expert's
whole MLP, plus the mapper. LTE's amplitude, frequency and phase layers are not in them (its Table 3
follows exactly from the MLP alone); they are kept apart as `estimator`.
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
        encoder: of the encoder (a fixed-scale network counts as encoder as a whole).
        estimator: of LTE's amplitude, frequency and phase layers; of applying Meta-SR's kernels.
        mapper: of the expert choice.
        head: of the MLP, or of the experts that were chosen; of what IGConv's kernels do.
        shares: share of the (query, latent code) pairs of each expert, shallowest first; of the
            layers, where an expert serves a whole image. Empty where the choice is not known.
        rendered: of the decoder, where CMSR renders a part of the image at lower scales
            (`executed` is then that of CMSR); None where it does not.
        executed: by the engine, in the place of all but `encoder`.
        kernels: of IGConv's hyper-network, once for all images of a scale; not in `executed`.
        latent: of LMF's latent MLP, once per LR pixel; part of the decoder.
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
        """The decoder's MACs ("FLOPs" in the papers): head and mapper; LMF's latent MLP."""
        return self.mapper + self.head + self.latent

    @property
    def parts(self) -> dict[str, int]:
        """By name, as rows have them; `kernel` and `rendered` only where there are any."""
        found = {
            "decoder": self.decoder,
            "estimator": self.estimator,
            "encoder": self.encoder,
            "executed": self.executed,
        }
        if self.kernels:
            found["kernel"] = self.kernels
        return found if self.rendered is None else {**found, "rendered": self.rendered}

    @property
    def total(self) -> int:
        """Every matrix product and convolution of one call."""
        return self.encoder + self.estimator + self.kernels + self.decoder


def network_macs(network: nn.Module, window: int, lr_size: Size) -> int:
    """MACs of a network for one LR image; counted on shapes, nothing is computed.

    Every layer works on whole windows of the LR image (a window may be a pixel), each at the same
    cost, or once on the image (RCAN's channel attention). So one and two windows are counted.

    Args:
        network: called with (1, 3, h, w).
        window: side of its windows.
        lr_size: (h, w).
    """
    windows = math.ceil(lr_size[0] / window) * math.ceil(lr_size[1] / window)
    once, each = _once_and_each(network, window)
    return once + each * windows


_COUNTED: WeakKeyDictionary[nn.Module, tuple[int, int]] = WeakKeyDictionary()
"""MACs of networks that live; their layers do not change."""


def _once_and_each(network: nn.Module, window: int) -> tuple[int, int]:
    """MACs of an image, and of each of its windows."""
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
