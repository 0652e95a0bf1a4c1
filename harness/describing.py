"""What a profile trains, in words: for the start of a run, checkpoints and captions."""

from __future__ import annotations

from collections.abc import Sequence

from baselines import parse
from harness.data.sets import Dataset
from harness.profiles import Profile
from moeisr.losses import BETA

PAPER_SCHEDULE = "the paper: 1,000,000 steps of batch 16, patches 48x48, 2304 queries each"


def networks(profile: Profile, methods: Sequence[str]) -> str:
    """Sizes of the networks of some methods."""
    settings, names = profile.networks, [parse(method) for method in methods]
    encoders, decoders = {n.encoder for n in names}, {n.decoder for n in names}
    changed = {f"{e} encoder": o for e, o in settings.encoder.items() if e in encoders}
    changed |= {f"{d} decoder": o for d, o in settings.decoder.items() if d in decoders}
    changed["MoEISR"] = settings.head if any(n.head for n in names) else {}
    parts = [
        f"{part} " + ", ".join(f"{key} {value}" for key, value in options.items())
        for part, options in changed.items()
        if options
    ]
    return "; ".join(parts) if parts else "the paper's sizes"


def schedule(profile: Profile, images: int, methods: Sequence[str]) -> str:
    """Length and precision of training some methods on so many images."""
    s, names = profile.training, [parse(method) for method in methods]
    steps = s.steps_per_epoch(images) * s.epochs
    balance = "" if s.beta == BETA else f", balance loss weighted {s.beta:g} instead of {BETA:g}"
    weights = "".join(
        f", w_j {', '.join(f'{w:g}' for w in values)} ({decoder})"
        for decoder, values in s.balance_weights.items()
    )
    concerned = {network for n in names for network in (n.encoder, f"{n.encoder}-{n.decoder}")}
    others = "".join(
        f"; {network}: " + ", ".join(f"{key} {_listed(value)}" for key, value in changes.items())
        for network, changes in s.overrides.items()
        if network in concerned
    )
    fixed = "; fixed-scale networks at their own scale" if any(n.scale for n in names) else ""
    text = (
        f"{steps:,} steps of batch {s.batch} (LR patches {s.patch}x{s.patch}, {s.queries} queries "
        f"each, x{s.scale_min:g} to x{s.scale_max:g}), Adam {s.lr:g}, times {s.gamma:g} at epochs "
        f"{_listed(s.milestones)} of {s.epochs}{balance}{weights}, {s.precision}{others}{fixed}"
    )
    return f"{text} ({PAPER_SCHEDULE})" if profile.stand_in else text


def _listed(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def origin(profile: Profile, data: Dataset, method: str) -> str:
    """Where a network trained under a profile comes from."""
    label = "STAND-IN, not the paper's training: " if profile.stand_in or not data.complete else ""
    return (
        f"{label}profile {profile.name}; trained on {data.caption()}; networks: "
        f"{networks(profile, [method])}; schedule: {schedule(profile, len(data.items), [method])}"
    )
