"""Protocols of the field: how an SR image is made and what of it is compared with HR.

Papers do not share a protocol, and numbers are comparable inside one only. Each protocol here is
data, with a version and the paper or script that it is from; a row names it with its version. The
three of the LIIF code keep the names that they have had since the first rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.registry import unknown
from harness.common.errors import UsageError
from harness.data.degrade import PAIRED, LrRule

BORDERS: dict[str, Callable[[int], int]] = {
    "0": lambda _: 0,
    "4": lambda _: 4,
    "scale": lambda scale: scale,
    "scale + 6": lambda scale: scale + 6,
    "min(scale, 8)": lambda scale: min(scale, 8),
}
"""Pixels left out on each side, for a scale rounded up to a whole number."""

LUMAS = {
    "liif": (65.738 / 256, 129.057 / 256, 25.064 / 256),
    "matlab": (65.481 / 255, 128.553 / 255, 24.966 / 255),
}
"""Weights of limited-range BT.601 luma, as codes write them; they differ by less than 1e-5."""
_OFFSET = 16 / 255


@dataclass(frozen=True)
class Protocol:
    """Protocol of a paper or a script.

    Attributes:
        name: name in rows, with the version after the last hyphen; without it, version 1 of LIIF's.
        family: name on the command line, which the dataset may complete (see `resolve`).
        source: paper or script that it is from.
        luma: key of `LUMAS`; "" for RGB.
        border: key of `BORDERS`.
        rounded: whether SR is rounded to 8 bits before anything is compared.
        whole_luma: whether the luma of SR and of HR is rounded to whole 8-bit values.
        lr: how HR is cut and LR is made.
        ensemble: number of rotations and flips of the LR image whose SR images are averaged.
        tile: side of the square tiles of the LR image that are enlarged one by one, and their
            overlap, in which SR is averaged; None for the whole image.
        tiled_up_to: largest scale at which it is tiled.
        scales: the only scales that it is defined for; empty for all.
        whole_scales: whether it is defined for whole scales only.
        datasets: protocols of datasets that it is defined for; empty for all.
    """

    name: str
    family: str
    source: str
    luma: str
    border: str
    rounded: bool = False
    whole_luma: bool = False
    lr: LrRule = PAIRED
    ensemble: int = 1
    tile: tuple[int, int] | None = None
    tiled_up_to: float = math.inf
    scales: tuple[float, ...] = ()
    whole_scales: bool = False
    datasets: tuple[str, ...] = ()

    def shaved(self, scale: float) -> int:
        """Compute the pixels left out on each side; scales are rounded up."""
        return BORDERS[self.border](math.ceil(scale - 1e-9))

    def tiles(self, scale: float) -> tuple[int, int] | None:
        """Return side and overlap of the tiles at a scale; None where images are not tiled."""
        return self.tile if scale <= self.tiled_up_to else None

    def refusal(self, scale: float) -> str:
        """Explain why it is not defined for a scale, to follow its name; "" where it is."""
        if self.scales and scale not in self.scales:
            known = ", ".join(f"x{s:g}" for s in self.scales)
            return f"is defined at {known} only, not at x{scale:g}"
        if self.whole_scales and not float(scale).is_integer():
            return f"is defined at whole scales only, not at x{scale:g}"
        return ""

    def describe(self) -> str:
        """Say in a few words what it does.

        Example:
            >>> PROTOCOLS["matlab-1"].describe()
            'Y of whole values, border scale, SR rounded to 8 bits'
        """
        values = "Y" + " of whole values" * self.whole_luma if self.luma else "RGB"
        said = [values, f"border {self.border}"]
        said += ["SR rounded to 8 bits"] * self.rounded
        said += [f"HR cut to a multiple of {self.lr.multiple}"] * (self.lr.multiple > 1)
        said += ["MATLAB's LR at every scale"] * self.lr.matlab
        if self.tile:
            upto = f" up to x{self.tiled_up_to:g}" * math.isfinite(self.tiled_up_to)
            said.append(f"tiles of {self.tile[0]} with {self.tile[1]} overlap{upto}")
        said += [f"mean of {self.ensemble} rotations"] * (self.ensemble > 1)
        return ", ".join(said)


_LIIF = "Chen et al., CVPR 2021; utils.py and test.py of LIIF"
_MATLAB_LR = LrRule(matlab=True)
_THERA = "Becker et al., 2023 (arXiv 2311.17643), Sec. 3.4; run_eval.py"

_ALL = (
    Protocol("benchmark", "liif", _LIIF, luma="liif", border="scale"),
    Protocol("div2k", "liif", _LIIF, luma="", border="scale + 6"),
    Protocol("full", "liif", _LIIF, luma="", border="0"),
    Protocol(
        "basicsr-1",
        "basicsr",
        "BasicSR, metrics/psnr_ssim.py with test_y_channel and crop_border of the scale",
        luma="matlab",
        border="scale",
        rounded=True,
    ),
    Protocol(
        "matlab-1",
        "matlab",
        "MATLAB scripts that take rgb2ycbcr of 8-bit images; IMDN's test script",
        luma="matlab",
        border="scale",
        rounded=True,
        whole_luma=True,
    ),
    Protocol(
        "gsasr-1",
        "gsasr",
        "Chen et al., 2025; calculate_psnr_ssim.py and the README of GSASR",
        luma="matlab",
        border="min(scale, 8)",
        rounded=True,
        lr=_MATLAB_LR,
        whole_scales=True,
    ),
    Protocol(
        "ciaosr-1",
        "ciaosr",
        "Cao et al., CVPR 2023; configs/001 and restorers/ciaosr.py of CiaoSR",
        luma="matlab",
        border="scale",
        rounded=True,
        lr=LrRule(multiple=12, matlab=True),
        tile=(192, 32),
        tiled_up_to=4,
        whole_scales=True,
        datasets=("benchmark",),
    ),
    Protocol(
        "thera-y-1",
        "thera",
        _THERA,
        luma="liif",
        border="scale",
        lr=_MATLAB_LR,
        ensemble=4,
        whole_scales=True,
        datasets=("benchmark",),
    ),
    Protocol(
        "thera-rgb-1",
        "thera",
        _THERA,
        luma="",
        border="scale + 6",
        lr=_MATLAB_LR,
        ensemble=4,
        whole_scales=True,
        datasets=("div2k", "full"),
    ),
    Protocol(
        "ntire-esr-1",
        "ntire-esr",
        "NTIRE 2024 to 2026 challenges on efficient super-resolution; test_demo.py",
        luma="",
        border="4",
        rounded=True,
        scales=(4.0,),
    ),
)

PROTOCOLS: dict[str, Protocol] = {protocol.name: protocol for protocol in _ALL}
"""All protocols by their names in rows."""
FAMILIES: tuple[str, ...] = tuple(dict.fromkeys(protocol.family for protocol in _ALL))
"""Names of protocols on the command line, beside those in rows."""


def find(name: str) -> Protocol:
    """Find the protocol of a name in rows; UsageError if it is unknown."""
    if name not in PROTOCOLS:
        raise UsageError(unknown("protocol", name, PROTOCOLS))
    return PROTOCOLS[name]


def resolve(name: str, dataset: str) -> Protocol:
    """Find the protocol that a name on the command line means for a dataset.

    Args:
        name: name in rows, or of a family: then its newest version that is defined for the
            dataset; `liif` is the dataset's own protocol.
        dataset: the dataset's own protocol.

    Raises:
        UsageError: the protocol is unknown, or not defined for the dataset.

    Example:
        >>> resolve("thera", "div2k").name, resolve("liif", "benchmark").name
        ('thera-rgb-1', 'benchmark')
    """
    if name in PROTOCOLS:
        found = [PROTOCOLS[name]]
    elif name == "liif":
        return PROTOCOLS[dataset]
    else:
        found = [protocol for protocol in _ALL if protocol.family == name]
    if not found:
        raise UsageError(unknown("protocol", name, dict.fromkeys((*FAMILIES, *PROTOCOLS))))
    fitting = [p for p in found if not p.datasets or dataset in p.datasets]
    if not fitting:
        sets = "Set5, Set14, B100 and Urban100" if "benchmark" in found[-1].datasets else "DIV2K"
        raise UsageError(f"The protocol {name} is defined for {sets} only.")
    return fitting[-1]


def shaved_border(protocol: str, scale: float) -> int:
    """Compute the pixels that a protocol leaves out on each side; scales are rounded up."""
    return find(protocol).shaved(scale)


def too_small(size: tuple[int, int], protocol: str, scale: float) -> bool:
    """Tell whether nothing of an HR image of (height, width) is left to score."""
    return min(size) <= 2 * shaved_border(protocol, scale)


def channels(image: Tensor, protocol: str) -> Tensor:
    """Return RGB as it is, or luma without its offset (which cancels in a difference)."""
    luma = find(protocol).luma
    if not luma:
        return image
    weights = torch.tensor(LUMAS[luma], device=image.device, dtype=image.dtype)
    return (image * weights[:, None, None]).sum(dim=-3, keepdim=True)


def stored_values(image: Tensor, protocol: str) -> Tensor:
    """Clamp SR to [0, 1], and round it to 8 bits where the protocol does."""
    image = image.clamp(0, 1)
    return (image * 255).round() / 255 if find(protocol).rounded else image


def compared(image: Tensor, protocol: str) -> Tensor:
    """Return what is compared of an image in [0, 1]: RGB, or luma with its offset."""
    asked = find(protocol)
    if not asked.luma:
        return image
    if asked.whole_luma:
        return ((channels(image.double(), protocol) + _OFFSET) * 255).round() / 255
    return channels(image, protocol) + _OFFSET


def difference(sr: Tensor, hr: Tensor, protocol: str) -> Tensor:
    """Subtract what is compared of HR from that of SR."""
    stored = stored_values(sr, protocol)
    if find(protocol).whole_luma:
        return compared(stored, protocol) - compared(hr, protocol)
    return channels(stored - hr, protocol)


def shave(image: Tensor, border: int) -> Tensor:
    """Cut so many pixels from each side of an image."""
    return image[..., border : image.shape[-2] - border, border : image.shape[-1] - border]


def inside(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> tuple[Tensor, Tensor]:
    """Return what is compared of SR and HR inside the border, float64. Raises: as the next."""
    border = checked_border(sr, hr, protocol, scale)
    x, y = (shave(image, border) for image in (stored_values(sr, protocol), hr))
    return compared(x, protocol).double(), compared(y, protocol).double()


def checked_border(sr: Tensor, hr: Tensor, protocol: str, scale: float) -> int:
    """Compute the border of two images that can be compared.

    Raises:
        ValueError: the shapes differ, or an image is smaller than the borders.
    """
    if sr.shape != hr.shape or sr.dim() < 3 or sr.shape[-3] != 3:
        raise ValueError(
            f"expected two tensors (..., 3, H, W), got {tuple(sr.shape)} and {tuple(hr.shape)}"
        )
    border = shaved_border(protocol, scale)
    if too_small((hr.shape[-2], hr.shape[-1]), protocol, scale):
        raise ValueError(
            f"an image of {hr.shape[-2]}x{hr.shape[-1]} is smaller than two borders of {border}"
        )
    return border
