"""State of a results folder: which trainings and experiments run, wait, stopped or are done."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import checkpoints
from harness.checkpoints import reference
from harness.common.errors import HarnessError, UsageError
from harness.common.locks import holder, is_held
from harness.measure.rows import CellFile
from harness.runs.plan import StoredPlan, load_plan, measurements_dir
from harness.training.log import read_log
from harness.training.loop import FAILURE

RUNNING, STOPPED, DONE, WAITING = "running", "stopped", "done", "waiting"
DAMAGED, FAILED = "damaged", "failed"


@dataclass(frozen=True)
class TrainingState:
    """State of one training run.

    Attributes:
        state: running, stopped (the same command goes on), waiting (not begun), done, failed (with
            an error that is not of a signal) or damaged.
        step: newest step that its log or its checkpoint has.
        total: number of steps; None before the first checkpoint.
        speed: steps per second between the newest lines of its log; None where there are not two.
        l1: newest L1 loss; None without a log.
        validation: newest PSNR of validation in dB; None without one.
        note: process that holds its lock, why it failed, or what is damaged; "" if neither.
        folder: folder of the run.
        shipped: whether its network comes with the package, so that it may not be of this machine.
    """

    method: str
    seed: int
    state: str
    step: int
    total: int | None
    speed: float | None
    l1: float | None
    validation: float | None
    note: str
    folder: Path
    shipped: bool

    @property
    def seconds_left(self) -> float | None:
        """Seconds that a running training still takes; None where that is unknown."""
        if self.state != RUNNING or not self.speed or self.total is None:
            return None
        return (self.total - self.step) / self.speed


@dataclass(frozen=True)
class ExperimentState:
    """State of the cells of one experiment.

    Attributes:
        state: running (a process writes one of its cells), waiting, done or damaged.
        cells, images: number of planned cells, and of images in them.
        measured_cells, measured_images: number of them that are measured.
        note: what is damaged; "" if nothing is.
    """

    experiment: str
    state: str
    cells: int
    measured_cells: int
    images: int
    measured_images: int
    note: str


def trainings(results: Path, profile: str) -> list[TrainingState]:
    """Find out how far each training of a profile is, by method and seed."""
    folders = sorted((results / profile / "training").glob("*/s*-*"))
    shipped = {reference.about(name).shipped.original_weights for name in reference.names()}
    return [_training(folder, shipped) for folder in folders if folder.is_dir()]


def _training(folder: Path, shipped: Container[str]) -> TrainingState:
    lines = read_log(folder / "log.jsonl")
    steps = [line for line in lines if "seconds" in line]
    content: dict[str, Any] = {}
    note = ""
    if (folder / "checkpoint.pt").exists():
        try:
            content = checkpoints.read(folder / "checkpoint.pt")
        except HarnessError as error:
            note = str(error)
    held = is_held(folder / "lock")
    finished = bool(content.get("finished"))
    state = DAMAGED if note else DONE if finished else RUNNING if held else STOPPED
    if state == RUNNING:
        note = holder(folder / "lock")
    elif state == STOPPED and (folder / FAILURE).exists():
        state, note = FAILED, _reason(folder / FAILURE)
    elif state == STOPPED and not (content or steps):
        state = WAITING
    newest = max([int(content.get("step", 0)), *(int(line["step"]) for line in steps[-1:])])
    return TrainingState(
        method=folder.parent.name,
        seed=int(folder.name[1:].partition("-")[0]),
        state=state,
        # A run that was stopped goes on from its checkpoint, whatever its log has behind it.
        step=newest if state == RUNNING else int(content.get("step", 0)),
        total=int(content["total_steps"]) if "total_steps" in content else None,
        speed=_speed(steps),
        l1=steps[-1].get("l1") if steps else None,
        validation=next(
            (x["validation_psnr"] for x in lines[::-1] if "validation_psnr" in x), None
        ),
        note=note,
        folder=folder,
        shipped=finished and checkpoints.weights_hash(content["state_dict"]) in shipped,
    )


def _reason(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError as error:
        return f"{path}: {error.strerror or error}"


def _speed(steps: list[dict[str, float]]) -> float | None:
    """Compute steps per second over the last lines of a log, at most five."""
    if len(steps) < 2:
        return None
    first, last = steps[-5:][0], steps[-1]
    seconds = last["seconds"] - first["seconds"]
    return (last["step"] - first["step"]) / seconds if seconds > 0 else None


def experiments(results: Path, profile: str) -> list[ExperimentState]:
    """Find out how far the measuring of each experiment of a profile is."""
    plans = sorted((results / profile).glob("*/plan.json"))
    return [_experiment(results, path) for path in plans]


def _experiment(results: Path, path: Path) -> ExperimentState:
    name = path.parent.name
    try:
        plan = load_plan(path)
        cells = list(_cells(plan, measurements_dir(results, plan.profile)))
    except HarnessError as error:
        return ExperimentState(name, DAMAGED, 0, 0, 0, 0, str(error))
    done = sum(measured >= planned for measured, planned, _ in cells)
    state = DONE if done == len(cells) else WAITING
    return ExperimentState(
        name,
        RUNNING if any(held for *_, held in cells) else state,
        len(cells),
        done,
        sum(planned for _, planned, _ in cells),
        sum(min(measured, planned) for measured, planned, _ in cells),
        "",
    )


def _cells(plan: StoredPlan, folder: Path) -> Iterator[tuple[int, int, bool]]:
    """List for each cell its measured images, its planned images, and whether it is written."""
    images = {note.role: note.images for note in plan.roles}
    for cell in plan.cells:
        file = CellFile(folder / cell.file)
        rows = file.by_image()
        yield len(rows), images.get(cell.role, len(rows)), is_held(file.lock)


def write_tensorboard(found: list[TrainingState], folder: Path) -> int:
    """Write the curves of trainings as TensorBoard reads them, a folder METHOD/RUN for each.

    Curves that were written there before are replaced.

    Returns:
        The number of trainings that have a log.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise UsageError(
            f"TensorBoard's writer is not installed ({error}).",
            "pip install 'moeisr-harness[tensorboard]'",
        ) from error
    written = 0
    for training in found:
        lines = read_log(training.folder / "log.jsonl")
        target = folder / training.method / training.folder.name
        for old in target.glob("events.out.tfevents.*"):
            old.unlink()
        if not lines:
            continue
        with SummaryWriter(str(target)) as writer:
            for line in lines:
                for name, value in line.items():
                    if name not in ("step", "run", "epoch") and isinstance(value, int | float):
                        writer.add_scalar(name, value, line["step"])
        written += 1
    return written
