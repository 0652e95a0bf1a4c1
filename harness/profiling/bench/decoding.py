"""Output pixels per second of the decoder: the engine against the plain path.

Features are made once and not timed; networks have the paper's sizes and no training, which costs
the same. Experts are chosen at random in even shares, so that every expert has its part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from baselines import build, parse
from baselines.composition import Features, Routing
from baselines.fast.engine import GridJob, decode_grid
from baselines.plain import decode_plain
from baselines.systems.implicit import ImplicitSR
from harness.common.allocator import keep_freed_memory
from harness.common.errors import UsageError
from harness.common.progress import bar
from harness.profiling.timing import Spread, Times, alternate

METHODS = (
    "edsr-liif",
    "edsr-moeisr-liif-b",
    "edsr-moeisr-liif-s",
    "edsr-lte",
    "edsr-moeisr-lte-b",
    "edsr-moeisr-lte-s",
    "edsr-metasr",
)
# Queries at a time in the test configurations of LIIF and LTE (eval_bsize).
OFFICIAL_CHUNK = 30_000
Size = tuple[int, int]


@dataclass(frozen=True)
class DecodingCase:
    """Network on one LR image, ready to be decoded.

    Attributes:
        lr_size: (h, w) of the LR image.
        size: (H, W) of the SR image.
        stretch: factor of the cell.
        executed: MACs of the engine, without the mapper, which belongs to encoding, and without the
            few border queries that are answered twice to fill a chunk.
        counted: MACs of the decoder as the paper counts them.
    """

    method: str
    model: ImplicitSR
    features: Features
    lr_size: Size
    scale: float
    size: Size
    stretch: float
    executed: int
    counted: int

    def plain(self, chunk: int | None = None) -> Tensor:
        """Decode by `ImplicitSR.decode` in chunks of so many queries; None: to suit the cache."""
        return decode_plain(self.model, self.features, self.size, stretch=self.stretch, chunk=chunk)

    def fast(self, dtype: torch.dtype = torch.float32) -> Tensor:
        """Decode by the engine."""
        h, w = self.size
        job = GridJob(self.size, (0, h), (0, w), self.stretch, dtype=dtype)
        with torch.inference_mode():
            return decode_grid(self.model, self.features, job)


def baseline_of(method: str) -> str:
    """Return the method whose plain decoding a method is compared with: its baseline, or itself."""
    return parse(method).baseline or method


@torch.inference_mode()
def make_case(method: str, lr_size: Size, scale: float, device: torch.device) -> DecodingCase:
    """Make an untrained network at the paper's sizes with the features of a random image.

    Raises:
        UsageError: the method has no implicit decoder, or extends images.
    """
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    model = build(method)
    if not isinstance(model, ImplicitSR):
        raise UsageError(f"{method} decodes nothing; name an arbitrary-scale method.")
    size = (round(lr_size[0] * scale), round(lr_size[1] * scale))
    if model.seen(lr_size, size).lr != lr_size:
        raise UsageError(
            f"{method} extends images to whole windows, which is no size to compare at; its "
            f"decoder is that of edsr-{method.split('-', 1)[1]}."
        )
    model = model.to(device).eval()
    lr = torch.rand(1, 3, *lr_size, generator=generator) * 2 - 1
    features = model.encode(lr.to(device))
    choice = None
    if features.routing is not None:
        experts = len(model.head.mlps)
        # As many LR pixels for each expert, at random places.
        order = torch.randperm(lr_size[0] * lr_size[1], generator=generator)
        choice = (order % experts)[None].to(device)
        gates = torch.nn.functional.one_hot(choice, experts).to(features.latent.dtype)
        features = Features(features.lr, features.latent, Routing(gates, gates))
    macs = model.count(lr_size, size, choice)
    return DecodingCase(
        method=method,
        model=model,
        features=features,
        lr_size=lr_size,
        scale=scale,
        size=size,
        stretch=model.cell_stretch(scale),
        executed=macs.executed - macs.mapper,
        counted=macs.decoder,
    )


@dataclass(frozen=True)
class Line:
    """Timing of one method at one size.

    Values of the plain path are None where only the engine was timed.

    Attributes:
        plain, fast: output pixels per second.
        speedup: engine over the method's own plain path.
        saving: engine over the plain path of the baseline (`baseline_of`).
        saving_official: engine over the baseline's plain path in chunks as large as those of the
            official evaluation (`OFFICIAL_CHUNK`).
        executed, counted: MACs of the decoder for one image.
        rate: executed MACs per second of the engine.
    """

    method: str
    lr_size: Size
    scale: float
    fast: Spread
    executed: int
    counted: int
    rate: float
    plain: Spread | None = None
    speedup: Spread | None = None
    saving: Spread | None = None
    saving_official: Spread | None = None


def compare(
    methods: Sequence[str],
    lr_size: Size,
    scale: float,
    rounds: int,
    device: torch.device,
) -> list[Line]:
    """Time every method by the engine and by the plain path, in interleaved runs.

    The plain path runs twice: in chunks that stay in the cache, which is its best, and, for the
    baselines, in the official evaluation's. Baselines of methods with experts take part even if
    they are not named.
    """
    cases = {m: make_case(m, lr_size, scale, device) for m in methods}
    bases = dict.fromkeys(map(baseline_of, methods))
    plains = {m: cases.get(m) or make_case(m, lr_size, scale, device) for m in (*bases, *methods)}
    work: dict[str, Callable[[], object]] = {f"plain {m}": c.plain for m, c in plains.items()}
    work |= {f"official {m}": partial(plains[m].plain, OFFICIAL_CHUNK) for m in bases}
    work |= {f"fast {m}": case.fast for m, case in cases.items()}
    keep_freed_memory()
    text = f"{lr_size[0]}x{lr_size[1]} x{scale:g}"
    with bar(text, rounds + 1) as progress:
        times = alternate(work, rounds, device, warm_up=1, done=progress.advance)
    return [_compared(case, times) for case in cases.values()]


def _alone(case: DecodingCase, fast: Spread) -> Line:
    """Make the engine's line from its images per second."""
    return Line(
        method=case.method,
        lr_size=case.lr_size,
        scale=case.scale,
        fast=_pixels(case, fast),
        executed=case.executed,
        counted=case.counted,
        rate=case.executed * fast.median,
    )


