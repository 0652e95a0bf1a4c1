"""Set5, Set14, B100, Urban100 and Manga109 in the layout of EDSR's `benchmark` archive."""

from __future__ import annotations

from harness.data.sets.base import Archive, DatasetSpec, Layout, from_folder

_ABOUT = {
    "Set5": (5, "Bevilacqua et al., BMVC 2012"),
    "Set14": (14, "Zeyde et al., Curves and Surfaces 2010"),
    "B100": (100, "test images of BSDS300, Martin et al., ICCV 2001"),
    "Urban100": (100, "Huang et al., CVPR 2015"),
}
_LAYOUTS = {
    name: Layout(f"benchmark/{name}/HR", images, f"benchmark/{name}/LR_bicubic/X{{scale}}")
    for name, (images, _) in _ABOUT.items()
}
# Size and SHA-256 as YeapJieShen/single-image-super-resolution checks them in tests/reference/
# fetch_urban100.py. Coloquinte/torchSR checks MD5 4ace41d33c2384b97e6b320cd0afd6ba.
_ARCHIVE = Archive(
    "https://cv.snu.ac.kr/research/EDSR/benchmark.tar",
    250_112_000,
    "80c21c333bbf6ceb5308b7243761f8284478274413a97b96f1d63e9045fd93e8",
    "YeapJieShen/single-image-super-resolution",
    {folder: (folder,) for layout in _LAYOUTS.values() for folder in layout.published},
)

_MANGA109 = DatasetSpec(
    "Manga109",
    "Matsui et al., Multimedia Tools and Applications 2017",
    "benchmark",
    "It is not in the archives that are fetched: its publishers give it to researchers on request "
    "(www.manga109.org). Put the 109 pages that super-resolution papers use, one of each volume, "
    "as PNG files into benchmark/Manga109/HR below the data root, and LR images, where your copy "
    "has them, into benchmark/Manga109/LR_bicubic/X2 and so on.",
    from_folder,
    Layout("benchmark/Manga109/HR", 109, "benchmark/Manga109/LR_bicubic/X{scale}"),
    terms="Academic use only; see www.manga109.org.",
)
_OF_THE_ARCHIVE = tuple(
    DatasetSpec(
        name,
        description,
        "benchmark",
        "It is part of the benchmark archive of the EDSR project "
        f"(cv.snu.ac.kr/research/EDSR/benchmark.tar): `harness data fetch {name}` gets it, or "
        "unpack it into the data root.",
        from_folder,
        _LAYOUTS[name],
        archives=(_ARCHIVE,),
    )
    for name, (_, description) in _ABOUT.items()
)
DATASETS = (*_OF_THE_ARCHIVE, _MANGA109)
