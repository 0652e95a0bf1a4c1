"""Tables of MACs: those that the experiment is about, and those that are kept apart."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from baselines import parse
from harness.report.aggregate import Report
from harness.report.layout import Line, Table, Value, scale_table
from harness.report.means import CellMean
from harness.report.text import decimals, signed
from harness.report.units import UNITS, unit_of


def macs_table(report: Report, role: str) -> Table:
    """Make the table of the MACs that the experiment is about, beside the published ones."""
    exponent, letter = _macs_unit(report, role)
    unit = 10.0**exponent
    executed = Line("executed", lambda c: _over(c.executed, unit), decimals)
    lines = [
        Line(_count_name(report), lambda c: _over(c.macs, unit), decimals, min, "measured"),
        *([executed] if _answers_queries(report) else []),
        Line("kernels, once", lambda c: _over(c.part_macs.get("kernel"), unit), decimals),
        *(_published_macs(unit) if _macs_comparable(report, role) else ()),
        *(line for name in report.baseline_names for line in _percentages(report, name)),
    ]
    what = "Decoder MACs" if report.experiment.macs_of == "decoder" else "MACs"
    title = f"{what} ({letter}MACs)"
    return scale_table(report, role, "macs", title, lines, note=_macs_note(report, role, exponent))


def _count_name(report: Report) -> str:
    return "paper's count" if report.experiment.reproduces else "papers' count"


def _published_macs(unit: float) -> tuple[Line, Line]:
    return (
        Line("published", lambda c: _over(c.printed.get("macs"), unit), decimals),
        Line("difference", lambda c: _macs_difference(c, unit), signed),
    )


def _macs_comparable(report: Report, role: str) -> bool:
    """Tell whether MACs can be compared: other images or network sizes cost something else."""
    networks: dict[str, object] = report.plan.profile_settings.get("networks", {})
    return not report.role(role).substitute and not any(networks.values())


def _macs_note(report: Report, role: str, exponent: int) -> str:
    """Say what is counted, and why published figures are not shown where they are not."""
    letter = dict(UNITS)[exponent]
    notes = [
        f"MACs (multiply-adds), mean per image, 1 {letter}MACs = 1e{exponent}: "
        f"{_counted(report, role)}.",
        *_macs_remarks(report, role),
    ]
    if _is_moeisr(report):
        notes.append(_moeisr_macs_remark(report, role))
    return " ".join(note for note in notes if note)


def _answers_queries(report: Report) -> bool:
    """Tell whether some method has a decoder, so that an engine executes less than is counted."""
    return any(parse(method).decoder for method in report.experiment.methods)


def _is_moeisr(report: Report) -> bool:
    """Tell whether the experiment is one of the MoEISR paper's."""
    experiment = report.experiment
    return experiment.reproduces and any(parse(method).head for method in experiment.methods)


def _counted(report: Report, role: str) -> str:
    """Say what is counted."""
    counted = "every query through its expert's MLP, and the mapper"
    if report.experiment.macs_of == "all":
        counted = "convolutions and linear layers of the whole network"
        if _answers_queries(report):
            counted += ", every query through its MLP (its expert's, and the mapper)"
    if report.experiment.macs_input == "hr":
        pixels = [c.lr_pixels for c in report.cells.values() if c.role == role and c.lr_pixels]
        counted += f"; LR images here have {pixels[0]:,.2f} pixels on the mean" if pixels else ""
    return counted


def _macs_remarks(report: Report, role: str) -> Iterator[str]:
    """List remarks on single lines or rows."""
    cells = [cell for cell in report.cells.values() if cell.role == role]
    if _answers_queries(report):
        yield (
            "Executed is what our engine computes for the same pixels, LTE's estimators included: "
            "what the queries of a latent code share, once. A few queries at the image's border "
            "that it answers twice are left out."
        )
    if any(cell.part_macs.get("kernel") for cell in cells):
        yield "Kernels are made once for all images of a scale, and are not in the counts above."
    highest = dict.fromkeys(
        report.label(c.method) for c in cells if c.part_macs.get("least_encoder")
    )
    if highest:
        yield (
            f"{', '.join(highest)}: counted without weights, with the dearest expert in every "
            "layer, which no image exceeds."
        )


def _moeisr_macs_remark(report: Report, role: str) -> str:
    """Comment on the MoEISR paper's own figures."""
    says = "The paper calls MACs FLOPs."
    if any("macs" in cell.printed for cell in report.cells.values()):
        if _macs_comparable(report, role):
            return says
        return f"{says} Its figures are of other images or networks, and are not shown."
    return (
        f"{says} Its Table 3 takes Set14's HR images as LR, so its figures are no comparison and "
        "are not shown."
    )


def _macs_unit(report: Report, role: str) -> tuple[int, str]:
    """Return the paper's unit, so that digits can be compared; else one that suits the numbers."""
    wanted = report.experiment.macs_unit
    fixed = [unit for unit in UNITS if unit[1] == wanted]
    comparable = _macs_comparable(report, role)
    return fixed[0] if fixed and comparable else _unit(report, role, lambda c: c.macs)


def _macs_difference(cell: CellMean, unit: float) -> float | None:
    published = cell.printed.get("macs")
    if not cell.macs or published is None:
        return None
    return float(f"{cell.macs / unit:.2f}") - float(f"{published / unit:.2f}")


def _percentages(report: Report, name: str) -> tuple[Line, Line]:
    """Compute MACs relative to a baseline of this name, for the methods whose own it is."""

    def measured(cell: CellMean) -> float | None:
        if report.baseline_name(cell.method) != name:
            return None
        base = report.at(report.baseline(cell.method), cell.role, cell.scale)
        return 100 * cell.macs / base.macs if base.macs and cell.macs else None

    def printed(cell: CellMean) -> float | None:
        return cell.printed.get("percent") if report.baseline_name(cell.method) == name else None

    show = partial(decimals, digits=1)
    return Line(f"% of {name}", measured, show), Line(f"published % of {name}", printed, show)


def other_macs_table(report: Report, role: str) -> Table:
    """Make the table of the MACs outside the decoder: encoder and LTE's estimators."""
    exponent, letter = _unit(report, role, lambda c: c.part_macs.get("encoder"))
    unit = 10.0**exponent
    lines = [
        Line("encoder", lambda c: _over(c.part_macs.get("encoder"), unit), decimals),
        Line("estimators", lambda c: _over(c.part_macs.get("estimator"), unit), decimals),
    ]
    note = (
        f"Mean per image, 1 {letter}MACs = 1e{exponent}. Kept apart because the paper's decoder "
        "figures leave them out; estimators are LTE's amplitude, frequency and phase layers."
    )
    title = f"MACs outside the decoder ({letter}MACs)"
    return scale_table(report, role, "other-macs", title, lines, note=note)


def _over(value: float | None, unit: float) -> float | None:
    """Convert to the unit; None where there is nothing to count (bicubic has no layers)."""
    return value / unit if value else None


def _unit(report: Report, role: str, value: Value) -> tuple[int, str]:
    return unit_of(value(cell) for cell in report.cells.values() if cell.role == role)
