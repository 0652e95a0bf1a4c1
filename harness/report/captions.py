"""Texts of captions and notes, which say where numbers come from.

The wording is made only from the plan's fields and the rows; nothing is added from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from harness.experiments import methods_of
from harness.report.aggregate import Report, under_common
from harness.report.costs import Measured
from harness.report.means import CellMean, distinct
from harness.report.text import DAGGER, DOUBLE_DAGGER, scale_text
from harness.runs.plan import MethodNote, RoleNote

COUNTED = (
    "Counted on networks of the published sizes, whatever sizes a profile trains: parameters and "
    "MACs follow from the architecture and need neither weights nor images."
)
"""Caption of tables of counts."""

PATH_WARNING = "these numbers show the path, not the methods"

_LR_SOURCES = {
    "official": "the set's own LR images, MATLAB bicubic",
    "matlab": "made here by the MATLAB-compatible bicubic resize",
    "pil": "made here by PIL bicubic after cropping HR to whole LR pixels",
    "hr": "the HR image itself; MACs are counted, nothing is enlarged",
    "size": "HR size over scale; MACs are counted, nothing is enlarged",
}
_PROTOCOLS = {
    "benchmark": "on Y (limited-range BT.601), scale pixels shaved from each border",
    "div2k": "on RGB, scale + 6 pixels shaved from each border",
    "full": "on RGB, nothing shaved",
}


def is_stand_in(report: Report, role: str, row: str = "") -> bool:
    """Tell whether data, networks or training behind a role's numbers are not the paper's.

    It is told for one row, or for all of them; where only some rows depart, these are marked.
    """
    if role in report.experiment.published_roles:
        return False
    return report.role(role).substitute or _all_depart(report) or row in _departing(report)


def _all_depart(report: Report) -> bool:
    return report.plan.stand_in and all(note.stand_in for note in report.plan.methods)


def _departing(report: Report) -> list[str]:
    """List rows whose networks or training are not the paper's, where others' are."""
    if _all_depart(report):
        return []
    return [row for row in report.experiment.rows if any(n.stand_in for n in _notes(report, row))]


def _notes(report: Report, row: str) -> list[MethodNote]:
    """List where the networks of a row come from."""
    return [note for note in report.plan.methods if note.method in methods_of(row)]


def departing_note(report: Report) -> str:
    """Name the rows that alone are stand-ins; "" where none is, or all are."""
    rows = _departing(report)
    if not rows:
        return ""
    text = f"Not the paper's networks or training ({DOUBLE_DAGGER}): "
    text += ", ".join(map(report.label, rows))
    if report.experiment.published:
        text += "; their differences to published numbers are no statement on these methods"
    return f"{text}."


def shown_set(report: Report, role: str) -> str:
    """Name what was measured, for titles: never the paper's set alone where another one was."""
    if role in report.experiment.published_roles:
        return f"{role}, published values alone"
    played = report.role(role)
    name = f"{played.dataset} in place of {role}" if played.substitute else role
    return f"{name}, {_only(played)}" if played.only else name


def _only(note: RoleNote) -> str:
    """List the images of a set that a figure shows."""
    return f"image{'s' * (len(note.only) > 1)} {' and '.join(note.only)} only"


def provenance(report: Report, role: str, row: str = "") -> str:
    """Say on what data, with which networks and schedule the numbers (of a row) were obtained."""
    note = report.role(role)
    count = _only(note) if note.only else f"{note.images} images"
    data = f"{note.dataset} ({_phrase(note.description)}; {count})"
    if note.substitute:
        data += f" in place of {role}"
    parts = [f"measured on {data}", *_training(report, row)]
    departing = "" if row else departing_note(report)
    return _sentences(f"{_opening(report, role, row)}{'; '.join(parts)}.", departing)


def brief(report: Report, role: str) -> str:
    """Shorten `provenance` to a line or two, where the whole is at the top of the report."""
    plan, played = report.plan, report.role(role)
    count = _only(played) if played.only else f"{played.images} images"
    parts = [f"measured on {played.dataset} ({count})"]
    if played.substitute:
        parts[0] += f" in place of {role}"
    if plan.training:
        parts.append(f"trained on {plan.training.partition(' (')[0]}")
    if plan.networks and plan.stand_in:
        parts.append("networks and schedule: see the top of the report")
    return _sentences(f"{_opening(report, role)}{'; '.join(parts)}.", departing_note(report))


def _sentences(*parts: str) -> str:
    return " ".join(filter(None, parts))


