"""`harness bench decode`: the engine against the plain path."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    from harness.profiling.bench.decoding import Line
    from harness.profiling.timing import Spread

SCHEMA = 1


@click.command(
    epilog="Example: harness bench decode --methods edsr-liif,edsr-moeisr-liif-s --lr 48x48"
)
@click.option(
    "--methods", metavar="A,B", default="", help="Default: EDSR with LIIF, LTE, MoEISR, Meta-SR."
)
@click.option("--lr", default="48x48,128x128", show_default=True, help="HEIGHTxWIDTH of LR images.")
@click.option("--scale", type=scale_factor, default=4.0, show_default=True)
@click.option(
    "--scales",
    metavar="A,B",
    default="",
    help="The engine alone over these factors instead: what a pixel costs at each.",
)
@click.option("--rounds", type=click.IntRange(1), default=7, show_default=True, help="Timed turns.")
@device_option
@json_option
def decode(
    methods: str,
    lr: str,
    scale: float,
    scales: str,
    rounds: int,
    device: str,
    as_json: bool,
) -> None:
    """Output pixels per second of decoders, by the engine and query by query.

    Networks at the paper's sizes, untrained; experts chosen at random in even shares. All take
    turns in this process; encoding is not timed. A method with experts is compared with its own
    plain path and with that of its baseline, as the paper compares multiply-adds: in chunks that
    stay in the cache, which is the plain path's best, and of 30,000 queries, as the official
    evaluation has them.
    """
    from harness.common import device as devices
    from harness.profiling.bench.decoding import METHODS, compare, growth
    from harness.profiling.bench.decoding import as_json as content_of
    from harness.profiling.machine import in_words, machine, matrix_product_speed

    where = devices.resolve(device)
    here = machine(where)
    names = parts(methods) or list(METHODS)
    sizes = [parse_size(text, "--lr") for text in parts(lr)]
    peak = matrix_product_speed(where)
    lines: list[Line] = []
    for size in sizes:
        if scales:
            factors = [scale_factor(text) for text in parts(scales)]
            for name in names:
                lines += growth(name, size, factors, rounds, where)
        else:
            lines += compare(names, size, scale, rounds, where)
    peak = max(peak, matrix_product_speed(where))
    if as_json:
        print_json(
            {
                "schema": SCHEMA,
                "bench": "decode",
                "rounds": rounds,
                "machine": here,
                "matrix_product_macs_per_s": peak,
                "lines": [content_of(line) for line in lines],
            }
        )
        return
    echo(in_words(here))
    echo(
        f"float32, medians of {rounds} turns; a matrix product of 1024 x 1024 reaches "
        f"{peak / 1e9:.0f} GMAC/s"
    )
    echo(_growth_table(lines, peak) if scales else _table(lines, peak))


def _spread(value: Spread | None) -> str:
    return "-" if value is None else f"{value.median:.2f} ({value.low:.2f} to {value.high:.2f})"


def _table(lines: list[Line], peak: float) -> str:
    from tabulate import tabulate

    from harness.profiling.bench.decoding import baseline_of

    rows: list[dict[str, Any]] = []
    for line in lines:
        assert line.plain is not None
        rows.append(
            {
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
        )
    return str(tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True))


def _growth_table(lines: list[Line], peak: float) -> str:
    from tabulate import tabulate

    rows = [
        {
            "LR": f"{line.lr_size[0]}x{line.lr_size[1]}",
            "method": line.method,
            "scale": f"x{line.scale:g}",
            "Mpx out": f"{line.scale**2 * line.lr_size[0] * line.lr_size[1] / 1e6:.2f}",
            "kpx/s": f"{line.fast.median / 1e3:.1f}",
            "us/px (quartiles)": f"{1e6 / line.fast.median:.2f} "
            f"({1e6 / line.fast.high:.2f} to {1e6 / line.fast.low:.2f})",
            "of product": f"{100 * line.rate / peak:.0f} %",
        }
        for line in lines
    ]
    return str(tabulate(rows, headers="keys", tablefmt="simple", disable_numparse=True))
