"""Choice of the tables of a report, and contents of their lines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from harness.experiments.base import TableName
from harness.metrics import METRICS, Metric
from harness.report import captions
from harness.report.aggregate import Report
from harness.report.claims import claims_table
from harness.report.cost_tables import latency_table, memory_table
from harness.report.count_tables import count_tables
from harness.report.layout import (
    Cell,
    Line,
    Row,
    Table,
    scale_table,
    table_key,
)
from harness.report.limits import limits_table
from harness.report.macs import macs_table, other_macs_table
from harness.report.means import CellMean
from harness.report.overview import overview_table
from harness.report.text import MISSING, decimals, scale_text, signed

_OF_ALL_ROLES: tuple[TableName, ...] = ("latency", "memory", "limits")
"""Tables that do not depend on a set of images."""


def build_tables(report: Report) -> list[Table]:
    """Make every table of a report, in order; what is the same for all sets, with the last one."""
    roles = (*report.roles, *report.experiment.published_roles)
    scores = [table for role in roles for table in _tables_of(report, role)]
    return [*count_tables(report), *claims_table(report), *scores]


def main_tables(report: Report) -> list[Table]:
    """Select counts and claims; for each set, the first table in which anything was measured."""
    found = [*count_tables(report), *claims_table(report)]
    for role in (*report.roles, *report.experiment.published_roles):
        tables = _tables_of(report, role)
        found += [table for table in tables if table.has_numbers][:1] or tables[:1]
    return found


def _tables_of(report: Report, role: str) -> list[Table]:
    makers: dict[TableName, Callable[[Report, str], Table]] = {
        "overview": overview_table,
        "macs": macs_table,
        "other-macs": other_macs_table,
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
        if (name in METRICS if scores else last or name not in _OF_ALL_ROLES)
    ]
    tables = [
        metric_table(report, role, METRICS[name]) if name in METRICS else makers[name](report, role)
        for name in names
    ]
    return [table for table in tables if table.rows]


def metric_table(report: Report, role: str, metric: Metric) -> Table:
    """Make the table of the means of a metric beside the published ones."""
    name, best = metric.name, max if metric.larger_is_better else min
    show = partial(decimals, digits=metric.digits)
    lines = [
        Line("measured", lambda c: c.metrics.get(name), show, best, "measured"),
        Line("published", lambda c: c.printed.get(name), show),
    ]
    if name == "psnr":
        lines.append(Line("difference", _printed_difference, signed))
    if any(name in cell.seed_sd for cell in report.cells.values()):
        lines.append(Line("sd of seeds", lambda c: c.seed_sd.get(name), show))
    shown = (*report.cells.values(), *report.printed.values())
    printed = any(name in cell.printed for cell in shown if cell.role == role)
    silent = report.experiment.reproduces and not printed and name != "psnr"
    notes = [f"The paper prints no {metric.label} here." if silent else ""]
    notes += _small_for(report, role, metric)
    return scale_table(report, role, name, metric.title, lines, note=" ".join(filter(None, notes)))


def _printed_difference(cell: CellMean) -> float | None:
    """Subtract the printed values, so that a reader who subtracts them finds the same."""
    published = cell.printed.get("psnr")
    if cell.psnr is None or published is None:
        return None
    return float(f"{cell.psnr:.2f}") - published


def _small_for(report: Report, role: str, metric: Metric) -> list[str]:
    """Name the columns where an image is large enough for a PSNR and too small for a metric."""
    counts = dict.fromkeys(
        (scale, cell.metric_images.get(metric.name, 0), cell.images)
        for scale in report.scales
        for cell in report.measured(role, scale)
        if not cell.unscored
    )
    return [
        f"At {scale_text(scale)}, {metric.label} is over {few} of {images} images; its window does "
        "not fit into the others."
        for scale, few, images in counts
        if few != images
    ]


def _shares(report: Report, role: str) -> Table:
    """Make the table of the share of the queries that each expert served."""
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
    """Make the table of parameters, training and the machine of every method."""
    rows = []
    for block in report.experiment.groups:
        for number, method in enumerate(block):
            cells = [report.at(method, role, scale) for scale in report.scales]
            cells = [cell for cell in cells if not cell.missing]
            name = captions.measured_name(report, method)
            rows.append(Row((name,), tuple(_network_cells(cells)), number == 0))
    return Table(
        key=table_key(report, role, "networks"),
        title="Networks as measured",
        caption=captions.caption(report, role),
        brief=captions.brief_caption(report, role),
        groups=(),
        header=("Method", "Parameters", "Steps", "Seed", "Checkpoint", "Precision", "Device"),
        rows=tuple(rows),
        notes=(),
    )


def _network_cells(cells: Sequence[CellMean]) -> Iterator[Cell]:
    values = (
        [f"{cell.parameters:,}" for cell in cells],
        [f"{cell.trained_steps:,}" for cell in cells],
        [str(seed) for cell in cells for seed in cell.seeds],
        [checkpoint[:10] for cell in cells for checkpoint in cell.source("checkpoint")],
        [name for cell in cells for name in cell.source("precision")],
        [name for cell in cells for name in cell.source("device")],
    )
    for texts in values:
        yield Cell(", ".join(dict.fromkeys(texts)) or MISSING)
