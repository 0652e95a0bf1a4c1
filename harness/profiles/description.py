"""Descriptions of what a profile trains, for the start of a run, checkpoints and captions."""

from __future__ import annotations

import re
from collections.abc import Sequence

from baselines import Method, parse
from harness.data.sets import Dataset
from harness.profiles import Profile, Training
from harness.profiles.training import ADAM_BETAS, published
from moeisr.losses import BETA

PAPER_IMAGES = 800
"""Number of images of DIV2K's training set."""


def networks(profile: Profile, methods: Sequence[str]) -> str:
    """Describe the sizes of the networks of some methods."""
    settings, names = profile.networks, [parse(method) for method in methods]
    changed = {
        f"{name} {part}": options
        for part, used in _parts(methods).items()
        for name, options in getattr(settings, part).items()
        if name in used
    }
    changed["MoEISR"] = settings.head if any(n.head for n in names) else {}
    parts = [
        f"{part} " + ", ".join(f"{key} {value}" for key, value in options.items())
        for part, options in changed.items()
        if options
    ]
    if not parts:
        return "the paper's sizes"
    left = full_size(profile, methods)
    return "; ".join([*parts, *([f"{', '.join(left)} of the paper's size"] if left else [])])


def full_size(profile: Profile, methods: Sequence[str]) -> list[str]:
    """List the parts of the paper's size where the profile reduces others of their kind.

    Beside networks that were made small they take longer and look better.
    """
    parts = _parts(methods)
    given = {part: getattr(profile.networks, part) for part in parts}
    if not any(options for named in given.values() for options in named.values()):
        return []
    return [
        f"{name} {part}"
        for part, used in parts.items()
        for name in used
        if not given[part].get(name)
    ]


def full_size_warning(profile: Profile, methods: Sequence[str]) -> list[str]:
    """Write `full_size` as a sentence, for the start of a run and every report; none if empty."""
    left = full_size(profile, methods)
    return left and [
        f"FULL SIZE: {', '.join(left)}. These keep the published size, while profile "
        f"{profile.name} makes others smaller: networks of the two kinds do not compare."
    ]


def _parts(methods: Sequence[str]) -> dict[str, list[str]]:
    """List encoders (and systems), decoders and upsamplers of some methods, by name."""
    names = [parse(method) for method in methods]
    return {
        part: [used for used in dict.fromkeys(getattr(name, part) for name in names) if used]
        for part in ("encoder", "decoder", "upsampler")
    }


def schedule(profile: Profile, images: int, methods: Sequence[str]) -> str:
    """Describe length and precision of training some methods on so many images.

    Methods whose settings are overridden are described separately, and so are methods that are
    trained on whole HR patches and those on random pixels; equal descriptions are given once.
    """
    ours: dict[str, list[str]] = {}
    for label, names in _groups(profile.training, methods):
        ours.setdefault(_settings(profile, images, names), []).append(label)
    parts = [
        (f"{', '.join(labels)}: " if all(labels) and len(ours) > 1 else "") + text
        for text, labels in ours.items()
    ]
    text = "; ".join([*parts, profile.training.precision])
    if not profile.reduced(methods):
        return text
    return f"{text} (the paper: {_published(methods)})"


def _groups(training: Training, methods: Sequence[str]) -> list[tuple[str, list[Method]]]:
    """List the methods that share a schedule, with a name for each group."""
    groups: dict[tuple[tuple[str, ...], bool], list[Method]] = {}
    for name in filter(lambda name: name.is_trained, map(parse, methods)):
        overridden = tuple(family for family in name.families if family in training.overrides)
        groups.setdefault((overridden, training.for_method(name).dense), []).append(name)
    return [
        (overridden[-1] if overridden else ", ".join(n.name for n in names) if dense else "", names)
        for (overridden, dense), names in sorted(groups.items(), key=lambda item: item[0])
    ]


