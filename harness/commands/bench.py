"""`harness bench`: how fast, against the plain way, and in how much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.commands.bench_decode import decode
from harness.commands.bench_memory import memory
from harness.commands.options import (
    device_option,
    echo,
    json_option,
    parts,
    print_json,
    profile_option,
)

if TYPE_CHECKING:
    from harness.profiling.bench.training import Result

SCHEMA = 1


@click.group(epilog="Example: harness bench train --steps 20")
def bench() -> None:
    """Measure how fast decoding and training are here, and what memory enlarging takes."""


bench.add_command(decode)
bench.add_command(memory)


@bench.command(epilog="Example: harness bench train --profile paper --methods edsr-liif --steps 5")
@click.option(
    "--methods", metavar="A,B", default="", help="Default: EDSR with LIIF, LTE, MoEISR of both."
)
@profile_option
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True, help="Timed steps.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes that make the plain way's samples; 0: the training process.",
)
@device_option
@json_option
def train(methods: str, profile: str, steps: int, workers: int, device: str, as_json: bool) -> None:
    """Steps per second of training, against Pillow's patches in a DataLoader and a plain decode.

    Networks, batch and patches are those of the profile; the images are the photographs that ship
    inside scikit-image, so no data is needed. Both ways take steps in turns.
    """
    from harness import profiles
    from harness.common import device as devices
    from harness.data.sets import find
    from harness.profiling.bench.training import METHODS, Setting, time_training
    from harness.profiling.machine import in_words, machine

    settings = profiles.load(profile)
    where = devices.resolve(device)
    here = machine(where)
    names = parts(methods) or list(METHODS)
    setting = Setting(settings, find("embedded-train", None), where, steps, workers)
    results = time_training(setting, names)
    content = {
        "schema": SCHEMA,
        "bench": "train",
        "profile": settings.name,
        "steps": steps,
        "workers": workers,
        "machine": here,
        "methods": [result.content() for result in results],
    }
    if as_json:
        print_json(content)
    else:
        echo(f"{in_words(here)}\nprofile {settings.name}, {steps} steps in turns")
        echo(_table(results))


def _table(results: list[Result]) -> str:
    from tabulate import tabulate

    lines: list[dict[str, Any]] = []
    for result in results:
        line: dict[str, Any] = {
            "method": result.method,
            "plain, steps/s": f"{result.plain.median:.3g}",
            "ours, steps/s": f"{result.fast.median:.3g}",
            "quartiles": f"{result.fast.low:.3g} to {result.fast.high:.3g}",
            "times as fast": f"{result.ratio.median:.2f}",
            "quartiles ": f"{result.ratio.low:.2f} to {result.ratio.high:.2f}",
            "by multiply-adds": f"{result.promised:.2f}",
        }
        if result.peak is not None:
            line["of the bf16 peak"] = f"{100 * result.peak:.1f} %"
        lines.append(line)
    return str(tabulate(lines, headers="keys", tablefmt="simple", disable_numparse=True))
