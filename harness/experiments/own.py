"""Experiments of one's own: a YAML file with the table or figure of one's paper."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from baselines.registry import UnknownMethodError, unknown
from harness.common.errors import UsageError
from harness.common.yaml_files import key_problems, parse_keys, read_text
from harness.data.roles import ROLES
from harness.data.sets import SPECS
from harness.metrics import METRICS
from harness.outside.entries import read_entry
from harness.profiles.sections import Strict
from harness.report import sections
from harness.runs.added import rows_of
from harness.runs.experiment import Block, Experiment, SectionMaker

SECTIONS: dict[str, Callable[[], SectionMaker]] = {
    "crops": sections.Crops,
    "curves": sections.Curves,
    "expert-maps": sections.ExpertMaps,
    "expert-shares": sections.Shares,
    "latency": sections.Latency,
    "limits": sections.Limits,
    "macs": sections.MacsTable,
    "memory": sections.Memory,
    "networks": sections.Networks,
    "other-macs": sections.OtherMacs,
    "overview": sections.Overview,
    "pareto": sections.Pareto,
}
"""Sections by name; the name of a metric is its table of scores."""
_USUAL = ("psnr", "ssim", "pareto", "macs", "networks")
_COMMON = ("bicubic",)


class ExperimentFile(Strict):
    """Content of a file.

    Attributes:
        title: title of the report.
        methods: names of methods, patterns, and methods from outside as `--with` takes them or with
            keys of `harness.outside.entries.Entry`; paths are those from the file's folder.
        benchmarks: evaluation sets of the papers, or other datasets.
        scales: scale factors.
        sections: names of the sections of the report.
        name: name of the results and reports; by default the file's.
        about: a sentence or two on it.
        macs: part whose MACs are shown.
    """

    title: str
    methods: tuple[Any, ...] = Field(min_length=1)
    benchmarks: tuple[str, ...] = Field(min_length=1)
    scales: tuple[Annotated[float, Field(ge=1, le=1000)], ...] = Field(min_length=1)
    sections: tuple[str, ...] = Field(default=_USUAL, min_length=1)
    name: str = Field(default="", pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$")
    about: str = ""
    macs: Literal["decoder", "all"] = "all"


def read_experiment(path: Path, taken: Iterable[str]) -> Experiment:
    """Read an experiment of one's own.

    Args:
        path: the file.
        taken: names of the experiments that come with the harness.

    Raises:
        UsageError: the file has wrong keys or values, all of which are listed.
        HarnessError: it cannot be read.
    """
    content = parse_keys(read_text(path, "experiment"), str(path), "experiment")
    try:
        given = ExperimentFile.model_validate(content)
    except ValidationError as error:
        raise _wrong(path, key_problems(error, ExperimentFile, "the experiment")) from error
    name = given.name or path.stem
    sets = [*ROLES, *(name for name in SPECS if name not in ROLES)]
    problems = [unknown("benchmark", b, sets) for b in given.benchmarks if b not in sets]
    strange = [s for s in given.sections if s not in SECTIONS and s not in METRICS]
    problems += [unknown("section", s, [*METRICS, *SECTIONS]) for s in strange]
    if name in taken:
        problems.append(f"an experiment of the harness is called {name}; give it another `name:`")
    rows, entries = [], []
    for number, said in enumerate(given.methods, 1):
        try:
            entry = read_entry(said, f"methods, number {number}")
            if entry.method:
                rows += rows_of(entry.method)
            else:
                entries.append(entry.below(path.parent))
        except (UsageError, UnknownMethodError) as error:
            problems.append(str(error))
    if problems:
        raise _wrong(path, problems)
    common = tuple(row for row in _COMMON if row in rows)
    return Experiment(
        name=name,
        title=given.title,
        source=f"{path.name}; no paper has it",
        reproduces=False,
        about=given.about,
        common=common,
        blocks=(Block(tuple(r for r in dict.fromkeys(rows) if r not in common), name=given.title),),
        roles=tuple(dict.fromkeys(given.benchmarks)),
        scales=tuple(int(s) if s.is_integer() else s for s in dict.fromkeys(given.scales)),
        sections=[
            SECTIONS[s]() if s in SECTIONS else sections.ScoreTable(s) for s in given.sections
        ],
        macs_of=given.macs,
        best_of="column",
        entries=tuple(entries),
    )


def _wrong(path: Path, lines: Iterable[str]) -> UsageError:
    listed = "\n  ".join(lines)
    return UsageError(f"Experiment {path} is wrong:\n  {listed}")
