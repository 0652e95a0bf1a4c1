"""`harness status`: what runs, has stopped, waits and is done in a folder of results."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.commands.options import FOLDER, Setup, echo, json_option, show, table, with_setup

if TYPE_CHECKING:
    from harness.runs.status import State


@click.command(epilog="Example: watch -n 30 harness status --profile bsds")
@with_setup("profile", "results")
@click.option(
    "--tensorboard",
    "logs",
    type=FOLDER,
    metavar="DIR",
    help="Also write all training curves for TensorBoard, a folder for each run; "
    "needs: pip install 'moeisr-harness[tensorboard]'.",
)
@json_option
def status(setup: Setup, logs: Path | None) -> None:
    """Show what runs, has stopped, waits, has failed and is done; changes nothing.

    Trainings of the profile with step, steps per second, loss and time left, and the units of each
    experiment. What has stopped goes on with the command that began it. Curves of all trainings
    are in `harness report index` too.
    """
    from harness.runs import status as state

    results, profile = setup.places.results, setup.profile.name
    trainings = state.trainings(results, profile)
    experiments = state.experiments(results, profile)
    if logs is not None:
        echo(f"{state.write_tensorboard(trainings, logs)} runs written to {logs}", err=True)
    parts = [_trainings(trainings), _experiments(experiments)]
    about = results / profile / "README.md"
    if any(parts) and about.exists():
        parts.append(f"Not all of this is of this machine: {about} says what came with the clone.")
    nothing = f"Nothing was trained or measured under the profile {profile} in {results}."
    content = {"trainings": trainings, "experiments": experiments}
    show(content, "\n\n".join(filter(None, parts)) or nothing)


def _trainings(found: list[State]) -> str:
    rows: list[dict[str, Any]] = [
        {
            "training": t["method"],
            "seed": str(t["seed"]),
            "": f"{t['state']}, shipped" if t["shipped"] else t["state"],
            "steps": f"{t['step']:,} of {'?' if t['total'] is None else format(t['total'], ',')}",
            "it/s": _number(t["speed"], 1),
            "L1": _number(t["l1"], 4),
            "validation": "" if t["validation"] is None else f"{t['validation']:.2f} dB",
            "left": ""
            if t["seconds_left"] is None
            else str(timedelta(seconds=round(t["seconds_left"]))),
        }
        for t in found
    ]
    notes = [f"{t['method']}, seed {t['seed']}: {t['note']}" for t in found if t["note"]]
    if any(t["shipped"] for t in found):
        notes.append("shipped: the network comes with the package; this is how it was trained.")
    running = [t["seconds_left"] for t in found if t["seconds_left"] is not None]
    if running:
        waiting = sum(t["state"] not in ("running", "done") for t in found)
        total = f"Left of what runs: {sum(running) / 3600:.1f} hours of devices"
        notes.append(f"{total}; {waiting} trainings do not run." if waiting else f"{total}.")
    return _text(rows, ["left", "right", "left", *["right"] * 5], notes)


def _experiments(found: list[State]) -> str:
    rows: list[dict[str, Any]] = [
        {
            "experiment": e["experiment"],
            "": e["state"],
            "units": f"{e['measured_cells']:,} of {e['cells']:,}",
            "images": f"{e['measured_images']:,} of {e['images']:,}",
        }
        for e in found
    ]
    notes = [f"{e['experiment']}: {e['note']}" for e in found if e["note"]]
    return _text(rows, ["left", "left", "right", "right"], notes)


def _text(rows: list[dict[str, Any]], align: list[str], notes: list[str]) -> str:
    return "\n".join([table(rows, colalign=align), *notes]) if rows else ""


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
