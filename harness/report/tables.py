"""The tables of a report as data: what stands in which cell, before any format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from harness.published import label
from harness.report import captions
from harness.report.aggregate import CellMean, Report

MISSING = "–"
_UNITS = ((1e12, "T"), (1e9, "G"), (1e6, "M"))


@dataclass(frozen=True)
class Cell:
    """What is printed at one place; `mark` refers to a note of the table."""

    text: str
    bold: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Row:
    """A line of a table.

    Attributes:
        head: texts of the leading columns.
        rule: whether a block starts here.
        kind: measured, info or aside (published values, differences, percentages).
    """

    head: tuple[str, ...]
    cells: tuple[Cell, ...]
    rule: bool = False
    kind: str = "measured"


@dataclass(frozen=True)
class Table:
    """A table with its caption and notes.

    Attributes:
        key: short name, for labels and anchors.
        groups: headings over the columns after the leading ones, each with its width.
        header: all column names, leading columns first.
        notes: (mark, text); general notes have no mark.
    """

    key: str
    title: str
    caption: str
    groups: tuple[tuple[str, int], ...]
    header: tuple[str, ...]
    rows: tuple[Row, ...]
    notes: tuple[tuple[str, str], ...]
    stand_in: bool


@dataclass
class _Notes:
    """Notes of a table in the making; equal texts share a mark."""

    marks: dict[str, str] = field(default_factory=dict)

    def mark(self, texts: Sequence[str]) -> str:
        """The marks of these notes, in one string."""
        for text in texts:
            self.marks.setdefault(text, _letters(len(self.marks)))
        return ",".join(self.marks[text] for text in texts)


Value = Callable[[CellMean], float | None]


@dataclass(frozen=True)
class _Line:
    """One line that every method may have: a number per scale.

    Attributes:
        better: min or max; None for lines that nothing is best in.
        kind: of its `Row`.
    """

    name: str
    value: Value
    show: Callable[[float], str]
    better: Callable[[Sequence[float]], float] | None = None
    kind: str = "aside"


def build_tables(report: Report) -> list[Table]:
    """Every table of a report, in order."""
    tables = []
    for role in report.experiment.roles:
        tables += [_psnr(report, role), _ssim(report, role), _decoder_macs(report, role)]
        tables += [_other_macs(report, role), _shares(report, role), _networks(report, role)]
    return [table for table in tables if table.rows]


def decimals(value: float, digits: int = 2) -> str:
    """A number at printed precision; never `-0.00`."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.{digits}f}".replace("-", "−")
    return text.replace("−", "") if float(f"{value:.{digits}f}") == 0 else text


def signed(value: float) -> str:
    """A difference at printed precision: `+0.02`, `−0.10`, `0.00`."""
    text = decimals(value)
    return f"+{text}" if text[0] != "−" and text != "0.00" else text


def _psnr(report: Report, role: str) -> Table:
    lines = [
        _Line("measured", lambda c: c.psnr, decimals, max, "measured"),
        _Line("published", lambda c: c.published, decimals),
        _Line("difference", _printed_difference, signed),
    ]
    if any(cell.psnr_seed_sd is not None for cell in report.cells.values()):
        lines.append(_Line("sd of seeds", lambda c: c.psnr_seed_sd, decimals))
    return _scale_table(report, role, "psnr", "PSNR (dB)", lines)


def _printed_difference(cell: CellMean) -> float | None:
    """Of the printed values, so that a reader who subtracts them finds the same."""
    if cell.psnr is None or cell.published is None:
        return None
    return float(f"{cell.psnr:.2f}") - cell.published


def _ssim(report: Report, role: str) -> Table:
    def show(value: float) -> str:
        return decimals(value, 4)

    lines = [_Line("measured", lambda c: c.ssim, show, max, "measured")]
    lines.append(_Line("published", lambda c: c.published_ssim, show))
    note = (
        "" if _any(report, role, lambda c: c.published_ssim) else "The paper prints no SSIM here."
    )
    return _scale_table(report, role, "ssim", "SSIM", lines, note)


