"""Effects of each choice of the protocol, in dB: measures the tables of docs/protocol.md.

    python docs/protocol_effects.py --data-root DIR --sets Set5,Set14
    python docs/protocol_effects.py --data-root DIR --checkpoints results/quick/training/*/*/*.pt

Without checkpoints the method is bicubic. Every value is the mean over a set's images of the
PSNR under another choice less the PSNR under the protocol.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from baselines import build
from baselines.base import Box
from baselines.encoders.swinir import reflected
from baselines.plain import decode_plain
from baselines.systems.implicit import ImplicitSR
from baselines.windows import Grid, extend
from harness import metrics
from harness.checkpoints import open_checkpoint
from harness.data.degrade import Pair, make_pair, pil_bicubic, quantise, unit
from harness.data.images import open_image
from harness.data.sets import Dataset, ImageItem, find
from harness.upscale.network import upscale

PAIRED = (2, 3, 4)
LARGE = (6, 8, 12, 18)
LIMITED = torch.tensor((65.481, 128.553, 24.966))[:, None, None] / 255
FULL = torch.tensor((0.299, 0.587, 0.114))[:, None, None]
Effects = dict[str, float]


def psnr(sr: Tensor, hr: Tensor, border: int) -> float:
    """Compute the PSNR of (C, H, W) in [0, 1], over all channels."""
    h, w = hr.shape[-2:]
    error = (sr - hr)[:, border : h - border, border : w - border]
    return -10 * math.log10(error.double().square().mean().item())


def luma(image: Tensor, weights: Tensor) -> Tensor:
    """(1, H, W); limited range lacks its offset of 16 grey levels, which cancels."""
    return (image * weights).sum(dim=0, keepdim=True)


def benchmark(sr: Tensor, hr: Tensor, scale: float) -> float:
    """PSNR under the protocol."""
    return metrics.psnr(sr, hr, "benchmark", scale).item()


def unrounded_bicubic(lr: Tensor, scale: int) -> Tensor:
    """MATLAB's bicubic enlargement without its rounding; (3, h, w) in [0, 1], not clamped."""
    return _enlarge_rows(_enlarge_rows(lr.double(), scale).mT, scale).mT.float()


def _enlarge_rows(image: Tensor, scale: int) -> Tensor:
    n = image.shape[-2]
    centre = (torch.arange(n * scale, dtype=torch.float64) + 0.5) / scale - 0.5
    out = torch.zeros(*image.shape[:-2], n * scale, image.shape[-1], dtype=torch.float64)
    for tap in range(-1, 3):
        index = centre.floor() + tap
        d = (centre - index).abs()
        near, far = (1.5 * d - 2.5) * d * d + 1, ((-0.5 * d + 2.5) * d - 4) * d + 2
        weight = torch.where(d <= 1, near, far)
        folded = index.long() % (2 * n)
        row = torch.where(folded < n, folded, 2 * n - 1 - folded)
        out += image[..., row, :] * weight[:, None]
    return out


def bicubic_effects(item: ImageItem, scale: int, grey: bool) -> Effects:
    """Measure the effects on one image; `grey` says whether its file has one channel."""
    model = build("bicubic")
    pair = make_pair(item, item.load(), scale, None)
    hr, lr = unit(pair.hr), unit(pair.lr)
    sr = model(lr[None], scale)[0]
    by_pillow = model(unit(pil_bicubic(pair.hr, scale)[0])[None], scale)[0]
    # PyTorch's default: kernel a = -0.75, not widened when shrinking
    aliased = model(F.interpolate(hr[None], lr.shape[-2:], mode="bicubic"), scale)[0]
    full = psnr(luma(sr, FULL), luma(hr, FULL), scale)
    base = benchmark(sr, hr, scale)
    y = [luma(x, LIMITED) for x in (sr, hr)]
    return {
        "protocol": base,
        "colour: full-range Y": full - base,
        "colour: RGB": psnr(sr, hr, scale) - base,
        "border: none": psnr(*y, 0) - base,
        "border: scale + 6": psnr(*y, scale + 6) - base,
        "LR by Pillow": benchmark(by_pillow, hr, scale) - base,
        "LR without antialiasing": benchmark(aliased, hr, scale) - base,
        "SR not rounded": benchmark(unrounded_bicubic(lr, scale), hr, scale) - base,
        "Y rounded": psnr(unit(quantise(y[0])), unit(quantise(y[1])), scale) - base,
        "grey files as their own Y": psnr(sr[:1], hr[:1], scale) - base if grey else 0.0,
    }


