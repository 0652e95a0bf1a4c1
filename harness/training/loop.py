"""Training loop: visible, resumable, exact.

Everything random is a function of (seed, step): samples (`harness.training`) and the Gumbel noise
(reseeded each step). So a checkpoint needs only weights, optimiser and step, and a run that was
killed at any moment ends with the same weights, on a CPU bit for bit. Several processes share out
the samples of each batch (`harness.training.world`); the first of them reads and writes the run's
folder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness import checkpoints
from harness.common.device import describe, keep_freed_memory
from harness.common.errors import HarnessError
from harness.common.files import write_text
from harness.common.locks import held
from harness.common.progress import bar, say
from harness.common.stopping import stoppable
from harness.common.versions import versions
from harness.data.sets import Dataset, find
from harness.profiles import Profile, Training, description
from harness.profiles.recipe import Recipe
from harness.training.dense import DenseSource
from harness.training.log import Log
from harness.training.losses import compiled, losses
from harness.training.patches import PatchSource
from harness.training.step import State, learning_rate, new_state, optimise
from harness.training.validation import Validator
from harness.training.world import ALONE, World

Source = PatchSource | DenseSource

LOG_EVERY = 50
SHOW_EVERY = 10
FAILURE = "failure.txt"


def source_of(settings: Training) -> type[PatchSource | DenseSource]:
    """Choose the kind of samples of a method: random queries, or whole HR crops."""
    return DenseSource if settings.dense else PatchSource


def _step_seed(seed: int, step: int) -> int:
    """Make the seed of a step's noise; different from the seed of the initial weights."""
    return (seed + 1) * 1_000_003 + step


def _content(path: Path, recipe: Recipe) -> dict[str, Any]:
    """Read a checkpoint, which must be of the recipe that its folder is named by."""
    content = checkpoints.read(path)
    if content.get("recipe") != asdict(recipe):
        raise HarnessError(
            f"{path} was trained with another recipe than its folder says.",
            "Delete the folder to train again.",
        )
    return content


def _facts(run: Run, data: Dataset) -> dict[str, Any]:
    """Describe a run for all its checkpoints; once, since this takes longer than a step."""
    recipe = run.recipe
    return {
        "method": recipe.method,
        "build": recipe.build,
        "rng": {"rule": "everything random is a function of (seed, step)", "seed": recipe.seed},
        "recipe": asdict(recipe),
        "recipe_fingerprint": recipe.fingerprint,
        "profile": run.profile.model_dump(mode="json"),
        "origin": description.origin(run.profile, data, recipe.method),
        "trained_on": {
            "caption": data.caption(),
            "images": len(data.items),
            "complete": data.complete,
            "fingerprint": recipe.data,
        },
        "versions": versions(),
    }


@contextmanager
def _sole_trainer(run: Run, wait: bool) -> Iterator[None]:
    """Hold the lock of a run; why training fails, if it does, stays in its folder."""
    folder = run.folder
    with held(folder / "lock", f"training in {folder}", wait):
        # Remains of a killed run; nobody else writes here while the lock is held.
        for unfinished in folder.glob(".*-*"):
            unfinished.unlink(missing_ok=True)
        run.failure.unlink(missing_ok=True)
        try:
            yield
        except HarnessError as error:
            with suppress(HarnessError, OSError):  # on a full disk too, the error itself is told
                write_text(run.failure, f"{error}\n")
            raise


@dataclass(frozen=True)
class Run:
    """Training run: recipe, folder and device."""

    recipe: Recipe
    profile: Profile
    folder: Path
    device: torch.device
    data_root: Path | None = None
    cache: Path | None = None

    @property
    def settings(self) -> Training:
        """Schedule of the method."""
        return self.profile.training.for_method(self.recipe.trained)

    @property
    def checkpoint(self) -> Path:
        """Path of the run's only checkpoint, the newest."""
        return self.folder / "checkpoint.pt"

    @property
    def failure(self) -> Path:
        """Path of the reason why training failed the last time, if it did."""
        return self.folder / FAILURE

    def is_finished(self) -> bool:
        """Tell whether the run has reached its last step.

        Raises:
            HarnessError: its checkpoint cannot be read, or is of another recipe.
        """
        path = self.checkpoint
        return path.exists() and bool(_content(path, self.recipe).get("finished"))


