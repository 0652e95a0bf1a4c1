"""Sentences on where numbers come from, made only from the plan's fields and the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Iterator, Sequence

from harness.data.published.field import left_out
from harness.measure.statistics import CONFIDENCE, FEWEST
from harness.metrics.protocols import find
from harness.report.costs import Measured
from harness.report.data import Report, Result, distinct
from harness.report.text import (
    DAGGER,
    DOUBLE_DAGGER,
    counted,
    grouped,
    listing,
    phrase,
    scale_text,
    sentences,
    singular,
)
from harness.runs.experiment import methods_of
from harness.runs.plan import RoleNote

COUNTED = (
    "Counted on networks of the published sizes, whatever sizes a profile trains: parameters and "
    "MACs follow from the architecture and need neither weights nor images."
)
"""Caption of tables of counts."""
CONFIDENCE_TEXT = f"{100 * CONFIDENCE:g} %"
IN_PARENTHESES = "In parentheses: published."
REDUCED, SUBSTITUTE = "reduced setting", "substitute data"

_LR_SOURCES = {
    "official": "the set's own LR images, MATLAB bicubic",
    "matlab": "made here by the MATLAB-compatible bicubic resize",
    "pil": "made here by PIL bicubic after cropping HR to whole LR pixels",
    "unknown": "those of the program that made the SR images",
    "hr": "the HR image itself; MACs are counted, nothing is enlarged",
    "size": "HR size over scale; MACs are counted, nothing is enlarged",
}
_PROTOCOLS = {
    "benchmark": "on Y (limited-range BT.601), scale pixels shaved from each border",
    "div2k": "on RGB, scale + 6 pixels shaved from each border",
    "full": "on RGB, nothing shaved",
}
_FEW = 3
"""Largest number of values that a note names one by one."""


# What departs from the paper's setting


def tags(report: Report, role: str = "") -> list[str]:
    """List in two words each what all numbers of a role depart in; of every role if none is named.

    Example: ["reduced setting", "substitute data"], for the corner of a figure.
    """
    roles = [role] if role else report.roles
    if any(name not in report.roles for name in roles):
        return []
    substitute = any(report.role(name).substitute for name in roles)
    found = {REDUCED: bool(roles) and report.departs(), SUBSTITUTE: substitute}
    return [name for name, applies in found.items() if applies]


def departing(report: Report) -> list[str]:
    """List rows of a reduced setting where others are not; none where all are."""
    if report.departs():
        return []
    return [row for row in report.experiment.rows if report.departs(row)]


def departing_note(report: Report) -> str:
    """Name the rows that alone are of a reduced setting; "" where none is, or all are."""
    rows = departing(report)
    if not rows:
        return ""
    listed = ", ".join(map(report.label, rows))
    return f"Reduced setting, not the paper's networks or training ({DOUBLE_DAGGER}): {listed}."


def notice(report: Report) -> str:
    """Say once what is reduced or substituted, and what that means; "" in the paper's setting."""
    parts = []
    if found := tags(report):
        trained, *others = _training(report)
        brief = re.sub(r" \([^()]*\)", "", trained)  # the whole is listed with the report
        listed = "; networks and schedule as listed with the report" if others else ""
        parts.append(f"{_opening(report)}measured on {_data(report)}; {brief}{listed}.")
    parts.append(departing_note(report))
    if (found or departing(report)) and report.experiment.published:
        parts.append(
            "Published values are of the paper's networks, training and data, so differences to "
            "them are no statement on the methods and are not shown."
        )
    parts += [below_common(report), *(f"{phrase(w)}." for w in report.plan.warnings)]
    return sentences(*parts)


def provenance(report: Report, role: str, row: str = "") -> str:
    """Say on what data, with which networks and schedule the numbers (of a row) were obtained."""
    parts = [f"measured on {_measured_on(report, role)}", *_training(report, row)]
    alone = "" if row else departing_note(report)
    return sentences(f"{_opening(report, role, row)}{'; '.join(parts)}.", alone)


