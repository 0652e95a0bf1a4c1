"""Statements of the MoEISR paper on its method, as claims that numbers can decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from baselines.registry import LABELS
from harness.data.published import label, published
from harness.report import sections
from harness.report.claims import Claim
from harness.report.text import decimals, signed
from harness.runs.experiment import Block, Experiment, families, family

_IN, _OUT = (2, 3, 4), (6, 12, 18, 24, 30)
_DECODERS = ("liif", "lte")
_SETS = ("Set5", "Set14", "B100", "Urban100")
_TABLE1 = ("moeisr_table1.csv", "1")
_KEPT = -0.05
"""Difference in dB that counts as kept: five times what the paper's tables resolve."""
_LOST = -0.08
# Percent of the baseline's decoder MACs at most, and the paper's words for it.
_MOST = {
    ("liif", "b"): (75, "a quarter fewer"),
    ("liif", "s"): (27, "73 % fewer"),
    ("lte", "b"): (94, "6 to 8 % fewer"),
    ("lte", "s"): (32, "68 to 73 % fewer"),
}


def _differences(
    source: tuple[str, str], method: str, baseline: str, role: str, scales: Iterable[float]
) -> str:
    """Quote the least and the largest published difference."""
    pairs = [
        (published(*source, method, role, s), published(*source, baseline, role, s)) for s in scales
    ]
    found = [own - base for own, base in pairs if own is not None and base is not None]
    if not found:
        return "no number"
    ends = list(dict.fromkeys(signed(value) for value in (min(found), max(found))))
    return f"{' to '.join(ends)} dB"


def _percent(method: str) -> str:
    """Quote the published MACs in percent of the baseline's (Table 3)."""
    scales = (*_IN, *_OUT)
    each = [
        published("moeisr_table3.csv", "3", method, "Set14", s, "flops_percent") for s in scales
    ]
    found = [value for value in each if value is not None]
    ends = dict.fromkeys(decimals(value, 1) for value in (min(found), max(found)))
    return f"{' to '.join(ends)} % of the baseline's (Table 3)"


def _scores(encoder: str, roles: tuple[str, ...] = ("DIV2K_valid",)) -> Iterator[Claim]:
    """List what is claimed of PSNR over an encoder."""
    for decoder in _DECODERS:
        base, small, big = family(encoder, decoder)
        for scales, where in ((_IN, "in scale"), (_OUT, "out of scale too")):
            kept = "0.05 dB is our limit"
            lost = "0.08 dB: its largest printed loss, 0.07 dB over EDSR, and rounding"
            for method, bound, limit, said in (
                (big, _KEPT, kept, f"keeps the PSNR of {label(base)} {where} (within 0.05 dB)"),
                (small, _LOST, lost, f"loses at most 0.08 dB to {label(base)} {where}"),
            ):
                printed = _differences(_TABLE1, method, base, "DIV2K_valid", scales)
                paper = f"{printed}; {limit}"
                words, main = f"{label(method)} {said}", scales == _IN
                yield Claim(words, paper, method, base, "psnr", bound, roles, scales, main)


def _costs(encoder: str, roles: tuple[str, ...] = ("DIV2K_valid",)) -> Iterator[Claim]:
    """List what is claimed of MACs over an encoder."""
    for decoder in _DECODERS:
        base, *variants = family(encoder, decoder)
        for method in reversed(variants):
            most, said = _MOST[decoder, method[-1]]
            words = f"{label(method)} needs at most {most} % of {label(base)}'s decoder MACs"
            paper = f"{_percent(method)}; in words, of all encoders: {said}"
            yield Claim(words, paper, method, base, "macs", most, roles)


def _texture(encoder: str, roles: tuple[str, ...] = ("DIV2K_valid",)) -> Iterator[Claim]:
    """List what the paper's expert maps show."""
    for decoder in _DECODERS:
        for method in family(encoder, decoder)[1:]:
            words = (
                f"{label(method)} sends texture to deep experts (rank correlation of depth and "
                "gradient energy above 0)"
            )
            paper = "pictures (Figures 1 and 5), no number"
            yield Claim(words, paper, method, of="depth_texture", roles=roles)


_ENCODERS = tuple(encoder for encoder in LABELS if encoder in ("edsr", "rdn", "swinir"))
TABLE1_CLAIMS = tuple(
    claim
    for encoder in _ENCODERS
    for claim in (*_scores(encoder), *_costs(encoder), *_texture(encoder))
)
TABLE2_EDSR_CLAIMS = (*_scores("edsr", _SETS), *_costs("edsr", _SETS), *_texture("edsr", _SETS))
TABLE3_CLAIMS = tuple(c for encoder in _ENCODERS for c in _costs(encoder, ("Set14",)))


def _depths() -> Iterator[Claim]:
    """List what Table 4 says of an MLP that is made shallower by hand."""
    pairs = [("rdn-moeisr-liif-b", f"rdn-liif-{depth}layer") for depth in (4, 3, 2)]
    for method, base in (*pairs, ("rdn-moeisr-liif-s", "rdn-liif-2layer")):
        paper = _differences(("moeisr_table4.csv", "4"), method, base, "Urban100", (2, 3, 4, 6, 8))
        words = f"{label(method)} is better than {label(base)}, made shallower by hand"
        yield Claim(words, paper, method, base, roles=("Urban100",))


def _mappers() -> Iterator[Claim]:
    """List what Table 5 says of the mapper's depth and temperature."""
    method = "rdn-moeisr-liif-b"
    for suffix, words in (
        ("m1", "A mapper of several layers is better than one of a single layer"),
        ("tau3", "Temperature 1 is better than 3"),
        ("tau5", "Temperature 1 is better than 5"),
    ):
        base = f"{method}-{suffix}"
        paper = _differences(("moeisr_table5.csv", "5"), method, base, "DIV2K_valid", (4,))
        yield Claim(f"{words} ({label(method)})", paper, method, base, scales=(4,))


TABLE4_CLAIMS = tuple(_depths())
TABLE5_CLAIMS = tuple(_mappers())

EXPERIMENT = Experiment(
    name="claims",
    title="What the MoEISR paper claims, and what was measured",
    source="MoEISR (arXiv 2311.12077): Tables 1, 3, 4 and 5, Figures 1 and 5",
    common=("bicubic",),
    blocks=(
        *families(*_ENCODERS),
        Block(tuple(f"rdn-liif-{depth}layer" for depth in (4, 3, 2)), "rdn", name="LIIF by depth"),
        Block(
            tuple(f"rdn-moeisr-liif-b-{suffix}" for suffix in ("m1", "tau3", "tau5")),
            "rdn",
            name="mappers",
        ),
    ),
    roles=("DIV2K_valid", "Urban100"),
    scales=(2, 3, 4, 6, 12),
    published=(("moeisr_table1.csv", "1"), ("moeisr_table4.csv", "4")),
    claims=(*TABLE1_CLAIMS, *TABLE4_CLAIMS, *TABLE5_CLAIMS),
    sections=(
        sections.ScoreTable("psnr"),
        sections.MacsTable(),
        sections.Shares(),
        sections.Networks(),
    ),
)