def _compared(case: DecodingCase, times: Times) -> Line:
    fast, plain, baseline = f"fast {case.method}", f"plain {case.method}", baseline_of(case.method)
    return replace(
        _alone(case, times.rate(fast)),
        plain=_pixels(case, times.rate(plain)),
        speedup=times.ratio(plain, fast),
        saving=times.ratio(f"plain {baseline}", fast),
        saving_official=times.ratio(f"official {baseline}", fast),
    )


def _pixels(case: DecodingCase, images: Spread) -> Spread:
    """Convert images per second to pixels per second."""
    pixels = case.size[0] * case.size[1]
    return Spread(images.median * pixels, images.low * pixels, images.high * pixels)


def growth(
    method: str, lr_size: Size, scales: Sequence[float], rounds: int, device: torch.device
) -> list[Line]:
    """Time the engine at several scales, for the cost of a pixel at each."""
    cases = {scale: make_case(method, lr_size, scale, device) for scale in scales}
    keep_freed_memory()
    work: dict[str, Callable[[], object]] = {f"fast {s}": c.fast for s, c in cases.items()}
    with bar(f"{method} over scales", rounds + 1) as progress:
        times = alternate(work, rounds, device, warm_up=1, done=progress.advance)
    return [_alone(case, times.rate(f"fast {scale}")) for scale, case in cases.items()]


def as_json(line: Line) -> dict[str, Any]:
    """Convert lines to plain values: pixels per second, spreads [quartile, median, quartile]."""

    def values(spread: Spread | None) -> list[float] | None:
        return None if spread is None else [spread.low, spread.median, spread.high]

    return {
        "method": line.method,
        "lr_size": list(line.lr_size),
        "scale": line.scale,
        "plain_pixels_per_s": values(line.plain),
        "engine_pixels_per_s": values(line.fast),
        "ratio_to_own_plain": values(line.speedup),
        "ratio_to_baseline_plain": values(line.saving),
        "ratio_to_baseline_plain_30000": values(line.saving_official),
        "baseline": baseline_of(line.method),
        "executed_macs": line.executed,
        "paper_macs": line.counted,
        "executed_macs_per_s": line.rate,
    }
