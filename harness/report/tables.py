"""Which tables a report has, and what stands in their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from baselines import parse
from harness.experiments.base import TableName
from harness.report import captions
from harness.report.aggregate import CellMean, Report
from harness.report.claims import claims_table
from harness.report.cost_tables import latency_table, memory_table
from harness.report.count_tables import count_tables
from harness.report.layout import (
    Cell,
    Line,
    Row,
    Table,
    Value,
    scale_table,
    table_key,
)
from harness.report.limits import limits_table
from harness.report.overview import overview_table
from harness.report.text import MISSING, decimals, scale_text, signed
from harness.report.units import UNITS, unit_of

_OF_ALL_ROLES: tuple[TableName, ...] = ("latency", "memory", "limits")
"""Tables that have nothing to do with a set of images."""


def build_tables(report: Report) -> list[Table]:
    """Every table of a report, in order; what is the same for all sets, with the last one."""
    roles = (*report.roles, *report.experiment.published_roles)
    scores = [table for role in roles for table in _tables_of(report, role)]
    return [*count_tables(report), *claims_table(report), *scores]


def main_tables(report: Report) -> list[Table]:
    """Counts and claims; for each set, the first table in which anything was measured."""
    found = [*count_tables(report), *claims_table(report)]
    for role in (*report.roles, *report.experiment.published_roles):
        tables = _tables_of(report, role)
        found += [table for table in tables if table.has_numbers][:1] or tables[:1]
    return found


def _tables_of(report: Report, role: str) -> list[Table]:
    makers: dict[TableName, Callable[[Report, str], Table]] = {
        "overview": overview_table,
        "psnr": _psnr,
        "ssim": _ssim,
        "macs": _macs,
        "other-macs": _other_macs,
        "latency": lambda report, _: latency_table(report),
        "memory": lambda report, _: memory_table(report),
        "limits": lambda report, _: limits_table(report),
        "shares": _shares,
        "networks": _networks,
    }
    # Of a set without images the paper's scores are all that there is.
    scores = role in report.experiment.published_roles
    last = role == report.roles[-1]
    names = [
        name
        for name in report.experiment.tables
        if (name in ("psnr", "ssim") if scores else last or name not in _OF_ALL_ROLES)
    ]
    tables = [makers[name](report, role) for name in names]
    return [table for table in tables if table.rows]


def _psnr(report: Report, role: str) -> Table:
    lines = [
        Line("measured", lambda c: c.psnr, decimals, max, "measured"),
        Line("published", lambda c: c.published, decimals),
        Line("difference", _printed_difference, signed),
    ]
    if any(cell.psnr_seed_sd is not None for cell in report.cells.values()):
        lines.append(Line("sd of seeds", lambda c: c.psnr_seed_sd, decimals))
    return scale_table(report, role, "psnr", "PSNR (dB)", lines)


def _printed_difference(cell: CellMean) -> float | None:
    """Of the printed values, so that a reader who subtracts them finds the same."""
    if cell.psnr is None or cell.published is None:
        return None
    return float(f"{cell.psnr:.2f}") - cell.published


def _ssim(report: Report, role: str) -> Table:
    show = partial(decimals, digits=4)
    lines = [Line("measured", lambda c: c.ssim, show, max, "measured")]
    lines.append(Line("published", lambda c: c.published_ssim, show))
    shown = (*report.cells.values(), *report.printed.values())
    printed = any(cell.published_ssim is not None for cell in shown if cell.role == role)
    silent = report.experiment.reproduces and not printed
    notes = ["The paper prints no SSIM here." if silent else "", *_small_for_ssim(report, role)]
    return scale_table(report, role, "ssim", "SSIM", lines, note=" ".join(filter(None, notes)))


def _small_for_ssim(report: Report, role: str) -> list[str]:
    """Names the columns where an image has a PSNR but is too small for SSIM's window."""
    counts = dict.fromkeys(
        (scale, cell.ssim_images, cell.images)
        for scale in report.scales
        for cell in report.measured(role, scale)
        if not cell.unscored
    )
    return [
        f"At {scale_text(scale)}, SSIM is over {few} of {images} images; its window does not fit "
        "into the others."
        for scale, few, images in counts
        if few != images
    ]


