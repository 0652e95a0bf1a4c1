"""Set5, Set14, B100 and Urban100 in the layout of EDSR's `benchmark` archive."""

from __future__ import annotations

from harness.data.sets.base import DatasetSpec, Layout, from_folder

_HOW = (
    "It is part of the benchmark archive of the EDSR project "
    "(cv.snu.ac.kr/research/EDSR/benchmark.tar): `harness data fetch {0}` gets it, or unpack it "
    "into the data root."
)


def _benchmark(name: str, images: int, description: str) -> DatasetSpec:
    layout = Layout(f"benchmark/{name}/HR", images, lr=f"benchmark/{name}/LR_bicubic/X{{scale}}")
    return DatasetSpec(name, description, "benchmark", _HOW.format(name), from_folder, layout)


BENCHMARKS = (
    _benchmark("Set5", 5, "Bevilacqua et al., BMVC 2012"),
    _benchmark("Set14", 14, "Zeyde et al., Curves and Surfaces 2010"),
    _benchmark("B100", 100, "test images of BSDS300, Martin et al., ICCV 2001"),
    _benchmark("Urban100", 100, "Huang et al., CVPR 2015"),
)
