"""Printed numbers of the papers, as data: CSV files beside this one, a value per row."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from baselines.registry import parse

# Names that a file writes otherwise than most. They are its own: what papers on implicit decoders
# call EDSR is EDSR-baseline, and in IGConv's it is the large one.
LIIFS_EDSR = {"EDSR-baseline": "EDSR"}
_ALIASES = {
    "lmf_baselines_elsewhere.csv": LIIFS_EDSR,
    "lmf_claims_figure.csv": LIIFS_EDSR,
    "lmf_params_computed.csv": LIIFS_EDSR,
    "moeisr_table4.csv": {"LIIF-5layer": "LIIF"},
    "seemore_table1.csv": {"Bicubic": "bicubic"},
    "survey_table4.csv": LIIFS_EDSR,
    "thera_table1.csv": LIIFS_EDSR,
    "thera_table3.csv": {
        **LIIFS_EDSR,
        "Thera Plus [without the four rotations at test time]": "Thera Plus, one pass",
    },
}


@dataclass(frozen=True)
class System:
    """System of a paper's table, by the paper's names; `backbone` is "none" without one."""

    backbone: str
    method: str

    @property
    def label(self) -> str:
        """Both names in one, as papers write it: EDSR-LIIF."""
        plain = self.backbone in ("none", self.method)
        return self.method if plain else f"{self.backbone}-{self.method}"


@dataclass(frozen=True)
class Printed:
    """Number of a paper, with notes on it (misprints above all).

    Attributes:
        text: text as printed; "" where the number was computed, or read off a figure.
        digit: value of one unit in its last digit: 1000 in 220K; None where it has no digits.
    """

    value: float
    note: str
    text: str = ""
    digit: float | None = None

    def agrees(self, counted: float) -> bool:
        """Tell whether a number is equal when rounded to the printed digit."""
        return self.digit is not None and round(counted / self.digit) == round(
            self.value / self.digit
        )


@dataclass(frozen=True)
class Claim:
    """Statement of a paper in numbers; `printed` is in its own words."""

    metric: str
    printed: Printed


_Key = tuple[str, System, str, float | None, str]


@cache
def rows_of(file: str) -> tuple[dict[str, str], ...]:
    """Read all rows of a file, by the names of its columns."""
    with (files(__package__) / file).open(encoding="utf-8") as stream:
        return tuple(csv.DictReader(stream))


def _system(file: str, row: dict[str, str]) -> System:
    usual = _ALIASES.get(file, {})
    return System(*(usual.get(row[key], row[key]) for key in ("backbone", "method")))


def _scale(text: str) -> float | None:
    """Read a scale; None for a value that belongs to no single scale."""
    try:
        return float(text)
    except ValueError:
        return None


def last_digit(text: str, value: float) -> float | None:
    """Compute the value of one unit in the last printed digit of a number.

    Example:
        >>> last_digit("220K", 220e3), last_digit("44.58e9", 44.58e9), last_digit("a third", 0.33)
        (1000.0, 10000000.0, None)
    """
    found = re.search(r"\d[\d,]*(?:\.\d+)?|\.\d+", text)
    number = float(found[0].replace(",", "")) if found else 0.0
    if found is None or number == 0:
        return None
    return value / number / 10.0 ** len(found[0].partition(".")[2])


def _printed(row: dict[str, str]) -> Printed:
    value, text = float(row["value"]), row["printed"]
    return Printed(value, row["note"], text, last_digit(text or row["value"], value))


@cache
def _index(file: str) -> dict[_Key, Printed]:
    return {
        (r["table"], _system(file, r), r["dataset"], _scale(r["scale"]), r["metric"]): _printed(r)
        for r in rows_of(file)
        if r["value"]
    }


def look_up(
    file: str, table: str, system: System, dataset: str, scale: float, metric: str
) -> Printed | None:
    """Find what a table prints for a system at a scale, or for all scales; None where nothing."""
    index = _index(file)
    keys = ((table, system, dataset, at, metric) for at in (float(scale), None))
    return next((index[key] for key in keys if key in index), None)


def systems(file: str, table: str) -> tuple[System, ...]:
    """List the systems of a table, in the order of the paper."""
    return tuple(dict.fromkeys(_system(file, r) for r in rows_of(file) if r["table"] == table))


def claims(file: str, table: str) -> tuple[Claim, ...]:
    """List the claims of a paper that a file has under this name, in order."""
    return tuple(Claim(r["metric"], _printed(r)) for r in rows_of(file) if r["table"] == table)


def label(method: str) -> str:
    """Return the paper's name of a method: `edsr-moeisr-liif-s` is EDSR-MoEISR(LIIF)-s."""
    return system(method).label


def system(method: str) -> System:
    """Return the system that a method is in the papers' tables."""
    found = parse(method)
    return System(found.over, found.label)


def printed(
    sources: Iterable[tuple[str, str]],
    method: str,
    dataset: str,
    scale: float,
    metric: str = "psnr_db",
) -> Printed | None:
    """Find the value printed in the first of some tables that has it, or None.

    Args:
        sources: files of this folder, each with the value of its `table` column.
        method: our name of the method.
        dataset: the paper's name of the dataset.
        scale: scale factor.
        metric: value of the `metric` column.

    Example:
        >>> printed([("moeisr_table1.csv", "1")], "edsr-liif", "DIV2K_valid", 4).value
        29.0
    """
    return printed_of(sources, system(method), dataset, scale, metric)


def printed_of(
    sources: Iterable[tuple[str, str]], named: System, dataset: str, scale: float, metric: str
) -> Printed | None:
    """Find the printed value of a system by the paper's names; see `printed`."""
    found = (look_up(file, table, named, dataset, scale, metric) for file, table in sources)
    return next((value for value in found if value is not None), None)


def published(
    file: str, table: str, method: str, dataset: str, scale: float, metric: str = "psnr_db"
) -> float | None:
    """Find the printed value in one table, or None; see `printed`."""
    found = printed([(file, table)], method, dataset, scale, metric)
    return None if found is None else found.value
