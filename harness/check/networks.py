"""Keeping the networks behind accepted numbers, so that CI can measure instead of train.

Training again on another processor, or with another number of threads, ends at other weights
(docs/check.md has numbers); measuring the same weights does not depend on that. The networks lie
beside the file of accepted numbers in the layout of a results folder: `harness run --results`
that folder finds them trained. The optimiser's state, two thirds of a checkpoint, is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness import checkpoints
from harness.check.golden import Golden, GoldenCell
from harness.common.errors import HarnessError


@dataclass(frozen=True)
class Kept:
    """Checkpoints beside accepted numbers.

    Attributes:
        networks: those behind the numbers that were accepted now.
        stale: those that no accepted number needs any more; whoever keeps them removes them.
    """

    networks: list[Path] = field(default_factory=list)
    stale: list[Path] = field(default_factory=list)


def keep_networks(golden: Golden, names: Collection[str], results: Path, folder: Path) -> Kept:
    """Copy the networks of accepted cells; all of them, or none where one is not as accepted.

    Args:
        golden: the accepted numbers.
        names: experiments whose networks are copied.
        results: where they were trained.
        folder: where the file of accepted numbers lies; may be `results` itself.

    Raises:
        HarnessError: when a network is gone, or has other weights than those accepted.
    """
    trained = Path(golden.profile) / "training"
    runs = {
        run: cell
        for cell in golden.cells
        if cell.experiment in names
        for run in _runs(results / trained, cell)
    }
    for run, cell in runs.items():
        _read(results / trained / run / "checkpoint.pt", cell)
    kept = []
    for run, cell in sorted(runs.items()):
        source, target = (root / trained / run / "checkpoint.pt" for root in (results, folder))
        if source.resolve() != target.resolve():
            content = _read(source, cell)
            # Its groups stay: resuming a finished run reads them.
            content["optimizer"] = {**content["optimizer"], "state": {}}
            checkpoints.save(target, {k: v for k, v in content.items() if k != "format"})
        kept.append(target)
    return Kept(kept, list(_stale(golden, folder / trained)))


def _runs(root: Path, cell: GoldenCell) -> list[str]:
    """Folders of a cell's training runs."""
    found = [
        path.relative_to(root).as_posix()
        for recipe in cell.recipes
        for path in root.glob(f"{cell.method}/s*-{recipe}")
    ]
    if len(found) < len(cell.recipes):
        raise HarnessError(
            f"The networks of {cell.method} are not in {root}.",
            "Name the folder that they were trained in with --results.",
        )
    return found


def _read(path: Path, cell: GoldenCell) -> dict[str, Any]:
    content = checkpoints.read(path)
    if checkpoints.weights_hash(content["state_dict"]) not in cell.checkpoints:
        raise HarnessError(
            f"{path} has other weights than those whose numbers are accepted.",
            f"Run `harness run {cell.experiment}` again.",
        )
    return content


def _stale(golden: Golden, root: Path) -> Iterator[Path]:
    needed = {(cell.method, recipe) for cell in golden.cells for recipe in cell.recipes}
    for path in sorted(root.glob("*/*/checkpoint.pt")):
        method, run = path.parts[-3:-1]
        if (method, run.partition("-")[2]) not in needed:
            yield path
