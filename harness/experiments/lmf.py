"""Savings of LMF's latent modulation: its figure of MACs, its parameters and its claims."""

from __future__ import annotations

from harness.experiments.base import Block, Experiment
from harness.experiments.counts import Counts, Reference

_SIZE = "320x180 input"
_GIBI = 2.0**30
_ENCODERS = ("edsr", "rdn", "swinir")

_COUNTED = (
    "Counted: LIIF's and LTE's MLP for four latent codes of every output pixel, LTE's amplitude, "
    "frequency and phase layers, LMF's latent MLP for every LR pixel. SwinIR works on whole "
    "windows, 328x184 LR pixels here, and what runs once for every LR pixel with it. LMF's "
    "CMSR, which renders parts of an image at lower scales, is off."
)
_OFFICIAL = Reference(
    "official code",
    "counted on the networks that the LMF project's configurations build, not printed anywhere",
    ("lmf_params_computed.csv", "computed"),
    "decoder_params",
)
# Rows by the names of Thera's paper, which has no backbone in this table.
_THERA = {f"{e}-{d}": ("none", d.upper()) for e in _ENCODERS for d in ("liif", "lte")}
_PRINTED = Reference(
    "printed",
    "in Thera's paper (Table 1), of LIIF, LTE and CiaoSR on top of any encoder; LMF's own tables "
    "were not at hand",
    ("lmf_baselines_elsewhere.csv", "Thera T1"),
    "params",
    systems={**_THERA, "EDSR-CiaoSR": ("none", "CiaoSR")},
)
_FIGURE = Reference(
    "read off a figure",
    "assets/efficiency.png of the LMF repository, to about 3 %, hidden bubbles to about 10 %. Its "
    "G is most likely 2^30, since its values are then those of the architecture. It has LIIF at "
    "x8 alone, and no encoder but EDSR-baseline",
    ("lmf_claims_figure.csv", "figure"),
    "decoder_macs_G_approx",
    dataset=_SIZE,
    unit=(_GIBI, ""),
    estimated=True,
)

LMF_COSTS = Experiment(
    name="lmf-costs",
    title="What latent modulated functions save",
    source="LMF (arXiv 2404.16451), the figure of its repository and its abstract",
    blocks=tuple(
        Block((f"{encoder}-{decoder}", f"{encoder}-lm{decoder}"), encoder)
        for encoder in _ENCODERS
        for decoder in ("liif", "lte")
    ),
    roles=(),
    scales=(1, 2, 4, 6, 8),
    published=(("lmf_claims_figure.csv", "figure"),),
    tables=(),
    figures=(),
    scores=False,
    published_rows=True,
    counts=(
        Counts(
            size=_SIZE,
            part="decoder",
            parameters=(_OFFICIAL, _PRINTED),
            macs=(_FIGURE,),
            unit=(_GIBI, "2^30 MACs"),
            note=_COUNTED,
        ),
    ),
    claims=(("lmf_claims_figure.csv", "abstract"),),
)
