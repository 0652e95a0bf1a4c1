"""MoEISR over any implicit decoder: the head family of `<encoder>-moeisr-<decoder>-<size>`."""

from __future__ import annotations

from typing import TypeVar

from baselines.composition import Decoder, RoutingUnit
from baselines.registry import Ablation, Changes, HeadFamily
from moeisr.experts import ExpertHead
from moeisr.mapper import Mapper

# One way of writing a number, so that a network has one name: no leading or trailing zeros.
_PLAIN = r"(0|(?:0|[1-9]\d*)\.\d*[1-9]|[1-9]\d*)"

VARIANTS = {
    "s": "experts of half the decoder's width (128 at the paper's size)",
    "b": "experts of the decoder's own width (256 at the paper's size)",
}


def build_head(
    decoder: Decoder,
    latent_channels: int,
    variant: str,
    *,
    mapper_layers: int = 5,
    mapper_width: int = 20,
    mapper_kernel: int = 3,
    temperature: float = 1.0,
    straight_through: bool = False,
    routing_unit: RoutingUnit = "latent",
    budget: float | None = None,
) -> ExpertHead:
    """Build mapper and experts for a decoder, at the paper's settings (sec. 4) unless overridden.

    There is one expert for each depth from two linear layers up to the decoder's own: four for
    LIIF, three for LTE. Except for the expert's width, everything keeps the decoder's size,
    including LTE's Fourier features (the -s rows of the paper's Table 3 fit 256-128-...-3 only).

    Args:
        decoder: decoder whose output the head takes.
        latent_channels: channels of the encoder's features, which the mapper reads.
        variant: "s" or "b".
        mapper_layers: number of mapper layers: 5; 1 in the ablation of Table 5.
        mapper_width: see `Mapper`.
        mapper_kernel: see `Mapper`.
        temperature: tau of the Gumbel-softmax (1; 3 and 5 in Table 5).
        straight_through: see `ExpertHead`.
        routing_unit: see `ExpertHead`.
        budget: see `ExpertHead`.
    """
    depths = range(2, decoder.depth + 1)
    mapper = Mapper(latent_channels, len(depths), mapper_layers, mapper_width, mapper_kernel)
    width = decoder.width if variant == "b" else decoder.width // 2
    return ExpertHead(
        mapper,
        decoder.fed_dim,
        width,
        depths,
        temperature,
        straight_through,
        routing_unit,
        decoder.out_dim,
        budget,
    )


_Number = TypeVar("_Number", int, float)


def _other(value: _Number, default: _Number) -> _Number:
    """Check that a value differs from the usual one, so that each network has only one name."""
    if value == default:
        raise ValueError(f"{default:g} is the default; leave the suffix out")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise ValueError(f"{text} is not above 0")
    return value


ABLATIONS = (
    Ablation(
        form="mN",
        about="a mapper of N convolutions instead of five (Table 5: -m1)",
        pattern=r"m([1-9])",
        changes=lambda match: Changes(head={"mapper_layers": _other(int(match[1]), 5)}),
    ),
    Ablation(
        form="tauT",
        about="Gumbel-softmax with temperature T instead of 1 (Table 5: -tau3, -tau5)",
        pattern=rf"tau{_PLAIN}",
        changes=lambda match: Changes(head={"temperature": _other(_positive(match[1]), 1.0)}),
    ),
    Ablation(
        form="wJ=W",
        about="balance loss with w_J = W, which makes expert J rarer (sec. 4.2: -w1=3.7, -w4=3.7)",
        pattern=rf"w([1-9])={_PLAIN}",
        changes=lambda match: Changes(balance={int(match[1]): _other(float(match[2]), 1.0)}),
    ),
    Ablation(
        form="st",
        about="one expert answers in training too: one-hot weights with the gradient of soft ones "
        "(straight-through Gumbel-softmax; not in the paper)",
        pattern="st",
        changes=lambda _: Changes(head={"straight_through": True}),
    ),
    Ablation(
        form="budgetB",
        about="the same weights, with experts chosen so that the decoder takes B of the baseline's "
        "MACs on each image (not in the paper)",
        pattern=rf"budget{_PLAIN}",
        changes=lambda match: Changes(head={"budget": _positive(match[1])}),
        trained=False,
    ),
)

HEAD_FAMILY = HeadFamily(
    name="moeisr",
    variants=VARIANTS,
    build=build_head,
    ablations=ABLATIONS,
    label="MoEISR({decoder})-{variant}",
)
