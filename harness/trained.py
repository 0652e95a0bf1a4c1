"""Finding the network that a command is to use."""

from __future__ import annotations

from pathlib import Path

import torch

from baselines import build, parse
from harness.data.sets import find
from harness.errors import HarnessError, UsageError
from harness.evaluation import Subject, open_subject
from harness.places import Places
from harness.profiles import Profile
from harness.recipe import make_recipe, run_dir


def trained_checkpoint(method: str, profile: Profile, places: Places) -> Path:
    """The finished checkpoint of a method under a profile.

    Raises:
        HarnessError: when it is not trained, or not to the end; says how to.
    """
    data = find(profile.training.dataset, places.data_root)
    recipe = make_recipe(profile, method, profile.seeds[0], data)
    path = run_dir(places.results, profile.name, recipe) / "checkpoint.pt"
    command = f"harness train {method} --profile {profile.name}"
    if not path.exists():
        raise HarnessError(
            f"{method} is not trained under profile '{profile.name}' ({path.parent} is empty).",
            f"Run `{command}`, or name a file with --checkpoint.",
        )
    return path


def find_subject(
    method: str | None,
    checkpoint: Path | None,
    profile: Profile,
    places: Places,
    device: torch.device,
) -> Subject:
    """The network named by a method, a checkpoint file, or both.

    A method without a file means its checkpoint under the profile; nothing else is tried.

    Raises:
        UsageError: neither is given.
        HarnessError: not trained, half trained, or a file of another method.
    """
    if method is None and checkpoint is None:
        raise UsageError("Name a method, or a file with --checkpoint.")
    if method is not None and not parse(method).encoder:
        if checkpoint is not None:
            raise UsageError(f"{method} has no checkpoints.")
        return Subject(method, build(method).eval(), torch.device("cpu"))
    if checkpoint is not None:
        return open_subject(checkpoint, device, method)
    assert method is not None
    path = trained_checkpoint(method, profile, places)
    subject = open_subject(path, device, method)
    if not subject.finished:
        raise HarnessError(
            f"{method} is trained to step {subject.trained_steps} only under profile "
            f"'{profile.name}'.",
            f"Go on with `harness train {method} --profile {profile.name}`, or name the file "
            f"with --checkpoint {path}.",
        )
    return subject
