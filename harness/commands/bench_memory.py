"""`harness bench memory`: peak memory of `harness upscale`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.options import (
    device_option,
    echo,
    json_option,
    parse_size,
    parts,
    print_json,
    scale_factor,
)

if TYPE_CHECKING:
    from harness.profiling.bench.memory import Line

SCHEMA = 1


@click.command(epilog="Example: harness bench memory --methods edsr-moeisr-liif-s --scales 4,12,30")
@click.option("--methods", metavar="A,B", default="", help="Default: EDSR with LIIF, LTE, MoEISR.")
@click.option("--size", default="512x512", show_default=True, help="HEIGHTxWIDTH of the LR image.")
@click.option("--scales", metavar="A,B", default="4,12,30", show_default=True)
@click.option("--suffix", default=".png", show_default=True, help="Type of the result.")
@click.option("--memory", type=click.IntRange(1), metavar="MIB", help="As of `harness upscale`.")
@click.option(
    "--limit",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Stop each case after so long: the peak is reached in the first bands.",
)
@click.option(
    "--profile",
    default="paper",
    show_default=True,
    metavar="NAME|FILE",
    help="Whose network sizes are taken.",
)
@device_option
@json_option
def memory(
    methods: str,
    size: str,
    scales: str,
    suffix: str,
    memory: int | None,
    limit: float | None,
    profile: str,
    device: str,
    as_json: bool,
) -> None:
    """Peak memory of `harness upscale`, from an image file to an image file.

    Each case runs in a process of its own, with an untrained network. The peak is the resident
    memory of that process, Python and PyTorch included; on a GPU it is the host's.
    """
    import tempfile

    from harness import profiles
    from harness.common import device as devices
    from harness.common.progress import say
    from harness.profiling.bench.memory import METHODS, Setting, measure
    from harness.profiling.machine import in_words, machine

    names = parts(methods) or list(METHODS)
    factors = [scale_factor(text) for text in parts(scales)]
    here = machine(devices.resolve(device))
    setting = Setting(
        profiles.load(profile), parse_size(size, "--size"), suffix, memory, device, limit
    )
    lines: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(names, factors, setting, Path(folder)):
            lines.append(line)
            say(f"{line.method} x{line.scale:g}: {line.peak / 2**20:.0f} MiB")
    if as_json:
        content = {"schema": SCHEMA, "bench": "memory", "profile": profile, "memory_mib": memory}
        print_json({**content, "machine": here, "lines": [line.content() for line in lines]})
        return
    echo(f"{in_words(here)}\nnetworks of profile {profile}, untrained")
    echo(_table(lines))


def _table(lines: list[Line]) -> str:
    from tabulate import tabulate

    rows = [
        {
            "method": line.method,
            "scale": f"x{line.scale:g}",
            "result": f"{line.hr_size[1]} x {line.hr_size[0]}",
            "peak MiB": f"{line.peak / 2**20:.0f}",
            "file MiB": f"{line.file / 2**20:.1f}" if line.finished else "stopped",
            "seconds": f"{line.seconds:.0f}",
        }
        for line in lines
    ]
    return str(tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True))
