"""Subjects of measurements: a method with its network and the network's origin."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from baselines import build, parse
from baselines.base import SRModel
from baselines.shapes import shapes_only
from harness import checkpoints
from harness.checkpoints.store import TrainedOn
from harness.common.errors import HarnessError
from harness.common.files import plain_name
from harness.profiles import Profile


@dataclass(frozen=True)
class Subject:
    """Method that is ready to be measured, with its network in evaluation mode on its device.

    Attributes:
        weights: hash of the weights, or of the shapes where there are no weights; "" where there
            is no network (bicubic).
        recipe: fingerprint of how it was trained; "" for official checkpoints and bicubic.
        finished: whether its training reached the last step.
        profile: profile that it was trained under; "" for official checkpoints and bicubic.
        origin: origin of the network, in words.
        training: training set.
        counts_only: whether there are no weights, so that only MACs can be measured.
        published_sizes: whether the network has the published sizes, whatever the profile's: its
            costs are counted at the experiment's fixed sizes, and nothing else is measured of it.
    """

    method: str
    model: SRModel
    device: torch.device
    seed: int = 0
    weights: str = ""
    recipe: str = ""
    trained_steps: int = 0
    finished: bool = True
    profile: str = ""
    origin: str = "nothing is trained"
    training: TrainedOn | None = None
    counts_only: bool = False
    published_sizes: bool = False

    @cached_property  # asked for every image
    def parameters(self) -> int | None:
        """Number of trainable parameters; None where it is unknown."""
        return self.model.parameter_count

    @property
    def expert_depths(self) -> list[int]:
        """Number of linear layers of each expert; empty without experts."""
        return list(self.model.expert_depths)


def ready_subjects(method: str) -> list[Subject]:
    """Make the subjects of a method that needs no checkpoint: bicubic, or one from outside.

    Of SR images there is a subject for each data set and scale.
    """
    return [
        Subject(method, part.eval(), torch.device("cpu"), weights=part.identity, origin=part.origin)
        for part in build(method).parts
    ]


def open_subject(path: Path, device: torch.device, method: str | None = None) -> Subject:
    """Open the subject of a checkpoint. Raises: as `harness.checkpoints.open_checkpoint`."""
    loaded = checkpoints.open_checkpoint(path, method)
    recipe, trained_on = loaded.meta.get("recipe"), loaded.meta.get("trained_on")
    try:
        name = plain_name(loaded.method or loaded.meta.get("name") or path.stem)
    except ValueError as error:
        raise HarnessError(
            f"Measurements of {path} would be called by its name: {error}.",
            "Rename it, or give it a name with `harness import-checkpoint --name`.",
        ) from error
    return Subject(
        method=name,
        model=loaded.model.to(device),
        device=device,
        seed=recipe["seed"] if recipe else 0,
        weights=loaded.weights,
        recipe=loaded.meta.get("recipe_fingerprint", ""),
        trained_steps=loaded.meta.get("step", 0),
        finished=loaded.meta.get("finished", True),
        profile=(loaded.meta.get("profile") or {}).get("name", ""),
        training=TrainedOn.model_validate(trained_on) if trained_on else None,
        # Files that were written until November 2026 have another word for it.
        origin=loaded.meta.get(
            "origin", f"{path.name}, which does not say how it was trained"
        ).replace("STAND-IN, not", "REDUCED SETTING, not"),
    )


def shapes_subject(method: str, profile: Profile, published: bool = False) -> Subject:
    """Make a method's network under a profile without weights, to count its MACs.

    Decoders with experts do not suit: their cost depends on the weights. For a network that chooses
    experts for whole images, the most expensive ones are counted. `published`: at the published
    sizes, whatever the profile's.
    """
    options = {} if published else profile.networks.options(parse(method))
    with shapes_only():
        model = build(method, **options).eval()
    shapes = sorted((key, tuple(value.shape)) for key, value in model.state_dict().items())
    digest = hashlib.sha256(repr(shapes).encode()).hexdigest()
    return Subject(
        method,
        model,
        torch.device("cpu"),
        seed=profile.seeds[0],
        weights=f"shapes-{digest}",
        profile=profile.name,
        origin="not trained: its MACs follow from its shapes"
        + (", the dearest expert in every layer" if model.expert_count > 1 else ""),
        counts_only=True,
        published_sizes=published,
    )