def _macs(report: Report, role: str) -> Table:
    """The multiply-adds that the experiment is about, beside the published ones."""
    exponent, letter = _macs_unit(report, role)
    unit = 10.0**exponent
    show = partial(decimals, digits=1)
    executed = Line("executed", lambda c: _over(c.executed_macs, unit), decimals)
    lines = [
        Line("paper's count", lambda c: _over(c.macs, unit), decimals, min, "measured"),
        *([executed] if _answers_queries(report) else []),
        Line("kernels, once", lambda c: _over(c.kernel_macs, unit), decimals),
        *(_published_macs(unit) if _macs_comparable(report, role) else ()),
        Line("% of baseline", lambda c: _percent(report, c), show),
        Line("published %", lambda c: c.published_percent if _base(report, c) else None, show),
    ]
    what = "Decoder multiply-adds" if report.experiment.macs_of == "decoder" else "Multiply-adds"
    title = f"{what} ({letter}MACs)"
    return scale_table(report, role, "macs", title, lines, note=_macs_note(report, role, exponent))


def _published_macs(unit: float) -> tuple[Line, Line]:
    return (
        Line("published", lambda c: _over(c.published_macs, unit), decimals),
        Line("difference", lambda c: _macs_difference(c, unit), signed),
    )


def _macs_comparable(report: Report, role: str) -> bool:
    """Other images or networks of other sizes cost something else by design."""
    networks: dict[str, object] = report.plan.profile_settings.get("networks", {})
    return not report.role(role).substitute and not any(networks.values())


def _macs_note(report: Report, role: str, exponent: int) -> str:
    """What is counted, and why published figures are not shown where they are not."""
    letter = dict(UNITS)[exponent]
    notes = [
        f"Multiply-adds (MACs), mean per image, 1 {letter}MACs = 1e{exponent}: "
        f"{_counted(report, role)}.",
        *_macs_remarks(report, role),
    ]
    if _is_moeisr(report):
        notes.append(_moeisr_macs_remark(report, role))
    return " ".join(note for note in notes if note)


def _answers_queries(report: Report) -> bool:
    """Whether some method has a decoder, so that an engine computes less than is counted."""
    return any(parse(method).decoder for method in report.experiment.methods)


def _is_moeisr(report: Report) -> bool:
    """Whether the experiment is one of the MoEISR paper's."""
    experiment = report.experiment
    return experiment.reproduces and any(parse(method).head for method in experiment.methods)


def _counted(report: Report, role: str) -> str:
    """What is counted, in words."""
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
    """What must be known of single lines or rows."""
    cells = [cell for cell in report.cells.values() if cell.role == role]
    if _answers_queries(report):
        yield (
            "Executed is what our engine computes for the same pixels, LTE's estimators included: "
            "what the queries of a latent code share, once."
        )
    if any(cell.kernel_macs for cell in cells):
        yield "Kernels are made once for all images of a scale, and are not in the counts above."
    highest = dict.fromkeys(report.label(c.method) for c in cells if c.least_encoder_macs)
    if highest:
        yield (
            f"{', '.join(highest)}: counted without weights, with the dearest expert in every "
            "layer, which no image exceeds."
        )


def _moeisr_macs_remark(report: Report, role: str) -> str:
    """On the MoEISR paper's own figures."""
    says = "The paper calls multiply-adds FLOPs."
    if any(cell.published_macs is not None for cell in report.cells.values()):
        if _macs_comparable(report, role):
            return says
        return f"{says} Its figures are of other images or networks, and are not shown."
    return (
        f"{says} Its Table 3 takes Set14's HR images as LR, so its figures are no comparison and "
        "are not shown."
    )