def _opening(report: Report, role: str, row: str = "") -> str:
    """Say whether numbers are stand-ins, as the beginning of a sentence."""
    plan = report.plan
    if report.role(role).substitute:
        return f"Stand-in, not the paper's setting (profile {plan.profile}): "
    if is_stand_in(report, role, row):
        return f"Not the paper's networks or training (profile {plan.profile}): "
    return f"Profile {plan.profile}: "


def _training(report: Report, row: str = "") -> Iterator[str]:
    """Say what was trained, as parts of a sentence."""
    said = trained_as(report, row)
    training = said["training"]
    yield f"trained on {_phrase(training)}" if training else "nothing was trained"
    for name in ("networks", "schedule"):
        if said[name]:
            yield f"{name}: {_phrase(said[name])}"


def trained_as(report: Report, row: str = "") -> dict[str, str]:
    """Describe training set, networks and schedule of all rows or of one; "" where it has none."""
    plan = report.plan
    if not row:
        return {"training": plan.training, "networks": plan.networks, "schedule": plan.schedule}
    notes = _notes(report, row)
    training = "; ".join(dict.fromkeys(note.training for note in notes if note.training))
    return {
        "training": training,
        "networks": plan.networks if notes else "",
        "schedule": plan.schedule if training else "",
    }


def costs_provenance(report: Report, measured: Measured, whole: bool = True) -> str:
    """Say on what machine and image, and for which networks, costs were measured.

    Networks are left out where a document begins with them.
    """
    plan = report.plan
    opening = f"Profile {plan.profile}"
    if _all_depart(report):
        opening = f"Stand-in, not the paper's setting (profile {plan.profile})"
    where = measured.setting.in_words() if measured.setting else "not measured"
    parts = [where, *(_training(report) if whole else ())]
    return _sentences(f"{opening}: {'; '.join(parts)}.", departing_note(report))


def comparison_note(report: Report, role: str, row: str = "") -> str:
    """Say what the difference to the published numbers means; "" where it is a comparison."""
    if not report.experiment.published:
        return ""
    if report.role(role).substitute:
        return (
            f"Published numbers are of the real {role} and the paper's training; "
            "the difference is therefore no statement on the methods."
        )
    if is_stand_in(report, role, row):
        return (
            "Published numbers are of the paper's networks and training; "
            "the difference is therefore no statement on the methods."
        )
    return ""


def path_warning(report: Report) -> str:
    """Warn that trained methods are below bicubic; "" where none is."""
    under, compared = under_common(report)
    if not under:
        return ""
    names = " and ".join(report.experiment.common)
    return f"Trained methods lie under {names} in {under} of {compared} cells: {PATH_WARNING}."


def caption(report: Report, role: str, row: str = "") -> str:
    """Write the provenance in the caption of every table and figure, or that of a row."""
    if role in report.experiment.published_roles:
        return f"Nothing is measured on {role}: it is not among the datasets of this harness."
    return _sentences(
        provenance(report, role, row), comparison_note(report, role, row), path_warning(report)
    )


def brief_caption(report: Report, role: str) -> str:
    """Shorten `caption` for tables of a document that begins with the whole of it."""
    if role in report.experiment.published_roles:
        return caption(report, role)
    return _sentences(brief(report, role), comparison_note(report, role))


def row_name(report: Report, row: str) -> str:
    """Return the paper's name of a row, marked where only the paper has it."""
    return f"{report.label(row)} {DAGGER}" if report.is_other(row) else report.label(row)


def measured_name(report: Report, row: str) -> str:
    """Return `row_name`, also marked where only some rows are stand-ins and this is one."""
    return row_name(report, row) + f" {DOUBLE_DAGGER}" * (row in _departing(report))


def others_note(names: Sequence[str]) -> str:
    """Explain the mark of `row_name`; "" where no name of a table has it."""
    if not any(name.endswith(DAGGER) for name in names):
        return ""
    return f"{DAGGER} Not a system of this harness: its published numbers stand alone."


def page_caption(report: Report, role: str, row: str = "") -> str:
    """Write `caption` with the plan's warnings."""
    warnings = (_phrase(warning) + "." for warning in report.plan.warnings)
    return _sentences(caption(report, role, row), *warnings)


