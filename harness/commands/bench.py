"""`harness bench`: how long networks take on this machine, and how much memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import (
    Setup,
    json_option,
    pixels,
    scale_factor,
    show,
    table,
    with_setup,
)
from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.checkpoints.subject import Subject
    from harness.measure.latency import Calls
    from harness.profiles import Profile


@click.command(epilog="Example: harness bench edsr-liif edsr-moeisr-liif-s --scale 3.5")
@click.argument("names", nargs=-1, metavar="[METHOD|CHECKPOINT]...")
@click.option("--scale", type=scale_factor, default=4.0, show_default=True)
@click.option(
    "--lr", "size", type=pixels, metavar="HxW", help="LR image.  [default: costs of the profile]"
)
@click.option("--rounds", type=click.IntRange(1), metavar="N", help="Timed calls, likewise.")
@with_setup("profile", "precision", "device", "results")
@json_option
def bench(
    names: tuple[str, ...],
    scale: float,
    size: tuple[int, int] | None,
    rounds: int | None,
    setup: Setup,
) -> None:
    """Measure latency and peak memory of enlarging one photograph, from memory to memory.

    A METHOD is its network under the profile, a CHECKPOINT a file or reference:NAME; without any,
    the networks that come with the package are measured. Calls are interleaved, so that other
    load affects all networks alike; peak memory is that of a process for each.
    """
    from harness.checkpoints import reference
    from harness.common.progress import bar
    from harness.data.degrade import unit
    from harness.measure.latency import rounds_of, seconds_of_calls
    from harness.measure.machine import in_words, machine
    from harness.measure.photograph import photograph

    costs = setup.profile.costs
    size = size or costs.lr_size
    costs = costs.model_copy(update={"rounds": rounds or costs.rounds})
    profile, here = setup.profile.model_copy(update={"costs": costs}), machine(setup.device)
    shipped = [f"{reference.PREFIX}{name}" for name in reference.names()]
    subjects = {name: setup.named(name) for name in dict.fromkeys(names or shipped)}
    refused = {name: why for name, (s, _) in subjects.items() if (why := s.model.refusal(scale))}
    if refused and names:
        raise UsageError("; ".join(f"{name} {why}" for name, why in refused.items()) + ".")
    subjects = {name: found for name, found in subjects.items() if name not in refused}
    models = {name: subject.model for name, (subject, _) in subjects.items()}
    lr = unit(photograph(size))[None]
    with bar("timing", rounds_of(costs)) as progress:
        found = seconds_of_calls(models, lr, scale, profile, setup.device, progress.advance)
    lines = list(_lines(subjects, scale, size, profile, found))
    content = {"schema": 2, "machine": here, "scale": scale, "lr_size": list(size), "lines": lines}
    head = f"{in_words(here)}\nLR {size[0]}x{size[1]}, x{scale:g}, {costs.rounds} calls in turns\n"
    shown = table(_row(line, scale**2 * size[0] * size[1]) for line in lines)
    show(content, f"{head}{shown}")


def _lines(
    subjects: Mapping[str, tuple[Subject, str]],
    scale: float,
    size: tuple[int, int],
    profile: Profile,
    found: Calls,
) -> Iterator[dict[str, Any]]:
    """Measure peak memory, and put it beside the seconds of each network."""
    import torch

    from harness.data.images import save_png
    from harness.measure.peak_memory import MemoryCase, peaks
    from harness.measure.photograph import photograph
    from harness.measure.timing import spread

    settings = profile.evaluation
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "lr.png"
        save_png(photograph(size), image)
        cases = [
            MemoryCase(
                method=subject.method,
                network=file,
                image=str(image),
                scale=scale,
                precision=settings.precision,
                memory=settings.memory,
                device=str(subject.device),
                threads=torch.get_num_threads(),
            )
            for subject, file in subjects.values()
        ]
        for (name, (subject, _)), peak in zip(subjects.items(), peaks(cases), strict=True):
            seconds = found.seconds.get(name)
            yield {
                "network": name,
                "origin": subject.origin,
                "weights": subject.checkpoint,
                "seconds": spread(seconds).ordered if seconds else None,
                "peak_bytes": None if peak.reason else peak.bytes,
                "memory_kind": peak.kind,
                "reason": found.failed.get(name, peak.reason),
            }


def _row(line: dict[str, Any], pixels: float) -> dict[str, str]:
    row = {"network": line["network"], "seconds": "-", "quartiles": "", "kpx/s": "-"}
    if line["seconds"]:
        low, median, high = line["seconds"]
        row["seconds"], row["quartiles"] = f"{median:.4g}", f"{low:.4g} to {high:.4g}"
        row["kpx/s"] = f"{pixels / median / 1e3:.1f}"
    peak = line["peak_bytes"]
    row["peak MiB"] = "-" if peak is None else f"{peak / 2**20:.0f}"
    return {**row, "": line["reason"]}