def train(run: Run, data: Dataset, wait: bool = False, world: World = ALONE) -> Path:
    """Train, or continue training, until the last step.

    Args:
        run: the run.
        data: the training set, whose fingerprint is in the recipe.
        wait: whether to wait for another process that trains this, instead of raising `BusyError`.
        world: processes that train this together.

    Returns:
        Path of the checkpoint.

    Raises:
        BusyError: another process trains this run.
        HarnessError: the folder is unwritable, images are unsuitable, a loss is not finite, or
            another process of the training has ended.
        KeyboardInterrupt: after Ctrl-C or SIGTERM, with the work saved.
    """
    keep_freed_memory()
    with _sole_trainer(run, wait) if world.leads else nullcontext():
        state = new_state(run.recipe, run.settings, run.device)
        # Read by one process: others may see an older file for a while (NFS).
        path, recipe = run.checkpoint, run.recipe
        if stored := world.from_leader(lambda: _content(path, recipe) if path.exists() else None):
            state.restore(stored, f"checkpoint {path}")
        total = run.settings.total_steps(len(data.items))
        # A finished run, which another process may have trained meanwhile, reads no images.
        if state.step < total or not total:
            made_by = source_of(run.settings)
            source = made_by(data, run.settings, run.recipe.seed, run.device, world)
            parameters = sum(p.numel() for p in state.model.parameters())
            start = f"from step {state.step} " if state.step else ""
            times = f"{world.size} x " if world.size > 1 else ""
            say(
                f"Training {run.recipe.method} ({parameters:,} parameters) {start}to step "
                f"{total} on {times}{describe(run.device)}: {run.folder}"
            )
            _loop(run, state, source, total, data, world)
    return run.checkpoint


def _loop(run: Run, state: State, source: Source, total: int, data: Dataset, world: World) -> None:
    settings = run.settings
    first, before, start = state.step, state.seconds, time.monotonic()
    record = _Record(run, state, source.per_epoch, total, data) if world.leads else None
    objective = compiled(losses) if settings.compile else losses
    with bar(run.recipe.method, total, first) as progress, stoppable() as stop:
        for step in range(first, total):
            noise = _step_seed(run.recipe.seed, step)
            rate = learning_rate(settings, step, source.per_epoch)
            batch = source.batch(step)
            values = optimise(state, batch, settings, rate, noise, objective, world)
            state.step += 1
            spent = time.monotonic() - start
            state.seconds = before + spent
            # Reading a number waits for the device, and several processes for each other: rarely.
            shown = state.step % SHOW_EVERY == 0
            stops = stop.requested
            if world.size > 1:
                stops = shown and world.any_of(stop.requested, run.device)
            if record is not None:
                record.add(values, rate, stops)
                if shown:
                    speed = (state.step - first) / max(spent, 1e-9)
                    progress.note = f"L1 {values['l1'].item():.4f}  {speed:.1f} it/s"
                    progress.note += _validation_in_words(settings, state.validation)
            progress.advance()
            if stops:
                break
        # Asked for during the last step, too. No process leaves before the first has saved.
        if world.any_of(stop.requested, run.device):
            raise KeyboardInterrupt


class _Record:
    """Log, validation and checkpoints of a run from its first step here."""

    def __init__(self, run: Run, state: State, per_epoch: int, total: int, data: Dataset) -> None:
        self.run, self.state, self.per_epoch, self.total = run, state, per_epoch, total
        self.log = Log(run.folder / "log.jsonl", state.step, run.recipe.fingerprint)
        self.validator: Validator | None = None
        self.validates = math.inf  # every so many steps
        if (of := run.settings.validation) and not state.model.refusal(of.scale):
            self.validator = Validator(of, find(of.dataset, run.data_root), run.cache)
            self.validates = per_epoch * of.every_epochs
        self.facts = {**_facts(run, data), "total_steps": total}

    def add(self, values: dict[str, Tensor], rate: float, stops: bool) -> None:
        """Write what is due after a step; a checkpoint also if training stops here."""
        state, settings, ends = self.state, self.run.settings, self.state.step == self.total
        if state.step % LOG_EVERY == 0 or ends:
            _check_finite(self.run, state, values)
            numbers = {name: value.item() for name, value in values.items()}
            epoch = (state.step - 1) // self.per_epoch
            self.log.add(step=state.step, epoch=epoch, lr=rate, seconds=state.seconds, **numbers)
        if self.validator is not None and (state.step % self.validates == 0 or ends):
            state.validation = {"step": state.step, "psnr": self.validator(state.measured)}
            self.log.add(step=state.step, validation_psnr=state.validation["psnr"])
        if state.step % settings.checkpoint_every == 0 or ends or stops:
            _check_finite(self.run, state, values)
            content = {**self.facts, **state.content(), "finished": ends}
            checkpoints.save(self.run.checkpoint, content)


def _validation_in_words(settings: Training, found: Mapping[str, float]) -> str:
    """Describe the newest validation for the line of progress; "" where there is none yet."""
    if not found:
        return ""
    # The average begins with the initial weights: in the profile reference, LIIF has 31.4 dB while
    # they are 1.8 % of it, and 36.2 dB at 0.3 %.
    initial = settings.ema ** found["step"]
    of = f" (of averaged weights, still {initial:.1%} initial ones)" if initial >= 0.001 else ""
    return f"  validation {found['psnr']:.2f} dB{of}"


def _check_finite(run: Run, state: State, values: dict[str, Tensor]) -> None:
    """Check the loss before logging and saving, so that a good checkpoint is never replaced."""
    loss = values["loss"].item()
    if math.isfinite(loss) and all(bool(p.isfinite().all()) for p in state.model.parameters()):
        return
    raise HarnessError(
        f"{run.recipe.method}: the loss is {loss} at step {state.step}, or a weight not finite.",
        f"The last good checkpoint stays in {run.folder}. Lower `lr` or use precision fp32.",
    )
