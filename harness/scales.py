"""Which scales a network can do."""

from __future__ import annotations

import torch
from torch import nn

from baselines.composition import FixedScaleLookup, FixedScaleSR
from baselines.multiscale import MultiScaleSR, in_words


def scales_of(model: nn.Module) -> tuple[int, ...] | None:
    """The only scales of a network, the smallest first; None for any."""
    if isinstance(model, MultiScaleSR):
        return model.scales
    if isinstance(model, FixedScaleSR | FixedScaleLookup):
        return (model.scale,)
    return None


def ready_for(model: nn.Module, scale: float) -> nn.Module:
    """What enlarges images by a scale: a network for several scales with its kernels made.

    It has weights of its own, so those of the network may not change while it is used.
    """
    if isinstance(model, MultiScaleSR) and scale in model.scales:
        with torch.no_grad():
            return model.at_scale(int(scale)).requires_grad_(False)
    return model


def refusal(model: nn.Module, scale: float) -> str:
    """Why a network cannot do a scale, after its name; "" where it can.

    Example:
        >>> from baselines import build
        >>> refusal(build("edsr-igconv", encoder={"blocks": 1}), 2.5)
        'enlarges by 2, 3 and 4 only, not 2.5'
    """
    own = scales_of(model)
    if own is None or scale in own:
        return ""
    return f"enlarges by {in_words(own)} only, not {scale:g}"