def _decoder_macs(report: Report, role: str) -> Table:
    unit, letter = _unit(report, role, lambda c: c.decoder_macs)
    lines = [
        _Line(
            f"{letter}MACs",
            lambda c: None if c.decoder_macs is None else c.decoder_macs / unit,
            decimals,
            min,
            "measured",
        ),
        _Line("% of baseline", lambda c: _percent(report, c), lambda v: decimals(v, 1)),
    ]
    note = (
        f"Multiply-adds (MACs), mean per image, 1 {letter}MACs = {unit:.0e}: every query through "
        "its expert's MLP, and the mapper. The paper calls multiply-adds FLOPs; its Table 3 takes "
        "Set14's HR images as LR, so its figures are no comparison and are not shown."
    ).replace("e+", "e")
    title = f"Decoder multiply-adds ({letter}MACs)"
    return _scale_table(report, role, "macs", title, lines, note)


def _percent(report: Report, cell: CellMean) -> float | None:
    """Decoder multiply-adds relative to the block's baseline."""
    for block in report.experiment.blocks:
        if cell.method in block.methods:
            base = report.at(block.methods[0], cell.role, cell.scale).decoder_macs
            return 100 * cell.decoder_macs / base if base and cell.decoder_macs else None
    return None


def _other_macs(report: Report, role: str) -> Table:
    unit, letter = _unit(report, role, lambda c: c.encoder_macs)
    lines = [
        _Line("encoder", lambda c: _over(c.encoder_macs, unit), decimals),
        _Line("estimators", lambda c: _over(c.estimator_macs, unit), decimals),
    ]
    note = (
        f"Mean per image, 1 {letter}MACs = {unit:.0e}. Kept apart because the paper's decoder "
        "figures leave them out; estimators are LTE's amplitude, frequency and phase layers."
    ).replace("e+", "e")
    title = f"Multiply-adds outside the decoder ({letter}MACs)"
    return _scale_table(report, role, "other-macs", title, lines, note)


def _over(value: float | None, unit: float) -> float | None:
    return value / unit if value else None


def _shares(report: Report, role: str) -> Table:
    """Share of the queries that each expert served."""
    depths = {d for cell in report.cells.values() for d in cell.expert_depths}

    def share(cell: CellMean, depth: int) -> float | None:
        served = dict(zip(cell.expert_depths, cell.expert_shares, strict=True))
        return 100 * served[depth] if depth in served else None

    lines = [
        _Line(f"{depth}-layer", lambda c, d=depth: share(c, d), lambda v: decimals(v, 1))  # type: ignore[misc]
        for depth in sorted(depths)
    ]
    title = "Expert shares (% of latent-code queries)"
    return _scale_table(report, role, "shares", title, lines)


def _scale_table(
    report: Report, role: str, key: str, title: str, lines: Sequence[_Line], note: str = ""
) -> Table:
    """A table with a column per scale and the given lines for each method."""
    scales, notes = report.scales, _Notes()
    rows = list(_info_rows(report, role, notes))
    for block in (report.experiment.common, *(b.methods for b in report.experiment.blocks)):
        rows += _block_rows(report, role, block, lines, notes)
    # Lines that no method has a number in are not printed, nor a table that has none at all.
    body = any(row.kind != "info" for row in rows)
    inside = sum(scale <= report.experiment.in_scale_up_to for scale in scales)
    groups = (("in-scale", inside), ("out-of-scale", len(scales) - inside))
    general = [note, captions.protocol_note(report, role) if key in ("psnr", "ssim") else ""]
    general.append(captions.lr_note(report, role))
    if any(line.better for line in lines):
        general.append(
            "Bold: best of a block at printed precision; unmarked where a value is missing."
        )
    return Table(
        key=key if len(report.experiment.roles) == 1 else f"{key}-{role}",
        title=f"{title}, {role}" if not report.role(role).substitute else f"{title}, for {role}",
        caption=captions.caption(report, role),
        groups=tuple(group for group in groups if group[1]),
        header=("Method", "", *(captions.scale_text(scale) for scale in scales)),
        rows=tuple(rows) if body else (),
        notes=(*((m, t) for t, m in notes.marks.items()), *(("", t) for t in general if t)),
        stand_in=captions.is_stand_in(report, role),
    )