def _macs_unit(report: Report, role: str) -> tuple[int, str]:
    """The paper's unit, so that digits can be compared; else one that suits the numbers."""
    wanted = report.experiment.macs_unit
    fixed = [unit for unit in UNITS if unit[1] == wanted]
    comparable = _macs_comparable(report, role)
    return fixed[0] if fixed and comparable else _unit(report, role, lambda c: c.macs)


def _macs_difference(cell: CellMean, unit: float) -> float | None:
    if not cell.macs or cell.published_macs is None:
        return None
    return float(f"{cell.macs / unit:.2f}") - float(f"{cell.published_macs / unit:.2f}")


def _percent(report: Report, cell: CellMean) -> float | None:
    """Multiply-adds relative to the block's baseline, which has no line of its own."""
    base = _base(report, cell)
    return 100 * cell.macs / base.macs if base and base.macs and cell.macs else None


def _base(report: Report, cell: CellMean) -> CellMean | None:
    """The baseline of a cell's block; None for the baseline itself and for common rows."""
    for block in report.experiment.blocks:
        if cell.method in block.methods[1:]:
            return report.at(block.methods[0], cell.role, cell.scale)
    return None


def _other_macs(report: Report, role: str) -> Table:
    exponent, letter = _unit(report, role, lambda c: c.encoder_macs)
    unit = 10.0**exponent
    lines = [
        Line("encoder", lambda c: _over(c.encoder_macs, unit), decimals),
        Line("estimators", lambda c: _over(c.estimator_macs, unit), decimals),
    ]
    note = (
        f"Mean per image, 1 {letter}MACs = 1e{exponent}. Kept apart because the paper's decoder "
        "figures leave them out; estimators are LTE's amplitude, frequency and phase layers."
    )
    title = f"Multiply-adds outside the decoder ({letter}MACs)"
    return scale_table(report, role, "other-macs", title, lines, note=note)


def _over(value: float | None, unit: float) -> float | None:
    """In the unit; None where there is nothing to count (bicubic has no layers)."""
    return value / unit if value else None


def _shares(report: Report, role: str) -> Table:
    """Share of the queries that each expert served."""
    depths = {d for cell in report.cells.values() for d in cell.expert_depths}

    def share(depth: int, cell: CellMean) -> float | None:
        if not cell.expert_depths:
            return None
        served = dict(zip(cell.expert_depths, cell.expert_shares, strict=True))
        return 100 * served[depth] if depth in served else None

    lines = [
        Line(f"{depth}-layer", partial(share, depth), partial(decimals, digits=1))
        for depth in sorted(depths)
    ]
    title = "Expert shares (% of latent-code queries)"
    return scale_table(report, role, "shares", title, lines)


def _networks(report: Report, role: str) -> Table:
    """Parameters, training and the machine of every method."""
    rows = []
    for block in (report.experiment.common, *(b.methods for b in report.experiment.blocks)):
        for number, method in enumerate(block):
            cells = [report.at(method, role, scale) for scale in report.scales]
            cells = [cell for cell in cells if not cell.missing]
            rows.append(Row((report.label(method),), tuple(_network_cells(cells)), number == 0))
    return Table(
        key=table_key(report, role, "networks"),
        title="Networks as measured",
        caption=captions.caption(report, role),
        groups=(),
        header=("Method", "Parameters", "Steps", "Seed", "Checkpoint", "Precision", "Device"),
        rows=tuple(rows),
        notes=(),
        stand_in=captions.is_stand_in(report, role),
    )


def _network_cells(cells: Sequence[CellMean]) -> Iterator[Cell]:
    values = (
        [f"{cell.parameters:,}" for cell in cells],
        [f"{cell.trained_steps:,}" for cell in cells],
        [str(seed) for cell in cells for seed in cell.seeds],
        [checkpoint[:10] for cell in cells for checkpoint in cell.checkpoints],
        [name for cell in cells for name in cell.precisions],
        [name for cell in cells for name in cell.devices],
    )
    for texts in values:
        yield Cell(", ".join(dict.fromkeys(texts)) or MISSING)


def _unit(report: Report, role: str, value: Value) -> tuple[int, str]:
    return unit_of(value(cell) for cell in report.cells.values() if cell.role == role)
