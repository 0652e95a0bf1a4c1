"""Encoders: an LR image to features on the LR grid. One file each; listed in `ENCODERS`.

Systems are never more than fixed-scale networks: they have an upsampler always, and nothing that a
decoder could read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from baselines.base import Encoder
from baselines.encoders.edsr import EDSR
from baselines.encoders.rcan import RCAN
from baselines.encoders.rdn import RDN
from baselines.encoders.srformer import SRFormer
from baselines.encoders.swinir import SwinIR
from baselines.systems.seemore import SIZES, SeemoRe

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
LABELS = {
    "edsr": "EDSR",
    "rdn": "RDN",
    "rcan": "RCAN",
    "swinir": "SwinIR",
    "srformer": "SRFormer",
    "edsr-large": "EDSR (256 features)",
    "seemore-t": "SeemoRe-T",
    "seemore-b": "SeemoRe-B",
    "seemore-l": "SeemoRe-L",
}
"""Names of encoders and systems in the papers' tables."""

__all__ = [
    "EDSR",
    "ENCODERS",
    "LABELS",
    "RCAN",
    "RDN",
    "SYSTEMS",
    "Encoder",
    "SRFormer",
    "SeemoRe",
    "SwinIR",
]
