"""`harness versus`: the difference between two networks, and how sure it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from harness.commands.cases import cases_of_network, check_wanted, measured
from harness.commands.options import (
    Setup,
    datasets_option,
    json_option,
    protocol_option,
    scales_option,
    show,
    table,
    with_setup,
)

if TYPE_CHECKING:
    from harness.checkpoints.subject import Subject


@click.command(
    epilog="Example: harness versus edsr-moeisr-liif-b edsr-liif --dataset Set5 --dataset B100 "
    "--scale 2 --within 0.05",
    no_args_is_help=True,
)
@click.argument("a")
@click.argument("b")
@datasets_option
@scales_option(help="Several by repeating. Default: 2, 3 and 4.")
@click.option("--metric", default="psnr", show_default=True, help="psnr, ssim or a registered one.")
@protocol_option
@click.option(
    "--within",
    "margin",
    type=click.FloatRange(0, min_open=True),
    metavar="MARGIN",
    help="Also tell whether the difference is smaller than this.",
)
@with_setup("profile", "precision", "data_root", "device", "results")
@json_option
def versus(
    a: str,
    b: str,
    names: tuple[str, ...],
    scales: tuple[float, ...],
    metric: str,
    protocol: str | None,
    margin: float | None,
    setup: Setup,
    as_json: bool,
) -> None:
    """Compare A with B, image by image: mean difference, its interval, and a sign test.

    A and B are methods, whose networks under the profile are taken, or checkpoints (a file, or
    reference:NAME). What was not measured before is measured, and kept as `harness eval` keeps it.
    """
    from harness.measure.statistics import CONFIDENCE
    from harness.metrics import METRICS
    from harness.profiles.description import in_brief

    check_wanted(names, protocol, [metric])
    first, second = (setup.named(name)[0] for name in (a, b))
    wanted = list(dict.fromkeys(names)), list(dict.fromkeys(scales or (2.0, 3.0, 4.0)))
    scores = [_scores(setup, subject, *wanted, protocol, metric) for subject in (first, second)]
    lines = list(_compared(scores[0], scores[1], *wanted, METRICS[metric].larger_is_better, margin))
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
    shown = table([_shown(line, METRICS[metric].digits, margin) for line in lines])
    show(content, "\n".join([*heads, "", title, "", shown, "", *NOTES]), as_json)


NOTES = [
    "A - B is the mean difference over images (in the mean of sets, each set weighs the same); in "
    "brackets its 95 % interval, a paired BCa bootstrap over images.",
    "The interval is about the choice of images. That the same training with another seed ends "
    "elsewhere is not in it.",
    "decided: the interval excludes 0, and there are at least 6 images.",
]


Scores = dict[tuple[str, float], dict[str, float]]


def _scores(
    setup: Setup,
    subject: Subject,
    names: list[str],
    scales: list[float],
    protocol: str | None,
    metric: str,
) -> Scores:
    """The metric's value of each image of each (dataset, scale)."""
    found: Scores = {}
    cases, _ = cases_of_network(setup, subject, names, scales, protocol)
    for case, rows in measured(setup, cases, metrics=[metric]):
        for row in rows:
            value = row["metrics"].get(metric)
            if value is not None:
                found.setdefault((case.dataset, case.scale), {})[row["image"]] = value
    return found


def _compared(
    a: Scores,
    b: Scores,
    names: list[str],
    scales: list[float],
    larger_is_better: bool,
    margin: float | None,
) -> Iterator[dict[str, Any]]:
    """A line for each dataset and scale, and for all datasets of a scale together."""
    from harness.measure.statistics import paired_difference

    sign = 1 if larger_is_better else -1
    for scale in scales:
        pairs = {
            name: [
                (value, b[name, scale][image])
                for image, value in a.get((name, scale), {}).items()
                if image in b.get((name, scale), {})
            ]
            for name in names
        }
        pairs = {name: found for name, found in pairs.items() if found}
        groups = [[name] for name in pairs] + ([list(pairs)] if len(pairs) > 1 else [])
        for group in groups:
            difference = paired_difference(*([x - y for x, y in pairs[name]] for name in group))
            means = [
                sum(sum(pair[side] for pair in pairs[name]) / len(pairs[name]) for name in group)
                / len(group)
                for side in (0, 1)
            ]
            yield {
                "dataset": "+".join(group),
                "scale": scale,
                "a": means[0],
                "b": means[1],
                **asdict(difference),
                "decided": difference.decided,
                "better_side": ("A" if difference.mean * sign > 0 else "B")
                if difference.decided
                else "",
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