def _published(methods: Sequence[str]) -> str:
    """Describe the published schedules of methods; those of their own are given separately."""
    theirs: dict[str, list[str]] = {}
    for label, names in _groups(published(), methods):
        s = published().for_method(names[0])
        queries = "" if s.dense else f", {s.queries} queries each"
        steps = f"{s.total_steps(PAPER_IMAGES):,} steps of batch {s.batch}"
        theirs.setdefault(f"{steps}, patches {s.patch}x{s.patch}{queries}", []).append(label)
    return "; ".join(
        (f"for {' and '.join(labels)}: " if all(labels) and len(theirs) > 1 else "") + text
        for text, labels in theirs.items()
    )


def _settings(profile: Profile, images: int, names: Sequence[Method]) -> str:
    """Describe the schedule of methods that share it, where it is not the paper's."""
    free = [name for name in names if name.scale is None]
    s = profile.training.for_method((free or list(names))[0])
    if s.dense:
        drawn = f"one of {', '.join(f'x{scale}' for scale in s.scales)} for each batch"
        scales = drawn if free else "at their own scale"
        samples = f"by Pillow's bicubic, whole HR patches, {scales}"
    else:
        scales = f"x{s.scale_min:g} to x{s.scale_max:g}" if free else "at their own scale"
        if 0 < len(free) < len(names):
            scales += ", fixed-scale networks at their own"
        samples = f"{s.queries} queries each, {scales}"
    patches = f"LR patches {s.patch}x{s.patch}{' ' if s.dense else ', '}{samples}"
    found = [f"{s.total_steps(images):,} steps of batch {s.batch} ({patches})"]
    if s.frequency and s.dense:
        found.append(f"L1 and {s.frequency:g} times the frequency loss")
    betas = f" (betas {s.betas[0]:g}, {s.betas[1]:g})" if s.betas != ADAM_BETAS else ""
    found.append(f"Adam {s.lr:g}{betas}")
    if s.milestones:
        length, unit = s.length
        when = "/".join(map(str, s.milestones))
        found.append(f"times {s.gamma:g} at {unit}s {when} of {length}")
    if s.ema:
        found.append(f"running average of the weights (decay {s.ema:g}) measured")
    if s.frozen_encoder:
        found.append(f"over the encoder of the shipped {s.frozen_encoder}, which is not trained")
    mixtures = {name.decoder for name in names if name.head}
    if mixtures and s.beta != BETA:
        found.append(f"balance loss weighted {s.beta:g} instead of {BETA:g}")
    for decoder, values in s.balance_weights.items():
        if decoder in mixtures:
            found.append(f"w_j {', '.join(f'{w:g}' for w in values)} ({decoder})")
    if s.departure:
        found.append(f"departs from the published training: {s.departure}")
    return ", ".join(found)


def origin(profile: Profile, data: Dataset, method: str) -> str:
    """Describe where a network trained under a profile comes from."""
    label = (
        "REDUCED SETTING, not the paper's training: "
        if profile.reduced([method]) or not data.complete
        else ""
    )
    return (
        f"{label}profile {profile.name}; trained on {data.caption()}; networks: "
        f"{networks(profile, [method])}; schedule: {schedule(profile, len(data.items), [method])}"
    )


def in_brief(text: str) -> str:
    """Leave out the sizes and the schedule of an `origin`, or of a caption of a report.

    Sentences behind a caption's first stay.

    Example:
        >>> in_brief("REDUCED SETTING: trained on X; networks: width 64; schedule: 8,000 steps")
        'REDUCED SETTING: trained on X (networks and schedule: --json)'
        >>> in_brief("Trained on X; networks: 1.5; schedule: 5 steps. Reduced setting, not ...")
        'Trained on X (networks and schedule: --json). Reduced setting, not ...'
    """
    rest = r"; networks: .*?(?=\. Reduced setting, not |\.?$)"
    return re.sub(rest, " (networks and schedule: --json)", text, flags=re.DOTALL)
