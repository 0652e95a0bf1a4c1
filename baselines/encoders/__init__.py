"""Encoders: an LR image to features on the LR grid. One file each; listed in `ENCODERS`.

An encoder is a module with `out_channels`, called with (B, 3, h, w) in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from baselines.encoders.edsr import EDSR
from baselines.encoders.rdn import RDN
from baselines.encoders.swinir import SwinIR


class Encoder(Protocol):
    """What a decoder needs to know of an encoder."""

    out_channels: int
    scale: int | None

    def __call__(self, lr: Tensor) -> Tensor: ...


ENCODERS: dict[str, Callable[..., Encoder]] = {"edsr": EDSR, "rdn": RDN}

__all__ = ["EDSR", "ENCODERS", "RDN", "Encoder", "SwinIR"]
