"""Recipes: all that decides the weights of a trained network."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines import Method, parse
from baselines.registry import ENCODERS
from harness.common import checksums
from harness.common.errors import UsageError

if TYPE_CHECKING:
    from harness.profiles import Profile

RECIPE_SCHEMA = 2
# The noise of a step has a seed of 64 bits that is made of this one (`harness.training.loop`).
LARGEST_SEED = 18_000_000_000_000


@dataclass(frozen=True)
class Recipe:
    """Method, network, schedule, data and seed of one training run.

    Attributes:
        build: keyword arguments for `baselines.build`.
        training: settings of the profile's training that change the weights.
        data: fingerprint of the training set.
    """

    method: str
    build: dict[str, Any]
    training: dict[str, Any]
    data: str
    seed: int
    schema: int = RECIPE_SCHEMA

    @property
    def trained(self) -> Method:
        """Method that is trained."""
        return parse(self.method)

    @property
    def fingerprint(self) -> str:
        """Ten hexadecimal digits that change with anything above."""
        return checksums.fingerprint(asdict(self))


def make_recipe(profile: Profile, method: str, seed: int, data: str) -> Recipe:
    """Make the recipe of a method's weights under a profile, on data with this fingerprint."""
    if seed > LARGEST_SEED:
        raise UsageError(f"The seed {seed} is too large; the largest is {LARGEST_SEED}.")
    trained = parse(parse(method).weights)
    return Recipe(
        method=trained.name,
        build=_explicit(profile.networks.options(trained), trained),
        training=profile.training.decisive(trained),
        data=data,
        seed=seed,
    )


def _explicit(build: dict[str, Any], method: Method) -> dict[str, Any]:
    """Add the rate of stochastic depth to the options, where the encoder has one, even if usual.

    Networks that were trained before encoders had it must not be taken for trained with it.
    """
    maker = ENCODERS.get(method.encoder)
    rate = inspect.signature(maker).parameters.get("drop_path") if maker else None
    if rate is None:
        return build
    return {**build, "encoder": {"drop_path": rate.default, **build["encoder"]}}


def run_dir(results: Path, profile: str, recipe: Recipe) -> Path:
    """Return the folder of a training run: a changed recipe trains elsewhere."""
    name = f"s{recipe.seed}-{recipe.fingerprint}"
    return results / profile / "training" / recipe.method / name
