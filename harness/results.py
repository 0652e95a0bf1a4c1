"""Results as one tidy frame, for notebooks.

Example:
    >>> from harness import results                                          # doctest: +SKIP
    >>> tidy = results.frame("table1", profile="reference")                  # doctest: +SKIP
    >>> results.means(tidy).query("metric == 'psnr'")                        # doctest: +SKIP
    >>> results.differences(tidy)                                            # doctest: +SKIP
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from harness import experiments
from harness.report.data import load_report
from harness.report.frame import differences, means


def frame(
    experiment: str, profile: str = "reference", results: str | Path = "results"
) -> pd.DataFrame:
    """Load every number of an experiment, one a line; measures nothing.

    Args:
        experiment: name of the experiment.
        profile: name of the profile that it was run under.
        results: folder that was measured to.

    Returns:
        A frame with the columns `method` (row of the experiment), `label` (the paper's name),
        `baseline` (the row that it is compared with, or ""), `role` (set of the paper; a fixed size
        for counts; "" for latency and memory), `dataset` (what was measured for it), `image`,
        `scale`, `seed`, `metric`, `value`, `published` (what the paper prints for the place),
        `missing` (why there is no value) and `cell` (the file of the row, which names weights, data
        and protocol by a hash). Metrics are those of rows (`psnr`, `decoder_macs`, `share_5`, ...),
        `macs` and `executed` (what the experiment is about), `latency_s` and `peak_memory_bytes`.

    Raises:
        UsageError: the experiment is unknown.
        HarnessError: nothing is stored, or it is damaged.
    """
    return load_report(Path(results), profile, experiments.get(experiment)).frame


__all__ = ["differences", "frame", "means"]