def _opening(report: Report, role: str = "", row: str = "") -> str:
    found = tags(report, role)
    if row and report.departs(row) and REDUCED not in found:
        found = [REDUCED, *found]
    setting = f"{' and '.join(found).capitalize()}, not the paper's setting" if found else ""
    profile = report.plan.profile
    return f"{setting} (profile {profile}): " if setting else f"Profile {profile}: "


def _measured_on(report: Report, role: str) -> str:
    note = report.role(role)
    return f"{_described(note)} in place of {role}" if note.substitute else _described(note)


def _described(note: RoleNote) -> str:
    count = _only(note) if note.only else counted(note.images, "image")
    return f"{note.dataset} ({phrase(note.description)}; {count})"


def _data(report: Report) -> str:
    """List what was measured, each set once; one of the paper needs no description."""
    notes = [report.role(role) for role in report.roles]
    replaced = grouped((_described(note), note.role) for note in notes if note.substitute)
    own = (note for note in notes if not note.substitute)
    return listing(
        [
            *(f"{note.role} ({_only(note)})" if note.only else note.role for note in own),
            *(f"{data} in place of {listing(roles)}" for data, roles in replaced.items()),
        ]
    )


def _only(note: RoleNote) -> str:
    """List the images of a set that a figure shows."""
    return f"image{'s' * (len(note.only) > 1)} {listing(note.only)} only"


def _training(report: Report, row: str = "") -> Iterator[str]:
    """Say what was trained, as parts of a sentence."""
    added = report.plan.added_row(row)
    if added is not None and added.origin:
        yield added.origin
        return
    said = {name: text and phrase(text) for name, text in trained_as(report, row).items()}
    training = said.pop("training")
    yield f"trained on {training}" if training else "nothing was trained"
    yield from (f"{name}: {text}" for name, text in said.items() if text)


def trained_as(report: Report, row: str = "") -> dict[str, str]:
    """Describe training set, networks and schedule of all rows or of one; "" where it has none."""
    plan = report.plan
    notes = [note for note in plan.methods if note.method in methods_of(row)]
    training = "; ".join(dict.fromkeys(note.training for note in notes if note.training))
    if not row:
        training = plan.training
    return {
        "training": training,
        "networks": plan.networks if notes or not row else "",
        "schedule": plan.schedule if training or not row else "",
    }


def devices(report: Report) -> tuple[str, ...]:
    """List the devices that numbers were measured on."""
    results = (*report.results.values(), *report.counts.values())
    return distinct(singular(device) for result in results for device in result.source("device"))


def when_and_where(report: Report) -> str:
    """Say when, on what and with which code the numbers were measured; "" without any."""
    rows = [result.rows for result in report.results.values() if len(result.rows)]
    days = distinct(moment[:10] for own in rows for moment in own["measured_at"])
    if not days:
        return ""
    commits = distinct(of.get("commit", "") for own in rows for of in own["versions"])
    facts = {"devices": devices(report), "commits": [f"commit {commit}" for commit in commits]}
    where = (
        names[0] if len(names) == 1 else f"{len(names)} {what}"
        for what, names in facts.items()
        if names
    )
    return (
        f"Images measured {' to '.join(dict.fromkeys((days[0], days[-1])))} on {', '.join(where)}."
    )


def certainty(report: Report) -> str:
    """Say what the intervals of verdicts are over, and what is in none of them."""
    if not report.roles:
        return ""
    trained = {note.method for note in report.plan.methods if note.training}
    seeds = [len(r.seeds) for r in report.results.values() if trained & {*methods_of(r.method)}]
    often = f" up to {max(seeds)} times" if max(seeds, default=0) > 1 else " once"
    return sentences(
        f"Judged at every scale by {CONFIDENCE_TEXT} intervals over images, on sets of at least "
        f"{FEWEST} images; the worst scale is quoted.",
        f"Networks were trained{often}: no interval knows that another training ends elsewhere."
        if seeds
        else "",
    )


