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

A fixed-scale network with experts for whole images (SeemoRe) costs what those that it chooses cost.
Where nobody knows the choice, the dearest expert of every layer is counted, which no image exceeds.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from baselines import build
from baselines.composition import (
    Decoder,
    FixedScaleLookup,
    FixedScaleSR,
    ImageRouted,
    ImplicitSR,
)
from baselines.factors import FactorMacs
from baselines.grid import Axis, axis_pairs, run_experts
from baselines.implicit import make_cell, pixel_centers
from baselines.mirror import whole_windows
from baselines.multiscale import Instantiated, MultiScaleSR, in_words
from baselines.shapes import shapes_only
from harness.scales import refusal, scales_of
from harness.windows import Grid, grid


@dataclass(frozen=True)
class MacCount:
    """Multiply-adds of one SR image.

    Attributes:
        encoder: of the encoder (a fixed-scale network counts as encoder as a whole).
        estimator: of LTE's amplitude, frequency and phase layers; of applying Meta-SR's kernels.
        mapper: of the expert choice.
        head: of the MLP, or of the experts that were chosen; of what IGConv's kernels do.
        shares: share of the (query, latent code) pairs of each expert, shallowest first; of the
            layers, where an expert serves a whole image. Empty where the choice is not known.
        rendered: of the decoder, where CMSR renders a part of the image at lower scales
            (`executed` is then that of CMSR); None where it does not.
        executed: by the engine, in the place of all but `encoder`.
        kernels: of IGConv's hyper-network, once for all images of a scale; not in `executed`.
        latent: of LMF's latent MLP, once per LR pixel; part of the decoder.
    """

    encoder: int
    estimator: int
    mapper: int
    head: int
    shares: tuple[float, ...]
    executed: int = 0
    kernels: int = 0
    latent: int = 0
    rendered: int | None = None

    @property
    def decoder(self) -> int:
        """What the papers call the decoder's FLOPs: head and mapper; LMF's latent MLP."""
        return self.mapper + self.head + self.latent

    @property
    def total(self) -> int:
        """Every matrix product and convolution of one call."""
        return self.encoder + self.estimator + self.kernels + self.decoder


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


def encoder_macs(
    encoder: nn.Module, lr_size: tuple[int, int], shares: Sequence[float] | None = None
) -> int:
    """Multiply-adds of a network for one LR image; counted on shapes, nothing is computed.

    Every layer works on whole windows of the LR image (a window may be a pixel), each at the same
    cost, or once on the image (RCAN's channel attention). So one and two windows are counted.
    `ImageRouted` networks, whose layers are not like that, count themselves.

    Args:
        encoder: or fixed-scale network.
        lr_size: (h, w).
        shares: of the layers of an `ImageRouted` network, by expert; None: the dearest has all.
    """
    if isinstance(encoder, ImageRouted):
        costs = encoder.macs(lr_size)
        if shares is None:
            return max(costs)
        return round(sum(part * cost for part, cost in zip(shares, costs, strict=True)))
    window = int(encoder.window)  # type: ignore[arg-type]
    windows = math.ceil(lr_size[0] / window) * math.ceil(lr_size[1] / window)
    once, each = _macs_of(encoder, window)
    return once + each * windows


_COUNTED: WeakKeyDictionary[nn.Module, tuple[int, int]] = WeakKeyDictionary()
"""Of encoders that live; their layers do not change."""


def _macs_of(encoder: nn.Module, window: int) -> tuple[int, int]:
    """Multiply-adds of an image, and of each of its windows."""
    known = _COUNTED.get(encoder)
    if known is None:
        ghost = copy.deepcopy(encoder).to("meta").eval()
        one, two = (_counted(ghost, (window, n * window)) for n in (1, 2))
        known = _COUNTED[encoder] = (2 * one - two, two - one)
    return known


def _counted(ghost: nn.Module, lr_size: tuple[int, int]) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        ghost(torch.empty(1, 3, *lr_size, device="meta"))
    return int(counter.get_total_flops()) // 2


