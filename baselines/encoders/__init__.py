"""Encoders from an LR image to features on the LR grid: one file each, listed in `ENCODERS`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from baselines.base import Encoder
from baselines.encoders.edsr import EDSR
from baselines.encoders.rcan import RCAN
from baselines.encoders.rdn import RDN
from baselines.encoders.srformer import SRFormer
from baselines.encoders.swinir import SwinIR

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "edsr": EDSR,  # EDSR-baseline, as the LIIF family calls it
    "rdn": RDN,
    "rcan": RCAN,
    "swinir": SwinIR,
    "srformer": SRFormer,
    "edsr-large": partial(EDSR, blocks=32, features=256, residual_scale=0.1),
}
LABELS = {
    "edsr": "EDSR",
    "rdn": "RDN",
    "rcan": "RCAN",
    "swinir": "SwinIR",
    "srformer": "SRFormer",
    "edsr-large": "EDSR (256 features)",
}
"""Names of encoders in the papers' tables."""

__all__ = [
    "EDSR",
    "ENCODERS",
    "LABELS",
    "RCAN",
    "RDN",
    "Encoder",
    "SRFormer",
    "SwinIR",
]