def decoded(
    model: ImplicitSR, lr: Tensor, seen: Grid, size: tuple[int, int], stretch: float
) -> Tensor:
    """SR image of an extended LR image (1, 3, h, w), cut to `size`."""
    features = model.encode(lr * 2 - 1)
    box = Box(0, 0, *size)
    return decode_plain(model, features, seen.hr, box, stretch) * 0.5 + 0.5


def cell_effects(model: ImplicitSR, pair: Pair, scale: float) -> Effects:
    """Measure the effect of stretching the cell above x4, whatever the decoder's own rule is."""
    hr, lr = unit(pair.hr), unit(pair.lr)[None]
    size = (hr.shape[-2], hr.shape[-1])
    seen = model.seen((lr.shape[-2], lr.shape[-1]), size)
    extended = extend(lr, seen.lr)
    kept, clipped = (
        benchmark(decoded(model, extended, seen, size, stretch), hr, scale)
        for stretch in (1.0, scale / 4)
    )
    return {"cell as it is": kept, "cell of x4": clipped - kept}


def network_effects(model: ImplicitSR, pair: Pair, scale: int) -> Effects:
    """Measure the effects of rounding, LR source and, with windows, of extending the LR image."""
    hr, lr = unit(pair.hr), unit(pair.lr)[None]
    size = (hr.shape[-2], hr.shape[-1])
    sr = upscale(model, lr, scale, size).image[0]
    base = benchmark(sr, hr, scale)
    by_pillow = upscale(model, unit(pil_bicubic(pair.hr, scale)[0])[None], scale, size).image[0]
    found = {
        "protocol": base,
        "SR rounded": benchmark(unit(quantise(sr)), hr, scale) - base,
        "LR by Pillow": benchmark(by_pillow, hr, scale) - base,
    }
    window = model.window
    if window > 1:
        up = tuple(side + -side % window for side in lr.shape[-2:])
        seen = Grid((up[0], up[1]), (up[0] * scale, up[1] * scale))
        stretch = model.cell_stretch(scale)
        shortest = decoded(model, reflected(lr, seen.lr), seen, size, stretch)
        found["shortest reflection"] = benchmark(shortest, hr, scale) - base
        own = decoded(model, lr, Grid(seen.lr, size), size, stretch)
        found["encoder's padding alone"] = benchmark(own, hr, scale) - base
    return found


def pairs(dataset: Dataset, scale: float) -> Iterator[Pair]:
    return (make_pair(item, item.load(), scale, None) for item in dataset.items)


def mean(effects: Sequence[Effects]) -> Effects:
    return {key: sum(e[key] for e in effects) / len(effects) for key in effects[0]}


def table(title: str, columns: Sequence[float], measure: Callable[[float], Effects]) -> None:
    """Print a table in Markdown: a row for each choice, a column for each scale."""
    found = [measure(scale) for scale in columns]
    print(f"\n| {title} | " + " | ".join(f"x{scale:g}" for scale in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for i, key in enumerate(found[0]):
        form = "{:.3f}" if i == 0 else "{:+.3f}"
        print(f"| {key} | " + " | ".join(form.format(e[key]) for e in found) + " |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data-root", type=Path, required=True)
    parser.add_argument("--sets", default="Set5,Set14", help="default: %(default)s")
    parser.add_argument("--checkpoints", type=Path, nargs="*", default=[])
    given = parser.parse_args()
    sets = [find(name, given.data_root) for name in given.sets.split(",")]
    for dataset in [] if given.checkpoints else sets:
        folder = given.data_root / "benchmark" / dataset.name / "HR"
        grey = {p.stem for p in folder.iterdir() if open_image(p).mode == "L"}
        table(
            f"bicubic, {dataset.name}",
            PAIRED,
            lambda s, d=dataset, g=grey: mean(
                [bicubic_effects(i, int(s), i.name in g) for i in d.items]
            ),
        )
    for path in given.checkpoints:
        loaded = open_checkpoint(path)
        model = loaded.model
        if not isinstance(model, ImplicitSR):
            raise SystemExit(f"{path} has no implicit decoder.")
        for d in sets:
            for scales, effects in ((PAIRED, network_effects), (LARGE, cell_effects)):
                table(
                    f"{loaded.method}, {d.name}",
                    scales,
                    lambda s, d=d, m=model, f=effects: mean([f(m, p, s) for p in pairs(d, s)]),
                )


if __name__ == "__main__":
    with torch.inference_mode():
        main()
