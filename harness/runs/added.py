"""Rows that are added to an experiment: registered methods that it does not list, and others'."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from baselines import Method, methods, parse
from baselines.registry import register
from harness.common.errors import HarnessError, UsageError
from harness.common.progress import say
from harness.data.sets import Dataset
from harness.outside.entries import Entry, is_method
from harness.outside.methods import KINDS, outside_label, outside_name
from harness.runs.experiment import Experiment, methods_of
from harness.runs.plan import AddedRow

_ONLY_IMAGES = "only its SR images are known, and they do not say this"


def open_entries(
    entries: Iterable[Entry], experiment: Experiment, sets: Mapping[str, Dataset]
) -> tuple[tuple[AddedRow, ...], set[str]]:
    """Make methods of what a run is to have beside an experiment's own rows.

    What cannot be opened becomes a row with the reason, and the run goes on.

    Args:
        entries: what users named.
        experiment: the experiment.
        sets: the datasets that are measured, by name.

    Returns:
        The rows, and the names of those that could not be opened.

    Raises:
        UsageError: an entry makes no sense, or two have one name.
    """
    found: dict[str, AddedRow] = {}
    lacking: set[str] = set()
    for entry in entries:
        made, fails = _open(entry, experiment, sets)
        for row in made:
            if row.outside and row.method in found:
                raise UsageError(
                    f"Two methods would be called {row.method}. Give one another name: NAME=... "
                    "in --with, `name:` in a file."
                )
            found[row.method] = row
        lacking |= {row.method for row in made if fails}
    return tuple(found.values()), lacking


def _open(
    entry: Entry, experiment: Experiment, sets: Mapping[str, Dataset]
) -> tuple[list[AddedRow], bool]:
    """Open an entry; returns its rows, and whether there is nothing to be measured."""
    if entry.method:
        rows = [row for row in rows_of(entry.method) if row not in experiment.rows]
        return [AddedRow(row, parse(methods_of(row)[0]).label) for row in rows], False
    try:
        opened, notes = entry.open(sets, experiment.scales)
    except UsageError:
        raise
    except HarnessError as error:
        reason = str(error).splitlines()[0].removesuffix(".")
        say(f"{entry.title} is not measured: {error}")
        kind = entry.kind
        name = outside_name(entry.title, kind)
        label = entry.label or outside_label(entry.title, kind)
        row = AddedRow(name, label, KINDS[kind], missing=f"not measured: {reason}")
        known_again([row])
        return [row], True
    for note in notes:
        say(note)
    return [_row(method) for method in opened], False


def _row(method: Method) -> AddedRow:
    parts = method.make(method).parts
    return AddedRow(
        method.name,
        method.label,
        method.outside,
        list(method.scales),
        "; ".join(dict.fromkeys(part.origin for part in parts)),
        _ONLY_IMAGES if any(part.made == "stored" for part in parts) else "",
    )


def rows_of(name: str) -> list[str]:
    """List the rows of a method's name, of a pattern, or of a row of fixed-scale networks.

    Raises:
        UnknownMethodError: there is no such method.
        UsageError: no method fits a pattern.

    Example:
        >>> rows_of("edsr-lm*"), rows_of("edsr-xN")
        (['edsr-lmliif', 'edsr-lmlte'], ['edsr-xN'])
    """
    if set(name) & set("*?["):
        found = [each for each in methods() if fnmatchcase(each, name)]
        if not found:
            raise UsageError(f"No method fits {name}. `harness methods` lists all.")
        return found
    for method in methods_of(name):
        parse(method)
    return [name]


def unlisted(experiment: Experiment, only: Sequence[str]) -> Iterator[Entry]:
    """List registered methods that are named and not among the experiment's."""
    for name in only:
        listed = set(methods_of(name)) & set(experiment.methods)
        if not listed and all(map(is_method, methods_of(name))):
            yield Entry(method=name)


def known_again(rows: Iterable[AddedRow]) -> None:
    """Register the methods from outside of a stored plan, which can be reported, not measured.

    Raises:
        HarnessError: one has the name of a method that is none from outside.
    """
    for row in rows:
        method = Method(row.method, row.label, scales=tuple(row.scales), outside=row.outside)
        if not row.outside or (is_method(row.method) and parse(row.method) == method):
            continue
        try:
            register(method)
        except ValueError as error:
            raise HarnessError(
                f"The stored plan takes {row.method} for {row.outside}, but {error}.",
                "Run the experiment again.",
            ) from error
