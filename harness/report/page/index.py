"""Index of a folder of reports, with the training curves of a profile's runs."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from baselines.registry import UnknownMethodError, parse
from harness.common.errors import HarnessError
from harness.common.escaping import in_a_line
from harness.common.files import write_text
from harness.report.looks import Look, looks
from harness.report.model import Figure
from harness.report.page import chart, render
from harness.runs.experiment import Experiment
from harness.runs.plan import load_plan, plan_path
from harness.training.log import read_log

_POINTS = 60
"""Points of a training curve; between them, values are averaged."""
_CURVES = {"validation_psnr": "validation PSNR (dB)", "l1": "L1 loss"}
_SUFFIXES = {"md": "Markdown", "tex": "LaTeX", "csv": "CSV", "json": "JSON"}


def write_index(
    results: Path, profile: str, reports: Path, known: Mapping[str, Experiment]
) -> Path:
    """Write `index.html` over every report in a folder, and the folders of other profiles.

    Args:
        results: folder of results, for what reports are of and for training logs.
        profile: name of the profile whose reports these are.
        reports: the folder.
        known: experiments by name, for titles.

    Raises:
        HarnessError: there are no reports, or the file cannot be written.
    """
    found = [_entry(path, results, profile, known.get(path.stem)) for path in _pages(reports)]
    others = {
        folder.name: [
            (path.stem, quote(path.relative_to(reports).as_posix())) for path in _pages(folder)
        ]
        for folder in sorted(path for path in reports.glob("*") if path.is_dir())
    }
    others = {name: pages for name, pages in others.items() if pages}
    if not found and not others:
        raise HarnessError(
            f"There are no reports in {reports}.",
            f"Run `harness run table1 --profile {profile}` first.",
        )
    curves = _curves(results / profile / "training")
    charts = {} if curves is None else {curves.key: chart(curves)}
    values = in_a_line({"profile": profile, "reports": found, "others": others})
    path = reports / "index.html"
    write_text(path, render("index.html.j2", curves=curves, charts=charts, **values))
    return path


def _pages(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.html") if path.name != "index.html")


def _entry(
    path: Path, results: Path, profile: str, experiment: Experiment | None
) -> dict[str, Any]:
    """Say what a report is of, as far as that is stored."""
    name, facts = path.stem, ""
    title, source = (experiment.title, experiment.source) if experiment else (name, "")
    with suppress(HarnessError):
        plan = load_plan(plan_path(results, profile, name))
        sets = dict.fromkeys(f"{note.dataset} ({note.images} images)" for note in plan.roles)
        methods = len({unit.method for unit in plan.units})
        facts = f"{methods} methods on {', '.join(sets)}; {plan.created[:10]}"
    beside = [(path.with_suffix(f".{suffix}"), text) for suffix, text in _SUFFIXES.items()]
    return {
        "title": title,
        "source": source,
        "facts": facts,
        "link": quote(path.name),
        "formats": [(text, quote(file.name)) for file, text in beside if file.exists()],
    }


def _curves(training: Path) -> Figure | None:
    """Collect the logs of all runs; None without any."""
    logs = sorted(training.glob("*/*/log.jsonl"))
    known: list[str] = []
    for name in dict.fromkeys(log.parent.parent.name for log in logs):
        with suppress(UnknownMethodError):  # a folder that is no method's
            known.append(parse(name).name)
    seen = looks(known)
    frames = [_curve(path, seen) for path in logs]
    points = [frame for frame in frames if not frame.empty]
    if not points:
        return None
    data = pd.concat(points)
    data.attrs = {"x": "step", "axis": "plain"}
    title = "Validation and loss"
    return Figure("training", title, "Every run of the profile.", training, training, data)


def _curve(log: Path, seen: Mapping[str, Look]) -> pd.DataFrame:
    """Read a run's log; damaged lines, which training sets aside when it goes on, are left out."""
    lines = pd.DataFrame(read_log(log))
    name = f"{log.parent.parent.name}, seed {log.parent.name.split('-')[0].removeprefix('s')}"
    look = asdict(seen.get(log.parent.parent.name, Look()))
    found = []
    for column, panel in _CURVES.items():
        if column in lines:
            own = lines[["step", column]].apply(pd.to_numeric, errors="coerce").dropna()
            few = own.groupby((own.reset_index().index * _POINTS) // max(len(own), _POINTS)).mean()
            curve = few.rename(columns={"step": "x", column: "y"})
            found.append(curve.assign(method=str(log.parent), label=name, panel=panel, **look))
    return pd.concat(found) if found else pd.DataFrame()