def below_common(report: Report) -> str:
    """Warn that trained methods are below bicubic; "" where none is."""
    trained = {note.method for note in report.plan.methods if note.training}
    compared, under = 0, []
    for role in report.roles:
        for scale in report.scales:
            results = [r for r in report.measured(role, scale) if not r.unscored]
            common = [r.psnr for r in results if r.method in report.experiment.common]
            floor = max((p for p in common if p is not None), default=None)
            own = [r for r in results if trained & {*methods_of(r.method)}]
            if floor is not None:
                compared += len(own)
                under += [r.method for r in own if r.psnr is not None and r.psnr < floor]
    if not under:
        return ""
    names = " and ".join(report.experiment.common)
    rows = ", ".join(row_name(report, row) for row in dict.fromkeys(under))
    return (
        f"Trained methods lie below {names} in {len(under)} of {compared} results ({rows}): they "
        "are not trained well enough to compare methods."
    )


# Titles, names and captions


def shown_set(report: Report, role: str) -> str:
    """Name what was measured, for titles: never the paper's set alone where another one was."""
    if role not in report.roles:
        return f"{role}, published values alone"
    note = report.role(role)
    name = f"{note.dataset} in place of {role}" if note.substitute else role
    return f"{name}, {_only(note)}" if note.only else name


def caption(report: Report, role: str, counts: bool = True) -> str:
    """Say in a line what a table or figure is of, whose title names the set.

    `counts` tells whether it is of all images, whose number is then said.
    """
    if role not in report.roles:
        return f"Nothing is measured on {role} in this experiment."
    note = report.role(role)
    count = _only(note) if note.only else counted(note.images, "image")
    parts = [count] if counts else []
    said = "; ".join(filter(None, [*parts, ", ".join(tags(report, role))]))
    return f"{said[:1].upper()}{said[1:]}." if said else ""


def row_name(report: Report, row: str) -> str:
    """Return the paper's name of a row, marked if only the paper has it, or it alone departs."""
    marks = {DAGGER: report.is_other(row), DOUBLE_DAGGER: row in departing(report)}
    return " ".join([report.label(row), *(mark for mark, applies in marks.items() if applies)])


def others_note(report: Report, rows: Iterable[str]) -> str:
    """Explain the mark of `row_name`; "" where no row of a table has it."""
    if not any(map(report.is_other, rows)):
        return ""
    return f"{DAGGER} Not a system of this harness: its published numbers stand alone."


def marks(report: Report, found: Container[str]) -> str:
    """Explain the marks that are found in tables; "" without one."""
    best = (
        f"Bold: best of a {'column' if report.experiment.best_of == 'column' else 'block of rows'}"
    )
    return sentences(
        f"{best}, underlined: second, at printed precision; unmarked where a value is missing."
        * ("best" in found),
        f"?: sign not decided, the interval includes 0 or there are fewer than {FEWEST} images."
        * ("undecided" in found),
    )


def field_note(report: Report, role: str) -> str:
    """Name the published systems that are not shown, as their protocol is another."""
    if not report.experiment.field:
        return ""
    listed = (
        f"{', '.join(methods)} (protocol {name})"
        for name, methods in left_out(report.experiment.protocol, role).items()
    )
    return f"Published, but not comparable with this column: {'; '.join(listed)}."


def not_run(report: Report) -> str:
    """Name the rows that are left out of the run, and the command that runs them; "" for none."""
    rows = [row for row in report.experiment.rows if not report.is_run(row)]
    if not rows:
        return ""
    listed = ", ".join(map(report.label, rows))
    profile = report.plan.profile.replace("`", "'")  # which ends the code span
    train = " --retrain" if report.plan.profile == "reference" else ""
    command = f"harness run {report.experiment.name} --profile {profile}{train}"
    also = " Their published values are in the CSV file." if report.experiment.published else ""
    return f"Not run: {listed}. Run them with `{command} --methods {','.join(rows)}`.{also}"