def _own_scale(model: nn.Module, lr_size: tuple[int, int], hr_size: tuple[int, int]) -> int | None:
    """The one of a network's scales that leads from LR to HR size; None where it can do any.

    Raises:
        ValueError: when none of its scales does.
    """
    own = scales_of(model)
    if own is None:
        return None
    for scale in own:
        if (lr_size[0] * scale, lr_size[1] * scale) == tuple(hr_size):
            return scale
    raise ValueError(
        f"a network that enlarges by {in_words(own)} only does not lead from "
        f"{lr_size[0]}x{lr_size[1]} to {hr_size[0]}x{hr_size[1]}"
    )


def _multi_scale(model: MultiScaleSR, lr_size: tuple[int, int], scale: int) -> MacCount:
    """Of a network for several scales, at one of them."""
    once, per_pixel = model.upsampler.macs(scale)
    return replace(_applied(model.encoder, lr_size, per_pixel), kernels=once)


def _applied(encoder: nn.Module, lr_size: tuple[int, int], per_pixel: int) -> MacCount:
    """Of an encoder and of kernels on its features, which are padded to whole windows."""
    size = whole_windows(lr_size, int(encoder.window))  # type: ignore[arg-type]
    work = per_pixel * math.prod(size)
    return MacCount(encoder_macs(encoder, lr_size), 0, 0, work, (), executed=work)


def expert_count(model: nn.Module) -> int:
    """Experts among which the choice decides what an image costs; 1 where there is no choice."""
    if isinstance(model, ImplicitSR):
        return len(model.head.expert_macs())
    if isinstance(model, FixedScaleSR) and isinstance(model.network, ImageRouted):
        return model.network.expert_count
    return 1


def least_encoder_macs(model: nn.Module, lr_size: tuple[int, int]) -> int | None:
    """With the cheapest expert in every layer; None for networks that choose none for an image."""
    if isinstance(model, FixedScaleSR) and isinstance(model.network, ImageRouted):
        return min(model.network.macs(lr_size))
    return None


def kernel_values(model: nn.Module, scale: float) -> int | None:
    """Numbers in the kernels that a network for several scales makes for one; None for others."""
    if not isinstance(model, MultiScaleSR) or scale not in model.scales:
        return None
    with torch.no_grad():
        return sum(kernel.numel() for kernel in model.upsampler.kernels(int(scale)))


def layer_shares(network: ImageRouted, choice: Tensor) -> list[float]:
    """Share of the layers that each expert serves; `choice` is (layers,)."""
    served = choice.long().cpu().bincount(minlength=network.expert_count)
    return [int(n) / network.layer_count for n in served]


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
        choice: expert of each LR pixel, as the network sees them; see `expert_pairs`. Of an
            `ImageRouted` network, the expert of each layer.
        shares: see `expert_pairs` and `encoder_macs`.

    Raises:
        ValueError: for a decoder with experts and neither `choice` nor `shares`; for an HR size
            that is not the LR size times a scale that the network can do.
    """
    scale = _own_scale(model, lr_size, hr_size)
    seen = grid(model, lr_size, hr_size)
    if isinstance(model, MultiScaleSR) and scale is not None:
        return _multi_scale(model, lr_size, scale)
    if isinstance(model, FixedScaleSR) and isinstance(model.network, Instantiated):
        return _applied(model.network.encoder, lr_size, model.network.macs)
    if isinstance(model, FixedScaleSR | FixedScaleLookup):
        return _count_fixed(model, seen.lr, choice, shares)
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


def _count_fixed(
    model: FixedScaleSR | FixedScaleLookup,
    lr_size: tuple[int, int],
    choice: Tensor | None,
    shares: Sequence[float] | None,
) -> MacCount:
    network = model.network
    if not isinstance(network, ImageRouted):
        return MacCount(encoder_macs(network, lr_size), 0, 0, 0, ())
    served = shares if choice is None else layer_shares(network, choice)
    return MacCount(encoder_macs(network, lr_size, served), 0, 0, 0, tuple(served or ()))


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

    Raises:
        ValueError: for a scale that the method cannot do; as `count`.

    Example:
        >>> decoder_macs("edsr-liif", (10, 10), 2) == 4 * 400 * 345_856
        True
    """
    with shapes_only():
        model = build(method)
    reason = refusal(model, scale)
    if reason:
        raise ValueError(f"{method} {reason}")
    hr_size = (round(lr_size[0] * scale), round(lr_size[1] * scale))
    return count(model, lr_size, hr_size, choice, shares).decoder
