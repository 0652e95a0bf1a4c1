"""Search for the network that a command is to use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import torch

from baselines import parse
from harness.checkpoints import open_checkpoint, read, reference
from harness.checkpoints.subject import Subject, open_subject, ready_subjects
from harness.common.errors import HarnessError, UsageError
from harness.profiles import Profile
from harness.profiles.places import Places
from harness.profiles.recipe import make_recipe


def _checkpoints(method: str, profile: Profile, places: Places, seed: int) -> dict[Path, bool]:
    """List a method's checkpoints under a profile, on any data, and whether each is finished.

    The training data need not be available: recipes are compared without its fingerprint.
    """
    wanted = make_recipe(profile, method, seed, data="")
    folder = places.results / profile.name / "training" / wanted.method
    found = {}
    for path in sorted(folder.glob(f"s{seed}-*/checkpoint.pt")):
        content = read(path)
        if {**(content.get("recipe") or {}), "data": ""} == asdict(wanted):
            found[path] = bool(content.get("finished"))
    return found


def shipped_networks(method: str, profile: Profile, seed: int) -> list[Path]:
    """List the shipped network of a method, if it was trained as the profile says, or none.

    It is used under profiles that train nothing unasked.
    """
    wanted = make_recipe(profile, method, seed, data="")
    name = reference.name_of(wanted.method, seed)
    if profile.trains or name not in reference.names():
        return []
    recipe = {**(reference.about(name).content.get("recipe") or {}), "data": ""}
    return [Path(f"{reference.PREFIX}{name}")] if recipe == asdict(wanted) else []


def finished_checkpoints(method: str, profile: Profile, places: Places, seed: int) -> list[Path]:
    """List the checkpoint of a method that was trained to its end; empty where there is none.

    Raises:
        HarnessError: there are several, on different data.
    """
    found = _checkpoints(method, profile, places, seed)
    finished = [path for path, ended in found.items() if ended]
    if len(finished) > 1:
        raise _several(method, profile, finished)
    return finished


def _several(method: str, profile: Profile, found: Sequence[Path]) -> HarnessError:
    return HarnessError(
        f"{method} was trained under profile '{profile.name}' on different data: "
        + ", ".join(map(str, found)),
        "Name one of them with --checkpoint where a command takes it, or move the others away.",
    )


def trained_checkpoint(method: str, profile: Profile, places: Places) -> Path:
    """Find the checkpoint of a method under a profile, on any training data.

    A shipped network takes the place of one that was not trained to its end here.

    Raises:
        HarnessError: there is none, or there are several on different data; says what to do.
    """
    method = make_recipe(profile, method, profile.seeds[0], data="").method
    folder = places.results / profile.name / "training" / method
    trained = _checkpoints(method, profile, places, profile.seeds[0])
    shipped = shipped_networks(method, profile, profile.seeds[0])
    found = shipped if shipped and not any(trained.values()) else list(trained)
    if not found:
        raise HarnessError(
            f"{method} is not trained under profile '{profile.name}' (looked in {folder}).",
            f"Run `harness train {method} --profile {profile.source}`, or name a file with "
            "--checkpoint.",
        )
    if len(found) > 1:
        raise _several(method, profile, found)
    return found[0]


def with_budget(method: str | None, checkpoint: Path | None, budget: float) -> str:
    """Name the method that renders a method or a checkpoint within a budget.

    Raises:
        UsageError: neither is given, or it has no experts of different depth.
    """
    if method is None and checkpoint is None:
        raise UsageError("Name a method, or a file with --checkpoint.")
    own = method or open_checkpoint(str(checkpoint)).method
    if not own or not parse(own).head:
        raise UsageError("A budget is for networks with experts of different depth (MoEISR).")
    return f"{own}-budget{budget:.6f}".rstrip("0")


def find_subject(
    method: str | None,
    checkpoint: Path | None,
    profile: Profile,
    places: Places,
    device: torch.device,
) -> Subject:
    """Find the network named by a method, a checkpoint file, or both.

    A method without a file means its checkpoint under the profile; under a profile whose networks
    are shipped, also the shipped one. Nothing else is tried.

    Raises:
        UsageError: neither is given.
        HarnessError: it is not trained, half trained, or a file of another method.
    """
    if method is None and checkpoint is None:
        raise UsageError("Name a method, or a file with --checkpoint.")
    if method is not None and not parse(method).is_trained:
        if checkpoint is not None:
            raise UsageError(f"{method} has no checkpoints.")
        (subject,) = ready_subjects(method)
        return subject
    if checkpoint is not None:
        return open_subject(checkpoint, device, method)
    assert method is not None
    path = trained_checkpoint(method, profile, places)
    subject = open_subject(path, device, method)
    if not subject.finished:
        raise HarnessError(
            f"{method} is trained to step {subject.trained_steps} only under profile "
            f"'{profile.name}'.",
            f"Go on with `harness train {method} --profile {profile.source}`, or name the file "
            f"with --checkpoint {path}.",
        )
    return subject