# Notes under tables


def lr_note(report: Report, role: str) -> str:
    """Say which LR images the columns were measured on."""
    scored = any(not r.unscored for r in report.results.values() if r.role == role and r.images)
    groups = _by_scale(
        report, role, lambda r: () if scored and r.unscored else r.source("lr_source")
    )
    listed = "; ".join(
        f"{where} {source} ({_LR_SOURCES.get(source, 'not described')})"
        for source, where in groups.items()
    )
    return f"LR images: {listed}." if listed else ""


def protocol_note(report: Report, role: str) -> str:
    """Say how metrics were taken."""
    groups = _by_scale(report, role, lambda r: () if r.unscored else r.source("protocol"))
    listed = "; ".join(
        f"protocol {name} ({_PROTOCOLS.get(name) or find(name).describe()})"
        + (f" at {where}" if len(groups) > 1 else "")
        for name, where in groups.items()
    )
    return f"Mean over images of each image's value, {listed}." if listed else ""


def _by_scale(
    report: Report, role: str, values: Callable[[Result], tuple[str, ...]]
) -> dict[str, str]:
    """List the scales at which each value occurs, as text."""
    found = grouped(
        (value, scale_text(scale))
        for scale in report.scales
        for value in distinct(v for result in report.measured(role, scale) for v in values(result))
    )
    return {value: ", ".join(scales) for value, scales in found.items()}


def published_notes(report: Report, role: str, *names: str) -> list[str]:
    """List the notes on single published numbers of some metrics."""
    return notes_on(
        (note, f"{report.label(result.method)} {scale_text(result.scale)}")
        for result in (*report.results.values(), *report.printed.values())
        if result.role == role and (report.is_other(result.method) or report.is_run(result.method))
        for note in sorted({result.printed[name].note for name in names if name in result.printed})
    )


def notes_on(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Format pairs of a note, which may be "", and the published number that it is on."""
    found = grouped((note, place) for note, place in pairs if note)
    return [f"Published {some(where)}: {note}." for note, where in found.items()]


def some(places: Sequence[str]) -> str:
    """List the places of some values, or how many there are."""
    return ", ".join(places) if len(places) <= _FEW else f"({len(places)} values)"


def column_notes(report: Report, role: str) -> list[str]:
    """List what a comparison of the numbers of a column needs: gaps, and mixtures."""
    found = grouped(
        (text, scale_text(scale))
        for scale in report.scales
        for text in _on_column(report.measured(role, scale))
    )
    return [f"{', '.join(scales)}: {text}." for text, scales in found.items()]


def _on_column(results: Sequence[Result]) -> Iterator[str]:
    # Counting has neither LR source nor protocol: a MAC is the same under every protocol.
    yield from _mixtures([result for result in results if not result.unscored])
    for result in results:
        for reason, count in result.excluded:
            yield f"{count} of {result.images_planned} images left out: {reason}"


def _mixtures(results: Sequence[Result]) -> Iterator[str]:
    """List why the results of a column may not be comparable with each other."""
    for column, said in (
        ("lr_source", "this column mixes LR sources"),
        ("protocol", "this column mixes protocols"),
        ("dataset_fingerprint", "this column was measured on different versions of the data"),
    ):
        if len({value for result in results for value in result.source(column)}) > 1:
            yield said
    if len({result.images for result in results}) > 1:
        yield "the methods of this column were scored on different numbers of images"


def setting_of_costs(report: Report, measured: Measured) -> str:
    """Say on what machine and image costs were measured."""
    where = measured.setting.in_words() if measured.setting else "not measured"
    setting = " Reduced setting." if report.departs() else ""
    return f"{where}.{setting}"
