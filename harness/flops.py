"""Multiply-adds (MACs), exact for any scale without running the decoder.

A decoder's work is the number of (query, latent code) pairs that each expert serves. On a
regular grid that number is, for one LR pixel, (HR rows that look it up) x (HR columns that do),
summed over the four directions of the local ensemble; so counting takes O(H + W + h w).

The paper's "FLOPs" are multiply-adds of the decoder: every pair through its expert's whole MLP,
plus the mapper. LTE's amplitude, frequency and phase layers are not in them (its Table 3 follows
exactly from the MLP alone); they are kept apart here as `estimator`.

What the engine executes is less: what the queries of a latent code share is computed once
(`baselines.factors`), and a code that a border pixel finds twice is asked once. It is counted
beside the paper's figure and never in its place.

SwinIR sees an extended LR image (`harness.windows`): encoder and mapper count all of it, the
decoder only the queries of the SR image that is kept, which are those that are computed here.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from baselines import build
from baselines.composition import Decoder, FixedScaleLookup, FixedScaleSR, ImplicitSR
from baselines.factors import FactorMacs
from baselines.grid import Axis, axis_pairs, run_experts
from baselines.implicit import make_cell, pixel_centers
from harness.windows import Grid, grid


@dataclass(frozen=True)
class MacCount:
    """Multiply-adds of one SR image.

    Attributes:
        encoder: of the encoder (a fixed-scale network counts as encoder as a whole).
        estimator: of LTE's amplitude, frequency and phase layers; of applying Meta-SR's kernels.
        mapper: of the expert choice.
        head: of the MLP, or of the experts that were chosen.
        latent: of LMF's latent MLP, once per LR pixel; part of the decoder.
        rendered: of the decoder, where CMSR renders a part of the image at lower scales
            (`executed` is then that of CMSR); None where it does not.
        shares: share of the (query, latent code) pairs of each expert, shallowest first.
        executed: by the engine, in the place of all but `encoder`.
    """

    encoder: int
    estimator: int
    mapper: int
    head: int
    shares: tuple[float, ...]
    executed: int = 0
    latent: int = 0
    rendered: int | None = None

    @property
    def decoder(self) -> int:
        """What the papers call the decoder's FLOPs: head and mapper; LMF's latent MLP."""
        return self.mapper + self.head + self.latent

    @property
    def total(self) -> int:
        """Every matrix product and convolution."""
        return self.encoder + self.estimator + self.decoder


def pair_counts(
    decoder: Decoder, seen: Grid, used: tuple[int, int], ensemble: bool, by_pixel: bool = False
) -> Tensor:
    """(h, w) int64: (query, latent code) pairs whose expert is the one of each LR pixel.

    Args:
        decoder: knows which codes a query looks up.
        seen: latent grid and the SR image that belongs to it.
        used: (H, W) of the queries, from the top left.
        ensemble: four codes for each query.
        by_pixel: the nearest code decides for all codes of a query.
    """
    if by_pixel and ensemble:
        return 4 * pair_counts(decoder, seen, used, ensemble=False)
    cell = make_cell(seen.hr)
    rows, columns = (
        decoder.along(pixel_centers(n_hr)[:end], side, n_lr, ensemble).index
        for n_lr, n_hr, side, end in zip(seen.lr, seen.hr, cell, used, strict=True)
    )
    h, w = seen.lr
    return torch.outer(
        rows.flatten().bincount(minlength=h), columns.flatten().bincount(minlength=w)
    )


def expert_pairs(
    model: ImplicitSR,
    seen: Grid,
    hr_size: tuple[int, int],
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> list[float]:
    """Pairs that each expert serves.

    Args:
        model: decides ensemble and routing unit.
        seen: LR image as the network sees it.
        hr_size: SR image.
        choice: (h, w) or (h*w,) expert of each LR pixel of `seen`.
        shares: share of each expert, where there is no choice to count.
    """
    experts = len(model.head.expert_macs())
    if choice is None:
        total = hr_size[0] * hr_size[1] * (4 if model.ensemble else 1)
        parts = [1.0] if experts == 1 else list(shares or [])
        if len(parts) != experts:
            raise ValueError(f"{experts} experts need an expert map or {experts} shares")
        return [total * part for part in parts]
    by_pixel = model.head.routing_unit == "pixel"
    counts = pair_counts(model.decoder, seen, hr_size, model.ensemble, by_pixel)
    served = torch.zeros(experts, dtype=torch.int64)
    served.index_add_(0, choice.flatten().long().cpu(), counts.flatten())
    return [int(n) for n in served]


@dataclass(frozen=True)
class _Work:
    """What one expert is asked: codes, rows and columns of queries of a code, and queries."""

    codes: float
    rows: float
    columns: float
    queries: float

    def macs(self, cost: FactorMacs) -> float:
        return (
            self.codes * cost.code
            + self.rows * cost.row
            + self.columns * cost.column
            + self.queries * cost.query
        )


def executed_macs(
    model: ImplicitSR,
    seen: Grid,
    hr_size: tuple[int, int],
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> int:
    """Multiply-adds of decoding one image by `baselines.engine`, mapper and estimators included.

    Args: as `expert_pairs`.
    """
    once = seen.lr[0] * seen.lr[1] * per_pixel_macs(model)
    return once + executed_queries(model, seen, hr_size, choice, shares)


def per_pixel_macs(model: ImplicitSR) -> int:
    """Multiply-adds outside the encoder that each LR pixel costs once."""
    decoder = model.decoder
    return decoder.estimator_macs()[0] + model.head.routing_macs() + decoder.latent_macs()


def executed_queries(
    model: ImplicitSR,
    seen: Grid,
    hr_size: tuple[int, int],
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
    asked: Tensor | None = None,
) -> int:
    """Those of `executed_macs` that are for queries, and not for each LR pixel.

    Args: as `expert_pairs`; `asked` as in `baselines.engine.GridJob`, with a choice.
    """
    device = next(model.parameters()).device
    rel_cell = torch.zeros(2, device=device)
    factors = [model.decoder.factors(mlp, rel_cell, torch.float32) for mlp in model.head.mlps]
    some = asked is not None
    rows, columns = (_axis(model, seen, hr_size, axis, some) for axis in (0, 1))
    if choice is None:
        runs = torch.ones(rows.code.numel(), columns.code.numel(), dtype=torch.float64)
        served = [share * runs for share in shares or [1.0] * len(factors)]
    else:
        chosen = run_experts(model, choice.reshape(seen.lr).cpu(), rows, columns, asked)
        served = [(chosen == expert).double() for expert in range(len(factors))]
    work = [_work(part, rows.count.double(), columns.count.double()) for part in served]
    return round(sum(w.macs(f.macs) for w, f in zip(work, factors, strict=True)))


def _work(served: Tensor, rows: Tensor, columns: Tensor) -> _Work:
    """Of the runs that an expert serves (or of a share of each), (G_rows, G_columns)."""
    return _Work(
        codes=float(served.sum()),
        rows=float((rows @ served).sum()),
        columns=float((served @ columns).sum()),
        queries=float(rows @ served @ columns),
    )


def _axis(
    model: ImplicitSR, seen: Grid, hr_size: tuple[int, int], axis: int, some: bool = False
) -> Axis:
    """Pairs of the rows (or columns) that are kept."""
    n, cell = seen.lr[axis], make_cell(seen.hr)[axis]
    coord = pixel_centers(seen.hr[axis])[: hr_size[axis]]
    return axis_pairs(model, coord, cell, n, some)


def encoder_macs(encoder: nn.Module, lr_size: tuple[int, int]) -> int:
    """Multiply-adds of a network for one LR image; counted on shapes, nothing is computed.

    Every layer works on whole windows of the LR image (a window may be a pixel), each at the same
    cost, so one window is counted.
    """
    window = int(encoder.window)  # type: ignore[arg-type]
    windows = math.ceil(lr_size[0] / window) * math.ceil(lr_size[1] / window)
    return _macs_of(encoder, (window, window)) * windows


_COUNTED: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
"""Of encoders that live; their layers do not change."""


def _macs_of(encoder: nn.Module, lr_size: tuple[int, int]) -> int:
    known = _COUNTED.get(encoder)
    if known is None:
        ghost = copy.deepcopy(encoder).to("meta").eval()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            ghost(torch.empty(1, 3, *lr_size, device="meta"))
        known = int(counter.get_total_flops()) // 2
        _COUNTED[encoder] = known
    return known


def count(
    model: nn.Module,
    lr_size: tuple[int, int],
    hr_size: tuple[int, int],
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> MacCount:
    """Multiply-adds of enlarging one image.

    Args:
        model: any network of the harness (bicubic counts nothing).
        lr_size: (h, w) of the LR image.
        hr_size: (H, W) of the result.
        choice: expert of each LR pixel, as the network sees them; see `expert_pairs`.
        shares: see `expert_pairs`.

    Raises:
        ValueError: for a network with experts and neither `choice` nor `shares`.
    """
    seen = grid(model, lr_size, hr_size)
    if isinstance(model, FixedScaleSR | FixedScaleLookup):
        return MacCount(encoder_macs(model.network, seen.lr), 0, 0, 0, ())
    if not isinstance(model, ImplicitSR):
        return MacCount(0, 0, 0, 0, ())
    pairs = expert_pairs(model, seen, hr_size, choice, shares)
    pixels = seen.lr[0] * seen.lr[1]
    per_pixel, per_pair = model.decoder.estimator_macs()
    return MacCount(
        encoder=encoder_macs(model.encoder, seen.lr),
        estimator=per_pixel * pixels + per_pair * round(sum(pairs)),
        mapper=model.head.routing_macs() * pixels,
        head=round(sum(n * m for n, m in zip(pairs, model.head.expert_macs(), strict=True))),
        shares=tuple(n / sum(pairs) for n in pairs),
        executed=executed_macs(model, seen, hr_size, choice, shares),
        latent=model.decoder.latent_macs() * pixels,
    )


def decoder_macs(
    method: str,
    lr_size: tuple[int, int],
    scale: float,
    choice: Tensor | None = None,
    shares: Sequence[float] | None = None,
) -> int:
    """Decoder multiply-adds of a method at the paper's sizes, as the paper counts them.

    Args:
        method: its name.
        lr_size: (h, w) of the LR image.
        scale: the SR image is round(h * scale) x round(w * scale).
        choice: expert of each LR pixel (MoEISR).
        shares: share of each expert (MoEISR), where there is no choice to count.

    Example:
        >>> decoder_macs("edsr-liif", (10, 10), 2) == 4 * 400 * 345_856
        True
    """
    hr_size = (round(lr_size[0] * scale), round(lr_size[1] * scale))
    with torch.device("meta"):
        model = build(method)
    return count(model, lr_size, hr_size, choice, shares).decoder
