"""Output pixels per second of the decoder: the engine against the plain path.

Features are made once and not timed; networks have the paper's sizes and no training, which costs
the same. Experts are chosen at random in even shares, so that every expert has its part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import click
import torch
from torch import Tensor

from baselines import Method, build, parse
from baselines.composition import Features, Routing
from baselines.fast.engine import GridJob, decode_grid
from baselines.macs import MacCount
from baselines.plain import decode_plain
from baselines.systems.implicit import ImplicitSR
from harness.commands.options import (
    Setup,
    json_option,
    listed,
    methods_option,
    pixels,
    scale_factor,
    show,
    table,
    with_setup,
)
from harness.common.device import keep_freed_memory
from harness.common.errors import UsageError
from harness.common.progress import bar
from harness.measure.machine import in_words, machine, matrix_product_speed
from harness.measure.timing import Spread, alternate

METHODS = (
    *("edsr-liif", "edsr-moeisr-liif-b", "edsr-moeisr-liif-s"),
    *("edsr-lte", "edsr-moeisr-lte-b", "edsr-moeisr-lte-s", "edsr-metasr"),
)
OFFICIAL_CHUNK = 30_000
"""Queries at a time in the test configurations of LIIF and LTE (eval_bsize)."""
Size = tuple[int, int]


@dataclass(frozen=True)
class DecodingCase:
    """Network on one LR image, ready to be decoded.

    Attributes:
        lr_size: (h, w) of the LR image.
        size: (H, W) of the SR image.
        macs: MACs of the image. Those of the engine do not have the few border queries that are
            answered twice to fill a chunk.
    """

    method: Method
    model: ImplicitSR
    features: Features
    lr_size: Size
    scale: float
    size: Size
    macs: MacCount

    @property
    def baseline(self) -> str:
        """Method whose plain decoding this one is compared with: its baseline, or itself."""
        return self.method.baseline or self.method.name

    def plain(self, chunk: int | None = None) -> Tensor:
        """Decode by `ImplicitSR.decode` in chunks of so many queries; None: to suit the cache."""
        stretch = self.model.cell_stretch(self.scale)
        return decode_plain(self.model, self.features, self.size, stretch=stretch, chunk=chunk)

    def fast(self) -> Tensor:
        """Decode by the engine."""
        h, w = self.size
        with torch.inference_mode():
            job = GridJob(self.size, (0, h), (0, w), self.model.cell_stretch(self.scale))
            return decode_grid(self.model, self.features, job)

    def record(self, images: Spread, **more: Any) -> dict[str, Any]:
        """Make a result of the engine's images per second; spreads are [quartile, median, ...]."""
        executed = self.macs.executed - self.macs.mapper  # which belongs to encoding
        return {
            "method": self.method.name,
            "lr_size": list(self.lr_size),
            "scale": self.scale,
            "engine_pixels_per_s": self.pixels(images),
            "baseline": self.baseline,
            "executed_macs": executed,
            "paper_macs": self.macs.decoder,
            "executed_macs_per_s": executed * images.median,
            **more,
        }

    def pixels(self, images: Spread) -> list[float]:
        """Convert images per second to pixels per second."""
        return [value * self.size[0] * self.size[1] for value in images.ordered]


