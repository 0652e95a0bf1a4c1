"""`harness bench`: how long networks take on this machine, and how much memory."""

from __future__ import annotations

from typing import Any

import click

from harness.commands import options
from harness.common.errors import UsageError


@click.command(epilog="Example: harness bench edsr-liif edsr-moeisr-liif-s --scale 3.5")
@click.argument("names", nargs=-1, metavar="[METHOD|CHECKPOINT]...")
@click.option("--scale", type=options.scale_factor, default=4.0, show_default=True)
@click.option(
    "--lr",
    "size",
    type=options.pixels,
    metavar="HEIGHTxWIDTH",
    help=f"LR image; {options.EITHER_ORDER}  [default: costs of the profile]",
)
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Timed calls, likewise.")
@options.with_setup("profile", "precision", "device", "results")
@options.json_option
def bench(
    names: tuple[str, ...],
    scale: float,
    size: tuple[int, int] | None,
    rounds: int | None,
    setup: options.Setup,
) -> None:
    """Measure latency and peak memory of enlarging one photograph, from memory to memory.

    A METHOD is its network under the profile, a CHECKPOINT a file or reference:NAME; without any,
    the networks that come with the package are measured. Calls are interleaved, so that other
    load affects all networks alike; peak memory is that of a process for each.
    """
    from harness.checkpoints import reference
    from harness.common.progress import bar
    from harness.data.degrade import unit
    from harness.measure.costs import photograph
    from harness.measure.latency import rounds_of, seconds_of_calls
    from harness.measure.machine import in_words, machine
    from harness.measure.timing import spread
    from harness.runs.costs import peaks_of

    costs = setup.profile.costs
    asked = {"lr_size": size or costs.lr_size, "rounds": rounds or costs.rounds}
    costs = costs.model_copy(update=asked)
    profile, here = setup.profile.model_copy(update={"costs": costs}), machine(setup.device)
    shipped = [f"{reference.PREFIX}{name}" for name in reference.names()]
    subjects = {name: setup.named(name) for name in dict.fromkeys(names or shipped)}
    refused = {name: why for name, (s, _) in subjects.items() if (why := s.model.refusal(scale))}
    if refused and names:
        raise UsageError("; ".join(f"{name} {why}" for name, why in refused.items()) + ".")
    subjects = {name: found for name, found in subjects.items() if name not in refused}
    models = {name: subject.model for name, (subject, _) in subjects.items()}
    lr = unit(photograph(costs.lr_size))[None]
    with bar("timing", rounds_of(costs)) as progress:
        found = seconds_of_calls(models, lr, scale, profile, setup.device, progress.advance)
    networks = [(subject, file, scale) for subject, file in subjects.values()]
    measured = zip(subjects.items(), peaks_of(networks, profile), strict=True)
    lines = [
        {
            "network": name,
            "origin": subject.origin,
            "weights": subject.weights,
            "seconds": spread(found.seconds[name]).ordered if name in found.seconds else None,
            "peak_bytes": None if peak.reason else peak.bytes,
            "memory_kind": peak.kind,
            "reason": found.failed.get(name, peak.reason),
        }
        for (name, (subject, _)), peak in measured
    ]
    height, width = costs.lr_size
    content = {"schema": 2, "machine": here, "scale": scale, "lr_size": costs.lr_size}
    lr_image = f"LR {height}x{width} (height x width)"
    head = f"{in_words(here)}\n{lr_image}, x{scale:g}, {costs.rounds} calls in turns\n"
    shown = options.table(_row(line, scale**2 * height * width) for line in lines)
    options.show({**content, "lines": lines}, f"{head}{shown}")


def _row(line: dict[str, Any], area: float) -> dict[str, str]:
    row = {"network": line["network"], "seconds": "-", "quartiles": "", "kpx/s": "-"}
    if line["seconds"]:
        low, median, high = line["seconds"]
        row["seconds"], row["quartiles"] = f"{median:.4g}", f"{low:.4g} to {high:.4g}"
        row["kpx/s"] = f"{area / median / 1e3:.1f}"
    peak = line["peak_bytes"]
    row["peak MiB"] = "-" if peak is None else f"{peak / 2**20:.0f}"
    return {**row, "": line["reason"]}
