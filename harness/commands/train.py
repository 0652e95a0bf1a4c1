"""`harness train`: one training run."""

from __future__ import annotations

from dataclasses import replace

import click

from harness.commands.options import Setup, json_option, show, with_setup


@click.command(
    epilog="Example: harness train edsr-moeisr-liif-s --profile bsds --data-root ~/data",
    no_args_is_help=True,
)
@click.argument("method")
@with_setup("profile", "data_root", "device", "results")
@click.option("--seed", type=click.IntRange(min=0), help="Default: the profile's first seed.")
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    metavar="N",
    help="Train on N devices, or by N processes on a CPU; each has a share of every batch. "
    "Started by torchrun or srun, it finds out itself; see docs/clusters.md.",
)
@click.option(
    "--wait", is_flag=True, help="Wait for another process that trains this, instead of refusing."
)
@json_option
def train(method: str, setup: Setup, seed: int | None, devices: int | None, wait: bool) -> None:
    """Train METHOD under a profile, or go on with a run that was stopped.

    The run's folder holds the newest checkpoint and a log. Stopping it at any moment loses
    nothing: on a CPU, the weights at the end are the same, bit for bit. The number of devices may
    change in between: samples stay the same, and weights but for rounding.
    """
    from baselines import parse
    from harness.checkpoints import read
    from harness.common.errors import UsageError
    from harness.common.progress import say
    from harness.profiles import description
    from harness.runs.job import training_run
    from harness.training import loop
    from harness.training.world import joined

    if not parse(method).is_trained:
        raise UsageError(f"{method} has nothing to train.")
    profile, places = setup.profile, setup.places
    data = setup.dataset(profile.training.dataset)
    seed = profile.seeds[0] if seed is None else seed
    run = training_run(profile, places, setup.device, method, seed, data.fingerprint)
    with joined(devices, setup.device) as (world, device):
        for warning in description.full_size_warning(profile, [method]):
            say(warning)
        path = loop.train(replace(run, device=device), data, wait, world)
    if not world.leads:
        return
    stored = read(path)
    content = {
        "method": method,
        "checkpoint": path,
        "steps": stored["step"],
        "seconds": round(stored["seconds"], 1),
        "validation": stored["validation"],
    }
    show(content, f"{path}: {content['steps']} steps in {content['seconds']} s")
