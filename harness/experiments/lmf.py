"""Savings of LMF's latent modulation: its figure of MACs, its parameters and its claims."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.data.published import Printed, claims
from harness.report import sections
from harness.report.data import Report
from harness.report.model import Verdict
from harness.report.text import decimals, scale_text
from harness.runs.experiment import Block, Experiment

_SIZE = "320x180 input"
_GIBI = 2.0**30
_ENCODERS = ("edsr", "rdn", "swinir")

_COUNTED = (
    "Counted: LIIF's and LTE's MLP for four latent codes of every output pixel, LTE's amplitude, "
    "frequency and phase layers, LMF's latent MLP for every LR pixel. SwinIR works on whole "
    "windows, 328x184 LR pixels here, and what runs once for every LR pixel with it. LMF's "
    "CMSR, which renders parts of an image at lower scales, is off."
)
_OFFICIAL = sections.Reference(
    "official code",
    "counted on the networks that the LMF project's configurations build, not printed anywhere",
    ("lmf_params_computed.csv", "computed"),
    "decoder_params",
)
_PRINTED = sections.Reference(
    "printed",
    "in Thera's paper (Table 1), of LIIF, LTE and CiaoSR on top of any encoder; LMF's own tables "
    "were not at hand",
    ("lmf_baselines_elsewhere.csv", "Thera T1"),
    "params",
)
_FIGURE = sections.Reference(
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

_COUNTS = sections.Counts(
    size=_SIZE,
    part="decoder",
    parameters=(_OFFICIAL, _PRINTED),
    macs_beside=(_FIGURE,),
    unit=(_GIBI, "2^30 MACs"),
    note=_COUNTED,
)


@dataclass(frozen=True)
class Saving:
    """Claim of LMF's abstract: the largest saving against a row's baseline ("up to").

    Attributes:
        words: what is saved.
        printed: the abstract's figure.
        which: 0 for parameters, 1 for MACs; None for a time, which no count tells.
        limit: whether the part that grows with the square of the scale is compared.
    """

    words: str
    printed: Printed
    which: int | None
    limit: bool = False

    def judge(self, report: Report) -> Verdict:
        """Compare the largest saving here; a smaller one decides nothing, as CiaoSR is not here."""
        found = max(self._savings(report), default=None, key=lambda saving: saving[0])
        if found is None:
            return Verdict(self.words, self.printed.text, "", "not measured")
        note = f" ({self.printed.note})" if self.printed.note else ""
        ours = f"at most {decimals(found[0])} % ({found[1]}); CiaoSR's decoder is not counted here"
        holds = found[0] >= self.printed.value
        paper = f"{self.printed.text}{note}"
        return Verdict(self.words, paper, ours, "holds" if holds else "not decided")

    def _savings(self, report: Report) -> Iterator[tuple[float, str]]:
        """List percentages, each with its row and scale."""
        for row in report.experiment.rows if self.which is not None else ():
            names = (row, report.baseline(row))
            counts = [self._counts(report, name) for name in names if name]
            if len(counts) < 2 or None in (*counts[0], *counts[1]):
                continue
            pair = " against ".join(map(report.label, names))
            places = [scale_text(scale) for scale in report.scales]
            if self.limit:
                counts, places = [[n[-1] - n[0]] for n in counts], ["in the limit of large scales"]
            for own, base, place in zip(*counts, places, strict=True):
                yield 100 * (1 - own / base), f"{pair}, {place}" if self.which else pair

    def _counts(self, report: Report, row: str) -> list[Any]:
        results = (_COUNTS.result(report, row, scale) for scale in report.scales)
        return [_COUNTS.count(result)[self.which or 0].counted for result in results]


_FOLLOW: dict[str, tuple[tuple[str, int | None, bool], ...]] = {
    "compute_reduction_percent_max": (
        ("LMF saves MACs of the decoder, at the scales of the figure", 1, False),
        ("LMF saves MACs of the decoder, at any scale", 1, True),
    ),
    "params_saving_percent_max": (("LMF saves parameters of the decoder", 0, False),),
    "inference_speedup_max": (("LMF is faster (a time, which no count tells)", None, False),),
}

EXPERIMENT = Experiment(
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
    published_rows=True,
    claims=tuple(
        Saving(words, printed, which, limit)
        for metric, printed in claims("lmf_claims_figure.csv", "abstract")
        for words, which, limit in _FOLLOW[metric]
    ),
    sections=(_COUNTS,),
)
