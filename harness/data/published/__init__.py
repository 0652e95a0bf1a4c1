"""Printed numbers of the papers, shipped as data: a value per row, in the order of the papers."""

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
_PLACE = ("table", "dataset", "scale", "metric")


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


@cache
def rows_of(file: str) -> tuple[dict[str, str], ...]:
    """Read all rows of a file, by the names of its columns."""
    with (files(__package__) / file).open(encoding="utf-8") as stream:
        return tuple(csv.DictReader(stream))


def _system(file: str, row: dict[str, str]) -> System:
    usual = _ALIASES.get(file, {})
    return System(*(usual.get(row[key], row[key]) for key in ("backbone", "method")))


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
def _index(file: str) -> dict[tuple[str, ...], dict[System, Printed]]:
    """Read the values of a file by table, dataset, scale ("any" for all) and metric; by system."""
    index: dict[tuple[str, ...], dict[System, Printed]] = {}
    for row in rows_of(file):
        if row["value"]:
            place = index.setdefault(tuple(row[key] for key in _PLACE), {})
            place[_system(file, row)] = _printed(row)
    return index


def printed_of(
    sources: Iterable[tuple[str, str]], named: System, dataset: str, scale: float, metric: str
) -> Printed | None:
    """Find the value printed in the first of some tables that has it; None where none has.

    Args:
        sources: files of this folder, each with the value of its `table` column.
        named: the system, by the paper's names.
        dataset: the paper's name of the dataset.
        scale: scale factor.
        metric: value of the `metric` column.
    """
    found = (
        _index(file).get((table, dataset, at, metric), {}).get(named)
        for file, table in sources
        for at in (f"{scale:g}", "any")
    )
    return next(filter(None, found), None)


def published(
    file: str, table: str, method: str, dataset: str, scale: float, metric: str = "psnr_db"
) -> float | None:
    """Find the value that one table prints for a method of ours, or None; see `printed_of`.

    Example:
        >>> published("moeisr_table1.csv", "1", "edsr-liif", "DIV2K_valid", 4)
        29.0
    """
    found = printed_of([(file, table)], system(method), dataset, scale, metric)
    return None if found is None else found.value


def systems(file: str, table: str) -> tuple[System, ...]:
    """List the systems of a table, in the order of the paper."""
    return tuple(dict.fromkeys(_system(file, r) for r in rows_of(file) if r["table"] == table))


def claims(file: str, table: str) -> list[tuple[str, Printed]]:
    """List the claims of a paper that a file has under this name: metric and number, in order."""
    return [(row["metric"], _printed(row)) for row in rows_of(file) if row["table"] == table]


def system(method: str) -> System:
    """Return the system that a method is in the papers' tables."""
    found = parse(method)
    return System(found.over, found.label)


def label(method: str) -> str:
    """Return the paper's name of a method: `edsr-moeisr-liif-s` is EDSR-MoEISR(LIIF)-s."""
    return system(method).label