def lr_note(report: Report, role: str) -> str:
    """Say which LR images the columns were measured on."""
    scored = any(not c.unscored for c in report.cells.values() if c.role == role and c.images)
    groups = _by_scale(
        report, role, lambda c: () if scored and c.unscored else c.source("lr_source")
    )
    listed = "; ".join(
        f"{where} {source} ({_LR_SOURCES.get(source, 'not described')})"
        for source, where in groups.items()
    )
    return f"LR images: {listed}." if listed else ""


def protocol_note(report: Report, role: str) -> str:
    """Say how metrics were taken."""
    groups = _by_scale(report, role, lambda cell: () if cell.unscored else cell.source("protocol"))
    listed = "; ".join(
        f"protocol {name} ({_PROTOCOLS.get(name, 'not described')})"
        + (f" at {where}" if len(groups) > 1 else "")
        for name, where in groups.items()
    )
    return f"Mean over images of each image's value, {listed}." if listed else ""


def published_notes(report: Report, role: str, table: str) -> list[str]:
    """List the notes on the published numbers: on the table, then on single numbers."""
    general = [n for key, n in report.experiment.notes.items() if key == (role, table)]
    found: dict[str, list[str]] = {}
    for cell in (*report.cells.values(), *report.printed.values()):
        if cell.role == role:
            notes = [n for name, n in cell.printed_notes if name in _PRINTED.get(table, (table,))]
            for note in dict.fromkeys(notes):
                found.setdefault(note, []).append(f"{report.label(cell.method)} {_at(cell)}")
    return [*general, *(f"Published {listed(where)}: {n}." for n, where in found.items())]


def listed(places: Sequence[str]) -> str:
    """List the places of some values, or how many there are."""
    return ", ".join(places) if len(places) <= _FEW else f"({len(places)} values)"


_PRINTED = {"macs": ("macs", "percent")}
"""Keys of `CellMean.printed` that a table shows; a metric's table shows the metric."""

_FEW = 3
"""Largest number of values that a note names one by one."""


def _at(cell: CellMean) -> str:
    return scale_text(cell.scale)


def column_notes(report: Report, role: str, scale: float) -> list[str]:
    """List the notes on a column that a comparison of its numbers needs."""
    reasons = dict.fromkeys(
        f"{count} of {cell.images_planned} images left out: {reason}"
        for cell in report.measured(role, scale)
        for reason, count in cell.excluded
    )
    return [*_mixtures(report, role, scale), *reasons]


def gaps_note(report: Report, role: str, rows: Sequence[str]) -> str:
    """Combine the column notes of all scales in a sentence or two, for a figure of some rows."""
    cells = [report.at(row, role, s) for s in report.scales for row in rows]
    missing = sum(bool(cell.missing) for cell in cells)
    parts = [f"{missing} of {len(cells)} cells have no value."] if missing else []
    left_out = dict.fromkeys(
        f"{scale_text(c.scale)} {c.too_small} of {c.images_planned}" for c in cells if c.too_small
    )
    if left_out:
        parts.append(f"Images left out as too small: {', '.join(left_out)}.")
    for scale in report.scales:
        parts += [f"{scale_text(scale)}: {text}." for text in _mixtures(report, role, scale)]
    return " ".join(parts)


def _mixtures(report: Report, role: str, scale: float) -> list[str]:
    """List why the cells of a column may not be comparable with each other."""
    # Counting has neither: a MAC is the same under every protocol.
    cells = [cell for cell in report.measured(role, scale) if not cell.unscored]
    notes = []
    if len(distinct(s for c in cells for s in c.source("lr_source"))) > 1:
        notes.append("this column mixes LR sources")
    if len(distinct(p for c in cells for p in c.source("protocol"))) > 1:
        notes.append("this column mixes protocols")
    if len(distinct(f for c in cells for f in c.source("dataset_fingerprint"))) > 1:
        notes.append("this column was measured on different versions of the data")
    if len({c.images for c in cells}) > 1:
        notes.append("the methods of this column were scored on different numbers of images")
    return notes


def _by_scale(
    report: Report, role: str, values: Callable[[CellMean], tuple[str, ...]]
) -> dict[str, str]:
    """List the scales at which each value occurs, as text."""
    found: dict[str, list[str]] = {}
    for scale in report.scales:
        for value in distinct(v for cell in report.measured(role, scale) for v in values(cell)):
            found.setdefault(value, []).append(scale_text(scale))
    return {value: ", ".join(scales) for value, scales in found.items()}


def _phrase(text: str) -> str:
    """Make a part of a sentence: without its own full stop."""
    return text.strip().rstrip(".") or "not stated"
