"""Page of a report: one HTML file that holds everything it shows, and fetches nothing.

Figures with data become charts that answer to the pointer. Their data frame has a row for each
point, with the columns `method`, `label`, `x` and `y`; and, where they apply, `low` and `high` (an
interval of y), `panel` (points of a panel are drawn together) or `scale` (a panel for each), `kind`
or `count` ("measured", "published", "executed", "counted as in the papers": what is a paper's is
drawn hollow and dotted), `detail` (a sentence), and `color` and `marker` of the method
(`harness.report.looks`). `data.attrs` may name the axes, `x` and `y`, and the kind of the first:
`axis` is "scale", "log" or "plain". Without it scales and MACs, which get logarithmic axes, are
recognised by their size.
"""

from __future__ import annotations

import base64
import hashlib
import io
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from harness.common.files import write_text
from harness.report.looks import Look, expert_colors
from harness.report.model import Document, Figure, Table
from harness.report.page.viewer import View, Viewer, load_viewer
from harness.report.text import scale_text

__all__ = ["Viewer", "load_viewer", "render", "write"]


def write(document: Document, path: Path, viewer: Viewer | None) -> None:
    """Write the page of a report.

    Raises:
        HarnessError: the file cannot be written.
    """
    write_text(path, html(document, viewer))


def html(document: Document, viewer: Viewer | None = None) -> str:
    """Format the page of a report.

    Args:
        document: the report.
        viewer: images to look into; None for a page without a viewer.
    """
    figures = [figure for section in document.sections for figure in section.figures]
    every: list[Figure | Table] = [*figures, *(t for s in document.sections for t in s.tables)]
    return render(
        "report.html.j2",
        document=document,
        roles=list(dict.fromkeys(each.role for each in every if each.role)),
        tables={t.key: table(t) for section in document.sections for t in section.tables},
        charts={f.key: chart(f) for f in figures if f.data is not None},
        pictures={f.key: _embedded(f.png) for f in figures if f.data is None},
        viewer=viewer,
        views=[] if viewer is None else [_view(view) for view in viewer.views],
        pixels=[] if viewer is None else [_base64(pixels) for pixels in viewer.pixels],
    )


def _view(view: View) -> dict[str, Any]:
    """Return a view as JSON takes it, which knows no infinite PSNR (of equal images)."""
    found = asdict(view)
    for shown in found["methods"]:
        if shown["psnr"] is not None and not math.isfinite(shown["psnr"]):
            shown["psnr"] = "Infinity"
        shown["colors"] = expert_colors(shown["depths"])
    return found


def render(template: str, **values: Any) -> str:
    """Fill a template of this folder, which gets the style and the script with their hashes.

    The page's own policy lets no other style or script run, and no request leave the page.
    """
    environment = Environment(
        loader=PackageLoader("harness.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["anchor"] = anchor
    texts = {name: (files(__package__) / f"page.{name}").read_text("utf-8") for name in _INLINED}
    inlined = {name: Markup(text) for name, text in texts.items()}
    hashes = {f"{name}_hash": _sha256(text) for name, text in texts.items()}
    return environment.get_template(template).render(**inlined, **hashes, **values)


_INLINED = ("css", "js")


def _sha256(text: str) -> str:
    return f"sha256-{_base64(hashlib.sha256(text.encode()).digest())}"


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _embedded(png: Path) -> tuple[str, int, int]:
    """Return a figure's pixels as a small file, width and height; the exact ones are in the PNG."""
    small = io.BytesIO()
    with Image.open(png) as image:
        image.convert("RGB").save(small, "WEBP", quality=88, method=4)
    return f"data:image/webp;base64,{_base64(small.getvalue())}", image.width, image.height


def anchor(key: str) -> str:
    """Return an id of HTML for a key, of letters that need no escape."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", key)


def table(shown: Table) -> dict[str, Any]:
    """List a table's column groups, columns, and blocks of rows for the template."""
    columns = [(str(column[0]), str(column[1])) for column in shown.cells.columns]
    groups: list[tuple[str, int]] = []
    for group, _ in columns:
        if groups and groups[-1][0] == group:
            groups[-1] = (group, groups[-1][1] + 1)
        else:
            groups.append((group, 1))
    parts = (shown.cells, shown.marks, shown.details)
    blocks: dict[str, list[tuple[str, list[tuple[str, ...]]]]] = {}
    rows = zip(*(part.itertuples(index=False, name=None) for part in parts), strict=True)
    for (block, method), row in zip(shown.cells.index, rows, strict=True):
        cells: list[tuple[str, ...]] = [
            (*_main_and_beside(str(text)), str(mark), str(detail))
            for text, mark, detail in zip(*row, strict=True)
        ]
        blocks.setdefault(str(block), []).append((str(method), cells))
    marks = set(shown.marks.to_numpy().ravel().tolist())
    return {
        "groups": groups if any(name for name, _ in groups) else [],
        "columns": [column for _, column in columns],
        "blocks": blocks,
        "marks": marks,
        "told": shown.details.to_numpy().astype(bool).any(),
        "rows": len(shown.cells),
    }


def _main_and_beside(text: str) -> tuple[str, str]:
    """Split a published value or an interval from the number that it stands beside."""
    found = re.fullmatch(r"(\S+) ([(\[].*)", text)
    return (found[1], found[2]) if found else (text, "")


def chart(figure: Figure) -> dict[str, Any]:
    """Return what the page's script draws a chart from."""
    data = figure.data
    assert data is not None
    filled = data.reindex(columns=[*_REQUIRED, *_OPTIONAL])
    if "panel" not in data and "scale" in data:
        filled["panel"] = data["scale"].map(scale_text)
    if "kind" not in data and "count" in data:
        filled["kind"] = data["count"]
    numbers = filled[["x", "y"]].apply(pd.to_numeric, errors="coerce")
    drawn = filled[np.isfinite(numbers).all(axis=1)]
    panels: dict[str, dict[tuple[str, str], dict[str, Any]]] = {}
    for point in drawn.to_dict("records"):
        panel = panels.setdefault(_text(point["panel"]), {})
        name, kind = str(point["method"]), _text(point["kind"])
        empty: dict[str, Any] = {
            "label": str(point["label"]),
            "kind": kind,
            "color": _text(point["color"]) or Look.color,
            "marker": _text(point["marker"]) or Look.marker,
            "points": [],
        }
        values = {key: _number(point[key]) for key in ("x", "y", "low", "high")}
        series = panel.setdefault((name, kind), empty)
        series["points"].append({**values, "detail": _text(point["detail"])})
    return {
        "title": figure.title,
        "axis": data.attrs.get("axis") or _axis(drawn["x"].tolist()),
        "x": str(data.attrs.get("x", "")),
        "y": str(data.attrs.get("y", "")),
        "panels": [{"name": n, "series": list(series.values())} for n, series in panels.items()],
    }


_REQUIRED = ("method", "label", "x", "y")
_OPTIONAL = ("low", "high", "panel", "kind", "detail", "color", "marker")
_LARGEST_SCALE = 64
_SMALLEST_MACS = 1e6


def _axis(values: Sequence[float]) -> str:
    """Recognise what x counts: scales, MACs or something else, such as steps."""
    if values and min(values) >= 1 and max(values) <= _LARGEST_SCALE:
        return "scale"
    return "log" if values and min(values) >= _SMALLEST_MACS else "plain"


def _text(value: object) -> str:
    return "" if value is None or pd.isna(value) else str(value)  # type: ignore[call-overload]


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else float(value)
