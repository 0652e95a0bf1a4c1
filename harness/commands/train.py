"""`harness train`: one training run."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.options import (
    data_root_option,
    device_option,
    echo,
    json_option,
    print_json,
    profile_option,
    results_option,
)


@click.command(
    epilog="Example: harness train edsr-moeisr-liif-s --profile bsds --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("method")
@profile_option
@data_root_option
@device_option
@results_option
@click.option("--seed", type=click.IntRange(min=0), help="Default: the profile's first seed.")
@json_option
def train(
    method: str,
    profile: str,
    data_root: Path | None,
    device: str,
    results: Path,
    seed: int | None,
    as_json: bool,
) -> None:
    """Train METHOD under a profile, or go on with a run that was stopped.

    The run's folder holds the newest checkpoint and a log. Stopping it at any moment loses
    nothing: on a CPU, the weights at the end are the same, bit for bit.
    """
    from baselines import parse
    from harness import profiles
    from harness.checkpoints import read
    from harness.common import device as devices
    from harness.common.errors import UsageError
    from harness.common.progress import say
    from harness.data.sets import find
    from harness.profiles import description, places
    from harness.profiles.recipe import make_recipe, run_dir
    from harness.training import loop

    if not parse(method).encoder:
        raise UsageError(f"{method} has nothing to train.")
    settings = profiles.load(profile)
    where = places.resolve(data_root, results, profile=settings)
    data = find(settings.training.dataset, where.data_root)
    recipe = make_recipe(
        settings, method, settings.seeds[0] if seed is None else seed, data.fingerprint()
    )
    for warning in description.full_size_warning(settings, [method]):
        say(warning)
    folder = run_dir(where.results, settings.name, recipe)
    run = loop.Run(
        recipe, settings, folder, devices.resolve(device), where.data_root, where.lr_cache
    )
    path = loop.train(run, data)
    content = read(path)
    summary = {
        "method": method,
        "checkpoint": str(path),
        "steps": content["step"],
        "seconds": round(content["seconds"], 1),
        "validation": content["validation"],
    }
    if as_json:
        print_json(summary)
    else:
        echo(f"{path}: {summary['steps']} steps in {summary['seconds']} s")