@torch.inference_mode()
def make_case(name: str, lr_size: Size, scale: float, device: torch.device) -> DecodingCase:
    """Make an untrained network at the paper's sizes with the features of a random image."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    method, model = parse(name), build(name)
    if not isinstance(model, ImplicitSR):
        raise UsageError(f"{name} decodes nothing; name an arbitrary-scale method.")
    size = (round(lr_size[0] * scale), round(lr_size[1] * scale))
    if model.seen(lr_size, size).lr != lr_size:
        raise UsageError(
            f"{name} extends images to whole windows, which is no size to compare at; its "
            f"decoder is that of edsr-{name.split('-', 1)[1]}."
        )
    model = model.to(device).eval()
    lr = torch.rand(1, 3, *lr_size, generator=generator) * 2 - 1
    features, choice = model.encode(lr.to(device)), None
    if features.routing is not None:
        experts = len(model.head.mlps)
        # As many LR pixels for each expert, at random places.
        order = torch.randperm(lr_size[0] * lr_size[1], generator=generator)
        choice = (order % experts)[None].to(device)
        gates = torch.nn.functional.one_hot(choice, experts).to(features.latent.dtype)
        features = Features(features.lr, features.latent, Routing(gates, gates))
    macs = model.count(lr_size, size, choice)
    return DecodingCase(method, model, features, lr_size, scale, size, macs)


def compare(
    methods: Sequence[str], lr_size: Size, scale: float, rounds: int, device: torch.device
) -> list[dict[str, Any]]:
    """Time every method by the engine and by the plain path, in interleaved runs.

    The plain path runs twice: in chunks that stay in the cache, which is its best, and, for the
    baselines, in the official evaluation's. Baselines of methods with experts take part even if
    they are not named.
    """
    cases = {name: make_case(name, lr_size, scale, device) for name in methods}
    bases = dict.fromkeys(case.baseline for case in cases.values())
    plains = {m: cases.get(m) or make_case(m, lr_size, scale, device) for m in (*bases, *methods)}
    work: dict[str, Callable[[], object]] = {
        **{f"plain {name}": case.plain for name, case in plains.items()},
        **{f"official {name}": partial(plains[name].plain, OFFICIAL_CHUNK) for name in bases},
        **{f"fast {name}": case.fast for name, case in cases.items()},
    }
    keep_freed_memory()
    with bar(f"{lr_size[0]}x{lr_size[1]} x{scale:g}", rounds + 1) as progress:
        times = alternate(work, rounds, device, warm_up=1, done=progress.advance)
    return [
        case.record(
            times.rate(f"fast {name}"),
            plain_pixels_per_s=case.pixels(times.rate(f"plain {name}")),
            ratio_to_own_plain=times.ratio(f"plain {name}", f"fast {name}").ordered,
            ratio_to_baseline_plain=times.ratio(f"plain {case.baseline}", f"fast {name}").ordered,
            ratio_to_baseline_plain_30000=times.ratio(
                f"official {case.baseline}", f"fast {name}"
            ).ordered,
        )
        for name, case in cases.items()
    ]


def growth(
    method: str, lr_size: Size, scales: Sequence[float], rounds: int, device: torch.device
) -> list[dict[str, Any]]:
    """Time the engine at several scales, for the cost of a pixel at each."""
    cases = {scale: make_case(method, lr_size, scale, device) for scale in scales}
    keep_freed_memory()
    with bar(f"{method} over scales", rounds + 1) as progress:
        work = {f"{scale}": case.fast for scale, case in cases.items()}
        times = alternate(work, rounds, device, warm_up=1, done=progress.advance)
    return [case.record(times.rate(f"{scale}")) for scale, case in cases.items()]


@click.command(epilog="Example: python -m benchmarks decode --methods edsr-liif --lr 48x48")
@methods_option(help="Default: EDSR with LIIF, LTE, MoEISR, Meta-SR.")
@click.option(
    "--lr",
    "sizes",
    type=listed(pixels),
    default="48x48,128x128",
    show_default=True,
    metavar="HxW,...",
    help="HEIGHTxWIDTH of LR images.",
)
@click.option("--scale", type=scale_factor, default=4.0, show_default=True)
@click.option(
    "--scales",
    type=listed(scale_factor),
    metavar="A,B",
    default="",
    help="The engine alone over these factors instead: what a pixel costs at each.",
)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Timed turns.")
@with_setup("device")
@json_option
def decode(
    methods: list[str],
    sizes: list[Size],
    scale: float,
    scales: list[float],
    rounds: int,
    setup: Setup,
) -> None:
    """Output pixels per second of decoders, by the engine and query by query.

    Networks at the paper's sizes, untrained; experts chosen at random in even shares. All take
    turns in this process; encoding is not timed. A method with experts is compared with its own
    plain path and with that of its baseline, as the paper compares multiply-adds: in chunks that
    stay in the cache, which is the plain path's best, and of 30,000 queries, as the official
    evaluation has them.
    """
    here, names = machine(setup.device), methods or list(METHODS)
    peak = matrix_product_speed(setup.device)
    lines: list[dict[str, Any]] = []
    for size in sizes:
        if scales:
            for name in names:
                lines += growth(name, size, scales, rounds, setup.device)
        else:
            lines += compare(names, size, scale, rounds, setup.device)
    peak = max(peak, matrix_product_speed(setup.device))
    content = {
        "schema": 1,
        "bench": "decode",
        "rounds": rounds,
        "machine": here,
        "matrix_product_macs_per_s": peak,
        "lines": lines,
    }
    head = (
        f"{in_words(here)}\nfloat32, medians of {rounds} turns; a matrix product of 1024 x 1024 "
        f"reaches {peak / 1e9:.0f} GMAC/s\n"
    )
    columns = _growth if scales else _compared
    show(content, head + table(columns(line, peak) for line in lines))


def _compared(line: dict[str, Any], peak: float) -> dict[str, str]:
    return {
        "LR": "{}x{}".format(*line["lr_size"]),
        "method": line["method"],
        "plain kpx/s": f"{line['plain_pixels_per_s'][1] / 1e3:.1f}",
        "engine kpx/s": f"{line['engine_pixels_per_s'][1] / 1e3:.1f}",
        "to own plain": _spread(line["ratio_to_own_plain"]),
        "to plain": line["baseline"],
        "ratio (quartiles)": _spread(line["ratio_to_baseline_plain"]),
        "in chunks of 30,000": _spread(line["ratio_to_baseline_plain_30000"]),
        "paper's GMACs": f"{line['paper_macs'] / 1e9:.2f}",
        "executed": f"{line['executed_macs'] / 1e9:.2f}",
        "GMAC/s": f"{line['executed_macs_per_s'] / 1e9:.0f}",
        "of product": f"{100 * line['executed_macs_per_s'] / peak:.0f} %",
    }


def _growth(line: dict[str, Any], peak: float) -> dict[str, str]:
    h, w = line["lr_size"]
    slow, median, fast = line["engine_pixels_per_s"]
    return {
        "LR": f"{h}x{w}",
        "method": line["method"],
        "scale": f"x{line['scale']:g}",
        "Mpx out": f"{line['scale'] ** 2 * h * w / 1e6:.2f}",
        "kpx/s": f"{median / 1e3:.1f}",
        "us/px (quartiles)": _spread([1e6 / fast, 1e6 / median, 1e6 / slow]),
        "of product": f"{100 * line['executed_macs_per_s'] / peak:.0f} %",
    }


def _spread(values: Sequence[float]) -> str:
    low, median, high = values
    return f"{median:.2f} ({low:.2f} to {high:.2f})"
