"""Measuring a model of one's own from Python, as in a notebook."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd


def run_experiment(
    model: Callable[..., Any],
    name: str,
    *,
    datasets: Sequence[str] = ("embedded-eval",),
    scales: Sequence[float] = (2, 3, 4),
    protocol: str | None = None,
    data_root: Path | str | None = None,
    results: Path | str = "results",
) -> pd.DataFrame:
    """Measure a model as `harness eval` does.

    Args:
        model: maps (1, 3, h, w) in [0, 1] and the scale to (1, 3, round(h * scale), round(w *
            scale)); a module is put in evaluation mode, and its MACs and parameters are counted. A
            module of one scale may take the LR image only. An `SRModel` is taken as it is.
        name: name of the method in rows, which get `@python` behind it.
        datasets: names of datasets; that of the default needs no files.
        scales: scale factors.
        protocol: name of a protocol, or "all"; None for the dataset's own.
        data_root: folder of the datasets.
        results: folder of the rows. A module is measured once; a function at each call.

    Returns:
        A line for each dataset, scale and protocol. Images that the model fails on are in the
        column `failed`, with the reason.

    Raises:
        HarnessError: a dataset is not there, a name is unknown, or the name is no plain name.

    Example:
        >>> import torch
        >>> def nearest(lr, scale):
        ...     return torch.nn.functional.interpolate(lr, scale_factor=scale, mode="nearest")
        >>> frame = run_experiment(nearest, "nearest", scales=[2])  # doctest: +SKIP
    """
    from baselines.base import SRModel
    from harness.checkpoints.subject import ready_subjects
    from harness.commands.options import Setup
    from harness.commands.wanted import Wanted
    from harness.measure.rows import frame
    from harness.measure.summary import summarise
    from harness.outside.methods import Opened, add_method
    from harness.outside.plugins import load
    from harness.outside.python import PythonModel

    load()
    setup = Setup(
        profile="reference",
        data_root=Path(data_root) if data_root is not None else None,
        device="cpu",
        results=Path(results),
    )
    wanted = Wanted(setup, datasets, [*map(float, scales)], protocol)
    own = model if isinstance(model, SRModel) else PythonModel(model, origin="run_experiment")
    method = add_method(name, "python", Opened(lambda: own))
    (subject,) = ready_subjects(method.name)
    measured = wanted.measured(wanted.units(subject))
    rows = [row for *_, found in measured for row in found]
    return pd.DataFrame(summarise(frame(rows)))
