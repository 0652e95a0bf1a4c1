"""Colours and markers, the same in every figure and on every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.colors import to_hex

from baselines import parse
from harness.runs.experiment import methods_of

# A hue for each kind of method, the same in every figure. The colours can be told apart by
# colour-blind readers; markers and lightness tell methods apart in grey.
_HUES = {
    "liif": 0,
    "lte": 1,
    "ipe": 2,
    "lmliif": 9,
    "lmlte": 8,
    "metasr": 4,
    "igconv": 3,
    "igconv-plus": 3,
    "fixed": 5,
    "dense": 7,
}
_OTHERS = 6
_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "p", "h", "*", "<", ">")
_VARIANTS = {"s": 1, "b": 2}
_SHALLOW, _DEEP = 2, 5
"""Depths at the ends of the experts' scale: the paper's. Deeper ones are drawn as the deepest."""


@dataclass(frozen=True)
class Look:
    """Colour (#rrggbb) and marker (a name of matplotlib) of a method."""

    color: str = "#737373"
    marker: str = "x"


def looks(rows: Sequence[str], common: Sequence[str] = ()) -> dict[str, Look]:
    """Choose hue by kind of decoder, shade and marker by variant; common rows are grey.

    Baselines are darkest; ablations take the markers and shades behind those of the variants.
    """
    import seaborn as sns  # imports pyplot and scipy.stats: not for every command

    palette = sns.color_palette("colorblind", 10)
    found = {row: Look() for row in common}
    used: dict[tuple[int, str], set[int]] = {}
    for row in rows:
        if row in found:
            continue
        method = parse(methods_of(row)[0])
        own = "outside" if method.outside else "dense" if method.dense else "fixed"
        hue = _HUES.get(method.decoder or method.upsampler or own, _OTHERS)
        # Encoders have figures of their own; networks for one scale are compared with each other.
        place_of = (hue, method.encoder if method.decoder or method.upsampler else "")
        taken = used.setdefault(place_of, set())
        place = 1 + len(_VARIANTS) if method.suffix else _VARIANTS.get(method.variant, 0)
        while place in taken:
            place += 1
        taken.add(place)
        dark = [0.55 * part for part in palette[hue]]
        light = [1 - 0.6 * (1 - part) for part in palette[hue]]
        shades = sns.blend_palette([dark, palette[hue], light], 8)
        found[row] = Look(to_hex(shades[min(3 * place, 7)]), _MARKERS[place % len(_MARKERS)])
    return found


def expert_colors(depths: Sequence[int]) -> list[str]:
    """Choose colours (#rrggbb) by depth on one sequential scale, light for shallow, dark for deep.

    The same depth has the same colour in every map, so that maps can be read without legends.
    """
    scale = mpl.colormaps["YlGnBu"]
    shares = [(min(depth, _DEEP) - _SHALLOW) / (_DEEP - _SHALLOW) for depth in depths]
    return [to_hex(scale(0.08 + 0.87 * max(share, 0))) for share in shares]
