"""`harness versus`: the difference between two networks, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from statistics import fmean as mean
from typing import TYPE_CHECKING, Any

import click

from harness.commands import options
from harness.commands.wanted import Wanted

if TYPE_CHECKING:
    from harness.checkpoints.subject import Subject


@click.command(
    epilog="Example: harness versus edsr-moeisr-liif-b edsr-liif --dataset Set5 --dataset B100 "
    "--scale 2 --within 0.05",
    no_args_is_help=True,
)
@click.argument("a")
@click.argument("b")
@options.datasets_option
@options.scales_option(help="Several by repeating. Default: 2, 3 and 4.")
@click.option("--metric", default="psnr", show_default=True, help="psnr, ssim or a registered one.")
@options.protocol_option
@click.option(
    "--within",
    "margin",
    type=click.FloatRange(0, min_open=True),
    metavar="MARGIN",
    help="Also tell whether the difference is smaller than this.",
)
@options.with_setup("profile", "precision", "data_root", "device", "results")
@options.json_option
def versus(
    a: str,
    b: str,
    names: tuple[str, ...],
    scales: tuple[float, ...],
    metric: str,
    protocol: str | None,
    margin: float | None,
    setup: options.Setup,
) -> None:
    """Compare A with B, image by image: mean difference, its interval, and a sign test.

    A and B are methods, whose networks under the profile are taken, or checkpoints (a file, or
    reference:NAME). What was not measured before is measured, and kept as `harness eval` keeps it.
    """
    from harness.measure.statistics import CONFIDENCE
    from harness.metrics import METRICS
    from harness.profiles.description import in_brief

    wanted = Wanted(setup, names, scales or (2.0, 3.0, 4.0), protocol, [metric])
    first, second = (setup.named(name)[0] for name in (a, b))
    scores = (_scores(wanted, first, metric), _scores(wanted, second, metric))
    lines = list(_compared(*scores, METRICS[metric].larger_is_better, margin))
    content = {
        "a": {"method": first.method, "weights": first.weights, "origin": first.origin},
        "b": {"method": second.method, "weights": second.weights, "origin": second.origin},
        "metric": metric,
        "confidence": CONFIDENCE,
        "cells": lines,
        "notes": NOTES,
    }
    title = METRICS[metric].title
    named = {"A": first, "B": second}.items()
    heads = [f"{letter}: {each.method}: {in_brief(each.origin)}" for letter, each in named]
    shown = options.table([_shown(line, METRICS[metric].digits, margin) for line in lines])
    options.show(content, "\n".join([*heads, "", title, "", shown, "", *NOTES]))


NOTES = [
    "A - B is the mean difference over images (in the mean of sets, each set weighs the same); in "
    "brackets its 95 % interval, a paired BCa bootstrap over images.",
    "The interval is about the choice of images. That the same training with another seed ends "
    "elsewhere is not in it.",
    "decided: the interval excludes 0, and there are at least 6 images.",
]


Scores = dict[tuple[str, float], dict[str, float]]


def _scores(wanted: Wanted, subject: Subject, metric: str) -> Scores:
    """The metric's value of each image of each (dataset, scale)."""
    found: Scores = {}
    for _, task, rows in wanted.measured(wanted.units(subject)):
        values = ((row["image"], row["metrics"].get(metric)) for row in rows)
        scored = {image: value for image, value in values if value is not None}
        found[task.dataset.name, task.scale] = scored
    return found


def _compared(
    a: Scores, b: Scores, larger_is_better: bool, margin: float | None
) -> Iterator[dict[str, Any]]:
    """A line for each dataset and scale, and for all datasets of a scale together."""
    from harness.measure.statistics import paired_difference

    scales = dict.fromkeys(scale for _, scale in a)
    for scale in scales:
        pairs: dict[str, list[tuple[float, float]]] = {}
        for name in (name for name, at in a if at == scale):
            mine, other = a[name, scale], b[name, scale]
            both = [(mine[image], other[image]) for image in mine if image in other]
            pairs |= {name: both} if both else {}
        groups = [[name] for name in pairs] + ([list(pairs)] if len(pairs) > 1 else [])
        for group in groups:
            difference = paired_difference(*([x - y for x, y in pairs[name]] for name in group))
            sides = [
                [mean(pair[side] for pair in pairs[name]) for name in group] for side in (0, 1)
            ]
            better = "A" if (difference.mean > 0) == larger_is_better else "B"
            yield {
                "dataset": "+".join(group),
                "scale": scale,
                "a": mean(sides[0]),
                "b": mean(sides[1]),
                **asdict(difference),
                "decided": difference.decided,
                "better_side": better if difference.decided else "",
                **({} if margin is None else {"within": difference.within(margin)}),
            }


def _shown(line: dict[str, Any], digits: int, margin: float | None) -> dict[str, str]:
    """A line for the terminal, with a digit more than tables of the metric have."""
    width = digits + 1
    low, high = line["low"], line["high"]
    interval = "-" if low is None else f"[{low:+.{width}f}, {high:+.{width}f}]"
    together = line["dataset"].count("+")
    shown = {
        "dataset": f"mean of {together + 1} sets" if together else line["dataset"],
        "scale": f"x{line['scale']:g}",
        "images": str(line["images"]),
        "A": f"{line['a']:.{width}f}",
        "B": f"{line['b']:.{width}f}",
        "A - B": f"{line['mean']:+.{width}f}",
        "95 % interval": interval,
        "A > B on": f"{line['better']} of {line['images']}",
        "sign test": f"{line['sign']:.2g}",
        "better": line["better_side"] or "not decided",
    }
    if margin is not None:
        said = {True: "yes", False: "no", None: "not decided"}
        shown[f"within {margin:g}"] = said[line["within"]]
    return shown
