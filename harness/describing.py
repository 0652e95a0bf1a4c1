"""What a profile trains, in words: for the start of a run, checkpoints and captions."""

from __future__ import annotations

from collections.abc import Sequence

from baselines import MethodName, parse
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
    """Length and precision of training some methods on so many images.

    Methods whose settings are overridden are told apart from the others.
    """
    names = [parse(method) for method in methods]
    groups: dict[tuple[str, ...], list[MethodName]] = {}
    for name in names:
        keys = (name.encoder, f"{name.encoder}-{name.decoder}")
        groups.setdefault(tuple(k for k in keys if k in profile.training.overrides), []).append(
            name
        )
    parts = []
    for overridden, group in sorted(groups.items()):
        which = f"{' and '.join(overridden)}: " if overridden and len(groups) > 1 else ""
        parts.append(which + _settings(profile, images, group))
    text = "; ".join([*parts, profile.training.precision])
    return f"{text} ({PAPER_SCHEDULE})" if profile.stand_in(methods) else text


def _settings(profile: Profile, images: int, names: Sequence[MethodName]) -> str:
    """The schedule of methods that have the same."""
    free = [name for name in names if name.scale is None]
    s = profile.training.for_method((free or list(names))[0])
    steps = s.total_steps(images)
    scales = f"x{s.scale_min:g} to x{s.scale_max:g}" if free else "at their own scale"
    if free and len(free) < len(names):
        scales += ", fixed-scale networks at their own"
    text = (
        f"{steps:,} steps of batch {s.batch} (LR patches {s.patch}x{s.patch}, {s.queries} queries "
        f"each, {scales}), Adam {s.lr:g}, times {s.gamma:g} at epochs {_listed(s.milestones)} of "
        f"{s.epochs}"
    )
    mixtures = {name.decoder for name in names if name.head}
    if mixtures and s.beta != BETA:
        text += f", balance loss weighted {s.beta:g} instead of {BETA:g}"
    for decoder, values in s.balance_weights.items():
        if decoder in mixtures:
            text += f", w_j {', '.join(f'{w:g}' for w in values)} ({decoder})"
    return text


def _listed(value: object) -> str:
    return "/".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def origin(profile: Profile, data: Dataset, method: str) -> str:
    """Where a network trained under a profile comes from."""
    label = (
        "STAND-IN, not the paper's training: "
        if profile.stand_in([method]) or not data.complete
        else ""
    )
    return (
        f"{label}profile {profile.name}; trained on {data.caption()}; networks: "
        f"{networks(profile, [method])}; schedule: {schedule(profile, len(data.items), [method])}"
    )
