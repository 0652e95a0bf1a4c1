"""Printed numbers of the papers, shipped as data (CSV files beside this one)."""

from __future__ import annotations

from collections.abc import Iterable

from baselines.registry import parse
from harness.data.published.reading import Claim, Printed, System, claims, look_up, systems


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


__all__ = [
    "Claim",
    "Printed",
    "System",
    "claims",
    "label",
    "printed",
    "printed_of",
    "published",
    "system",
    "systems",
]
