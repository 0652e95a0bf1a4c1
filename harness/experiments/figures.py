"""Figures of the MoEISR paper; a profile's regions say which images they show.

The paper names none of its images. Only the images that are shown are measured.
"""

from __future__ import annotations

from harness.report import sections
from harness.runs.experiment import Block, Experiment, SectionMaker

_SETS = ("DIV2K_valid", "Urban100")


def _figure(
    name: str,
    title: str,
    shown: str,
    methods: tuple[str, ...],
    scales: tuple[float, ...],
    pictures: SectionMaker,
    common: tuple[str, ...] = (),
) -> Experiment:
    return Experiment(
        name=name,
        title=title,
        source=f"MoEISR (arXiv 2311.12077), {shown}",
        common=common,
        blocks=(Block(methods),),
        roles=_SETS,
        scales=scales,
        sections=(
            pictures,
            sections.ScoreTable("psnr"),
            sections.MacsTable(),
            sections.Shares(),
            sections.Networks(),
        ),
        regions_only=True,
    )


_COMPARED = (
    *("rdn-liif", "rdn-moeisr-liif-s", "rdn-moeisr-liif-b"),
    *("rdn-lte", "rdn-moeisr-lte-s", "rdn-moeisr-lte-b"),
)

FIGURE1 = _figure(
    "figure1",
    "Expert maps from the mapper",
    "Figure 1 (it names no encoder)",
    ("rdn-moeisr-liif-s", "rdn-moeisr-liif-b", "rdn-moeisr-lte-b"),
    (4,),
    sections.ExpertMaps(),
)
FIGURE3 = _figure(
    "figure3",
    "Qualitative comparison, in-scale",
    "Figure 3",
    _COMPARED,
    (2, 3, 4),
    sections.Crops(),
    ("bicubic",),
)
FIGURE4 = _figure(
    "figure4",
    "Qualitative comparison, out-of-scale",
    "Figure 4",
    _COMPARED,
    (6, 8, 12),
    sections.Crops(),
    ("bicubic",),
)
FIGURE5 = _figure(
    "figure5",
    "Expert maps by depth of the mapper and temperature",
    "Figure 5",
    (
        "rdn-moeisr-liif-b-m1",
        "rdn-moeisr-liif-b",
        "rdn-moeisr-liif-b-tau3",
        "rdn-moeisr-liif-b-tau5",
    ),
    (4,),
    sections.ExpertMaps(),
)
CONTROLLABLE = _figure(
    "controllable",
    "Expert maps of the controllable mapper, w_1 and w_4 = 3.7",
    "Sec. 4.2, Controllable Mapper, and the supplementary material",
    ("rdn-moeisr-liif-b", "rdn-moeisr-liif-b-w1=3.7", "rdn-moeisr-liif-b-w4=3.7"),
    (4,),
    sections.ExpertMaps(),
)
EXPERIMENTS = (FIGURE1, FIGURE3, FIGURE4, FIGURE5, CONTROLLABLE)
