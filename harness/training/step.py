"""Training step, and the state that it changes: weights, optimiser, average."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from baselines import build
from baselines.base import SRModel
from baselines.shared_batch import sharing
from harness import checkpoints
from harness.checkpoints import reference
from harness.checkpoints.state_dicts import DAMAGE, load_strictly
from harness.common.errors import HarnessError, UsageError
from harness.profiles import Training
from harness.profiles.recipe import Recipe
from harness.training.dense import DenseBatch
from harness.training.losses import Objective
from harness.training.patches import Batch
from harness.training.world import ALONE, World
from harness.upscale.network import autocast

_ENCODER = "encoder."


def averaged(model: SRModel, decay: float) -> AveragedModel:
    """Make a running average of weights: after a step, decay * average + (1 - decay) * weights.

    As in BasicSR's `model_ema`, it starts at the initial weights: short runs want a small decay
    (after 500 steps at 0.999, 0.61 of the average is still the initial weights). Its `module` is a
    network with the averaged weights, in evaluation mode; buffers are copied from the network.
    """
    rule = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    found = AveragedModel(model, multi_avg_fn=rule)
    found.n_averaged += 1  # the initial weights
    return found.eval().requires_grad_(False)


@dataclass
class State:
    """State of a training run between two steps.

    Attributes:
        balance: weights w_j of the balance loss; None for ones.
        average: running average of the weights; None where the weights themselves are measured.
    """

    model: SRModel
    optimizer: torch.optim.Adam
    balance: list[float] | None = None
    average: AveragedModel | None = None
    step: int = 0
    seconds: float = 0.0
    validation: dict[str, float] = field(default_factory=dict)

    @property
    def measured(self) -> SRModel:
        """Network that is measured: with averaged weights, if there are any."""
        return self.model if self.average is None else cast(SRModel, self.average.module)

    def content(self) -> dict[str, Any]:
        """Return its part of a checkpoint: `state_dict` is measured, `unaveraged` trained on."""
        found: dict[str, Any] = {
            "state_dict": _on_cpu(self.measured),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "validation": self.validation,
        }
        return found if self.average is None else {**found, "unaveraged": _on_cpu(self.model)}

    def restore(self, content: dict[str, Any], source: str) -> None:
        """Continue from a checkpoint's content; `source` is its name in errors.

        Raises:
            HarnessError: the weights or averages are of another network.
        """
        load_strictly(self.measured, content["state_dict"], source)
        try:
            # A finished run may lack the weights that only training needs.
            kept = "state_dict" if content.get("finished") else "unaveraged"
            if self.average is not None:
                load_strictly(self.model, content.get("unaveraged", content[kept]), source)
            restore_optimizer(self.optimizer, content["optimizer"])
            self.step, self.seconds = content["step"], content["seconds"]
            averages = content["optimizer"]["state"].values()
            averaged = max((int(each["step"]) for each in averages), default=0)
            # The encoder has a gradient in every step. A finished run may lack all averages.
            needed = averages or not content.get("finished")
            if needed and averaged != self.step:
                raise ValueError(f"its step is {self.step}, its optimizer's {averaged}")
            self.validation = dict(content["validation"])
        except DAMAGE as error:
            raise HarnessError(
                f"The training cannot go on from {source}: {error!r:.500}",
                "Delete its folder to train again.",
            ) from error


def _on_cpu(model: SRModel) -> dict[str, Tensor]:
    return {name: value.detach().cpu() for name, value in model.state_dict().items()}


def learning_rate(settings: Training, step: int, per_epoch: int) -> float:
    """Compute Adam's rate at a step (from 0): multiplied by gamma at every milestone."""
    passed = settings.passed(step, per_epoch)
    return settings.lr * settings.gamma ** bisect_right(settings.milestones, passed)


def new_state(recipe: Recipe, settings: Training, device: torch.device) -> State:
    """Make the state of a run before its first step.

    Raises:
        UsageError: settings do not suit the network.
    """
    torch.manual_seed(recipe.seed)
    model = build(recipe.method, **recipe.build)
    if next(model.parameters(), None) is None:
        raise HarnessError(f"{recipe.method} has nothing to train.")
    check_patch(recipe.method, settings.patch, model.window)
    unknown = set(settings.scales) - set(model.scales or settings.scales)
    if unknown:
        raise UsageError(
            f"{recipe.method} is to be trained at {_listed(settings.scales)}, but has "
            f"{_listed(model.scales or ())}. Change `scales` in the profile's training, or the "
            "network's."
        )
    weights = _balance_weights(recipe, model)
    if settings.frozen_encoder:
        _take_encoder(recipe.method, model, settings.frozen_encoder)
    model.to(device).train()
    average = averaged(model, settings.ema) if settings.ema else None
    return State(model, make_optimizer(model, settings), weights, average)


