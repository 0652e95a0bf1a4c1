"""Encoders: an LR image to features on the LR grid. One file each; listed in `ENCODERS`.

An encoder is a module called with (B, 3, h, w) in [-1, 1]; see `Encoder`.
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
from baselines.encoders.srformer import SRFormer
from baselines.encoders.swinir import SwinIR


class Encoder(Protocol):
    """What a decoder needs to know of an encoder.

    Attributes:
        out_channels: of its features.
        scale: of its own upsampler; None without.
        window: its layers work on whole windows of this side, to which its official evaluation
            extends the LR image; 1 where an image is taken as it is.
        upsampled_range: with its upsampler it works on [-1, 1] ("signed") or [0, 1] ("unit").
    """

    out_channels: int
    scale: int | None
    window: int
    upsampled_range: Range

    def __call__(self, lr: Tensor) -> Tensor: ...


ENCODERS: dict[str, Callable[..., Encoder]] = {
    "edsr": EDSR,  # EDSR-baseline, as the LIIF family calls it
    "rdn": RDN,
    "rcan": RCAN,
    "swinir": SwinIR,
    "srformer": SRFormer,
    "edsr-large": partial(EDSR, blocks=32, features=256, residual_scale=0.1),
}

__all__ = ["EDSR", "ENCODERS", "RCAN", "RDN", "Encoder", "SRFormer", "SwinIR"]
