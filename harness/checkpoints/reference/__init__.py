"""Networks that come with the package: one safetensors file each, named `reference:NAME`.

`harness ship` writes the files. Each holds what a checkpoint holds (method, recipe, seed, steps,
training set, profile) and under `shipped` what `Shipped` has.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from baselines import parse
from baselines.registry import unknown
from harness.checkpoints.safetensors_files import SUFFIX, read_safetensors
from harness.common.errors import HarnessError, UsageError

PREFIX = "reference:"
FOLDER = Path(__file__).parent


class Shipped(BaseModel):
    """Facts about a shipped network that a checkpoint does not have.

    Attributes:
        weights: hash of the shipped weights, as rows have it.
        original_weights: hash of the checkpoint that they were made from.
        precision: type of the stored weights, fp16 or fp32.
        dataset: set that the shipped weights were compared with the original ones on.
        scale: scale of that comparison.
        psnr: PSNR of the shipped weights there, in dB.
        original_psnr: PSNR of the original ones.
        curve: training curve: for some steps, loss and L1, PSNR of the validation, or both.
        terms: terms of the training data.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: str
    original_weights: str
    precision: str
    dataset: str
    scale: float
    psnr: float
    original_psnr: float
    curve: list[dict[str, float]]
    terms: str


@dataclass(frozen=True)
class About:
    """Description of a shipped network, as a checkpoint has it, read without its weights."""

    name: str
    shipped: Shipped
    content: dict[str, Any]

    @property
    def method(self) -> str:
        """Name of the method."""
        return str(self.content["method"])

    def in_words(self) -> str:
        """Describe how good it is, and what it was trained on for how long."""
        facts, content = self.shipped, self.content
        return (
            f"{facts.psnr:.2f} dB on {facts.dataset} at x{facts.scale:g}; profile "
            f"{content['profile']['name']}, seed {content['recipe']['seed']}, "
            f"{content['step']:,} steps on {content['recipe']['training']['dataset']}; "
            f"weights {facts.weights[:10]} as {facts.precision}"
        )


def name_of(method: str, seed: int) -> str:
    """Make the name of a method's shipped network; seed 0 is not named.

    Example:
        >>> name_of("edsr-liif", 0), name_of("edsr-liif", 1)
        ('edsr-liif', 'edsr-liif-seed1')
    """
    return method if seed == 0 else f"{method}-seed{seed}"


def names() -> list[str]:
    """List the names of the shipped networks."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def is_shipped(path: Path | str | None) -> bool:
    """Tell whether a path names a shipped network."""
    return str(path).startswith(PREFIX)


def located(path: Path | str) -> Path:
    """Return the file that a path names; `reference:NAME` is that of a shipped network.

    Raises:
        UsageError: no network of this name is shipped; the message names the nearest, and all.
    """
    if not is_shipped(path):
        return Path(path)
    name = str(path).removeprefix(PREFIX)
    if name not in names():
        raise UsageError(
            unknown("shipped network", name, names()),
            "`harness train METHOD` trains others, and --checkpoint FILE names any network.",
        )
    return FOLDER / f"{name}{SUFFIX}"


def about(name: str) -> About:
    """Read what a shipped network says of itself; HarnessError where it is damaged."""
    content = read_safetensors(located(f"{PREFIX}{name}"), weights=False)
    try:
        return About(name, Shipped.model_validate(content["shipped"]), content)
    except (KeyError, ValidationError) as error:
        raise HarnessError(
            f"The shipped network {name} does not say how it was made ({error}).",
            "Install the harness again.",
        ) from error


def best() -> str:
    """Name the shipped network of any scale with the highest PSNR, as a checkpoint's path."""
    found = [each for each in map(about, names()) if parse(each.method).only_scales is None]
    if not found:
        raise UsageError("No network comes with this version; name a method, or a --checkpoint.")
    return f"{PREFIX}{max(found, key=lambda each: each.shipped.psnr).name}"
