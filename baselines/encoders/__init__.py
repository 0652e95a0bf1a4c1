"""Encoders: an LR image to features on the LR grid. One file each; listed in `ENCODERS`.

An encoder is a module called with (B, 3, h, w) in [-1, 1]; see `Encoder`. Systems are never more
than fixed-scale networks: they have an upsampler always, and nothing that a decoder could read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from torch import Tensor

from baselines.composition import Range
from baselines.encoders.edsr import EDSR
from baselines.encoders.rcan import RCAN
from baselines.encoders.rdn import RDN
from baselines.encoders.seemore import SIZES, SeemoRe
from baselines.encoders.srformer import SRFormer
from baselines.encoders.swinir import SwinIR


class Encoder(Protocol):
    """What is known of an encoder, or of a system, whatever it is.

    Attributes:
        out_channels: of its features.
        scale: of its own upsampler; None without.
        window: its layers work on whole windows of this side, to which its official evaluation
            extends the LR image; 1 where an image is taken as it is.
        upsampled_range: with its upsampler it works on [-1, 1] ("signed") or [0, 1] ("unit").
    """

    out_channels: int
    window: int
    upsampled_range: Range

    @property
    def scale(self) -> int | None: ...

    def __call__(self, lr: Tensor) -> Tensor: ...


SYSTEMS: dict[str, Callable[..., Encoder]] = {**SIZES}
ENCODERS: dict[str, Callable[..., Encoder]] = {
    "edsr": EDSR,  # EDSR-baseline, as the LIIF family calls it
    "rdn": RDN,
    "rcan": RCAN,
    "swinir": SwinIR,
    "srformer": SRFormer,
    "edsr-large": partial(EDSR, blocks=32, features=256, residual_scale=0.1),
    **SYSTEMS,
}

__all__ = [
    "EDSR",
    "ENCODERS",
    "RCAN",
    "RDN",
    "SYSTEMS",
    "Encoder",
    "SRFormer",
    "SeemoRe",
    "SwinIR",
]
