"""Savings of LMF's latent modulation: its figure of MACs, its parameters and its claims."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from harness.published import Printed, claims
from harness.report.data import Report
from harness.report.model import Verdict
from harness.report.sections.counts import Counts, Reference
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

_COUNTS = Counts(
    size=_SIZE,
    part="decoder",
    parameters=(_OFFICIAL, _PRINTED),
    macs_beside=(_FIGURE,),
    unit=(_GIBI, "2^30 MACs"),
    note=_COUNTED,
)
_Saving = tuple[float, str]
"""Percentage, and the row and scale that it belongs to."""


@dataclass(frozen=True)
class Saving:
    """Claim of LMF's abstract: the largest saving against a row's baseline ("up to").

    Attributes:
        words: what is saved.
        printed: the abstract's figure.
        savings: lists those that follow from the counts; empty where no count tells.
    """

    words: str
    printed: Printed
    savings: Callable[[Report], Iterator[_Saving]]

    def judge(self, report: Report) -> Iterator[Verdict]:
        """Compare the largest saving here; a smaller one decides nothing, as CiaoSR is not here."""
        found = max(self.savings(report), default=None)
        if found is None:
            yield Verdict(self.words, self.printed.text, "", "not measured")
            return
        percent, where = found
        verdict = "holds" if percent >= self.printed.value else "not decided"
        note = f" ({self.printed.note})" if self.printed.note else ""
        ours = f"at most {decimals(percent)} % ({where}); CiaoSR's decoder is not counted here"
        yield Verdict(self.words, f"{self.printed.text}{note}", ours, verdict)  # type: ignore[arg-type]


def _pairs(report: Report) -> Iterator[tuple[str, str, str]]:
    """List (row, its baseline, both by name)."""
    for row in report.experiment.rows:
        base = report.baseline(row)
        if base:
            yield row, base, f"{report.label(row)} against {report.label(base)}"


def _counted(report: Report, row: str, scale: float, which: int) -> int | None:
    return _COUNTS.count(_COUNTS.cell(report, row, scale))[which].counted


def _at_the_scales(which: int) -> Callable[[Report], Iterator[_Saving]]:
    """Compute the savings of each row and scale; `which`: 0 for parameters, 1 for MACs."""

    def savings(report: Report) -> Iterator[_Saving]:
        for row, baseline, names in _pairs(report):
            for scale in report.scales:
                own, base = (_counted(report, r, scale, which) for r in (row, baseline))
                if own is not None and base:
                    yield (
                        100 * (1 - own / base),
                        f"{names}, {scale_text(scale)}" if which else names,
                    )

    return savings


def _in_the_limit(report: Report) -> Iterator[_Saving]:
    """Compute the savings in the part of the MACs that grows with the square of the scale."""
    low, high = report.scales[0], report.scales[-1]
    for row, baseline, names in _pairs(report):
        ends = [_counted(report, r, s, 1) for r in (row, baseline) for s in (low, high)]
        less, more, base_less, base_more = ends
        if None not in ends and base_more != base_less:
            share = (more - less) / (base_more - base_less)  # type: ignore[operator]
            yield 100 * (1 - share), f"{names}, in the limit of large scales"


_FOLLOW: dict[str, tuple[tuple[str, Callable[[Report], Iterator[_Saving]]], ...]] = {
    "compute_reduction_percent_max": (
        ("LMF saves MACs of the decoder, at the scales of the figure", _at_the_scales(1)),
        ("LMF saves MACs of the decoder, at any scale", _in_the_limit),
    ),
    "params_saving_percent_max": (("LMF saves parameters of the decoder", _at_the_scales(0)),),
    "inference_speedup_max": (
        ("LMF is faster (a time, which no count tells)", lambda _: iter(())),
    ),
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
        Saving(words, claim.printed, savings)
        for claim in claims("lmf_claims_figure.csv", "abstract")
        for words, savings in _FOLLOW[claim.metric]
    ),
    sections=(_COUNTS,),
)
