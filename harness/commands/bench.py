"""`harness bench`: how fast, against the plain way, and in how much memory."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import (
    Setup,
    device_option,
    json_option,
    listed,
    methods_option,
    pixels,
    scale_factor,
    show,
    table,
    with_setup,
)

if TYPE_CHECKING:
    from harness.profiling.bench.decoding import Line
    from harness.profiling.timing import Spread

SCHEMA = 1


@click.group(epilog="Example: harness bench train --steps 20")
def bench() -> None:
    """Measure how fast decoding and training are here, and what memory enlarging takes."""


@bench.command(
    epilog="Example: harness bench decode --methods edsr-liif,edsr-moeisr-liif-s --lr 48x48"
)
@methods_option(help="Default: EDSR with LIIF, LTE, MoEISR, Meta-SR.")
@click.option(
    "--lr",
    "sizes",
    type=listed(pixels),
    default="48x48,128x128",
    show_default=True,
    metavar="HxW,...",
    help="HEIGHTxWIDTH of LR images.",
)
@click.option("--scale", type=scale_factor, default=4.0, show_default=True)
@click.option(
    "--scales",
    type=listed(scale_factor),
    metavar="A,B",
    default="",
    help="The engine alone over these factors instead: what a pixel costs at each.",
)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Timed turns.")
@with_setup("device")
@json_option
def decode(
    methods: list[str],
    sizes: list[tuple[int, int]],
    scale: float,
    scales: list[float],
    rounds: int,
    setup: Setup,
    as_json: bool,
) -> None:
    """Output pixels per second of decoders, by the engine and query by query.

    Networks at the paper's sizes, untrained; experts chosen at random in even shares. All take
    turns in this process; encoding is not timed. A method with experts is compared with its own
    plain path and with that of its baseline, as the paper compares multiply-adds: in chunks that
    stay in the cache, which is the plain path's best, and of 30,000 queries, as the official
    evaluation has them.
    """
    from harness.profiling.bench import decoding
    from harness.profiling.machine import in_words, machine, matrix_product_speed

    here = machine(setup.device)
    names = methods or list(decoding.METHODS)
    peak = matrix_product_speed(setup.device)
    lines: list[Line] = []
    for size in sizes:
        if scales:
            for name in names:
                lines += decoding.growth(name, size, scales, rounds, setup.device)
        else:
            lines += decoding.compare(names, size, scale, rounds, setup.device)
    peak = max(peak, matrix_product_speed(setup.device))
    content = {
        "schema": SCHEMA,
        "bench": "decode",
        "rounds": rounds,
        "machine": here,
        "matrix_product_macs_per_s": peak,
        "lines": [decoding.as_json(line) for line in lines],
    }
    head = (
        f"{in_words(here)}\nfloat32, medians of {rounds} turns; a matrix product of 1024 x 1024 "
        f"reaches {peak / 1e9:.0f} GMAC/s\n"
    )
    columns = _growth if scales else _compared
    show(content, head + table(columns(line, peak) for line in lines), as_json)


def _compared(line: Line, peak: float) -> dict[str, str]:
    from harness.profiling.bench.decoding import baseline_of

    assert line.plain is not None
    return {
        "LR": f"{line.lr_size[0]}x{line.lr_size[1]}",
        "method": line.method,
        "plain kpx/s": f"{line.plain.median / 1e3:.1f}",
        "engine kpx/s": f"{line.fast.median / 1e3:.1f}",
        "to own plain": _spread(line.speedup),
        "to plain": baseline_of(line.method),
        "ratio (quartiles)": _spread(line.saving),
        "in chunks of 30,000": _spread(line.saving_official),
        "paper's GMACs": f"{line.counted / 1e9:.2f}",
        "executed": f"{line.executed / 1e9:.2f}",
        "GMAC/s": f"{line.rate / 1e9:.0f}",
        "of product": f"{100 * line.rate / peak:.0f} %",
    }


def _spread(value: Spread | None) -> str:
    return "-" if value is None else f"{value.median:.2f} ({value.low:.2f} to {value.high:.2f})"


def _growth(line: Line, peak: float) -> dict[str, str]:
    microseconds = (1e6 / rate for rate in (line.fast.median, line.fast.high, line.fast.low))
    return {
        "LR": f"{line.lr_size[0]}x{line.lr_size[1]}",
        "method": line.method,
        "scale": f"x{line.scale:g}",
        "Mpx out": f"{line.scale**2 * line.lr_size[0] * line.lr_size[1] / 1e6:.2f}",
        "kpx/s": f"{line.fast.median / 1e3:.1f}",
        "us/px (quartiles)": "{:.2f} ({:.2f} to {:.2f})".format(*microseconds),
        "of product": f"{100 * line.rate / peak:.0f} %",
    }


@bench.command(epilog="Example: harness bench train --profile paper --methods edsr-liif --steps 5")
@methods_option(help="Default: EDSR with LIIF, LTE, MoEISR of both.")
@with_setup("profile", "device")
@click.option("--steps", type=click.IntRange(1), default=10, show_default=True, help="Timed steps.")
@click.option(
    "--workers",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Processes that make the plain way's samples; 0: the training process.",
)
@json_option
def train(methods: list[str], setup: Setup, steps: int, workers: int, as_json: bool) -> None:
    """Steps per second of training, against Pillow's patches in a DataLoader and a plain decode.

    Networks, batch and patches are those of the profile; the images are the photographs that ship
    inside scikit-image, so no data is needed. Both ways take steps in turns.
    """
    from harness.profiling.bench.training import METHODS, Setting, time_training
    from harness.profiling.machine import in_words, machine

    profile, here = setup.profile, machine(setup.device)
    setting = Setting(profile, setup.dataset("embedded-train"), setup.device, steps, workers)
    results = time_training(setting, methods or list(METHODS))
    content = {
        "schema": SCHEMA,
        "bench": "train",
        "profile": profile.name,
        "steps": steps,
        "workers": workers,
        "machine": here,
        "methods": [result.content() for result in results],
    }
    rows = [
        {
            "method": result.method,
            "plain, steps/s": f"{result.plain.median:.3g}",
            "ours, steps/s": f"{result.fast.median:.3g}",
            "quartiles": f"{result.fast.low:.3g} to {result.fast.high:.3g}",
            "times as fast": f"{result.ratio.median:.2f}",
            "quartiles ": f"{result.ratio.low:.2f} to {result.ratio.high:.2f}",
            "by multiply-adds": f"{result.promised:.2f}",
            **({} if result.peak is None else {"of the bf16 peak": f"{100 * result.peak:.1f} %"}),
        }
        for result in results
    ]
    head = f"{in_words(here)}\nprofile {profile.name}, {steps} steps in turns\n"
    show(content, head + table(rows), as_json)


@bench.command(epilog="Example: harness bench memory --methods edsr-moeisr-liif-s --scales 4,12,30")
@methods_option(help="Default: EDSR with LIIF, LTE, MoEISR.")
@click.option(
    "--size",
    type=pixels,
    default="512x512",
    show_default=True,
    metavar="HxW",
    help="HEIGHTxWIDTH of the LR image.",
)
@click.option(
    "--scales", type=listed(scale_factor), metavar="A,B", default="4,12,30", show_default=True
)
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
    methods: list[str],
    size: tuple[int, int],
    scales: list[float],
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
    from harness.common.progress import say
    from harness.profiling.bench.memory import METHODS, Setting, measure
    from harness.profiling.machine import in_words, machine

    setup = Setup(profile=profile, device=device)
    here = machine(setup.device)
    setting = Setting(setup.profile, size, suffix, memory, device, limit)
    rows: list[dict[str, str]] = []
    lines: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for line in measure(methods or list(METHODS), scales, setting, Path(folder)):
            say(f"{line.method} x{line.scale:g}: {line.peak / 2**20:.0f} MiB")
            lines.append(line.content())
            rows.append(
                {
                    "method": line.method,
                    "scale": f"x{line.scale:g}",
                    "result": f"{line.hr_size[1]} x {line.hr_size[0]}",
                    "peak MiB": f"{line.peak / 2**20:.0f}",
                    "file MiB": f"{line.file / 2**20:.1f}" if line.finished else "stopped",
                    "seconds": f"{line.seconds:.0f}",
                }
            )
    content = {"schema": SCHEMA, "bench": "memory", "profile": profile, "memory_mib": memory}
    head = f"{in_words(here)}\nnetworks of profile {profile}, untrained\n"
    show({**content, "machine": here, "lines": lines}, head + table(rows), as_json)