def _info_rows(report: Report, role: str, notes: _Notes) -> Iterator[Row]:
    """LR source and number of images of each column."""
    sources, counts = [], []
    for scale in report.scales:
        cells = report.measured(role, scale)
        names = dict.fromkeys(name for cell in cells for name in cell.lr_sources)
        sources.append(Cell("+".join(names) or MISSING))
        images = dict.fromkeys(str(cell.images) for cell in cells)
        mark = notes.mark(captions.column_notes(report, role, scale))
        counts.append(Cell("/".join(images) or MISSING, mark=mark))
    yield Row(("LR source", ""), tuple(sources), kind="info")
    yield Row(("Images", ""), tuple(counts), kind="info")


def _block_rows(
    report: Report, role: str, block: Sequence[str], lines: Sequence[_Line], notes: _Notes
) -> list[Row]:
    """The lines of a block's methods."""
    rows: list[Row] = []
    for method in block:
        named = False
        for number, line in enumerate(lines):
            cells = [
                _cell(report, line, report.at(method, role, scale), block, notes)
                for scale in report.scales
            ]
            has_value = any(cell.text != MISSING for cell in cells)
            # A method without any number still has its line, which says so.
            all_missing = all(report.at(method, role, s).missing for s in report.scales)
            if has_value or (number == 0 and all_missing and line.kind == "measured"):
                head = ("" if named else label(method), line.name)
                rows.append(Row(head, tuple(cells), not rows, line.kind))
                named = True
    return rows


def _cell(report: Report, line: _Line, cell: CellMean, block: Sequence[str], notes: _Notes) -> Cell:
    value = line.value(cell)
    if value is None:
        mark = notes.mark([cell.missing]) if cell.missing and line.kind == "measured" else ""
        return Cell(MISSING, mark=mark)
    text = line.show(value)
    if line.better is None or block == report.experiment.common:
        return Cell(text)
    values = [line.value(report.at(method, cell.role, cell.scale)) for method in block]
    known = [v for v in values if v is not None]
    # With a value missing, which one is best is not known.
    bold = len(known) == len(values) and line.show(line.better(known)) == text
    return Cell(text, bold=bold)


def _networks(report: Report, role: str) -> Table:
    """Parameters, training and the machine of every method."""
    rows = []
    for block in (report.experiment.common, *(b.methods for b in report.experiment.blocks)):
        for number, method in enumerate(block):
            cells = [report.at(method, role, scale) for scale in report.scales]
            cells = [cell for cell in cells if not cell.missing]
            rows.append(Row((label(method),), tuple(_network_cells(cells)), number == 0))
    return Table(
        key="networks" if len(report.experiment.roles) == 1 else f"networks-{role}",
        title="Networks as measured",
        caption=captions.caption(report, role),
        groups=(),
        header=("Method", "Parameters", "Steps", "Seeds", "Checkpoint", "Precision", "Device"),
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


def _any(report: Report, role: str, value: Value) -> bool:
    return any(value(c) is not None for c in report.cells.values() if c.role == role)


def _unit(report: Report, role: str, value: Value) -> tuple[float, str]:
    """The largest unit in which the smallest number still has two digits before rounding."""
    found = [value(cell) for cell in report.cells.values() if cell.role == role]
    least = min((v for v in found if v), default=0.0)
    return next(((size, name) for size, name in _UNITS if least >= 0.1 * size), _UNITS[-1])


def _letters(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    text = ""
    while True:
        text = chr(ord("a") + number % 26) + text
        number = number // 26 - 1
        if number < 0:
            return text