def make_optimizer(model: SRModel, settings: Training) -> torch.optim.Adam:
    """Make a fused Adam: one pass over all parameters instead of many small operations for each."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.Adam(trained, lr=settings.lr, betas=settings.betas, fused=True)


def _take_encoder(method: str, model: SRModel, shipped: str) -> None:
    """Give a network the encoder of a shipped one (`NAME@HASH`), which is not trained.

    Raises:
        UsageError: no such network is shipped, or another version of it.
        HarnessError: its encoder does not fit.
    """
    name, pinned = shipped.split("@")
    about = reference.about(name)
    if not about.shipped.weights.startswith(pinned):
        raise UsageError(
            f"The profile's `frozen_encoder` is {shipped}; the {name} that comes with this version "
            f"is {name}@{about.shipped.weights[:10]}.",
            "Change it in the profile: networks are then trained anew.",
        )
    state = checkpoints.read(Path(f"{reference.PREFIX}{name}"))["state_dict"]
    own = {key.removeprefix(_ENCODER): v for key, v in state.items() if key.startswith(_ENCODER)}
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise UsageError(f"{method} has no encoder of its own to take that of {shipped}.")
    load_strictly(encoder, own, f"the encoder of {shipped}")
    encoder.requires_grad_(False)


def restore_optimizer(optimizer: torch.optim.Adam, stored: dict[str, Any]) -> None:
    """Restore Adam's averages from a checkpoint; its settings stay those of the recipe.

    Raises:
        harness.checkpoints.state_dicts.DAMAGE: the averages do not belong to these weights.
    """
    groups = optimizer.param_groups
    weights = dict(enumerate(weight for group in groups for weight in group["params"]))
    for index, averages in stored["state"].items():
        whole = weights[index].shape
        shapes = {"step": torch.Size(), "exp_avg": whole, "exp_avg_sq": whole}
        if {name: value.shape for name, value in averages.items()} != shapes:
            raise ValueError(f"the optimizer's averages of weight {index} are not of that weight")
        if not all(bool(value.isfinite().all()) for value in averages.values()):
            raise ValueError(f"the optimizer's averages of weight {index} are not finite")
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": stored["state"], "param_groups": settings})


def check_patch(method: str, patch: int, window: int) -> None:
    """Check that a training patch has whole windows: it is not extended, as in evaluation.

    Raises:
        UsageError: the patch is no whole number of windows.
    """
    if patch % window:
        raise UsageError(
            f"{method} works on windows of {window} pixels; `patch` ({patch}) must be a multiple "
            "of that."
        )


def _listed(scales: Sequence[int]) -> str:
    return ", ".join(f"x{scale}" for scale in scales)


def _balance_weights(recipe: Recipe, model: SRModel) -> list[float] | None:
    """Return w_j: the profile's, changed by the method's name; None for ones."""
    weights = recipe.training.get("balance_weights")
    changed = recipe.trained.changes.balance
    if not (weights or changed):
        return None
    experts = model.expert_count
    if weights and len(weights) != experts:
        raise UsageError(
            f"{recipe.method} has {experts} experts, `balance_weights` {len(weights)} numbers."
        )
    given = list(weights or [1.0] * experts)
    return [changed.get(number, weight) for number, weight in enumerate(given, start=1)]


def optimise(
    state: State,
    batch: Batch | DenseBatch,
    settings: Training,
    rate: float,
    noise: int,
    objective: Objective,
    world: World = ALONE,
) -> dict[str, Tensor]:
    """Train a network for one step; its state is changed but for `step`.

    Args:
        state: network, optimiser and average.
        batch: own samples of the batch, on the network's device.
        settings: precision, and settings of the objective.
        rate: learning rate.
        noise: seed of the Gumbel noise.
        objective: `losses`, or its compiled form.
        world: processes that have the other samples.

    Returns:
        `loss` and its parts (`harness.training.losses.losses`) of the whole batch, detached;
        reading them waits for the device.
    """
    torch.manual_seed(noise)
    for group in state.optimizer.param_groups:
        group["lr"] = rate
    state.optimizer.zero_grad(set_to_none=True)
    part = world.part(settings.batch)
    with sharing(part), autocast(batch.lr.device, settings.precision):
        values = objective(state.model, batch, settings, state.balance)
    values["loss"].backward()  # type: ignore[no-untyped-call]
    world.add_gradients(state.model)
    state.optimizer.step()
    if state.average is not None:
        state.average.update_parameters(state.model)
    return {name: value.detach() for name, value in values.items()}
